//! The bridge's own pages and the requests of Slack's, through the router.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
};
use hmac::{Hmac, Mac as _};
use landbridge_framework::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::oneshot;
use tower::ServiceExt as _;

use super::*;
use crate::{
    client::Api,
    config::{Secret, SlackConfig},
};

const SECRET: &str = "test-signing-secret";

fn hub(change: impl FnOnce(&mut SlackConfig)) -> Arc<Hub> {
    // reqwest wants TLS to be possible, even where nothing uses it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = SlackConfig {
        signing_secret: Some(Secret::new(SECRET)),
        client_id: Some("1.2".into()),
        client_secret: Some(Secret::new("s")),
        public_url: Some("https://bridge.example/".into()),
        ..SlackConfig::default()
    };
    change(&mut config);
    let api = Api::new(reqwest::Client::new(), "https://slack.example/api".parse().unwrap());
    let count = AtomicU64::new(0);
    let random = Arc::new(move || format!("r{}", count.fetch_add(1, Ordering::Relaxed)));
    Arc::new(Hub::new(config, api, Arc::new(SystemClock), random))
}

async fn ask(hub: &Arc<Hub>, request: Request<Body>) -> (StatusCode, Option<String>, String) {
    let response = router(hub.clone()).oneshot(request).await.unwrap();
    let status = response.status();
    let to = response.headers().get(header::LOCATION).map(|to| to.to_str().unwrap().to_owned());
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, to, String::from_utf8(body.to_vec()).unwrap())
}

fn get_page(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// A request as Slack signs it, some seconds ago.
fn signed(path: &str, body: &str, secret: &str, ago: i64) -> Request<Body> {
    let at = (SystemClock.now_ms() / 1_000 - ago).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{at}:{body}").as_bytes());
    let digits = crate::decode::hex(&mac.finalize().into_bytes());
    Request::post(path)
        .header("x-slack-request-timestamp", at)
        .header("x-slack-signature", format!("v0={digits}"))
        .body(Body::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn only_what_slack_signed_a_moment_ago_is_taken() {
    let hub = hub(|_| {});
    let challenge = json!({ "type": "url_verification", "challenge": "abc" }).to_string();
    let good = signed("/slack/events", &challenge, SECRET, 0);
    assert_eq!(ask(&hub, good).await, (StatusCode::OK, None, "abc".into()));
    for bad in [
        signed("/slack/events", &challenge, "another", 0),
        signed("/slack/events", &challenge, SECRET, 600),
        Request::post("/slack/events").body(Body::from(challenge.clone())).unwrap(),
    ] {
        assert_eq!(ask(&hub, bad).await.0, StatusCode::UNAUTHORIZED);
    }
    let no_json = signed("/slack/events", "{", SECRET, 0);
    assert_eq!(ask(&hub, no_json).await.0, StatusCode::BAD_REQUEST);
    let large = signed("/slack/events", &"x".repeat(MAX_BODY + 1), SECRET, 0);
    assert_eq!(ask(&hub, large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn what_is_not_stored_is_not_acknowledged() {
    let hub = hub(|_| {});
    let event = json!({ "type": "event_callback", "team_id": "T01", "event_id": "Ev1",
        "event": { "type": "message", "channel": "C01", "user": "U01", "ts": "1.000001", "text": "hi" } });
    let event = event.to_string();
    // No account is there to store it.
    let (status, ..) = ask(&hub, signed("/slack/events", &event, SECRET, 0)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn without_a_signing_secret_nothing_is_taken() {
    let hub = hub(|config| config.signing_secret = None);
    let (status, ..) = ask(&hub, signed("/slack/events", "{}", SECRET, 0)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn slash_commands_are_answered_to_the_one_who_asked() {
    let hub = hub(|_| {});
    let form = "command=%2Fmatrix&text=id&team_id=T01&channel_id=C01&user_id=U01";
    let (status, _, body) = ask(&hub, signed("/slack/commands", form, SECRET, 0)).await;
    assert_eq!(status, StatusCode::OK);
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["response_type"], "ephemeral");
    assert!(answer["text"].as_str().unwrap().contains("not connected to this workspace"));
}

#[tokio::test]
async fn the_app_is_installed_by_a_link_that_the_bot_gave() {
    let hub = hub(|_| {});
    assert_eq!(ask(&hub, get_page("/slack/install?ticket=guess")).await.0, StatusCode::FORBIDDEN);
    let ticket = hub.consent.ask(Wanted::Install);
    let (status, to, _) = ask(&hub, get_page(&format!("/slack/install?ticket={ticket}"))).await;
    assert_eq!(status, StatusCode::TEMPORARY_REDIRECT);
    let to = Url::parse(&to.unwrap()).unwrap();
    assert_eq!(to.as_str().split('?').next(), Some("https://slack.example/oauth/v2/authorize"));
    let param = |name: &str| {
        to.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap()
    };
    assert_eq!(param("state"), ticket);
    assert_eq!(param("redirect_uri"), "https://bridge.example/slack/oauth");
    assert!(param("scope").contains("chat:write.customize") && param("user_scope").is_empty());
    let (_, _, page) =
        ask(&hub, get_page(&format!("/slack/oauth?state={ticket}&error=access_denied"))).await;
    assert!(page.contains("not installed"), "{page}");
    let again = get_page(&format!("/slack/oauth?state={ticket}&code=c"));
    assert_eq!(ask(&hub, again).await.0, StatusCode::FORBIDDEN, "once only");
}

#[tokio::test]
async fn a_person_s_answer_reaches_whoever_waits_for_it() {
    let hub = hub(|_| {});
    let (answer, heard) = oneshot::channel();
    let state = hub.consent.ask(Wanted::Account(answer));
    let back = get_page(&format!("/slack/oauth?state={state}&code=c0de"));
    assert_eq!(ask(&hub, back).await.0, StatusCode::OK);
    assert_eq!(heard.await.unwrap(), Ok("c0de".to_owned()));
    let (answer, heard) = oneshot::channel();
    let state = hub.consent.ask(Wanted::Account(answer));
    ask(&hub, get_page(&format!("/slack/oauth?state={state}&error=access_denied"))).await;
    assert!(heard.await.unwrap().is_err());
}
