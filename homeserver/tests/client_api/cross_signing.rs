//! Cross-signing keys and the signatures between keys.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};
use http::{Method, StatusCode};
use ruma::CanonicalJsonObject;
use serde_json::{Value, json};

use super::support::{TestServer, User};

const UPLOAD: &str = "v3/keys/device_signing/upload";

/// A key pair made of a number.
struct Pair(SigningKey);

impl Pair {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    fn public(&self) -> String {
        BASE64_STANDARD_NO_PAD.encode(self.0.verifying_key().as_bytes())
    }

    /// Signs an object as the key `id` of a user.
    fn sign(&self, mut object: Value, user: &str, id: &str) -> Value {
        let mut bare = object.clone();
        bare.as_object_mut().unwrap().remove("signatures");
        let canonical: CanonicalJsonObject = serde_json::from_value(bare).unwrap();
        let text = serde_json::to_string(&canonical).unwrap();
        let signature = BASE64_STANDARD_NO_PAD.encode(self.0.sign(text.as_bytes()).to_bytes());
        object["signatures"][user][format!("ed25519:{id}")] = json!(signature);
        object
    }

    /// The cross-signing key of a user.
    fn cross(&self, user: &str, usage: &str) -> Value {
        let public = self.public();
        json!({ "user_id": user, "usage": [usage], "keys": { format!("ed25519:{public}"): public } })
    }
}

/// The three keys of a user, signed by the first of them.
fn all(user: &User<'_>, seed: u8) -> Value {
    let master = Pair::new(seed);
    let signed = |number: u8, usage: &str| {
        let key = Pair::new(seed + number).cross(&user.id, usage);
        master.sign(key, &user.id, &master.public())
    };
    json!({ "master_key": master.cross(&user.id, "master"),
        "self_signing_key": signed(1, "self_signing"), "user_signing_key": signed(2, "user_signing") })
}

fn confirmed(user: &User<'_>, mut body: Value, session: &Value) -> Value {
    body["auth"] = json!({ "type": "m.login.password", "session": session,
        "password": "correct horse", "identifier": { "type": "m.id.user", "user": user.id } });
    body
}

/// The keys of a device, signed by itself.
fn device_keys(user: &User<'_>, pair: &Pair) -> Value {
    let keys = json!({ "user_id": user.id, "device_id": user.device, "algorithms": [],
        "keys": { format!("ed25519:{}", user.device): pair.public() } });
    pair.sign(keys, &user.id, &user.device)
}

async fn query(asker: &User<'_>, of: &User<'_>) -> Value {
    let body = json!({ "device_keys": { &of.id: [] } });
    asker.must(Method::POST, "v3/keys/query", body).await
}

#[tokio::test]
async fn new_keys_in_the_place_of_others_need_the_password() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let only = |usage: &str, from: &Value| json!({ usage: from[usage] });
    let first = all(&alice, 1);
    let no_master = alice.refused(Method::POST, UPLOAD, only("self_signing_key", &first)).await;
    assert_eq!(no_master, (400, "M_MISSING_PARAM".to_owned()));
    alice.must(Method::POST, UPLOAD, only("master_key", &first)).await;
    alice.must(Method::POST, UPLOAD, only("master_key", &first)).await;
    // Keys that are new beside a master key that isn't.
    let (status, challenge) = alice.ask(Method::POST, UPLOAD, first.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{challenge}");
    assert_eq!(challenge["flows"][0]["stages"][0], "m.login.password");
    let found = query(&alice, &alice).await;
    assert!(found["self_signing_keys"][&alice.id].is_null(), "nothing is stored unconfirmed");
    let body = confirmed(&alice, first.clone(), &challenge["session"]);
    alice.must(Method::POST, UPLOAD, body).await;
    alice.must(Method::POST, UPLOAD, first.clone()).await;
    alice.must(Method::POST, UPLOAD, only("user_signing_key", &first)).await;

    let second = all(&alice, 10);
    let (status, challenge) = alice.ask(Method::POST, UPLOAD, second.clone()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(query(&alice, &alice).await["master_keys"][&alice.id], first["master_key"]);
    let body = confirmed(&alice, second.clone(), &challenge["session"]);
    alice.must(Method::POST, UPLOAD, body).await;
    let found = query(&alice, &alice).await;
    assert_eq!(found["master_keys"][&alice.id], second["master_key"]);
    assert_eq!(found["user_signing_keys"][&alice.id], second["user_signing_key"]);
    let found = query(&bob, &alice).await;
    assert_eq!(found["self_signing_keys"][&alice.id], second["self_signing_key"]);
    assert_eq!(found["user_signing_keys"], json!({}), "that one is nobody else's");
}

#[tokio::test]
async fn of_two_first_uploads_one_is_the_first() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let uploads = (0..8).map(|n| alice.ask(Method::POST, UPLOAD, all(&alice, 1 + n * 10)));
    let answers = futures::future::join_all(uploads).await;
    let done = answers.iter().filter(|(status, _)| status.is_success()).count();
    assert_eq!(done, 1, "{answers:?}");
}

#[tokio::test]
async fn what_is_no_cross_signing_key_is_refused() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let master = Pair::new(1);
    let good = master.cross(&alice.id, "master");
    let with = |field: &str, value: Value| {
        let mut key = good.clone();
        key[field] = value;
        json!({ "master_key": key })
    };
    for body in [
        with("user_id", json!("@bob:hs.test")),
        with("usage", json!(["self_signing"])),
        with("keys", json!({})),
        with("keys", json!({ "ed25519:x": master.public() })),
        with("keys", json!({ "ed25519:AAAA": "AAAA" })),
    ] {
        let refused = alice.refused(Method::POST, UPLOAD, body.clone()).await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()), "{body}");
    }
    let mut unsigned = all(&alice, 1);
    unsigned["self_signing_key"]["signatures"] = json!({});
    let refused = alice.refused(Method::POST, UPLOAD, unsigned).await;
    assert_eq!(refused, (400, "M_INVALID_SIGNATURE".to_owned()));
    let found = query(&alice, &alice).await;
    assert_eq!(found["master_keys"], json!({}));
}

#[tokio::test]
async fn devices_and_keys_share_no_names() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let login = |device: String| {
        let body = json!({ "type": "m.login.password", "password": "correct horse",
            "device_id": device, "identifier": { "type": "m.id.user", "user": "alice" } });
        let server = &server;
        async move { server.request(Method::POST, "/_matrix/client/v3/login", None, &body).await }
    };
    let taken = Pair::new(1).public();
    assert_eq!(login(taken).await.0, StatusCode::OK);
    let refused = alice.refused(Method::POST, UPLOAD, all(&alice, 1)).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    alice.must(Method::POST, UPLOAD, all(&alice, 50)).await;
    let (status, answer) = login(Pair::new(51).public()).await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")));
}

#[tokio::test]
async fn signatures_are_kept_or_refused_one_by_one_and_seen_by_those_they_concern() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    for user in [&bob, &eve] {
        user.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    }
    let device = Pair::new(100);
    let device_object = device_keys(&alice, &device);
    alice.must(Method::POST, "v3/keys/upload", json!({ "device_keys": device_object })).await;
    let (alices, bobs) = (all(&alice, 1), all(&bob, 11));
    alice.must(Method::POST, UPLOAD, alices.clone()).await;
    bob.must(Method::POST, UPLOAD, bobs.clone()).await;
    let (master, self_signing, user_signing) = (Pair::new(1), Pair::new(2), Pair::new(3));
    let bobs_master = Pair::new(11);
    let mut tokens = Vec::new();
    for user in [&alice, &bob, &eve] {
        let sync = user.must(Method::GET, "v3/sync", Value::Null).await;
        tokens.push(sync["next_batch"].as_str().unwrap().to_owned());
    }

    let by_self = self_signing.sign(device_object.clone(), &alice.id, &self_signing.public());
    let by_device = device.sign(alices["master_key"].clone(), &alice.id, &alice.device);
    let by_user = user_signing.sign(bobs["master_key"].clone(), &alice.id, &user_signing.public());
    let mut other = by_self.clone();
    other["algorithms"] = json!(["another"]);
    let mut forged = by_user.clone();
    forged["signatures"][&alice.id][format!("ed25519:{}", user_signing.public())] = json!("AAAA");
    let upload = "v3/keys/signatures/upload";
    let body = json!({
        &alice.id: { &alice.device: other, "NONE": by_self, master.public(): by_device },
        &bob.id: { bobs_master.public(): forged, &bob.device: by_self },
    });
    let answer = alice.must(Method::POST, upload, body).await;
    let failure = |user: &User<'_>, key: &str| answer["failures"][&user.id][key]["errcode"].clone();
    assert_eq!(failure(&alice, &alice.device), "M_INVALID_SIGNATURE");
    assert_eq!(failure(&alice, "NONE"), "M_NOT_FOUND");
    assert_eq!(failure(&alice, &master.public()), Value::Null);
    assert_eq!(failure(&bob, &bobs_master.public()), "M_INVALID_SIGNATURE");
    assert_eq!(failure(&bob, &bob.device), "M_NOT_FOUND");
    let body = json!({ &alice.id: { &alice.device: by_self } });
    assert_eq!(alice.must(Method::POST, upload, body).await, json!({ "failures": {} }));

    // Of her own keys everyone hears.
    let mut later = Vec::new();
    for (user, token) in [&alice, &bob, &eve].into_iter().zip(&tokens) {
        let path = format!("v3/sync?since={token}");
        let sync = user.must(Method::GET, &path, Value::Null).await;
        assert_eq!(sync["device_lists"]["changed"], json!([alice.id]), "{}", user.id);
        later.push(sync["next_batch"].as_str().unwrap().to_owned());
    }
    let found = query(&eve, &alice).await;
    let signatures = &found["device_keys"][&alice.id][&alice.device]["signatures"][&alice.id];
    assert!(signatures[format!("ed25519:{}", self_signing.public())].is_string(), "{found}");
    assert!(signatures[format!("ed25519:{}", alice.device)].is_string());

    // Whom she trusts is hers to know.
    let body = json!({ &bob.id: { bobs_master.public(): by_user } });
    assert_eq!(alice.must(Method::POST, upload, body).await, json!({ "failures": {} }));
    for (user, token) in [&alice, &bob, &eve].into_iter().zip(&later) {
        let path = format!("v3/sync?since={token}");
        let sync = user.must(Method::GET, &path, Value::Null).await;
        let hers = user.id == alice.id;
        let told = if hers { json!([bob.id]) } else { Value::Null };
        assert_eq!(sync["device_lists"]["changed"], told, "{}", user.id);
        let to = sync["next_batch"].as_str().unwrap();
        let path = format!("v3/keys/changes?from={token}&to={to}");
        let answer = user.must(Method::GET, &path, Value::Null).await;
        assert_eq!(answer["changed"], if hers { json!([bob.id]) } else { json!([]) });
        let found = query(user, &bob).await;
        let signed = found["master_keys"][&bob.id]["signatures"][&alice.id].is_object();
        assert_eq!(signed, hers, "{}", user.id);
    }
}

#[tokio::test]
async fn another_key_of_a_device_is_not_signed_by_the_signatures_of_the_first() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let device = device_keys(&alice, &Pair::new(100));
    alice.must(Method::POST, "v3/keys/upload", json!({ "device_keys": device })).await;
    alice.must(Method::POST, UPLOAD, all(&alice, 1)).await;
    let self_signing = Pair::new(2);
    let id = self_signing.public();
    let signed = self_signing.sign(device, &alice.id, &id);
    let body = json!({ &alice.id: { &alice.device: signed } });
    alice.must(Method::POST, "v3/keys/signatures/upload", body).await;
    let is_signed = || async {
        let found = query(&alice, &alice).await;
        found["device_keys"][&alice.id][&alice.device]["signatures"][&alice.id]
            [format!("ed25519:{id}")]
        .is_string()
    };
    assert!(is_signed().await);
    let other = device_keys(&alice, &Pair::new(101));
    alice.must(Method::POST, "v3/keys/upload", json!({ "device_keys": other })).await;
    assert!(!is_signed().await);
}
