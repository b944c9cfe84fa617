//! The authorisation code flow, and what is refused in it.

use serde_json::json;

use super::{
    AUTHORIZE, BASE, Browser, Provider, REDIRECT, SIGN_IN, answer_in, authorization, encoded,
    forms, redemption, scope, value,
};

#[tokio::test]
async fn a_client_signs_its_user_in_and_the_session_is_like_any() {
    let provider = Provider::start().await;
    let metadata = provider.get("/_matrix/client/v1/auth_metadata", None).await;
    assert_eq!(metadata.status, 200);
    let metadata = metadata.json();
    assert_eq!(metadata["issuer"], format!("{BASE}/"));
    assert_eq!(metadata["authorization_endpoint"], format!("{BASE}{AUTHORIZE}"));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["prompt_values_supported"], json!(["create"]));
    let unstable = "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata";
    assert_eq!(provider.get(unstable, None).await.json()["issuer"], metadata["issuer"]);

    let client = provider.client().await;
    let browser = provider.browser();
    let asked = authorization(&client, &scope("DEVICEABCD"), &[]);
    let to_sign_in = browser.open(&asked).await;
    assert_eq!(to_sign_in.status, 303);
    assert!(to_sign_in.path().starts_with(SIGN_IN), "{}", to_sign_in.location());
    let form = browser.form(to_sign_in.path()).await;
    let wrong = form.clone().with("username", "alice").with("password", "battery staple");
    let wrong = browser.submit(&wrong).await;
    assert_eq!(wrong.status, 403);
    assert!(wrong.text.contains("role=\"alert\""), "{}", wrong.text);
    let form = form.with("username", "alice").with("password", "correct horse");
    let back = browser.submit(&form).await;
    assert_eq!(back.status, 303, "{}", back.text);
    assert!(back.path().starts_with(AUTHORIZE));
    let page = browser.open(back.path()).await;
    for text in
        ["My App", "example.com", "DEVICEABCD", "@alice:hs.test", "https://example.com/tos.html"]
    {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    // The redirect that follows the form must be allowed.
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("form-action 'self' https://app.example.com;"), "{policy}");
    let consent = forms(&page.text).remove(0).with("decision", "allow");
    let done = browser.submit(&consent).await;
    assert_eq!(done.status, 303);
    assert!(done.location().starts_with(&format!("{REDIRECT}#")), "{}", done.location());
    let answer = answer_in(done.location(), '#');
    assert_eq!(value(&answer, "state"), Some("a state"));
    assert_eq!(value(&answer, "iss"), Some(&*format!("{BASE}/")));

    let code = value(&answer, "code").unwrap();
    let tokens = provider.token(&redemption(&client, code)).await;
    assert_eq!(tokens.headers["cache-control"], "no-store");
    let tokens = tokens.json();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 300);
    assert_eq!(tokens["scope"], scope("DEVICEABCD"));
    let access = tokens["access_token"].as_str().unwrap();
    let me = provider.whoami(access).await.unwrap();
    assert_eq!(
        (&me["user_id"], &me["device_id"]),
        (&json!("@alice:hs.test"), &json!("DEVICEABCD"))
    );
    assert_eq!(provider.get("/_matrix/client/v3/sync", Some(access)).await.status, 200);
    let devices = provider.get("/_matrix/client/v3/devices/DEVICEABCD", Some(access)).await.json();
    assert_eq!(devices["display_name"], "My App");
    let logout = provider.http.post(format!("{}/_matrix/client/v3/logout", provider.address));
    assert_eq!(provider.send(logout.bearer_auth(access)).await.status, 200);
    assert_eq!(provider.whoami(access).await, Err(401));
}

#[tokio::test]
async fn an_answer_may_stand_in_the_query_and_a_no_is_one() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let asked = authorization(&client, &scope("D"), &[("response_mode", None)]);
    let consent = browser.form(&asked).await;
    let denied = browser.submit(&consent.clone().with("decision", "deny")).await;
    let answer = answer_in(denied.location(), '?');
    assert_eq!(value(&answer, "error"), Some("access_denied"));
    assert_eq!(value(&answer, "state"), Some("a state"));
    let allowed = browser.submit(&consent.with("decision", "allow")).await;
    assert!(value(&answer_in(allowed.location(), '?'), "code").is_some());
}

#[tokio::test]
async fn nobody_is_sent_where_the_client_is_not_known_to_be() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    for (name, other) in [
        ("client_id", None),
        ("client_id", Some("unknown")),
        ("redirect_uri", None),
        ("redirect_uri", Some("https://app.example.com/other")),
        ("redirect_uri", Some("https://evil.org/callback")),
    ] {
        let answer = browser.open(&authorization(&client, &scope("D"), &[(name, other)])).await;
        assert_eq!(answer.status, 400, "{name} {other:?}");
        assert!(!answer.headers.contains_key("location"));
    }
    let twice =
        format!("{}&redirect_uri=https://evil.org/", authorization(&client, &scope("D"), &[]));
    assert_eq!(browser.open(&twice).await.status, 400);
}

#[tokio::test]
async fn each_parameter_is_checked_and_people_are_told() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    // Whoever can register a client could else send people anywhere, signed in or not.
    let told = async |browser: &Browser<'_>, path: &str| {
        let answer = browser.open(path).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        assert!(!answer.headers.contains_key("location"), "{path}");
        assert!(answer.text.contains("My App") && answer.text.contains("role=\"alert\""));
        let text = answer.text.replace("&amp;", "&");
        let (_, link) = text.split_once("<a href=\"").unwrap_or_else(|| panic!("{text}"));
        assert!(link.contains("rel=\"noreferrer\""));
        link.split('"').next().unwrap().to_owned()
    };
    let bad = authorization(&client, &scope("D"), &[("response_type", Some("token"))]);
    let link = told(&provider.browser(), &bad).await;
    assert!(link.starts_with(&format!("{REDIRECT}#state=a+state&")), "{link}");
    let long = "x".repeat(5_000);
    let (two, no_api) = (format!("{} {}", scope("A"), scope("B")), "urn:matrix:client:device:D");
    for (name, other, error) in [
        ("response_type", None, "invalid_request"),
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_mode", Some("form_post"), "invalid_request"),
        ("state", Some(&*long), "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some("short"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("scope", None, "invalid_scope"),
        ("scope", Some("openid"), "invalid_scope"),
        ("scope", Some(&*two), "invalid_scope"),
        ("scope", Some(no_api), "invalid_scope"),
        ("request", Some("x"), "request_not_supported"),
        ("request_uri", Some("x"), "request_uri_not_supported"),
        ("prompt", Some("none"), "interaction_required"),
    ] {
        let link = told(&browser, &authorization(&client, &scope("D"), &[(name, other)])).await;
        let sign = if name == "response_mode" { '?' } else { '#' };
        assert_eq!(value(&answer_in(&link, sign), "error"), Some(error), "{name} {other:?}");
    }
    let twice = format!("{}&scope=x", authorization(&client, &scope("D"), &[]));
    let link = told(&browser, &twice).await;
    assert_eq!(value(&answer_in(&link, '#'), "error"), Some("invalid_request"));
}

#[tokio::test]
async fn a_client_administers_only_what_an_administrator_let_it() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let wide = format!("{} urn:synapse:admin:*", scope("WIDE"));
    let refused = browser.open(&authorization(&client, &wide, &[])).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("no administrator"), "{}", refused.text);
    let app = provider.server.server.app();
    let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
    app.accounts.set_admin(&alice, true).await.unwrap();
    let administers = async |token: &str| {
        let path = "/_synapse/admin/v1/users/@alice:hs.test/admin";
        provider.get(path, Some(token)).await.status == 200
    };
    let redeem = async |code: &str| {
        let tokens = provider.token(&redemption(&client, code)).await.json();
        tokens["access_token"].as_str().unwrap().to_owned()
    };
    // An administrator's ordinary client doesn't.
    let narrow = browser.open(&authorization(&client, &scope("NARROW"), &[])).await;
    assert!(!narrow.text.contains("administer this server"), "{}", narrow.text);
    let narrow = redeem(&browser.code(&client, "NARROW").await).await;
    assert!(provider.whoami(&narrow).await.is_ok() && !administers(&narrow).await);
    let page = browser.open(&authorization(&client, &wide, &[])).await;
    assert!(page.text.contains("administer this server"), "{}", page.text);
    let consent = forms(&page.text).remove(0).with("decision", "allow");
    let answer = answer_in(browser.submit(&consent).await.location(), '#');
    let wide = redeem(value(&answer, "code").unwrap()).await;
    assert!(administers(&wide).await);
    app.accounts.set_admin(&alice, false).await.unwrap();
    assert!(provider.whoami(&wide).await.is_ok() && !administers(&wide).await);
    // The form that is still open grants it no more.
    let answer = answer_in(browser.submit(&consent).await.location(), '#');
    assert_eq!(value(&answer, "error"), Some("invalid_scope"));
}

#[tokio::test]
async fn whoever_lets_a_client_in_as_a_device_that_they_have_is_told() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let asked = authorization(&client, &scope("DEVICE"), &[]);
    assert!(!browser.open(&asked).await.text.contains("It is signed out"));
    provider.tokens(&client, "DEVICE").await;
    let page = browser.open(&asked).await;
    assert!(page.text.contains("It is signed out"), "{}", page.text);
}

#[tokio::test]
async fn a_form_of_another_browser_is_refused() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let (alice, mallory) = (provider.browser(), provider.browser());
    alice.sign_in("alice").await;
    let consent = alice.form(&authorization(&client, &scope("D"), &[])).await;
    let consent = consent.with("decision", "allow");
    let form = mallory.form(SIGN_IN).await;
    let stolen = form.fields.iter().find(|(name, _)| name == "csrf").unwrap().1.clone();
    for csrf in ["", "nonsense", &stolen] {
        let answer = alice.submit(&consent.clone().with("csrf", csrf)).await;
        assert_eq!(answer.status, 403, "{csrf}");
    }
    // Without a cookie nothing proves anything.
    assert_eq!(provider.browser().submit(&consent).await.status, 403);
    let fields: Vec<_> = consent.fields.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let cookie = alice.cookie.borrow().clone().unwrap();
    let request = provider.http.post(format!("{}{AUTHORIZE}", provider.address));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("cookie", cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(provider.send(request.body(encoded(&fields))).await.status, 403);
    assert_eq!(alice.submit(&consent).await.status, 303);
}

#[tokio::test]
async fn whoever_is_new_creates_an_account_on_the_way() {
    let provider = Provider::start_with(|config| {
        config.registration.tokens = vec![landbridge_homeserver::config::Secret::new("welcome")];
    })
    .await;
    let client = provider.client().await;
    let browser = provider.browser();
    let asked = authorization(&client, &scope("NEWDEVICE1"), &[("prompt", Some("create"))]);
    let answer = browser.open(&asked).await;
    assert!(answer.path().starts_with("/_landbridge/sign-up?"), "{}", answer.location());
    let form = browser.form(answer.path()).await;
    let form = form.with("username", "bob").with("password", "a long password");
    let form = form.with("again", "a long password").with("token", "welcome");
    for (name, other) in [
        ("token", "guessed"),
        ("again", "another password"),
        ("username", "alice"),
        ("username", "Not Allowed"),
        ("username", "_ghost"),
    ] {
        let answer = browser.submit(&form.clone().with(name, other)).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
    }
    let weak = form.clone().with("password", "short").with("again", "short");
    assert_eq!(browser.submit(&weak).await.status, 400);
    let back = browser.submit(&form).await;
    assert_eq!(back.status, 303, "{}", back.text);
    assert!(!back.path().contains("prompt"), "{}", back.location());
    let page = browser.open(back.path()).await;
    assert!(page.text.contains("@bob:hs.test"), "{}", page.text);
}

#[tokio::test]
async fn without_https_and_without_being_asked_to_nothing_is_offered() {
    for (base, enabled) in [(None, None), (Some("http://hs.test"), None), (Some(BASE), Some(false))]
    {
        let provider = Provider::start_with(|config| {
            config.public_base_url = base.map(ToOwned::to_owned);
            config.oauth.enabled = enabled;
        })
        .await;
        let answer = provider.get("/_matrix/client/v1/auth_metadata", None).await;
        assert_eq!((answer.status, &answer.json()["errcode"]), (404, &json!("M_UNRECOGNIZED")));
        assert_eq!(provider.get(SIGN_IN, None).await.status, 404);
        assert_eq!(provider.token(&[("grant_type", "refresh_token")]).await.status, 404);
        let answer = provider.post_json("/_landbridge/oauth/register", &json!({})).await;
        assert_eq!(answer.status, 404);
    }
}

#[tokio::test]
async fn who_signs_in_too_often_waits() {
    let provider = Provider::start_with(|config| {
        config.rate_limits.enabled = true;
        config.rate_limits.login =
            landbridge_homeserver::config::Rate { per_second: 0.001, burst: 2 };
    })
    .await;
    let browser = provider.browser();
    let form = browser.form(SIGN_IN).await.with("username", "alice").with("password", "wrong");
    for _ in 0..2 {
        assert_eq!(browser.submit(&form).await.status, 403);
    }
    let answer = browser.submit(&form).await;
    assert_eq!(answer.status, 429);
    assert!(answer.headers.contains_key("retry-after"));
}
