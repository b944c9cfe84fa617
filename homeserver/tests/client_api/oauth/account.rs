//! The page for managing an account, and what clients may no longer do themselves.

use serde_json::{Value, json};

use super::{ACCOUNT, Provider, SIGN_IN, forms};

fn part(action: &str) -> String {
    format!("{ACCOUNT}?action=org.matrix.{action}")
}

#[tokio::test]
async fn every_action_that_is_advertised_has_a_page() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    provider.tokens(&client, "DEVICE").await;
    let metadata = provider.get("/_matrix/client/v1/auth_metadata", None).await.json();
    assert_eq!(metadata["account_management_uri"], format!("{}{ACCOUNT}", super::BASE));
    let known = metadata["account_management_actions_supported"].as_array().unwrap().len();
    assert_eq!(
        provider.get("/.well-known/oauth-authorization-server", None).await.json(),
        metadata
    );
    let old = "/_matrix/client/unstable/org.matrix.msc2965/auth_metadata";
    let metadata = provider.get(old, None).await.json();
    let actions = metadata["account_management_actions_supported"].as_array().unwrap().clone();
    assert!(actions.len() > known, "clients of then find the names of then");
    for action in [
        "profile",
        "devices_list",
        "device_view",
        "device_delete",
        "account_deactivate",
        "cross_signing_reset",
    ] {
        assert!(actions.contains(&json!(format!("org.matrix.{action}"))), "{action}");
    }
    let browser = provider.browser();
    let overview = browser.open(ACCOUNT).await;
    assert!(overview.path().starts_with(SIGN_IN));
    browser.sign_in("alice").await;
    for action in actions {
        let action = action.as_str().unwrap();
        let heading = match action.strip_prefix("org.matrix.").unwrap() {
            "profile" => "Profile",
            "devices_list" | "sessions_list" => "Devices",
            "device_view" | "session_view" => "My App",
            "device_delete" | "session_end" => "Sign My App out?",
            "account_deactivate" => "Deactivate the account",
            "cross_signing_reset" => "Reset your identity",
            other => panic!("{other}"),
        };
        let page = browser.open(&format!("{ACCOUNT}?action={action}&device_id=DEVICE")).await;
        assert_eq!(page.status, 200, "{action}: {}", page.text);
        assert!(page.text.contains(&format!("<h1>{heading}</h1>")), "{action}: {}", page.text);
    }
    let unknown = browser.open(&format!("{}&device_id=NONE", part("device_view"))).await;
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_profile_and_devices_are_changed_in_the_browser() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let access = tokens["access_token"].as_str().unwrap();
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let form = browser.form(&part("profile")).await.with("displayname", "Alice <b>");
    let saved = browser.submit(&form).await;
    assert_eq!(saved.status, 200);
    assert!(!saved.text.contains("<b>"), "{}", saved.text);
    let profile =
        provider.get("/_matrix/client/v3/profile/@alice:hs.test/displayname", Some(access)).await;
    assert_eq!(profile.json(), json!({ "displayname": "Alice <b>" }));

    let form = browser.form(&format!("{}&device_id=DEVICE", part("device_view"))).await;
    let renamed = form.with("name", "My laptop").with("decision", "rename");
    assert_eq!(browser.submit(&renamed).await.status, 200);
    let device = provider.get("/_matrix/client/v3/devices/DEVICE", Some(access)).await.json();
    assert_eq!(device["display_name"], "My laptop");
    let form = browser.form(&format!("{}&device_id=DEVICE", part("device_delete"))).await;
    let form = form.with("decision", "delete");
    assert_eq!(browser.submit(&form).await.status, 200);
    assert_eq!(provider.whoami(access).await, Err(401));
    assert_eq!(browser.submit(&form).await.status, 404);
}

#[tokio::test]
async fn what_can_not_be_taken_back_asks_for_a_fresh_sign_in() {
    let provider = Provider::start().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let form = browser.form(&part("account_deactivate")).await;
    assert_eq!(browser.submit(&form.clone().with("sure", "")).await.status, 400);
    provider.clock.pass(11 * 60);
    for action in ["account_deactivate", "cross_signing_reset"] {
        let answer = browser.open(&part(action)).await;
        assert!(answer.path().starts_with(SIGN_IN), "{action}");
    }
    // The page that is still open does no more than the others.
    let answer = browser.submit(&form.with("sure", "1")).await;
    assert!(answer.path().starts_with(SIGN_IN));
    let again = browser.form(answer.path()).await;
    let back =
        browser.submit(&again.with("username", "alice").with("password", "correct horse")).await;
    assert_eq!(back.path(), part("account_deactivate"));
    let form = browser.form(back.path()).await;
    let done = browser.submit(&form.with("sure", "1")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
    assert!(!provider.server.server.app().accounts.active(&alice).await.unwrap());
    assert!(browser.open(ACCOUNT).await.path().starts_with(SIGN_IN));
}

#[tokio::test]
async fn a_new_password_signs_out_other_browsers() {
    let provider = Provider::start().await;
    let (here, there) = (provider.browser(), provider.browser());
    here.sign_in("alice").await;
    there.sign_in("alice").await;
    let path = format!("{ACCOUNT}?action=org.landbridge.password");
    let form = here.form(&path).await.with("password", "battery staple");
    assert_eq!(here.submit(&form.clone().with("again", "other")).await.status, 400);
    let done = here.submit(&form.with("again", "battery staple")).await;
    assert_eq!((done.status, done.path()), (303, ACCOUNT));
    assert_eq!(here.open(ACCOUNT).await.status, 200);
    assert!(there.open(ACCOUNT).await.path().starts_with(SIGN_IN));
}

#[tokio::test]
async fn no_form_is_taken_from_elsewhere() {
    let smtp = super::Smtp::start().await;
    let provider = Provider::start_with(|config| super::mail(config, &smtp)).await;
    let client = provider.client().await;
    provider.tokens(&client, "DEVICE").await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let device = |action: &str| format!("{}&device_id=DEVICE", part(action));
    for path in [
        ACCOUNT.to_owned(),
        part("profile"),
        device("device_view"),
        device("device_delete"),
        part("account_deactivate"),
        part("cross_signing_reset"),
        format!("{ACCOUNT}?action=org.landbridge.password"),
        format!("{ACCOUNT}?action=org.landbridge.emails"),
        SIGN_IN.to_owned(),
        "/_landbridge/sign-up".to_owned(),
        "/_landbridge/forgotten".to_owned(),
        "/_landbridge/link".to_owned(),
    ] {
        let page = browser.open(&path).await;
        let forms = forms(&page.text);
        assert!(!forms.is_empty(), "{path}");
        for form in forms {
            let answer = browser.submit(&form.with("csrf", "guessed")).await;
            assert_eq!(answer.status, 403, "{path}: {}", answer.text);
        }
    }
    assert_eq!(browser.open(ACCOUNT).await.status, 200);
}

#[tokio::test]
async fn a_form_that_was_open_for_too_long_leads_back_to_its_page() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    provider.tokens(&client, "DEVICE").await;
    let device = format!("{}&device_id=DEVICE", part("device_delete"));
    for path in [device, part("profile")] {
        let browser = provider.browser();
        browser.sign_in("alice").await;
        let form = browser.form(&path).await;
        provider.clock.pass(14 * 24 * 60 * 60 + 1);
        let answer = browser.submit(&form).await;
        assert!(answer.path().starts_with(SIGN_IN), "{}", answer.location());
        let again = browser.form(answer.path()).await;
        let again = again.with("username", "alice").with("password", "correct horse");
        let back = browser.submit(&again).await;
        assert_eq!(browser.open(back.path()).await.status, 200, "{}", back.location());
    }
}

#[tokio::test]
async fn all_browsers_are_signed_out_by_one_of_them_or_by_a_client() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let (here, there) = (provider.browser(), provider.browser());
    here.sign_in("alice").await;
    there.sign_in("alice").await;
    let page = here.open(ACCOUNT).await;
    let all = forms(&page.text).into_iter().find(|form| form.action.ends_with("/browsers"));
    assert!(here.submit(&all.unwrap()).await.path().starts_with(SIGN_IN));
    for browser in [&here, &there] {
        assert!(browser.open(ACCOUNT).await.path().starts_with(SIGN_IN));
    }
    let access = tokens["access_token"].as_str().unwrap();
    assert!(provider.whoami(access).await.is_ok(), "devices stay signed in");
    here.sign_in("alice").await;
    let logout = post(&provider, "/_matrix/client/v3/logout/all", access, &json!({})).await;
    assert_eq!(logout.status, 200);
    assert!(here.open(ACCOUNT).await.path().starts_with(SIGN_IN));
}

#[tokio::test]
async fn a_new_password_ends_what_was_let_in_and_has_not_come_yet() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let code = browser.code(&client, "BYCODE").await;
    let fields = [("client_id", &*client), ("scope", &*super::scope("WAITING"))];
    let asked = provider.form("/_landbridge/oauth/device", &fields).await.json();
    let complete = asked["verification_uri_complete"].as_str().unwrap();
    let consent = browser.form(complete.strip_prefix(super::BASE).unwrap()).await;
    assert_eq!(browser.submit(&consent.with("decision", "allow")).await.status, 200);
    let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
    let sessions = &provider.server.server.app().sessions;
    let (login_token, _) = sessions.login_token(&alice).await.unwrap();
    let form = browser.form(&format!("{ACCOUNT}?action=org.landbridge.password")).await;
    let form = form.with("password", "battery staple").with("again", "battery staple");
    assert_eq!(browser.submit(&form.with("end_sessions", "1")).await.status, 303);
    let answer = provider.token(&super::redemption(&client, &code)).await;
    assert_eq!(answer.refusal(), (400, "invalid_grant".to_owned()));
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", asked["device_code"].as_str().unwrap()),
        ("client_id", &*client),
    ];
    assert_eq!(provider.token(&fields).await.refusal(), (400, "invalid_grant".to_owned()));
    assert_eq!(sessions.take_login_token(&login_token).await.unwrap(), None);
}

#[tokio::test]
async fn a_browser_is_signed_out_by_its_button_and_by_time() {
    let provider = Provider::start().await;
    let browser = provider.browser();
    browser.sign_in("alice").await;
    let before = browser.cookie.borrow().clone();
    let page = browser.open(ACCOUNT).await;
    let sign_out = forms(&page.text).into_iter().find(|form| form.action.ends_with("/sign-out"));
    assert_eq!(browser.submit(&sign_out.unwrap()).await.status, 303);
    *browser.cookie.borrow_mut() = before;
    assert!(browser.open(ACCOUNT).await.path().starts_with(SIGN_IN), "the cookie is worth nothing");
    browser.sign_in("alice").await;
    provider.clock.pass(14 * 24 * 60 * 60 + 1);
    assert!(browser.open(ACCOUNT).await.path().starts_with(SIGN_IN));
}

async fn post(provider: &Provider, path: &str, token: &str, body: &Value) -> super::Answer {
    let request = provider.http.post(format!("{}{path}", provider.address)).bearer_auth(token);
    provider.send(request.header("content-type", "application/json").body(body.to_string())).await
}

#[tokio::test]
async fn cross_signing_keys_are_replaced_once_the_user_has_agreed_in_the_browser() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let access = tokens["access_token"].as_str().unwrap();
    let keys = |key: &str| {
        let id = format!("ed25519:{key}");
        json!({ "master_key": { "user_id": "@alice:hs.test", "usage": ["master"], "keys": { id: key } } })
    };
    let path = "/_matrix/client/v3/keys/device_signing/upload";
    let (first, second) = (keys(&"A".repeat(43)), keys(&format!("{}E", "B".repeat(42))));
    assert_eq!(post(&provider, path, access, &first).await.status, 200);
    let challenge = post(&provider, path, access, &second).await;
    assert_eq!(challenge.status, 401);
    let challenge = challenge.json();
    assert_eq!(challenge["flows"][0]["stages"], json!(["m.oauth"]));
    let url = challenge["params"]["m.oauth"]["url"].as_str().unwrap();
    let page = url.strip_prefix(super::BASE).unwrap();
    // Clients that don't know the stage open its fallback page.
    let fallback = "/_matrix/client/v3/auth/m.oauth/fallback/web?session=";
    let session = challenge["session"].as_str().unwrap();
    let sent = provider.get(&format!("{fallback}{session}"), None).await;
    assert_eq!((sent.status, sent.location()), (303, url));
    assert_eq!(provider.get(&format!("{fallback}unknown"), None).await.status, 400);
    let mut answer = second.clone();
    answer["auth"] = json!({ "session": challenge["session"] });
    let again = post(&provider, path, access, &answer).await;
    assert_eq!((again.status, &again.json()["session"]), (401, &challenge["session"]));
    // A password is not what is asked for.
    let mut by_password = second.clone();
    by_password["auth"] = json!({ "session": challenge["session"], "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": "alice" } });
    assert_eq!(post(&provider, path, access, &by_password).await.status, 401);

    let browser = provider.browser();
    browser.sign_in("alice").await;
    let form = browser.form(page).await;
    assert_eq!(browser.submit(&form).await.status, 200);
    assert_eq!(post(&provider, path, access, &answer).await.status, 200);
    // That was good once, and for ten minutes.
    assert_eq!(post(&provider, path, access, &first).await.status, 401);
    let form = browser.form(page).await;
    assert_eq!(browser.submit(&form).await.status, 200);
    provider.clock.pass(601);
    let refresh = super::refreshing(&client, tokens["refresh_token"].as_str().unwrap());
    let tokens = provider.token(&refresh).await.json();
    let access = tokens["access_token"].as_str().unwrap();
    assert_eq!(post(&provider, path, access, &first).await.status, 401);
}

#[tokio::test]
async fn a_client_that_saw_no_password_does_not_get_to_use_one() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let access = tokens["access_token"].as_str().unwrap();
    let auth = json!({ "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": "alice" } });
    for (path, body) in [
        ("account/password", json!({ "auth": auth, "new_password": "a new password" })),
        ("account/deactivate", json!({ "auth": auth })),
        ("delete_devices", json!({ "auth": auth, "devices": ["DEVICE"] })),
    ] {
        let answer = post(&provider, &format!("/_matrix/client/v3/{path}"), access, &body).await;
        assert_eq!(
            (answer.status, &answer.json()["errcode"]),
            (403, &json!("M_FORBIDDEN")),
            "{path}"
        );
    }
    let path = "/_matrix/client/v3/capabilities";
    let capabilities = provider.get(path, Some(access)).await.json()["capabilities"].clone();
    assert_eq!(capabilities["m.change_password"]["enabled"], false);
    assert_eq!(capabilities["m.get_login_token"]["enabled"], false);
}
