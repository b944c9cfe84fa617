//! Signing in through identity providers: the way there and back, and what is refused on it.

use std::sync::Arc;

use http::Method;
use landbridge_homeserver::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use super::sso_provider::{Browser, CLIENT, Idp, log_in, parameter, redirect, server, server_at};
use super::support::{Later, TestServer};

fn ada() -> Value {
    json!({ "sub": "u1", "preferred_username": "Ada", "name": "Ada L", "email": "ada@x.test" })
}

#[tokio::test]
async fn somebody_new_gets_an_account_and_the_same_one_again() {
    let idp = Idp::start().await;
    let mut settings = idp.settings("corp");
    settings.email_template = Some("{{ user.email }}".to_owned());
    let server = server(vec![settings]).await;
    let browser = Browser::new(&server);
    let client = browser.sign_in(&idp, "", CLIENT, &ada()).await.sent();
    assert!(client.as_str().starts_with("https://app.test/?x=1&loginToken="), "{client}");
    let (status, answer) = log_in(&server, &client).await;
    assert_eq!((status, &answer["user_id"]), (200, &json!("@ada:hs.test")), "{answer}");
    assert_eq!(log_in(&server, &client).await.0, 403, "a token is good once");
    let ada_here = server.user(&answer);
    let profile = ada_here.must(Method::GET, "v3/profile/@ada:hs.test", Value::Null).await;
    assert_eq!(profile["displayname"], "Ada L");
    let addresses = ada_here.must(Method::GET, "v3/account/3pid", Value::Null).await;
    assert_eq!(addresses["threepids"][0]["address"], "ada@x.test");

    let server = server.restart().await;
    let again = json!({ "sub": "u1", "preferred_username": "somebody-else" });
    let browser = Browser::new(&server);
    let client = browser.sign_in(&idp, "corp", CLIENT, &again).await.sent();
    assert_eq!(log_in(&server, &client).await.1["user_id"], "@ada:hs.test");
    // A name is no identity.
    let other = json!({ "sub": "u2", "preferred_username": "ada", "email": "ada@x.test" });
    let asked = browser.sign_in(&idp, "corp", CLIENT, &other).await.sent();
    assert_eq!(asked.path(), "/_landbridge/sso/account");
    // Nor does an address that somebody has become another's.
    let third = json!({ "sub": "u3", "preferred_username": "eve", "email": "Ada@x.test" });
    let client = browser.sign_in(&idp, "corp", CLIENT, &third).await.sent();
    let eve = server.user(&log_in(&server, &client).await.1);
    let addresses = eve.must(Method::GET, "v3/account/3pid", Value::Null).await;
    assert_eq!(addresses["threepids"], json!([]));
}

#[tokio::test]
async fn a_client_that_is_not_known_is_asked_about() {
    let idp = Idp::start().await;
    let server = server(vec![idp.settings("corp")]).await;
    let browser = Browser::new(&server);
    let page = browser.sign_in(&idp, "", "https://other.test:8443/a", &ada()).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("other.test:8443") && page.body.contains("@ada:hs.test"));
    assert!(!page.body.contains("loginToken"), "no token before the answer");
    let link = page.link("/_landbridge/sso/continue");
    assert_eq!(Browser::new(&server).get(&link).await.status, 400, "another browser");
    let page = browser.sign_in(&idp, "", "https://other.test:8443/a", &ada()).await;
    let link = page.link("/_landbridge/sso/continue");
    let client = browser.get(&link).await.sent();
    assert_eq!(client.host_str(), Some("other.test"));
    assert_eq!(log_in(&server, &client).await.0, 200);
    assert_eq!(browser.get(&link).await.status, 400, "once");
}

#[tokio::test]
async fn answers_that_are_not_as_asked_for_are_refused() {
    let idp = Idp::start().await;
    let server = server(vec![idp.settings("corp")]).await;
    let browser = Browser::new(&server);
    for (wrong, what) in [
        (json!({ "nonce": "another" }), "nonce"),
        (json!({ "nonce": null }), "no nonce"),
        (json!({ "aud": "them" }), "audience"),
        (json!({ "aud": ["us", "them"] }), "audiences"),
        (json!({ "iss": "https://evil.test" }), "issuer"),
        (json!({ "exp": 1_000 }), "expired"),
        (json!({ "sub": null }), "nobody"),
        (json!({ "sub": "" }), "nobody"),
    ] {
        let mut claims = ada();
        claims.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let got = browser.sign_in(&idp, "corp", CLIENT, &claims).await;
        assert_eq!((got.status, got.location), (403, None), "{what}");
    }
    let sent = browser.leave("corp", CLIENT).await;
    let denied = parameter(&sent, "state").unwrap();
    let denied = format!("/_synapse/client/oidc/callback?error=access_denied&state={denied}");
    assert_eq!(browser.get(&denied).await.status, 403);
    // PKCE: a code that was had by somebody else's request.
    let (mine, theirs) = (browser.leave("corp", CLIENT).await, browser.leave("corp", CLIENT).await);
    let theirs = idp.sign_in(&theirs, &ada());
    let code = theirs.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let state = parameter(&mine, "state").unwrap();
    let mixed = format!("/_synapse/client/oidc/callback?code={code}&state={state}");
    assert_eq!(browser.get(&mixed).await.status, 403);
    idp.forge();
    assert_eq!(browser.sign_in(&idp, "corp", CLIENT, &ada()).await.status, 403, "signature");
    assert!(
        server
            .server
            .app()
            .accounts
            .get("@ada:hs.test".try_into().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_answer_is_taken_once_in_time_and_in_the_browser_that_asked() {
    let idp = Idp::start().await;
    let clock = Arc::new(Later::default());
    let server = server_at(vec![idp.settings("corp")], clock.clone()).await;
    let browser = Browser::new(&server);
    let back = idp.sign_in(&browser.leave("corp", CLIENT).await, &ada());
    assert_eq!(browser.get(&back).await.status, 302);
    assert_eq!(browser.get(&back).await.status, 400, "replayed");

    let back = idp.sign_in(&browser.leave("corp", CLIENT).await, &ada());
    assert_eq!(Browser::new(&server).get(&back).await.status, 400, "another browser");
    let other = Browser::new(&server);
    other.leave("corp", CLIENT).await;
    let back = idp.sign_in(&browser.leave("corp", CLIENT).await, &ada());
    assert_eq!(other.get(&back).await.status, 400, "a browser with a cookie of its own");
    let made_up = "/_synapse/client/oidc/callback?code=x&state=made-up";
    assert_eq!(browser.get(made_up).await.status, 400);
    assert_eq!(browser.get("/_synapse/client/oidc/callback").await.status, 400);

    let sent = browser.leave("corp", CLIENT).await;
    clock.pass(21 * 60);
    assert_eq!(browser.get(&idp.sign_in(&sent, &ada())).await.status, 400, "too late");
}

#[tokio::test]
async fn keys_may_change() {
    let idp = Idp::start().await;
    let clock = Arc::new(Later::default());
    let server = server_at(vec![idp.settings("corp")], clock.clone()).await;
    let browser = Browser::new(&server);
    assert_eq!(browser.sign_in(&idp, "corp", CLIENT, &ada()).await.status, 302);
    idp.rotate();
    clock.pass(11);
    assert_eq!(browser.sign_in(&idp, "corp", CLIENT, &ada()).await.status, 302);
}

#[tokio::test]
async fn providers_are_told_apart() {
    let (one, two) = (Idp::start().await, Idp::start().await);
    one.name_itself();
    let mut with_brand = two.settings("two");
    with_brand.brand = Some("gitlab".to_owned());
    with_brand.icon = Some("mxc://hs.test/icon".to_owned());
    let server = server(vec![one.settings("one"), with_brand]).await;
    let (_, flows) =
        server.request(Method::GET, "/_matrix/client/v3/login", None, &Value::Null).await;
    let expected = json!({ "type": "m.login.sso", "identity_providers": [
        { "id": "one", "name": "The one" },
        { "id": "two", "name": "The two", "brand": "gitlab", "icon": "mxc://hs.test/icon" },
    ] });
    assert!(flows["flows"].as_array().unwrap().contains(&expected), "{flows}");

    let browser = Browser::new(&server);
    let page = browser.get(&redirect("", CLIENT)).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("The one") && page.body.contains("The two"), "{}", page.body);
    let sent = browser.get(&page.link("/_matrix/client/v3/login/sso/redirect/two")).await.sent();
    let client = browser.get(&two.sign_in(&sent, &ada())).await.sent();
    assert_eq!(client.host_str(), Some("app.test"));
    // The same subject elsewhere is somebody else.
    let asked = browser.sign_in(&one, "one", CLIENT, &ada()).await.sent();
    assert_eq!(asked.path(), "/_landbridge/sso/account");
    // An answer that doesn't say whose it is, from a provider that always does.
    let back = one.sign_in(&browser.leave("one", CLIENT).await, &ada());
    let nameless = back.split("&iss=").next().unwrap();
    assert_eq!(browser.get(nameless).await.status, 403);
    let back = one.sign_in(&browser.leave("one", CLIENT).await, &ada());
    let named = format!("{}&iss={}", back.split("&iss=").next().unwrap(), two.issuer());
    assert_eq!(browser.get(&named).await.status, 403);
}

#[tokio::test]
async fn clients_are_addresses_that_can_be_gone_back_to() {
    let idp = Idp::start().await;
    let server = server(vec![idp.settings("corp")]).await;
    let browser = Browser::new(&server);
    let path = "/_matrix/client/v3/login/sso/redirect";
    let missing = browser.get(path).await;
    assert_eq!(missing.status, 400);
    assert!(missing.body.contains("M_MISSING_PARAM"), "{}", missing.body);
    for bad in ["javascript:alert(1)", "data:text/html,x", "/here", "nothing"] {
        let got = browser.get(&redirect("corp", bad)).await;
        assert_eq!((got.status, got.location), (400, None), "{bad}");
        assert!(got.body.contains("M_INVALID_PARAM"));
    }
    assert_eq!(browser.get(&format!("{}&action=dance", redirect("", CLIENT))).await.status, 400);
    assert_eq!(browser.get(&format!("{}&action=register", redirect("", CLIENT))).await.status, 302);
    assert_eq!(browser.get(&redirect("unknown", CLIENT)).await.status, 404);
    let app = browser.sign_in(&idp, "corp", "io.app://connect", &ada()).await;
    assert!(app.body.contains("the app that opens io.app: links"), "{}", app.body);
    let client = browser.get(&app.link("/_landbridge/sso/continue")).await.sent();
    assert!(client.as_str().starts_with("io.app://connect?loginToken="), "{client}");
    let own = "https://hs.test/_matrix/static/client/login/?device_id=D";
    let client = browser.sign_in(&idp, "corp", own, &ada()).await.sent();
    assert_eq!(
        (client.path(), parameter(&client, "device_id")),
        ("/_matrix/static/client/login/", Some("D".to_owned()))
    );

    let none = TestServer::start().await;
    assert_eq!(Browser::new(&none).get(&redirect("", CLIENT)).await.status, 404);
    let (_, flows) =
        none.request(Method::GET, "/_matrix/client/v3/login", None, &Value::Null).await;
    assert!(!flows.to_string().contains("m.login.sso"), "{flows}");
}

#[tokio::test]
async fn people_sign_in_to_pages_of_this_server() {
    let idp = Idp::start().await;
    let server = server(vec![idp.settings("corp")]).await;
    let browser = Browser::new(&server);
    let page = browser.get("/_landbridge/sign-in?continue=%2F_landbridge%2Flink%3Fa%3Db").await;
    assert!(page.body.contains(">The corp</a>"), "{}", page.body);
    let sent = browser.get(&page.link("/_landbridge/sso/start?")).await.sent();
    let back = browser.get(&idp.sign_in(&sent, &ada())).await;
    assert_eq!((back.status, back.location.as_deref()), (303, Some("/_landbridge/link?a=b")));
    let account = browser.get("/_landbridge/account").await;
    assert!(account.body.contains("<strong>@ada:"), "{}", account.body);
    // That they are known at the provider is not enough for what can't be taken back.
    let reset = "/_landbridge/account?action=org.matrix.cross_signing_reset";
    let now = SystemClock.now_ms() / 1000;
    for (ago, status) in [(7_200, 403), (0, 303)] {
        let asked = browser.get(reset).await.location.expect("a page to sign in again");
        assert!(asked.starts_with("/_landbridge/sign-in?"), "{asked}");
        let page = browser.get(&asked).await;
        let sent = browser.get(&page.link("/_landbridge/sso/start?")).await.sent();
        let query: std::collections::BTreeMap<_, _> = sent.query_pairs().into_owned().collect();
        assert_eq!((&*query["prompt"], &*query["max_age"]), ("login", "0"));
        let mut claims = ada();
        claims["auth_time"] = (now - ago).into();
        assert_eq!(browser.get(&idp.sign_in(&sent, &claims)).await.status, status);
    }
    assert_eq!(browser.get(reset).await.status, 200);
    for elsewhere in ["https://evil.test/", "//evil.test/", "/\\evil.test/"] {
        let elsewhere: String =
            url::form_urlencoded::byte_serialize(elsewhere.as_bytes()).collect();
        let path = format!("/_landbridge/sso/start?provider=corp&page={elsewhere}");
        assert_eq!(browser.get(&path).await.status, 400);
    }
}

#[tokio::test]
async fn clients_that_can_not_log_in_find_a_page() {
    let server = TestServer::start().await;
    let browser = Browser::new(&server);
    for (page, script) in [("login", "login.js"), ("register", "register.js")] {
        for slash in ["", "/"] {
            let got = browser.get(&format!("/_matrix/static/client/{page}{slash}")).await;
            assert_eq!(got.status, 200);
            let address = format!("src=\"/_matrix/static/client/{page}/{script}\"");
            assert!(got.body.contains(&address) && got.policy.contains("script-src 'self';"));
        }
        let got = browser.get(&format!("/_matrix/static/client/{page}/{script}")).await;
        let call = if page == "login" {
            "matrixLogin.onLogin("
        } else {
            "matrixRegistration.onRegistered("
        };
        assert!(got.status == 200 && got.body.contains(call));
    }
    assert_eq!(browser.get("/_matrix/static/client/common.js").await.status, 200);
    assert_eq!(browser.get("/_matrix/static/client/style.css").await.status, 200);
}
