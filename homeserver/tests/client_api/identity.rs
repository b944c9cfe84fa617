//! Identity servers: binding addresses there, and inviting people whom only they know.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use ed25519_dalek::{Signer, SigningKey};
use http::{HeaderMap, Method, StatusCode};
use landbridge_homeserver::clock::{Clock, SystemClock};
use landbridge_homeserver::config::Config;
use ruma::UserId;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{Later, TestServer, User};

const NAME: &str = "id.test";
/// Where it says whether its key is good.
const VALIDITY: &str = "/_matrix/identity/v2/pubkey/isvalid";

/// An identity server that knows Bob's address.
#[derive(Default)]
struct Idp {
    /// What it was asked to do, with the `Authorization` of each request.
    asked: Mutex<Vec<(String, Value)>>,
    /// Whether its key was revoked.
    revoked: AtomicBool,
    /// Whether it never answers who wants it to forget an address.
    hangs: AtomicBool,
    /// Whether it refuses that.
    refuses: AtomicBool,
    /// How often its pepper changes between two requests.
    repeppered: AtomicUsize,
}

impl Idp {
    fn last(&self) -> (String, Value) {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }

    fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// Waits until it was asked so often.
    async fn reached(&self, count: usize) {
        let asked = async {
            while self.count() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), asked).await.expect("a request in time");
    }

    fn note(&self, headers: &HeaderMap, body: &Value) {
        let authorization = headers["authorization"].to_str().unwrap().to_owned();
        self.asked.lock().unwrap().push((authorization, body.clone()));
    }
}

type Shared = State<Arc<Idp>>;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn public() -> String {
    BASE64_STANDARD_NO_PAD.encode(key().verifying_key().as_bytes())
}

fn refusal(status: StatusCode, errcode: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({ "errcode": errcode, "error": "no" })))
}

async fn bind(
    State(idp): Shared,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    idp.note(&headers, &body);
    match body["sid"].as_str() {
        Some("good") => {}
        Some("unauthorised") => return refusal(StatusCode::UNAUTHORIZED, "M_UNAUTHORIZED"),
        _ => return refusal(StatusCode::NOT_FOUND, "M_NO_VALID_SESSION"),
    }
    let answer = json!({ "medium": "email", "address": "alice@example.org", "mxid": body["mxid"] });
    (StatusCode::OK, Json(answer))
}

async fn unbind(
    State(idp): Shared,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    idp.note(&headers, &body);
    if idp.hangs.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
    if idp.refuses.load(Ordering::SeqCst) {
        return refusal(StatusCode::FORBIDDEN, "M_FORBIDDEN");
    }
    (StatusCode::OK, Json(json!({})))
}

async fn lookup(State(idp): Shared, Json(body): Json<Value>) -> (StatusCode, Json<Value>) {
    let changed = |left: usize| left.checked_sub(1);
    if idp.repeppered.fetch_update(Ordering::SeqCst, Ordering::SeqCst, changed).is_ok() {
        return refusal(StatusCode::BAD_REQUEST, "M_INVALID_PEPPER");
    }
    let known = Sha256::digest(b"bob@example.org email pepper");
    let known = BASE64_URL_SAFE_NO_PAD.encode(known);
    let found = body["addresses"][0] == known.as_str();
    let mappings = if found { json!({ known: "@bob:hs.test" }) } else { json!({}) };
    (StatusCode::OK, Json(json!({ "mappings": mappings })))
}

async fn store(
    State(idp): Shared,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    idp.note(&headers, &body);
    let (name, _) = body["address"].as_str().unwrap().split_once('@').unwrap();
    if name == "refused" {
        return refusal(StatusCode::BAD_REQUEST, "M_INVALID_EMAIL");
    }
    let host = headers["host"].to_str().unwrap();
    let public =
        json!({ "public_key": public(), "key_validity_url": format!("http://{host}{VALIDITY}") });
    let answer = json!({ "token": format!("kept-{name}"), "public_keys": [public],
        "display_name": format!("{}...@e...", &name[..1]) });
    (StatusCode::OK, Json(answer))
}

async fn valid(State(idp): Shared, uri: http::Uri) -> Json<Value> {
    let asked = url::form_urlencoded::parse(uri.query().unwrap().as_bytes()).next().unwrap();
    let known = (asked.0.as_ref(), asked.1.as_ref()) == ("public_key", public().as_str());
    Json(json!({ "valid": known && !idp.revoked.load(Ordering::SeqCst) }))
}

async fn start() -> (TestServer, Arc<Idp>) {
    start_at(Arc::new(SystemClock)).await
}

async fn start_at(clock: Arc<dyn Clock>) -> (TestServer, Arc<Idp>) {
    let idp = Arc::<Idp>::default();
    let router = Router::new()
        .route("/_matrix/identity/v2/3pid/bind", post(bind))
        .route("/_matrix/identity/v2/3pid/unbind", post(unbind))
        .route(
            "/_matrix/identity/v2/hash_details",
            get(|| async {
                Json(json!({ "lookup_pepper": "pepper", "algorithms": ["none", "sha256"] }))
            }),
        )
        .route("/_matrix/identity/v2/lookup", post(lookup))
        .route("/_matrix/identity/v2/store-invite", post(store))
        .route(VALIDITY, get(valid))
        .with_state(Arc::clone(&idp));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let name = |config: &mut Config| {
        config.identity_servers.insert(NAME.to_owned(), base);
    };
    let server = TestServer::start_with_at(name, clock).await;
    (server, idp)
}

fn credentials(server: &str, sid: &str) -> Value {
    json!({ "id_server": server, "id_access_token": "token", "sid": sid, "client_secret": "secret" })
}

fn by(server: &str, address: &str) -> Value {
    json!({ "id_server": server, "id_access_token": "token", "medium": "email", "address": address })
}

/// What the identity server signs once it knows that an invited address is a user's.
fn signed(user: &User<'_>, token: &str) -> Value {
    let text = format!(r#"{{"mxid":"{}","token":"{token}"}}"#, user.id);
    let signature = BASE64_STANDARD_NO_PAD.encode(key().sign(text.as_bytes()).to_bytes());
    json!({ "mxid": user.id, "token": token, "signatures": { NAME: { "ed25519:0": signature } } })
}

/// The identity server tells whose an address is.
async fn bound(server: &TestServer, user: &User<'_>, room: &str, signed: &Value) -> u16 {
    let invite = json!({ "medium": "email", "address": "carol@example.org", "mxid": user.id,
        "room_id": room, "sender": "@alice:hs.test", "signed": signed });
    let body = json!({ "medium": "email", "address": "carol@example.org", "mxid": user.id,
        "invites": [invite] });
    let path = "/_matrix/federation/v1/3pid/onbind";
    server.request(Method::PUT, path, None, &body).await.0.as_u16()
}

#[tokio::test]
async fn addresses_are_bound_on_trusted_servers_and_taken_back() {
    let (server, idp) = start().await;
    let alice = server.register("alice").await;
    let path = "v3/account/3pid/bind";
    let refused = alice.refused(Method::POST, path, credentials("other.test", "good")).await;
    assert_eq!(refused, (400, "M_SERVER_NOT_TRUSTED".to_owned()));
    assert_eq!(idp.count(), 0);
    let refused = alice.refused(Method::POST, path, credentials(NAME, "bad")).await;
    assert_eq!(refused, (404, "M_NO_VALID_SESSION".to_owned()));
    // A 401 would be about the session here.
    let refused = alice.refused(Method::POST, path, credentials(NAME, "unauthorised")).await;
    assert_eq!(refused, (502, "M_UNKNOWN".to_owned()));
    let old = |sid: &str| json!({ "three_pid_creds": credentials(NAME, sid) });
    let refused = alice.refused(Method::POST, "v3/account/3pid", old("bad")).await;
    assert_eq!(refused, (403, "M_THREEPID_AUTH_FAILED".to_owned()));
    let refused = alice.refused(Method::POST, "v3/account/3pid", json!({})).await;
    assert_eq!(refused.0, 400);
    alice.must(Method::POST, "v3/account/3pid", old("good")).await;
    alice.must(Method::POST, path, credentials(NAME, "good")).await;
    let (authorization, body) = idp.last();
    assert_eq!(authorization, "Bearer token");
    assert_eq!(body, json!({ "sid": "good", "client_secret": "secret", "mxid": alice.id }));

    let unbind = "v3/account/3pid/unbind";
    let unknown = json!({ "medium": "email", "address": "nobody@example.org" });
    let answer = alice.must(Method::POST, unbind, unknown).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "no-support" }));
    let refused =
        alice.refused(Method::POST, unbind, json!({ "medium": "fax", "address": "1" })).await;
    assert_eq!(refused, (400, "M_INVALID_PARAM".to_owned()));
    let known = json!({ "medium": "email", "address": "alice@example.org" });
    let answer = alice.must(Method::POST, unbind, known.clone()).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    let (authorization, body) = idp.last();
    assert!(
        authorization
            .starts_with("X-Matrix origin=\"hs.test\",destination=\"id.test\",key=\"ed25519:")
    );
    assert_eq!(body, json!({ "mxid": alice.id, "threepid": known }));
    // It is unbound once.
    let answer = alice.must(Method::POST, unbind, known.clone()).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "no-support" }));

    // Whoever closes an account leaves nothing published.
    alice.must(Method::POST, path, credentials(NAME, "good")).await;
    let auth = json!({ "auth": { "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": "alice" } } });
    let answer = alice.must(Method::POST, "v3/account/deactivate", auth).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    assert_eq!(idp.last().1, json!({ "mxid": alice.id, "threepid": known }));
}

/// Confirms the end of an account.
fn closing(user: &User<'_>) -> Value {
    json!({ "auth": { "type": "m.login.password", "password": "correct horse",
        "identifier": { "type": "m.id.user", "user": user.id } } })
}

/// Waits until nothing of a user is published any more.
async fn forgotten(server: &TestServer, user: &UserId) {
    let forgotten = async {
        while !server.server.app().threepids.binds(user).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), forgotten).await.expect("forgotten in time");
}

#[tokio::test]
async fn an_account_is_closed_though_its_identity_server_hangs() {
    let clock = Arc::new(Later::default());
    let (server, idp) = start_at(Arc::clone(&clock) as Arc<dyn Clock>).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    alice.must(Method::POST, "v3/account/3pid/bind", credentials(NAME, "good")).await;
    idp.hangs.store(true, Ordering::SeqCst);
    let before = idp.count();
    let path = "v3/account/deactivate";
    tokio::select! {
        answer = alice.ask(Method::POST, path, closing(&alice)) => panic!("{answer:?}"),
        () = idp.reached(before + 1) => {}
    }
    // The client gives up. The account is closed all the same, and what is published is not forgotten.
    let refused = alice.refused(Method::GET, "v3/account/whoami", Value::Null).await;
    assert_eq!(refused, (401, "M_UNKNOWN_TOKEN".to_owned()));
    let user = <&UserId>::try_from(alice.id.as_str()).unwrap();
    assert_eq!(server.server.app().threepids.binds(user).await.unwrap().len(), 1);
    idp.hangs.store(false, Ordering::SeqCst);
    clock.pass(61);
    // Others who go have the work looked at.
    let answer = bob.must(Method::POST, path, closing(&bob)).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "success" }));
    forgotten(&server, user).await;
    assert_eq!(idp.last().1["mxid"], alice.id.as_str());
}

#[tokio::test]
async fn an_identity_server_that_refuses_to_forget_is_asked_again() {
    let clock = Arc::new(Later::default());
    let (server, idp) = start_at(Arc::clone(&clock) as Arc<dyn Clock>).await;
    let (alice, bob) = (server.register("alice").await, server.register("bob").await);
    alice.must(Method::POST, "v3/account/3pid/bind", credentials(NAME, "good")).await;
    idp.refuses.store(true, Ordering::SeqCst);
    let path = "v3/account/deactivate";
    let answer = alice.must(Method::POST, path, closing(&alice)).await;
    assert_eq!(answer, json!({ "id_server_unbind_result": "no-support" }));
    let user = <&UserId>::try_from(alice.id.as_str()).unwrap();
    let app = server.server.app();
    assert_eq!(app.threepids.binds(user).await.unwrap().len(), 1);
    // A closed account is given nothing.
    let late = app.threepids.replace(user, vec!["late@example.org".to_owned()], false).await;
    assert_eq!(late.unwrap_err().errcode, "M_USER_DEACTIVATED");
    idp.refuses.store(false, Ordering::SeqCst);
    clock.pass(61);
    bob.must(Method::POST, path, closing(&bob)).await;
    forgotten(&server, user).await;
}

#[tokio::test]
async fn what_an_administrator_takes_away_is_published_no_more() {
    let (server, idp) = start().await;
    let (admin, alice) = (server.administrator("admin").await, server.register("alice").await);
    let set = async |addresses: &[String]| {
        let address = |address: &String| json!({ "medium": "email", "address": address });
        let body = json!({ "threepids": addresses.iter().map(address).collect::<Vec<_>>() });
        let path = format!("/_synapse/admin/v2/users/{}", alice.id);
        server.request(Method::PUT, &path, Some(&admin.token), &body).await.0.as_u16()
    };
    assert_eq!(set(&["Alice@example.org".to_owned()]).await, 200);
    alice.must(Method::POST, "v3/account/3pid/bind", credentials(NAME, "good")).await;
    let many: Vec<String> = (0..21).map(|n| format!("{n}@example.org")).collect();
    assert_eq!(set(&many).await, 400);
    assert_eq!(set(&[]).await, 200);
    forgotten(&server, alice.id.as_str().try_into().unwrap()).await;
    let known = json!({ "medium": "email", "address": "alice@example.org" });
    assert_eq!(idp.last().1, json!({ "mxid": alice.id, "threepid": known }));
}

#[tokio::test]
async fn people_are_invited_by_address() {
    let (server, idp) = start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let carol = server.register("carol").await;
    let room = alice.create_room(json!({ "name": "Room" })).await;
    let invite = format!("v3/rooms/{room}/invite");
    let refused = alice.refused(Method::POST, &invite, by("other.test", "bob@example.org")).await;
    assert_eq!(refused, (400, "M_SERVER_NOT_TRUSTED".to_owned()));
    let body = json!({ "medium": "email", "address": "bob@example.org" });
    assert_eq!(alice.refused(Method::POST, &invite, body).await.1, "M_MISSING_PARAM");
    for (key, value) in
        [("medium", json!("fax")), ("address", json!("")), ("address", json!("x".repeat(513)))]
    {
        let mut body = by(NAME, "bob@example.org");
        body[key] = value;
        assert_eq!(alice.refused(Method::POST, &invite, body).await.1, "M_INVALID_PARAM", "{key}");
    }
    let refused = bob.refused(Method::POST, &invite, by(NAME, "carol@example.org")).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    assert_eq!(idp.count(), 0);

    idp.repeppered.store(1, Ordering::SeqCst);
    alice.must(Method::POST, &invite, by(NAME, "Bob@example.org")).await;
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    alice.must(Method::POST, &invite, by(NAME, "carol@example.org")).await;
    let (_, told) = idp.last();
    assert_eq!(told["room_name"], "Room");
    assert_eq!(
        (&told["sender"], &told["address"]),
        (&json!(alice.id), &json!("carol@example.org"))
    );
    let state = format!("v3/rooms/{room}/state/m.room.third_party_invite/kept-carol");
    let kept = bob.must(Method::GET, &state, Value::Null).await;
    assert_eq!(kept["display_name"], "c...@e...");
    let levels = format!("v3/rooms/{room}/state/m.room.power_levels");
    let mut content = alice.must(Method::GET, &levels, Value::Null).await;
    content["invite"] = json!(50);
    alice.must(Method::PUT, &levels, content).await;
    let before = idp.count();
    let refused = bob.refused(Method::POST, &invite, by(NAME, "dave@example.org")).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    assert_eq!(idp.count(), before);

    // Carol shows that the address is hers. Only what the identity server signed gets her in.
    let join = format!("v3/join/{room}");
    let mut forged = signed(&carol, "kept-carol");
    forged["signatures"][NAME]["ed25519:0"] = json!(BASE64_STANDARD_NO_PAD.encode([1; 64]));
    assert_eq!(bound(&server, &carol, &room, &forged).await, 200);
    assert_eq!(carol.refused(Method::POST, &join, json!({})).await.1, "M_FORBIDDEN");
    assert_eq!(bound(&server, &carol, &room, &signed(&carol, "kept-carol")).await, 200);
    carol.must(Method::POST, &join, json!({})).await;
}

#[tokio::test]
async fn an_invite_is_redeemed_by_whom_it_is_for_and_not_after_a_kick() {
    let (server, idp) = start().await;
    let alice = server.register("alice").await;
    let carol = server.register("carol").await;
    let dave = server.register("dave").await;
    let room = alice.create_room(json!({})).await;
    alice
        .must(Method::POST, &format!("v3/rooms/{room}/invite"), by(NAME, "carol@example.org"))
        .await;
    let join = format!("v3/rooms/{room}/join");
    let with = |signed: Value| json!({ "third_party_signed": signed });
    let good = signed(&carol, "kept-carol");
    for (user, body) in [
        (&carol, with(signed(&carol, "unknown"))),
        (&carol, with(signed(&dave, "kept-carol"))),
        (&dave, with(good.clone())),
    ] {
        let refused = user.refused(Method::POST, &join, body).await;
        assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    }
    for (body, errcode) in [
        (with(json!("x")), "M_BAD_JSON"),
        (with(json!({ "mxid": carol.id })), "M_MISSING_PARAM"),
        (with(json!({ "token": "kept-carol" })), "M_MISSING_PARAM"),
    ] {
        let refused = carol.refused(Method::POST, &join, body).await;
        assert_eq!(refused, (400, errcode.to_owned()));
    }
    idp.revoked.store(true, Ordering::SeqCst);
    let refused = carol.refused(Method::POST, &join, with(good.clone())).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    idp.revoked.store(false, Ordering::SeqCst);
    carol.must(Method::POST, &join, with(good.clone())).await;
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", carol.id);
    let content = carol.must(Method::GET, &member, Value::Null).await;
    assert_eq!(content["membership"], "join");

    // Who is there already stays there.
    assert_eq!(bound(&server, &carol, &room, &good).await, 200);
    let content = carol.must(Method::GET, &member, Value::Null).await;
    assert_eq!(content["membership"], "join");
    // Who left may come back by it; who was removed may not.
    carol.must(Method::POST, &format!("v3/rooms/{room}/leave"), json!({})).await;
    carol.must(Method::POST, &join, with(good.clone())).await;
    let kick = format!("v3/rooms/{room}/kick");
    alice.must(Method::POST, &kick, json!({ "user_id": carol.id })).await;
    let refused = carol.refused(Method::POST, &join, with(good.clone())).await;
    assert_eq!(refused, (403, "M_FORBIDDEN".to_owned()));
    assert_eq!(bound(&server, &carol, &room, &good).await, 200);
    assert_eq!(carol.refused(Method::POST, &join, json!({})).await.0, 403);

    for (path_user, status) in [("@nobody:hs.test", 404), ("@carol:other.test", 400)] {
        let body = json!({ "medium": "email", "address": "x@example.org", "mxid": path_user, "invites": [] });
        let path = "/_matrix/federation/v1/3pid/onbind";
        let (answer, _) = server.request(Method::PUT, path, None, &body).await;
        assert_eq!(answer.as_u16(), status);
    }
}

#[tokio::test]
async fn a_room_begins_with_people_invited_by_address() {
    let (server, idp) = start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let with = |invites: Value| json!({ "invite_3pid": invites, "is_direct": true });
    let mut incomplete = by(NAME, "bob@example.org");
    incomplete.as_object_mut().unwrap().remove("id_access_token");
    let many: Vec<Value> = (0..51).map(|n| by(NAME, &format!("{n}@example.org"))).collect();
    for (invites, errcode) in [
        (json!([incomplete]), "M_MISSING_PARAM"),
        (json!([by("other.test", "bob@example.org")]), "M_SERVER_NOT_TRUSTED"),
        (json!(many), "M_INVALID_PARAM"),
        (json!({}), "M_BAD_JSON"),
    ] {
        let refused = alice.refused(Method::POST, "v3/createRoom", with(invites)).await;
        assert_eq!(refused, (400, errcode.to_owned()));
    }
    let rooms = alice.must(Method::GET, "v3/joined_rooms", Value::Null).await;
    assert_eq!(rooms, json!({ "joined_rooms": [] }));
    assert_eq!(idp.count(), 0);

    let invites = json!([by(NAME, "bob@example.org"), by(NAME, "carol@example.org")]);
    let room = alice.create_room(with(invites)).await;
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", bob.id);
    let content = alice.must(Method::GET, &member, Value::Null).await;
    assert_eq!((&content["membership"], &content["is_direct"]), (&json!("invite"), &json!(true)));
    let (_, told) = idp.last();
    assert_eq!((&told["room_id"], &told["address"]), (&json!(room), &json!("carol@example.org")));
    let state = format!("v3/rooms/{room}/state/m.room.third_party_invite/kept-carol");
    alice.must(Method::GET, &state, Value::Null).await;

    // The client hears of an invite that did not go out, and of the room that is there all the same.
    let body = with(json!([by(NAME, "refused@example.org")]));
    let (status, refused) = alice.ask(Method::POST, "v3/createRoom", body).await;
    assert_eq!((status.as_u16(), &refused["errcode"]), (400, &json!("M_INVALID_EMAIL")));
    let rooms = alice.must(Method::GET, "v3/joined_rooms", Value::Null).await;
    assert!(rooms["joined_rooms"].as_array().unwrap().contains(&refused["room_id"]), "{refused}");
}
