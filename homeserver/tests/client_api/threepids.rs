//! E-mail addresses: proving them, registering, logging in and getting back in with them.

use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use landbridge_homeserver::clock::Clock;
use landbridge_homeserver::config::{Config, Rate, Secret, SmtpSecurity};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::smtp::Smtp;
use super::support::{Later, TestServer, User};

const CLIENT: &str = "/_matrix/client/v3";
const PLACES: [&str; 3] = ["register", "account/password", "account/3pid"];

pub(crate) async fn server(smtp: &Smtp) -> TestServer {
    server_with(smtp, |_| {}).await
}

pub(crate) async fn server_with(smtp: &Smtp, change: impl FnOnce(&mut Config)) -> TestServer {
    TestServer::start_with(|config| {
        mail(config, smtp);
        change(config);
    })
    .await
}

pub(crate) fn mail(config: &mut Config, smtp: &Smtp) {
    config.public_base_url = Some("https://hs.test".to_owned());
    config.email.smtp_host = Some("127.0.0.1".to_owned());
    config.email.smtp_port = Some(smtp.port);
    config.email.security = SmtpSecurity::None;
    "Us <us@hs.test>".clone_into(&mut config.email.from);
    config.email.allowed_domains = vec!["example.org".to_owned()];
}

pub(crate) async fn post(server: &TestServer, path: &str, body: Value) -> (StatusCode, Value) {
    server.request(Method::POST, &format!("{CLIENT}/{path}"), None, &body).await
}

/// Asks for a proof and gives its credentials.
pub(crate) async fn begin(server: &TestServer, place: &str, email: &str) -> Value {
    let body = json!({ "client_secret": "secret", "email": email, "send_attempt": 1 });
    let (status, answer) = post(server, &format!("{place}/email/requestToken"), body).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    json!({ "sid": answer["sid"], "client_secret": "secret" })
}

/// Presses the button on the page behind the link.
pub(crate) async fn confirm(server: &TestServer, link: &str) -> StatusCode {
    let (status, _) = server.request(Method::GET, link, None, &Value::Null).await;
    if status != StatusCode::OK {
        return status;
    }
    let (path, query) = link.split_once('?').unwrap();
    server.form(path, query).await.0
}

pub(crate) fn identity(credentials: &Value) -> Value {
    // Clients send both spellings.
    json!({ "type": "m.login.email.identity", "threepid_creds": credentials, "threepidCreds": credentials })
}

pub(crate) async fn add(server: &TestServer, smtp: &Smtp, user: &User<'_>, email: &str) {
    let mut body = begin(server, "account/3pid", email).await;
    assert_eq!(confirm(server, smtp.newest(&email.to_lowercase()).link()).await, StatusCode::OK);
    body["auth"] = json!({ "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": user.id } });
    user.must(Method::POST, "v3/account/3pid/add", body).await;
}

pub(crate) fn login(email: &str, password: &str) -> Value {
    json!({ "type": "m.login.password", "password": password,
        "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": email } })
}

#[tokio::test]
async fn an_address_is_added_once_confirmed_and_logs_in() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let mut body = begin(&server, "account/3pid", "Alice@Example.org").await;
    let refused = alice.refused(Method::POST, "v3/account/3pid/add", body.clone()).await;
    assert_eq!(refused, (400, "M_THREEPID_AUTH_FAILED".to_owned()));
    let mail = smtp.newest("alice@example.org");
    // Looking at the page confirms nothing.
    server.request(Method::GET, mail.link(), None, &Value::Null).await;
    let refused = alice.refused(Method::POST, "v3/account/3pid/add", body.clone()).await;
    assert_eq!(refused.1, "M_THREEPID_AUTH_FAILED");
    assert_eq!(confirm(&server, mail.link()).await, StatusCode::OK);
    let wrong = mail.link().replace("sid=", "sid=x");
    assert_eq!(confirm(&server, &wrong).await, StatusCode::NOT_FOUND);
    let (status, challenge) = alice.ask(Method::POST, "v3/account/3pid/add", body.clone()).await;
    assert_eq!(
        (status, &challenge["flows"][0]["stages"][0]),
        (StatusCode::UNAUTHORIZED, &json!("m.login.password"))
    );
    body["auth"] = json!({ "type": "m.login.password", "password": "correct horse", "session": challenge["session"],
        "identifier": { "type": "m.id.user", "user": "alice" } });
    alice.must(Method::POST, "v3/account/3pid/add", body.clone()).await;
    // A proof is good once.
    let again = alice.refused(Method::POST, "v3/account/3pid/add", body).await;
    assert_eq!(again.1, "M_THREEPID_AUTH_FAILED");
    let list = alice.must(Method::GET, "v3/account/3pid", Value::Null).await;
    assert_eq!(list["threepids"][0]["address"], "alice@example.org");
    assert_eq!(list["threepids"][0]["medium"], "email");
    assert!(
        list["threepids"][0]["validated_at"].is_u64() && list["threepids"][0]["added_at"].is_u64()
    );
    assert_eq!(
        bob.must(Method::GET, "v3/account/3pid", Value::Null).await,
        json!({ "threepids": [] })
    );

    let (status, answer) =
        post(&server, "login", login("ALICE@example.org", "correct horse")).await;
    assert_eq!((status, answer["user_id"].as_str()), (StatusCode::OK, Some(alice.id.as_str())));
    // As clients named people before there were identifiers.
    let old = json!({ "type": "m.login.password", "password": "correct horse",
        "medium": "email", "address": "alice@example.org" });
    assert_eq!(post(&server, "login", old).await.0, StatusCode::OK);
    for body in [
        login("alice@example.org", "wrong"),
        login("nobody@example.org", "correct horse"),
        json!({ "type": "m.login.password", "password": "correct horse",
            "identifier": { "type": "m.id.phone", "country": "GB", "phone": "1" } }),
    ] {
        let (status, answer) = post(&server, "login", body).await;
        assert_eq!(
            (status, answer["errcode"].as_str()),
            (StatusCode::FORBIDDEN, Some("M_FORBIDDEN"))
        );
    }
    let capabilities = alice.must(Method::GET, "v3/capabilities", Value::Null).await;
    assert_eq!(capabilities["capabilities"]["m.3pid_changes"]["enabled"], true);

    let named = json!({ "medium": "email", "address": "Alice@example.org" });
    bob.must(Method::POST, "v3/account/3pid/delete", named.clone()).await;
    let (status, _) = post(&server, "login", login("alice@example.org", "correct horse")).await;
    assert_eq!(status, StatusCode::OK, "only its owner takes an address away");
    let answer = alice.must(Method::POST, "v3/account/3pid/delete", named).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "no-support" }));
    let (status, _) = post(&server, "login", login("alice@example.org", "correct horse")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn answers_do_not_tell_whose_an_address_is() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    add(&server, &smtp, &alice, "alice@example.org").await;
    for (place, email, says) in [
        ("register", "alice@example.org", "belongs to the account @alice:hs.test"),
        ("account/3pid", "alice@example.org", "belongs to the account @alice:hs.test"),
        ("account/password", "nobody@example.org", "no account there has this address"),
    ] {
        let before = smtp.count();
        let credentials = begin(&server, place, email).await;
        assert_eq!(smtp.count(), before + 1);
        let mail = smtp.newest(email);
        assert!(mail.text.contains(says) && !mail.text.contains("/_landbridge/"), "{mail:?}");
        assert_eq!(credentials["sid"].as_str().unwrap().len(), 43);
        // The same attempt again sends nothing, the next one does.
        begin(&server, place, email).await;
        assert_eq!(smtp.count(), before + 1);
    }
    let body =
        json!({ "client_secret": "secret", "email": "alice@example.org", "send_attempt": 2 });
    let before = smtp.count();
    post(&server, "register/email/requestToken", body).await;
    assert_eq!(smtp.count(), before + 1);
}

#[tokio::test]
async fn what_cannot_be_proven_is_refused() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let good = || json!({ "client_secret": "secret", "email": "a@example.org", "send_attempt": 1 });
    let with = |key: &str, value: Value| {
        let mut body = good();
        body[key] = value;
        body
    };
    for place in PLACES {
        let ask = async |body: Value| {
            let (status, answer) =
                post(&server, &format!("{place}/email/requestToken"), body).await;
            (status.as_u16(), answer["errcode"].as_str().unwrap_or_default().to_owned())
        };
        for key in ["client_secret", "email", "send_attempt"] {
            assert_eq!(ask(with(key, Value::Null)).await, (400, "M_MISSING_PARAM".to_owned()));
        }
        for (key, value) in [
            ("client_secret", json!("")),
            ("client_secret", json!("a b")),
            ("client_secret", json!("x".repeat(256))),
            ("email", json!("nobody")),
            ("email", json!("a@example.org\r\nBcc: b@example.org")),
            ("email", json!("\"a@elsewhere.org\"@example.org")),
            ("email", json!("a%elsewhere.org@example.org")),
            ("email", json!("a@[127.0.0.1]")),
            ("next_link", json!("javascript:alert(1)")),
        ] {
            let got = ask(with(key, value.clone())).await;
            assert_eq!(got, (400, "M_INVALID_PARAM".to_owned()), "{key} {value}");
        }
        assert_eq!(
            ask(with("email", json!("a@elsewhere.org"))).await,
            (403, "M_THREEPID_DENIED".to_owned())
        );
        assert_eq!(smtp.count(), 0);
        let (status, answer) =
            post(&server, &format!("{place}/msisdn/requestToken"), json!({})).await;
        assert_eq!(
            (status.as_u16(), answer["errcode"].as_str()),
            (400, Some("M_THREEPID_MEDIUM_NOT_SUPPORTED"))
        );
        // An e-mail that did not go out may be asked for again under the same number.
        let refused = with("email", json!("refused@example.org"));
        assert_eq!(ask(refused.clone()).await.0, 502);
        assert_eq!(ask(refused).await.0, 502);
    }
    let server = TestServer::start().await;
    for place in PLACES {
        let (_, answer) = post(&server, &format!("{place}/email/requestToken"), good()).await;
        assert_eq!(answer["errcode"], "M_THREEPID_MEDIUM_NOT_SUPPORTED");
    }
    let (status, answer) = post(&server, "account/password", json!({ "new_password": "x" })).await;
    assert_eq!((status.as_u16(), answer["errcode"].as_str()), (401, Some("M_MISSING_TOKEN")));
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_by_email() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    add(&server, &smtp, &alice, "alice@example.org").await;
    let reset = |credentials: Value, password: &str| {
        let body = json!({ "new_password": password, "auth": identity(&credentials) });
        let server = &server;
        async move { post(server, "account/password", body).await }
    };
    let (status, challenge) =
        post(&server, "account/password", json!({ "new_password": "another one" })).await;
    assert_eq!(
        (status, &challenge["flows"]),
        (StatusCode::UNAUTHORIZED, &json!([{ "stages": ["m.login.email.identity"] }]))
    );
    let credentials = begin(&server, "account/password", "alice@example.org").await;
    let (status, answer) = reset(credentials.clone(), "another one").await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_THREEPID_AUTH_FAILED"))
    );
    // The page says what the click does, and to whose account.
    let link = smtp.newest("alice@example.org").link().to_owned();
    let (_, _, page) = server.page(&link).await;
    assert!(page.contains("<h1>Set a new password") && page.contains("@alice:hs.test"), "{page}");
    confirm(&server, &link).await;
    let stolen = json!({ "sid": credentials["sid"], "client_secret": "guess" });
    assert_eq!(reset(stolen, "another one").await.0, StatusCode::UNAUTHORIZED);
    let (_, answer) = reset(credentials.clone(), "short").await;
    assert_eq!(answer["errcode"], "M_WEAK_PASSWORD");
    let before = smtp.count();
    let (status, answer) = reset(credentials.clone(), "another one").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let told = smtp.wait(before + 1).await;
    assert_eq!(told.to, "alice@example.org");
    assert!(told.text.contains("the password of your account @alice:hs.test"), "{}", told.text);
    assert_eq!(reset(credentials, "a third one").await.0, StatusCode::UNAUTHORIZED);
    let gone = alice.refused(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(gone.1, "M_UNKNOWN_TOKEN");
    bob.must(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(
        post(&server, "login", login("alice@example.org", "correct horse")).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        post(&server, "login", login("alice@example.org", "another one")).await.0,
        StatusCode::OK
    );
    // A proof for something else doesn't open the account.
    let other = begin(&server, "register", "new@example.org").await;
    confirm(&server, smtp.newest("new@example.org").link()).await;
    assert_eq!(reset(other, "a third one").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn accounts_register_with_an_address() {
    let smtp = Smtp::start().await;
    let mut server = server(&smtp).await;
    let register = async |server: &TestServer, auth: Value| {
        let body = json!({ "username": "carol", "password": "correct horse", "auth": auth });
        post(server, "register", body).await
    };
    let (_, challenge) = post(&server, "register", json!({ "username": "carol" })).await;
    let flows = json!([{ "stages": ["m.login.dummy"] }, { "stages": ["m.login.email.identity"] }]);
    assert_eq!(challenge["flows"], flows);
    let credentials = begin(&server, "register", "carol@example.org").await;
    let mut auth = identity(&credentials);
    auth["session"] = challenge["session"].clone();
    let (status, answer) = register(&server, auth.clone()).await;
    assert_eq!(
        (status, answer["errcode"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("M_THREEPID_AUTH_FAILED"))
    );
    confirm(&server, smtp.newest("carol@example.org").link()).await;
    let (status, answer) = register(&server, auth).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let carol = server.user(&answer);
    let list = carol.must(Method::GET, "v3/account/3pid", Value::Null).await;
    assert_eq!(list["threepids"][0]["address"], "carol@example.org");
    assert_eq!(
        post(&server, "login", login("carol@example.org", "correct horse")).await.0,
        StatusCode::OK
    );
    // It survives a restart, and goes with the account.
    server = server.restart().await;
    let (status, answer) =
        post(&server, "login", login("carol@example.org", "correct horse")).await;
    assert_eq!(status, StatusCode::OK);
    let auth = json!({ "auth": { "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.thirdparty", "medium": "email", "address": "carol@example.org" } } });
    let carol = server.user(&answer);
    let answer = carol.must(Method::POST, "v3/account/deactivate", auth).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    let credentials = begin(&server, "register", "carol@example.org").await;
    assert_eq!(confirm(&server, smtp.newest("carol@example.org").link()).await, StatusCode::OK);
    assert!(credentials["sid"].is_string());
}

#[tokio::test]
async fn a_confirmed_address_leads_on_to_where_the_client_wants() {
    let smtp = Smtp::start().await;
    let server = server_with(&smtp, |config| {
        config.email.next_link_domains = vec!["app.example.org".to_owned()];
    })
    .await;
    let body = |next: &str| json!({ "client_secret": "secret", "email": "a@example.org", "send_attempt": 1, "next_link": next });
    let path = "register/email/requestToken";
    let (status, answer) = post(&server, path, body("https://elsewhere.org/")).await;
    assert_eq!((status.as_u16(), answer["errcode"].as_str()), (400, Some("M_INVALID_PARAM")));
    assert_eq!(smtp.count(), 0);
    post(&server, path, body("https://app.example.org/next")).await;
    let link = smtp.newest("a@example.org").link().to_owned();
    let (status, policy, text) = server.page(&link).await;
    assert_eq!(status, StatusCode::OK);
    // The page says where it leads, and browsers let it lead there and nowhere else.
    assert!(text.contains("<html lang=\"en\">") && text.contains("<h1>Confirm"), "{text}");
    assert!(text.contains("app.example.org"), "{text}");
    assert!(policy.contains("form-action 'self' https://app.example.org;"), "{policy}");
    let (path, query) = link.split_once('?').unwrap();
    let (status, location) = server.form(path, query).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(location.as_deref(), Some("https://app.example.org/next"));
    let (status, _, text) = server.page("/_landbridge/email/confirm?sid=%3Cb%3E&token=x").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!text.contains("<b>"), "{text}");
}

#[tokio::test]
async fn a_link_ends() {
    let smtp = Smtp::start().await;
    let clock = Arc::new(Later::default());
    let server = TestServer::start_with_at(
        |config| {
            mail(config, &smtp);
            config.email.link_lifetime_seconds = 600;
        },
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .await;
    let alice = server.register("alice").await;
    let mut body = begin(&server, "account/3pid", "alice@example.org").await;
    let link = smtp.newest("alice@example.org").link().to_owned();
    clock.pass(601);
    assert_eq!(confirm(&server, &link).await, StatusCode::NOT_FOUND);
    let (path, query) = link.split_once('?').unwrap();
    assert_eq!(server.form(path, query).await.0, StatusCode::NOT_FOUND);
    // Asked anew, another one goes out, and the first is good no more.
    body["sid"] = begin(&server, "account/3pid", "alice@example.org").await["sid"].clone();
    assert_eq!(smtp.count(), 2);
    assert_eq!(confirm(&server, smtp.newest("alice@example.org").link()).await, StatusCode::OK);
    // A proof isn't kept for later either.
    clock.pass(601);
    let refused = alice.refused(Method::POST, "v3/account/3pid/add", body).await;
    assert_eq!(refused, (400, "M_THREEPID_AUTH_FAILED".to_owned()));
}

#[tokio::test]
async fn an_address_that_two_people_prove_is_the_first_ones() {
    let smtp = Smtp::start().await;
    let server = server(&smtp).await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let ask = async |secret: &str| {
        let body = json!({ "client_secret": secret, "email": "us@example.org", "send_attempt": 1 });
        let (_, answer) = post(&server, "account/3pid/email/requestToken", body).await;
        assert_eq!(confirm(&server, smtp.newest("us@example.org").link()).await, StatusCode::OK);
        json!({ "sid": answer["sid"], "client_secret": secret })
    };
    let (first, second) = (ask("one").await, ask("two").await);
    let with = |mut body: Value, user: &User<'_>| {
        body["auth"] = json!({ "type": "m.login.password", "password": "correct horse",
            "identifier": { "type": "m.id.user", "user": user.id } });
        body
    };
    alice.must(Method::POST, "v3/account/3pid/add", with(first, &alice)).await;
    let refused = bob.refused(Method::POST, "v3/account/3pid/add", with(second, &bob)).await;
    assert_eq!(refused, (400, "M_THREEPID_IN_USE".to_owned()));
    for key in ["sid", "client_secret"] {
        let mut body = json!({ "sid": "a", "client_secret": "b" });
        body.as_object_mut().unwrap().remove(key);
        let refused = bob.refused(Method::POST, "v3/account/3pid/add", body).await;
        assert_eq!(refused, (400, "M_MISSING_PARAM".to_owned()));
    }
}

#[tokio::test]
async fn emails_are_limited_for_who_asks_and_for_who_is_written_to() {
    let smtp = Smtp::start().await;
    let server = server_with(&smtp, |config| {
        config.listen.behind_proxy = true;
        config.rate_limits.enabled = true;
        config.rate_limits.email = Rate { per_second: 0.000_1, burst: 2 };
    })
    .await;
    let ask = async |from: &str, email: &str| {
        let body = json!({ "client_secret": "secret", "email": email, "send_attempt": 1 });
        let request = Request::post(format!("{CLIENT}/account/password/email/requestToken"))
            .header("x-forwarded-for", from)
            .body(Body::from(body.to_string()));
        server.server.router().oneshot(request.unwrap()).await.unwrap().status().as_u16()
    };
    assert_eq!(ask("192.0.2.1", "a@example.org").await, 200);
    assert_eq!(ask("192.0.2.1", "b@example.org").await, 200);
    assert_eq!(ask("192.0.2.1", "c@example.org").await, 429);
    assert_eq!(ask("192.0.2.2", "a@example.org").await, 200);
    assert_eq!(ask("192.0.2.3", "A@example.org").await, 429);
    assert_eq!(ask("192.0.2.3", "c@example.org").await, 200);
}

#[tokio::test]
async fn an_address_may_be_needed_to_register_beside_a_token() {
    let smtp = Smtp::start().await;
    let server = server_with(&smtp, |config| {
        config.registration.tokens = vec![Secret::new("invited")];
        config.email.required_to_register = true;
    })
    .await;
    let register = async |auth: Value| {
        let body = json!({ "username": "carol", "password": "correct horse", "auth": auth });
        post(&server, "register", body).await
    };
    let (_, challenge) = post(&server, "register", json!({})).await;
    let stages = json!([{ "stages": ["m.login.email.identity", "m.login.registration_token"] }]);
    assert_eq!(challenge["flows"], stages);
    let session = &challenge["session"];
    let token =
        json!({ "type": "m.login.registration_token", "token": "invited", "session": session });
    let (status, answer) = register(token).await;
    assert_eq!(
        (status, &answer["completed"]),
        (StatusCode::UNAUTHORIZED, &json!(["m.login.registration_token"]))
    );
    let mut auth = identity(&begin(&server, "register", "carol@example.org").await);
    auth["session"] = session.clone();
    confirm(&server, smtp.newest("carol@example.org").link()).await;
    let (status, answer) = register(auth).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let carol = server.user(&answer);
    let list = carol.must(Method::GET, "v3/account/3pid", Value::Null).await;
    assert_eq!(list["threepids"][0]["address"], "carol@example.org");
}
