//! Pushers, as a push gateway on this machine sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Json, State};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::rig::{Person, Rig};
use crate::room::Preset;
use crate::storage::pushers;

/// What a gateway answers to its n-th request, and after how long.
type Answer = dyn Fn(usize) -> (StatusCode, Value, Duration) + Send + Sync;

struct Gateway {
    url: String,
    requests: mpsc::UnboundedReceiver<Value>,
    task: tokio::task::JoinHandle<()>,
}

impl Gateway {
    async fn new(
        answer: impl Fn(usize) -> (StatusCode, Value, Duration) + Send + Sync + 'static,
    ) -> Self {
        type Shared = (mpsc::UnboundedSender<Value>, Arc<AtomicUsize>, Arc<Answer>);
        async fn notify(
            State((requests, count, answer)): State<Shared>,
            Json(body): Json<Value>,
        ) -> (StatusCode, Json<Value>) {
            let n = count.fetch_add(1, Ordering::SeqCst);
            requests.send(body).expect("the test listens");
            let (status, body, wait) = answer(n);
            tokio::time::sleep(wait).await;
            (status, Json(body))
        }
        let (sender, requests) = mpsc::unbounded_channel();
        let shared: Shared = (sender, Arc::default(), Arc::new(answer));
        let router = axum::Router::new()
            .route("/_matrix/push/v1/notify", axum::routing::post(notify))
            .with_state(shared);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url =
            format!("http://{}/_matrix/push/v1/notify", listener.local_addr().expect("an address"));
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { url, requests, task }
    }

    async fn taking() -> Self {
        Self::new(|_| (StatusCode::OK, json!({ "rejected": [] }), Duration::ZERO)).await
    }

    /// The notification of the next request.
    async fn next(&mut self) -> Value {
        let next = tokio::time::timeout(Duration::from_secs(30), self.requests.recv()).await;
        next.expect("a request in time").expect("a request")["notification"].clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn pusher(url: &str, key: &str, data: &Value) -> Value {
    let mut body = json!({
        "app_id": "org.app", "pushkey": key, "kind": "http", "app_display_name": "App",
        "device_display_name": "Phone", "lang": "en", "data": data
    });
    body["data"]["url"] = json!(url);
    body
}

async fn set(person: &Person<'_>, body: Value) {
    person.call(Method::POST, "v3/pushers/set", body).await;
}

#[tokio::test]
async fn a_gateway_is_told_of_events_and_of_what_is_read() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let mut gateway = Gateway::taking().await;
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    alice.say(&room, "before the pusher").await;
    bob.sync(None, json!({})).await;
    let last = alice.set(&room, "m.room.name", "", &json!({"name": "The Room"})).await;
    bob.call(Method::POST, &format!("v3/rooms/{}/receipt/m.read/{last}", room.id()), json!({}))
        .await;
    bob.get("v3/notifications").await;
    set(&bob, pusher(&gateway.url, "key", &json!({"custom": 1}))).await;
    let listed = bob.get("v3/pushers").await;
    assert_eq!(listed["pushers"][0]["data"], json!({"url": gateway.url, "custom": 1}));

    let content = json!({"msgtype": "m.text", "body": "hi", "m.mentions": {"user_ids": [bob.id]}});
    let event = alice.send(&room, "m.room.message", &content).await;
    let told = gateway.next().await;
    let device = &told["devices"][0];
    assert!(device["pushkey_ts"].as_i64().expect("a time") > 1_500_000_000);
    assert_eq!(
        told,
        json!({
            "event_id": event, "room_id": room.id(), "type": "m.room.message", "sender": alice.id,
            "room_name": "The Room", "prio": "high", "content": content, "counts": {"unread": 1},
            "devices": [{
                "app_id": "org.app", "pushkey": "key", "pushkey_ts": device["pushkey_ts"], "data": {"custom": 1},
                "tweaks": {"sound": "default", "highlight": true}
            }]
        })
    );
    // What bob says himself is no news, and reads what was there.
    bob.say(&room, "hello").await;
    assert_eq!(gateway.next().await["counts"], json!({"unread": 0}));

    // From now on without contents.
    set(&bob, pusher(&gateway.url, "key", &json!({"format": "event_id_only"}))).await;
    let event = alice.say(&room, "again").await;
    let told = gateway.next().await;
    let device = &told["devices"][0];
    assert_eq!(
        told,
        json!({
            "event_id": event, "room_id": room.id(), "prio": "high", "counts": {"unread": 1},
            "devices": [{
                "app_id": "org.app", "pushkey": "key", "pushkey_ts": device["pushkey_ts"],
                "data": {"format": "event_id_only"}
            }]
        })
    );
    let second = alice.say(&room, "and again").await;
    assert_eq!(gateway.next().await["counts"], json!({"unread": 2}));
    let path = format!("v3/rooms/{}/receipt/m.read.private/{event}", room.id());
    bob.call(Method::POST, &path, json!({})).await;
    let told = gateway.next().await;
    assert_eq!(told["counts"], json!({"unread": 1}));
    assert!(told.get("event_id").is_none());
    let path = format!("v3/rooms/{}/redact/{second}/1", room.id());
    alice.call(Method::PUT, &path, json!({})).await;
    assert_eq!(gateway.next().await["counts"], json!({"unread": 0}));
    // An invitation notifies, too.
    let other = alice.room(Preset::PrivateChat, None).await;
    let invitation = alice.member(&other, &bob.id, "invite").await;
    assert_eq!(gateway.next().await["event_id"], invitation);
}

#[tokio::test]
async fn no_number_goes_ahead_of_the_event_that_it_counts() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let mut gateway = Gateway::taking().await;
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    set(&bob, pusher(&gateway.url, "key", &json!({}))).await;
    // Some are told while others are on their way, and the reader's own requests count them meanwhile.
    for n in 0..40 {
        let event = alice.say(&room, &n.to_string()).await;
        bob.sync(None, json!({})).await;
        assert_eq!(gateway.next().await["event_id"], event);
    }
}

#[tokio::test]
async fn a_rejected_pushkey_loses_its_pusher() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let mut gateway =
        Gateway::new(|_| (StatusCode::OK, json!({ "rejected": ["other", "key"] }), Duration::ZERO))
            .await;
    set(&bob, pusher(&gateway.url, "key", &json!({}))).await;
    alice.say(&room, "hi").await;
    gateway.next().await;
    let gone = async {
        while bob.get("v3/pushers").await["pushers"] != json!([]) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.expect("the pusher goes");
}

#[tokio::test]
async fn what_failed_is_told_again_and_a_slow_gateway_holds_up_nobody() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let mut slow = Gateway::new(|_| (StatusCode::OK, json!({}), Duration::from_mins(10))).await;
    let mut failing = Gateway::new(|n| {
        let status = if n == 0 { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
        (status, json!({ "rejected": [] }), Duration::ZERO)
    })
    .await;
    set(&bob, pusher(&slow.url, "slow", &json!({}))).await;
    set(&bob, pusher(&failing.url, "key", &json!({}))).await;
    let first = alice.say(&room, "one").await;
    let second = alice.say(&room, "two").await;
    assert_eq!(slow.next().await["event_id"], first);
    for event in [&first, &first, &second] {
        assert_eq!(failing.next().await["event_id"], **event);
    }
}

#[tokio::test]
async fn a_restart_loses_nothing_and_repeats_nothing() {
    let mut rig = Rig::new().await;
    let mut gateway = Gateway::taking().await;
    let (alice, room) = {
        let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
        let room = alice.room(Preset::PublicChat, None).await;
        bob.join(&room).await;
        set(&bob, pusher(&gateway.url, "key", &json!({}))).await;
        (alice.keep(), room.id().to_owned())
    };
    let mut sent = Vec::new();
    for round in 0..3 {
        let handle = rig.app().rooms.get(&room).await.expect("the room");
        for n in 0..4 {
            let event = rig.again(alice.clone()).say(&handle, &format!("{round}.{n}")).await;
            sent.push(event);
        }
        drop(handle);
        rig = rig.restart().await;
    }
    let mut told: Vec<String> = Vec::new();
    while told.last() != sent.last() {
        let event = gateway.next().await["event_id"].as_str().map(ToOwned::to_owned);
        // Counts alone name none. What was on its way at a restart may come twice.
        told.extend(event.filter(|event| told.last() != Some(event)));
    }
    assert_eq!(told, sent);
}

#[tokio::test]
async fn pushers_go_with_their_device_and_belong_to_one_user() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let gateway = Gateway::taking().await;
    let keys = async |person: &Person<'_>| {
        let pushers = pushers::list(&rig.app().db, &person.id).await.expect("pushers");
        pushers.into_iter().map(|pusher| pusher.key.pushkey).collect::<Vec<_>>()
    };
    set(&alice, pusher(&gateway.url, "shared", &json!({}))).await;
    let mut appended = pusher(&gateway.url, "shared", &json!({}));
    appended["append"] = json!(true);
    set(&bob, appended).await;
    assert_eq!((keys(&alice).await.len(), keys(&bob).await.len()), (1, 1));
    set(&bob, pusher(&gateway.url, "shared", &json!({}))).await;
    assert_eq!((keys(&alice).await.len(), keys(&bob).await.len()), (0, 1));
    let delete = json!({"app_id": "org.app", "pushkey": "shared", "kind": null});
    set(&bob, delete).await;
    assert!(keys(&bob).await.is_empty());

    set(&bob, pusher(&gateway.url, "of this device", &json!({}))).await;
    let login = json!({"type": "m.login.password", "password": "a long password", "identifier": {"type": "m.id.user", "user": "bob"}});
    let (_, answer) = rig.ask(Method::POST, "/_matrix/client/v3/login", None, Some(&login)).await;
    let second = answer["access_token"].as_str().expect("a token");
    let body = pusher(&gateway.url, "of the other", &json!({}));
    let path = "/_matrix/client/v3/pushers/set";
    let (status, _) = rig.ask(Method::POST, path, Some(second), Some(&body)).await;
    assert_eq!(status, StatusCode::OK);
    bob.call(Method::POST, "v3/logout", json!({})).await;
    assert_eq!(keys(&bob).await, ["of the other"]);

    for n in 0..50 {
        let body = pusher(&gateway.url, &format!("{n}"), &json!({}));
        let (status, _) = rig.ask(Method::POST, path, Some(second), Some(&body)).await;
        assert_eq!(status == StatusCode::OK, n < 49, "{n}");
    }
}
