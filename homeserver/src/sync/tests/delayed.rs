//! Delayed events: sent once, later, or not at all.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig, bodies};
use crate::room::{Preset, Room};

const MANAGE: &str = "unstable/org.matrix.msc4140/delayed_events";

impl Person<'_> {
    async fn later(&self, room: &Room, txn: &str, delay: i64, body: &str) -> String {
        let path = send_path(room, txn, &delay.to_string());
        let content = json!({"msgtype": "m.text", "body": body});
        let answer = self.call(Method::PUT, &path, content).await;
        answer["delay_id"].as_str().expect("an id").to_owned()
    }

    async fn manage(&self, id: &str, action: &str) -> (StatusCode, Value) {
        let body = json!({ "action": action });
        self.ask(Method::POST, &format!("{MANAGE}/{id}"), Some(&body)).await
    }

    async fn waiting(&self) -> Vec<Value> {
        let answer = self.get(MANAGE).await;
        answer["delayed_events"].as_array().expect("a list").clone()
    }

    async fn said(&self, room: &Room) -> Vec<String> {
        let page = self.get(&format!("v3/rooms/{}/messages?dir=f&limit=100", room.id())).await;
        bodies(&page["chunk"]).into_iter().map(str::to_owned).collect()
    }

    /// Waits until something was said.
    async fn hears(&self, room: &Room, body: &str) {
        for _ in 0..500 {
            if self.said(room).await.iter().any(|said| said == body) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{body} was never said");
    }
}

fn send_path(room: &Room, txn: &str, delay: &str) -> String {
    format!("v3/rooms/{}/send/m.room.message/{txn}?org.matrix.msc4140.delay={delay}", room.id())
}

#[tokio::test]
async fn an_event_is_sent_when_its_time_comes() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let id = alice.later(&room, "1", 100, "late").await;
    assert!(alice.said(&room).await.is_empty());
    alice.hears(&room, "late").await;
    assert!(alice.waiting().await.is_empty());
    assert_eq!(alice.manage(&id, "cancel").await.0, StatusCode::NOT_FOUND);
    assert_eq!(alice.said(&room).await, ["late"]);
}

#[tokio::test]
async fn what_waits_is_listed_sent_restarted_or_cancelled() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let one = alice.later(&room, "1", 60_000, "one").await;
    assert_eq!(alice.later(&room, "1", 60_000, "one").await, one, "the same request again");
    let two = alice.later(&room, "2", 60_000, "two").await;
    let waiting = alice.waiting().await;
    assert_eq!(waiting.len(), 2);
    let found = waiting.iter().find(|event| event["delay_id"] == json!(one)).expect("the first");
    assert_eq!(found["type"], "m.room.message");
    assert_eq!(found["delay"], 60_000);
    assert_eq!(found["content"]["body"], "one");
    assert!(found["running_since"].is_i64());
    assert!(bob.waiting().await.is_empty());

    assert_eq!(alice.manage(&one, "restart").await.0, StatusCode::OK);
    let path = format!("{MANAGE}/{one}/send");
    // Whoever knows the id may do it.
    assert_eq!(bob.ask(Method::POST, &path, Some(&json!({}))).await.0, StatusCode::OK);
    assert_eq!(alice.manage(&two, "cancel").await.0, StatusCode::OK);
    for (id, action) in [(&one, "send"), (&two, "cancel")] {
        assert_eq!(alice.manage(id, action).await.0, StatusCode::OK, "again, it is done already");
    }
    for (id, action) in [(&one, "cancel"), (&one, "restart"), (&two, "send"), (&two, "restart")] {
        let (status, answer) = alice.manage(id, action).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
    }
    assert_eq!(alice.said(&room).await, ["one"]);
}

#[tokio::test]
async fn what_waits_outlives_a_restart() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    alice.later(&room, "1", 300, "overdue").await;
    alice.later(&room, "2", 60_000, "later").await;
    let (id, alice) = (room.id().to_owned(), alice.keep());
    drop(room);
    let rig = rig.restart().await;
    let alice = rig.again(alice);
    let room = rig.app().rooms.get(&id).await.expect("the room");
    alice.hears(&room, "overdue").await;
    assert_eq!(alice.waiting().await.len(), 1);
    assert_eq!(alice.said(&room).await, ["overdue"]);
}

#[tokio::test]
async fn state_that_somebody_else_has_set_since_stays() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let levels = json!({"users": {"@alice:h": 100, "@bob:h": 100}});
    alice.set(&room, "m.room.power_levels", "", &levels).await;
    bob.join(&room).await;
    let path = |kind: &str, delay: u32| {
        format!("v3/rooms/{}/state/{kind}/?org.matrix.msc4140.delay={delay}", room.id())
    };
    let later = alice.call(Method::PUT, &path("m.room.topic", 60_000), json!({"topic": "a"})).await;
    bob.set(&room, "m.room.topic", "", &json!({"topic": "b"})).await;
    assert!(alice.waiting().await.is_empty());
    let id = later["delay_id"].as_str().expect("an id");
    assert_eq!(alice.manage(id, "send").await.0, StatusCode::NOT_FOUND);
    // What its own sender has set since is set back.
    let later = alice.call(Method::PUT, &path("m.room.name", 60_000), json!({"name": "a"})).await;
    alice.set(&room, "m.room.name", "", &json!({"name": "x"})).await;
    let id = later["delay_id"].as_str().expect("an id");
    assert_eq!(alice.manage(id, "send").await.0, StatusCode::OK);
    let name = alice.get(&format!("v3/rooms/{}/state/m.room.name/", room.id())).await;
    assert_eq!(name["name"], "a");
}

#[tokio::test]
async fn delays_and_their_number_have_limits() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let content = json!({"msgtype": "m.text", "body": "x"});
    for (delay, errcode) in
        [("-1", "M_INVALID_PARAM"), ("x", "M_INVALID_PARAM"), ("999999999999", "M_UNKNOWN")]
    {
        let (status, answer) =
            alice.ask(Method::PUT, &send_path(&room, "1", delay), Some(&content)).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!(errcode)));
        if errcode == "M_UNKNOWN" {
            assert_eq!(answer["org.matrix.msc4140.errcode"], "M_MAX_DELAY_EXCEEDED");
            assert_eq!(answer["org.matrix.msc4140.max_delay"], 86_400_000);
        }
    }
    let (status, _) = bob.ask(Method::PUT, &send_path(&room, "1", "10"), Some(&content)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "he is not in the room");
    for n in 0..100 {
        alice.later(&room, &n.to_string(), 80_000_000, "x").await;
    }
    let (status, answer) =
        alice.ask(Method::PUT, &send_path(&room, "101", "10"), Some(&content)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(answer["org.matrix.msc4140.errcode"], "M_MAX_DELAYED_EVENTS_EXCEEDED");
    assert_eq!(alice.manage("unknown", "send").await.0, StatusCode::NOT_FOUND);
    let (status, answer) = alice.manage("unknown", "dance").await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!("M_INVALID_PARAM")));
    let (_, answer) = alice.ask(Method::POST, &format!("{MANAGE}/x"), Some(&json!({}))).await;
    assert_eq!(answer["errcode"], "M_MISSING_PARAM");
    assert_eq!(
        alice.get("unstable/org.matrix.msc4143/rtc/transports").await,
        json!({"rtc_transports": []})
    );
}
