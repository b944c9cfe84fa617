//! Codes, refresh tokens and revocation: what is good once, for how long, and for whom.

use serde_json::{Value, json};

use super::{Provider, authorization, redemption, refreshing, scope};

fn text<'a>(answer: &'a Value, key: &str) -> &'a str {
    answer[key].as_str().unwrap_or_else(|| panic!("{key} in {answer}"))
}

#[tokio::test]
async fn a_code_is_for_one_client_with_its_secret_and_for_one_attempt() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let mut other = super::client_metadata();
    other["client_name"] = json!("Another");
    let other = provider.post_json("/_landbridge/oauth/register", &other).await.json();
    let other = text(&other, "client_id");
    let wrong = "x".repeat(43);
    for (name, value, refusal) in [
        ("client_id", other, (400, "invalid_grant")),
        ("redirect_uri", "https://app.example.com/other", (400, "invalid_grant")),
        ("code_verifier", &*wrong, (400, "invalid_grant")),
    ] {
        let code = provider.code(&client, "D").await;
        let mut fields = redemption(&client, &code);
        fields.iter_mut().find(|(key, _)| *key == name).unwrap().1 = value;
        let (status, error) = provider.token(&fields).await.refusal();
        assert_eq!((status, &*error), refusal, "{name}");
        // It was tried.
        let (status, error) = provider.token(&redemption(&client, &code)).await.refusal();
        assert_eq!((status, &*error), (400, "invalid_grant"), "{name}");
    }
}

#[tokio::test]
async fn each_parameter_of_a_token_request_is_checked() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let code = provider.code(&client, "D").await;
    let fields = redemption(&client, &code);
    for (name, value, refusal) in [
        ("grant_type", "", (400, "invalid_request")),
        ("grant_type", "password", (400, "unsupported_grant_type")),
        ("client_id", "", (400, "invalid_request")),
        ("client_id", "unknown", (400, "invalid_client")),
        ("code", "", (400, "invalid_request")),
        ("redirect_uri", "", (400, "invalid_request")),
        ("code_verifier", "", (400, "invalid_request")),
        ("code_verifier", "short", (400, "invalid_request")),
    ] {
        let mut fields = fields;
        fields.iter_mut().find(|(key, _)| *key == name).unwrap().1 = value;
        let (status, error) = provider.token(&fields).await.refusal();
        assert_eq!((status, &*error), refusal, "{name}={value}");
    }
    let twice: Vec<_> = fields.into_iter().chain([("code", "x")]).collect();
    assert_eq!(provider.token(&twice).await.refusal(), (400, "invalid_request".to_owned()));
    let answer = provider.post_json("/_landbridge/oauth/token", &json!({})).await;
    assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()));
    // None of these was an attempt with the code.
    assert_eq!(provider.token(&fields).await.status, 200);
}

#[tokio::test]
async fn a_code_that_comes_again_ends_what_it_gave() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let code = provider.code(&client, "DEVICE").await;
    let fields = redemption(&client, &code);
    let tokens = provider.token(&fields).await.json();
    let next = provider.token(&refreshing(&client, text(&tokens, "refresh_token"))).await.json();
    assert!(provider.whoami(text(&next, "access_token")).await.is_ok());
    let again = provider.token(&fields).await;
    assert_eq!(again.refusal(), (400, "invalid_grant".to_owned()));
    assert_eq!(provider.whoami(text(&next, "access_token")).await, Err(401));
    let refresh = refreshing(&client, text(&next, "refresh_token"));
    assert_eq!(provider.token(&refresh).await.refusal(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn an_old_code_ends_nothing() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let code = provider.code(&client, "DEVICE").await;
    let fields = redemption(&client, &code);
    let tokens = provider.token(&fields).await.json();
    provider.clock.pass(60 * 60 + 1);
    assert_eq!(provider.token(&fields).await.refusal(), (400, "invalid_grant".to_owned()));
    let refresh = refreshing(&client, text(&tokens, "refresh_token"));
    assert_eq!(provider.token(&refresh).await.status, 200);
}

#[tokio::test]
async fn a_locked_account_gets_nothing_for_its_codes_and_keeps_what_it_has() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let code = provider.code(&client, "OTHER").await;
    let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
    let accounts = &provider.server.server.app().accounts;
    accounts.set_locked(&alice, true).await.unwrap();
    let answer = provider.token(&redemption(&client, &code)).await;
    assert_eq!(answer.refusal(), (400, "invalid_grant".to_owned()));
    // A refusal would make the client forget the session for good.
    let refresh = refreshing(&client, text(&tokens, "refresh_token"));
    let next = provider.token(&refresh).await;
    assert_eq!(next.status, 200, "{}", next.text);
    let next = next.json();
    assert_eq!(provider.whoami(text(&next, "access_token")).await, Err(401));
    accounts.set_locked(&alice, false).await.unwrap();
    assert!(provider.whoami(text(&next, "access_token")).await.is_ok());
}

#[tokio::test]
async fn a_code_is_good_for_two_minutes() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let code = provider.code(&client, "D").await;
    provider.clock.pass(100);
    assert_eq!(provider.token(&redemption(&client, &code)).await.status, 200);
    let code = provider.code(&client, "D").await;
    provider.clock.pass(121);
    let answer = provider.token(&redemption(&client, &code)).await;
    assert_eq!(answer.refusal(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn refresh_tokens_take_turns_and_an_old_one_ends_the_session() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let first = provider.tokens(&client, "DEVICE").await;
    provider.clock.pass(301);
    assert_eq!(provider.whoami(text(&first, "access_token")).await, Err(401));
    let refresh = refreshing(&client, text(&first, "refresh_token"));
    // An answer that is lost can be asked for again.
    let lost = provider.token(&refresh).await.json();
    let second = provider.token(&refresh).await.json();
    assert_ne!(lost["refresh_token"], second["refresh_token"]);
    assert_eq!(second["scope"], scope("DEVICE"));
    let me = provider.whoami(text(&second, "access_token")).await.unwrap();
    assert_eq!(me["device_id"], "DEVICE");
    // The new one was shown, so that the old one is used up: somebody else has it too.
    assert_eq!(provider.token(&refresh).await.refusal(), (400, "invalid_grant".to_owned()));
    assert_eq!(provider.whoami(text(&second, "access_token")).await, Err(401));
    let refresh = refreshing(&client, text(&second, "refresh_token"));
    assert_eq!(provider.token(&refresh).await.refusal(), (400, "invalid_grant".to_owned()));
}

#[tokio::test]
async fn whoever_refreshes_too_often_comes_later_and_stays_signed_in() {
    let provider = Provider::start_with(|config| {
        config.listen.behind_proxy = true;
        config.rate_limits.enabled = true;
        config.rate_limits.other =
            landbridge_homeserver::config::Rate { per_second: 0.001, burst: 1 };
    })
    .await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let path = "/_landbridge/oauth/token";
    let here = async |token: &str| {
        provider.form_from("192.0.2.1", path, &refreshing(&client, token)).await
    };
    // Others at that address who wait for a code use up nothing.
    let polling = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", "x"),
        ("client_id", &*client),
    ];
    assert_eq!(provider.form_from("192.0.2.1", path, &polling).await.status, 400);
    assert_eq!(provider.form_from("192.0.2.1", path, &polling).await.status, 503);
    let second = here(text(&tokens, "refresh_token")).await;
    assert_eq!(second.status, 200, "{}", second.text);
    let second = second.json();
    let late = here(text(&second, "refresh_token")).await;
    assert_eq!(late.refusal(), (503, "temporarily_unavailable".to_owned()));
    assert!(late.headers.contains_key("retry-after"));
    let refresh = refreshing(&client, text(&second, "refresh_token"));
    let third = provider.form_from("192.0.2.2", path, &refresh).await;
    assert_eq!(third.status, 200, "{}", third.text);
    assert!(provider.whoami(text(&third.json(), "access_token")).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_is_for_its_client_and_scope() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let tokens = provider.tokens(&client, "DEVICE").await;
    let refresh = text(&tokens, "refresh_token");
    let mut other = super::client_metadata();
    other["client_name"] = json!("Another");
    let other = provider.post_json("/_landbridge/oauth/register", &other).await.json();
    let answer = provider.token(&refreshing(text(&other, "client_id"), refresh)).await;
    assert_eq!(answer.refusal(), (400, "invalid_grant".to_owned()));
    let wider = scope("OTHER");
    let fields: Vec<_> =
        refreshing(&client, refresh).into_iter().chain([("scope", &*wider)]).collect();
    assert_eq!(provider.token(&fields).await.refusal(), (400, "invalid_scope".to_owned()));
    // Nor is it one of the older API, which does not ask for the client.
    let body = json!({ "refresh_token": refresh });
    let answer = provider.post_json("/_matrix/client/v3/refresh", &body).await;
    assert_eq!((answer.status, &answer.json()["errcode"]), (401, &json!("M_UNKNOWN_TOKEN")));
    assert_eq!(provider.token(&refreshing(&client, refresh)).await.status, 200);
}

#[tokio::test]
async fn whoever_has_a_token_can_revoke_it() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let revoke = "/_landbridge/oauth/revoke";
    for key in ["access_token", "refresh_token"] {
        let tokens = provider.tokens(&client, "DEVICE").await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let answer = provider.form(revoke, &[("token", text(&tokens, key))]).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(provider.whoami(access).await, Err(401));
        assert_eq!(provider.token(&refreshing(&client, refresh)).await.status, 400);
        // It is revoked already.
        assert_eq!(provider.form(revoke, &[("token", access)]).await.status, 200);
    }
    let ended = provider.tokens(&client, "DEVICE").await;
    provider.clock.pass(301);
    let fields = [("token", text(&ended, "access_token")), ("client_id", "somebody else")];
    assert_eq!(provider.form(revoke, &fields).await.status, 200);
    let refresh = refreshing(&client, text(&ended, "refresh_token"));
    assert_eq!(provider.token(&refresh).await.status, 400);
    assert_eq!(provider.form(revoke, &[]).await.refusal(), (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn a_session_of_the_same_device_takes_the_place_of_the_one_before() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let first = provider.tokens(&client, "DEVICE").await;
    let second = provider.tokens(&client, "DEVICE").await;
    assert_eq!(provider.whoami(text(&first, "access_token")).await, Err(401));
    let body = json!({ "type": "m.login.password", "device_id": "DEVICE", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": "alice" } });
    let login = provider.post_json("/_matrix/client/v3/login", &body).await.json();
    assert_eq!(provider.whoami(text(&second, "access_token")).await, Err(401));
    let refresh = refreshing(&client, text(&second, "refresh_token"));
    assert_eq!(provider.token(&refresh).await.status, 400);
    assert!(provider.whoami(text(&login, "access_token")).await.is_ok());
}

#[tokio::test]
async fn a_closed_account_gives_nothing_for_its_codes() {
    let provider = Provider::start().await;
    let client = provider.client().await;
    let code = provider.code(&client, "DEVICE").await;
    let signed_in = provider.browser();
    signed_in.sign_in("alice").await;
    let alice = ruma::UserId::parse("@alice:hs.test").unwrap();
    provider.server.server.app().accounts.deactivate(&alice).await.unwrap();
    let answer = provider.token(&redemption(&client, &code)).await;
    assert_eq!(answer.refusal(), (400, "invalid_grant".to_owned()));
    let browser = provider.browser();
    let form = browser.form(super::SIGN_IN).await;
    let form = form.with("username", "alice").with("password", "correct horse");
    assert_eq!(browser.submit(&form).await.status, 403);
    // And whoever was signed in is not any more.
    let page = signed_in.open(&authorization(&client, &scope("D"), &[])).await;
    assert!(page.path().starts_with(super::SIGN_IN));
}
