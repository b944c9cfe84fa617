//! Registering clients.

use std::time::Duration;

use serde_json::json;

use super::{Provider, client_metadata};

const REGISTER: &str = "/_landbridge/oauth/register";

#[tokio::test]
async fn a_client_is_told_what_was_registered() {
    let provider = Provider::start().await;
    let mut metadata = client_metadata();
    metadata["grant_types"]
        .as_array_mut()
        .unwrap()
        .push(json!("urn:ietf:params:oauth:grant-type:token-exchange"));
    metadata["contacts"] = json!(["someone@example.com"]);
    let answer = provider.post_json(REGISTER, &metadata).await;
    assert_eq!(
        (answer.status, &answer.headers["cache-control"]),
        (201, &"no-store".parse().unwrap())
    );
    let answer = answer.json();
    for key in ["client_name", "client_name#fr", "client_uri", "tos_uri", "redirect_uris"] {
        assert_eq!(answer[key], metadata[key], "{key}");
    }
    assert_eq!(answer["grant_types"], client_metadata()["grant_types"]);
    assert_eq!(answer["application_type"], "web");
    assert!(answer["contacts"].is_null());
    // The same again is the same client.
    assert_eq!(provider.client().await, answer["client_id"]);
}

#[tokio::test]
async fn what_is_no_client_is_refused() {
    let provider = Provider::start().await;
    let refused = async |key: &str, value| {
        let mut metadata = client_metadata();
        metadata[key] = value;
        provider.post_json(REGISTER, &metadata).await.refusal()
    };
    let (meta, uri) = ("invalid_client_metadata".to_owned(), "invalid_redirect_uri".to_owned());
    assert_eq!(refused("client_uri", json!("http://example.com/")).await, (400, meta.clone()));
    assert_eq!(refused("redirect_uris", json!(["https://evil.org/"])).await, (400, uri.clone()));
    assert_eq!(refused("redirect_uris", json!(["http://localhost/"])).await, (400, uri));
    assert_eq!(provider.post_json(REGISTER, &json!([])).await.refusal(), (400, meta));
    let long = json!({ "client_uri": "https://example.com/", "x": "x".repeat(40_000) });
    assert_eq!(provider.post_json(REGISTER, &long).await.status, 413);
}

#[tokio::test]
async fn whoever_asks_too_often_waits() {
    let provider = Provider::start_with(|config| {
        config.rate_limits.enabled = true;
        let rate = landbridge_homeserver::config::Rate { per_second: 0.001, burst: 1 };
        (config.rate_limits.login, config.rate_limits.other) = (rate, rate);
    })
    .await;
    let client = provider.client().await;
    let again = provider.post_json(REGISTER, &client_metadata()).await;
    assert_eq!(again.refusal(), (429, "temporarily_unavailable".to_owned()));
    assert!(again.headers.contains_key("retry-after"));
    let scope = super::scope("D");
    let device = [("client_id", &*client), ("scope", &*scope)];
    for (path, fields) in [
        ("/_landbridge/oauth/device", &device[..]),
        ("/_landbridge/oauth/revoke", &[("token", "x")][..]),
    ] {
        assert_eq!(provider.form(path, fields).await.status, 200, "{path}");
        assert_eq!(provider.form(path, fields).await.status, 429, "{path}");
    }
}

#[tokio::test]
async fn a_client_is_forgotten_when_nobody_signs_in_with_it() {
    let provider = Provider::start().await;
    let used = provider.client().await;
    provider.tokens(&used, "DEVICE").await;
    let mut other = client_metadata();
    other["client_name"] = json!("Another");
    let unused = provider.post_json(REGISTER, &other).await.json();
    let unused = unused["client_id"].as_str().unwrap().to_owned();
    provider.clock.pass(8 * 24 * 60 * 60);
    // Whoever registers next sweeps.
    other["client_name"] = json!("A third");
    provider.post_json(REGISTER, &other).await;
    let oauth = &provider.server.server.app().oauth;
    let forgotten = async {
        while oauth.client(&unused).await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), forgotten).await.expect("it is forgotten");
    assert!(oauth.client(&used).await.unwrap().is_some(), "somebody is signed in with it");
}

#[tokio::test]
async fn a_native_client_returns_to_any_port_of_the_machine() {
    let provider = Provider::start().await;
    let metadata = json!({
        "client_uri": "https://example.com/",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback", "com.example.app:/callback"],
    });
    let client = provider.post_json(REGISTER, &metadata).await.json();
    let client = client["client_id"].as_str().unwrap();
    let browser = provider.browser();
    browser.sign_in("alice").await;
    for (uri, status) in [
        ("http://127.0.0.1:4567/callback", 200),
        ("com.example.app:/callback", 200),
        ("http://127.0.0.1:4567/other", 400),
        ("http://localhost:4567/callback", 400),
    ] {
        let path = super::authorization(client, &super::scope("D"), &[("redirect_uri", Some(uri))]);
        assert_eq!(browser.open(&path).await.status, status, "{uri}");
    }
}
