//! Pushers of the kind `webpush`, as a push service and a browser on this machine see them (RFC 8030, RFC 8291, RFC 8292, MSC4174).
//!
//! What is encrypted with one library is decrypted with another.

use axum::body::Bytes;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac as _};
use http::{HeaderMap, Method, StatusCode};
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::mpsc;

use super::rig::{Person, Rig};
use crate::room::Preset;

/// A push service that accepts everything until it is told otherwise.
struct Service {
    origin: String,
    requests: mpsc::UnboundedReceiver<(String, HeaderMap, Bytes)>,
    task: tokio::task::JoinHandle<()>,
}

impl Service {
    async fn new() -> Self {
        type Shared = mpsc::UnboundedSender<(String, HeaderMap, Bytes)>;
        async fn push(
            State(requests): State<Shared>,
            uri: http::Uri,
            headers: HeaderMap,
            body: Bytes,
        ) -> StatusCode {
            requests.send((uri.path().to_owned(), headers, body)).expect("the test listens");
            if uri.path() == "/gone" { StatusCode::GONE } else { StatusCode::CREATED }
        }
        let (sender, requests) = mpsc::unbounded_channel();
        let router = axum::Router::new()
            .route("/{subscription}", axum::routing::post(push))
            .with_state(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { origin, requests, task }
    }

    async fn next(&mut self) -> (String, HeaderMap, Bytes) {
        let next = tokio::time::timeout(std::time::Duration::from_secs(30), self.requests.recv());
        next.await.expect("a request in time").expect("a request")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The keys of a subscription, as a browser has them.
struct Browser {
    secret: p256::SecretKey,
    auth: [u8; 16],
}

impl Browser {
    fn new(seed: u8) -> Self {
        let secret = p256::SecretKey::from_slice(&[seed; 32]).expect("a key");
        Self { secret, auth: [seed; 16] }
    }

    fn public(&self) -> Vec<u8> {
        self.secret.public_key().to_encoded_point(false).as_bytes().to_vec()
    }

    fn pusher(&self, url: &str) -> Value {
        json!({
            "app_id": "org.app", "pushkey": BASE64.encode(self.public()), "kind": "webpush", "app_display_name": "App",
            "device_display_name": "Browser", "lang": "en", "data": {"url": url, "auth": BASE64.encode(self.auth)}
        })
    }

    /// What RFC 8291 (section 3.4) and RFC 8188 (section 2) have a user agent do.
    fn decrypt(&self, body: &[u8]) -> Value {
        let (salt, rest) = body.split_at(16);
        let (size, rest) = rest.split_at(4);
        assert_eq!(size, 4096_u32.to_be_bytes());
        let (length, rest) = rest.split_at(1);
        let (sender, record) = rest.split_at(usize::from(length[0]));
        assert!(body.len() <= 4096);
        let peer = p256::PublicKey::from_sec1_bytes(sender).expect("a key");
        let point = peer.to_projective() * *self.secret.to_nonzero_scalar();
        let shared = point.to_affine().x();
        let info = [b"WebPush: info\0", &*self.public(), sender].concat();
        let input = hkdf(&self.auth, &shared, &info, 32);
        let key = hkdf(salt, &input, b"Content-Encoding: aes128gcm\0", 16);
        let nonce = hkdf(salt, &input, b"Content-Encoding: nonce\0", 12);
        let key = ring::aead::UnboundKey::new(&ring::aead::AES_128_GCM, &key).expect("a key");
        let nonce = ring::aead::Nonce::try_assume_unique_for_key(&nonce).expect("a nonce");
        let mut record = record.to_vec();
        let plain = ring::aead::LessSafeKey::new(key)
            .open_in_place(nonce, ring::aead::Aad::empty(), &mut record)
            .expect("it is encrypted for this key");
        let end = plain.iter().rposition(|byte| *byte != 0).expect("a mark");
        assert_eq!(plain[end], 2, "the mark of the last record");
        serde_json::from_slice(&plain[..end]).expect("JSON")
    }
}

/// RFC 5869, for at most one block.
fn hkdf(salt: &[u8], input: &[u8], info: &[u8], length: usize) -> Vec<u8> {
    let hmac = |key: &[u8], text: &[&[u8]]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length is a key");
        for part in text {
            mac.update(part);
        }
        mac.finalize().into_bytes()
    };
    let secret = hmac(salt, &[input]);
    hmac(&secret, &[info, &[1]])[..length].to_vec()
}

/// Checks the headers of a message, and that the server signed it with the key that it publishes.
async fn check(person: &Person<'_>, origin: &str, headers: &HeaderMap) {
    let text = |name: &str| headers[name].to_str().expect("text");
    assert_eq!(text("content-encoding"), "aes128gcm");
    assert!(text("ttl").parse::<u32>().is_ok());
    assert!(["high", "normal"].contains(&text("urgency")));
    let capability = person.get("v3/capabilities").await["capabilities"]["m.webpush"].clone();
    assert_eq!(capability["enabled"], true);
    let public = capability["vapid"].as_str().expect("a key");
    let token = text("authorization").strip_prefix("vapid t=").expect("a token");
    let (token, key) = token.split_once(", k=").expect("a key");
    assert_eq!(key, public);
    let (signed, signature) = token.rsplit_once('.').expect("a signature");
    let decode = |part: &str| BASE64.decode(part).expect("Base64");
    let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED;
    ring::signature::UnparsedPublicKey::new(algorithm, decode(public))
        .verify(signed.as_bytes(), &decode(signature))
        .expect("the signature is right");
    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&decode(part)).expect("JSON"))
        .collect();
    assert_eq!(parts[0], json!({"typ": "JWT", "alg": "ES256"}));
    assert_eq!((&parts[1]["aud"], &parts[1]["sub"]), (&json!(origin), &json!("https://h")));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
    let left = parts[1]["exp"].as_i64().expect("a time") - now.as_secs() as i64;
    assert!((1..=86_400).contains(&left), "{left}");
}

const SET: &str = "v3/pushers/set";
const ACK: &str = "v3/pushers/ack";

#[tokio::test]
async fn a_browser_is_told_once_it_has_shown_that_it_is_there() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let mut service = Service::new().await;
    let browser = Browser::new(7);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let url = format!("{}/one", service.origin);
    let set = browser.pusher(&url);
    let (status, _) = bob.ask(Method::POST, SET, Some(&set)).await;
    assert_eq!(status, StatusCode::CREATED);
    let shown = bob.get("v3/pushers").await["pushers"][0].clone();
    assert_eq!((&shown["activated"], &shown["kind"]), (&json!(false), &json!("webpush")));

    let (path, headers, body) = service.next().await;
    assert_eq!(path, "/one");
    check(&bob, &service.origin, &headers).await;
    let asked = browser.decrypt(&body);
    assert_eq!(asked["app_id"], "org.app");
    alice.say(&room, "too early").await;
    bob.get("v3/notifications").await;
    for (body, status, errcode) in [
        (json!({"app_id": "org.other", "ack_token": "x"}), 404, "M_NOT_FOUND"),
        (json!({"app_id": "org.app", "ack_token": "x"}), 400, "M_UNKNOWN_ACTIVATION_TOKEN"),
        (json!({"app_id": "org.app"}), 400, "M_MISSING_PARAM"),
        (json!({"app_id": "org.app", "ack_token": 1}), 400, "M_BAD_JSON"),
    ] {
        let (refused, answer) = bob.ask(Method::POST, ACK, Some(&body)).await;
        assert_eq!((refused.as_u16(), answer["errcode"].as_str()), (status, Some(errcode)));
    }
    // Another user's answer is none.
    let (status, _) = alice.ask(Method::POST, ACK, Some(&asked)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(bob.call(Method::POST, ACK, asked.clone()).await, json!({}));
    assert_eq!(bob.call(Method::POST, ACK, asked).await, json!({}), "an answer may be repeated");
    assert_eq!(bob.get("v3/pushers").await["pushers"][0]["activated"], true);

    // What came before it was activated is counted, but not told.
    let (_, _, body) = service.next().await;
    let told = browser.decrypt(&body)["notification"].clone();
    assert_eq!(told["counts"], json!({"unread": 1}));
    assert!(told.get("event_id").is_none());
    let event = alice.say(&room, "hello").await;
    let (_, headers, body) = service.next().await;
    check(&bob, &service.origin, &headers).await;
    assert_eq!(headers["urgency"], "high");
    let told = browser.decrypt(&body)["notification"].clone();
    assert_eq!((&told["event_id"], &told["content"]["body"]), (&json!(event), &json!("hello")));
    assert_eq!(told["devices"][0]["data"], json!({}), "the secret stays at home");
    // What is too long for a message is left to be fetched.
    let event = alice.say(&room, &"long ".repeat(1_000)).await;
    let told = browser.decrypt(&service.next().await.2)["notification"].clone();
    assert_eq!((&told["event_id"], told.get("content")), (&json!(event), None));

    // The same again needs no new answer; another place does.
    assert_eq!(bob.ask(Method::POST, SET, Some(&set)).await.0, StatusCode::OK);
    let moved = browser.pusher(&format!("{}/two", service.origin));
    assert_eq!(bob.ask(Method::POST, SET, Some(&moved)).await.0, StatusCode::CREATED);
    let (path, _, body) = service.next().await;
    assert_eq!(path, "/two");
    assert!(browser.decrypt(&body)["ack_token"].is_string());
    assert_eq!(bob.get("v3/pushers").await["pushers"][0]["activated"], false);
}

#[tokio::test]
async fn a_subscription_that_is_over_loses_its_pusher_and_bad_ones_are_refused() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let mut service = Service::new().await;
    let browser = Browser::new(9);
    let good = browser.pusher(&format!("{}/gone", service.origin));
    bob.ask(Method::POST, SET, Some(&good)).await;
    service.next().await;
    let gone = async {
        while bob.get("v3/pushers").await["pushers"] != json!([]) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("the pusher goes");

    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut body = good.clone();
        change(&mut body);
        let (status, answer) = bob.ask(Method::POST, SET, Some(&body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        answer["errcode"].as_str().expect("an errcode").to_owned()
    };
    assert_eq!(refused(&|body| body["pushkey"] = json!("key")).await, "M_INVALID_PARAM");
    assert_eq!(refused(&|body| body["data"]["auth"] = json!("x")).await, "M_INVALID_PARAM");
    assert_eq!(
        refused(&|body| body["data"] = json!({"url": "https://x"})).await,
        "M_MISSING_PARAM"
    );
    let url = json!("http://push.example/one");
    assert_eq!(refused(&|body| body["data"]["url"] = url.clone()).await, "M_INVALID_PARAM");
    let url = json!("https://192.168.0.1/one");
    assert_eq!(refused(&|body| body["data"]["url"] = url.clone()).await, "M_INVALID_PARAM");
}

#[tokio::test]
async fn the_key_outlives_a_restart() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await.keep();
    let key = async |rig: &Rig| {
        let answer = rig.again(bob.clone()).get("v3/capabilities").await;
        answer["capabilities"]["m.webpush"]["vapid"].as_str().expect("a key").to_owned()
    };
    let before = key(&rig).await;
    let bytes = BASE64.decode(&before).expect("Base64");
    assert_eq!((bytes.len(), bytes[0]), (65, 4));
    let rig = rig.restart().await;
    assert_eq!(key(&rig).await, before);
}
