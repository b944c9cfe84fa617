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
    let overview = browser.open(ACCOUNT).await.text;
    for action in actions {
        let path = format!("{ACCOUNT}?action={}&device_id=DEVICE", action.as_str().unwrap());
        let page = browser.open(&path).await;
        assert_eq!(page.status, 200, "{action}: {}", page.text);
        assert_ne!(page.text, overview, "{action}");
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
