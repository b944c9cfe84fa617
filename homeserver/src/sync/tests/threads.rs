//! Subscriptions to threads: made, ended, listed, and told by sliding sync.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig};
use crate::room::{Preset, Room};

const SLIDING: &str = "unstable/org.matrix.simplified_msc3575/sync";
const EXTENSION: &str = "io.element.msc4308.thread_subscriptions";

fn path(room: &Room, thread: &str) -> String {
    format!("unstable/io.element.msc4306/rooms/{}/thread/{thread}/subscription", room.id())
}

impl Person<'_> {
    async fn reply_in(&self, room: &Room, thread: &str) -> String {
        let relation = json!({"rel_type": "m.thread", "event_id": thread});
        let content = json!({"msgtype": "m.text", "body": "re", "m.relates_to": relation});
        self.send(room, "m.room.message", &content).await
    }

    async fn follow(&self, room: &Room, thread: &str, body: Value) -> (StatusCode, Value) {
        self.ask(Method::PUT, &path(room, thread), Some(&body)).await
    }

    /// What sliding sync tells of threads, and its position.
    async fn threads(&self, pos: Option<&str>, limit: usize) -> (Value, String) {
        let query = pos.map(|pos| format!("?pos={pos}")).unwrap_or_default();
        let mut extensions = serde_json::Map::new();
        extensions.insert(EXTENSION.to_owned(), json!({"enabled": true, "limit": limit}));
        let body = json!({ "extensions": extensions });
        let mut answer = self.call(Method::POST, &format!("{SLIDING}{query}"), body).await;
        let pos = answer["pos"].as_str().expect("a position").to_owned();
        (answer["extensions"][EXTENSION].take(), pos)
    }
}

#[tokio::test]
async fn a_subscription_is_made_read_and_ended() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PrivateChat, None).await;
    let first = alice.say(&room, "root").await;
    let path = path(&room, &first);
    assert_eq!(alice.ask(Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
    assert_eq!(alice.follow(&room, &first, json!({})).await.0, StatusCode::OK);
    assert_eq!(alice.get(&path).await, json!({"automatic": false}));
    let reply = alice.reply_in(&room, &first).await;
    let by_itself = json!({ "automatic": reply });
    assert_eq!(alice.follow(&room, &first, by_itself.clone()).await.0, StatusCode::OK);
    assert_eq!(alice.get(&path).await, json!({"automatic": false}), "her own choice stays");
    assert_eq!(alice.ask(Method::DELETE, &path, None).await.0, StatusCode::OK);
    assert_eq!(alice.ask(Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);

    let (status, answer) = alice.follow(&room, &first, by_itself).await;
    let conflict = json!("IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION");
    assert_eq!((status, &answer["errcode"]), (StatusCode::CONFLICT, &conflict));
    let newer = alice.reply_in(&room, &first).await;
    assert_eq!(alice.follow(&room, &first, json!({ "automatic": newer })).await.0, StatusCode::OK);
    assert_eq!(alice.get(&path).await, json!({"automatic": true}));

    let elsewhere = alice.say(&room, "not in the thread").await;
    let (status, answer) = alice.follow(&room, &first, json!({ "automatic": elsewhere })).await;
    let not_in = json!("IO.ELEMENT.MSC4306.M_NOT_IN_THREAD");
    assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &not_in));
    for (who, thread) in [(&bob, first.as_str()), (&alice, "$unknown")] {
        let (status, answer) = who.follow(&room, thread, json!({})).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::NOT_FOUND, &json!("M_NOT_FOUND")));
    }
}

#[tokio::test]
async fn what_changed_is_told_and_the_rest_can_be_gone_back_to() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PrivateChat, None).await;
    let id = room.id().as_str();
    let mut roots = Vec::new();
    for n in 0..5 {
        let first = alice.say(&room, &n.to_string()).await;
        alice.follow(&room, &first, json!({})).await;
        roots.push(first);
    }
    let (told, pos) = alice.threads(None, 2).await;
    let of = |told: &Value, key: &str| -> Vec<String> {
        let threads = told[key][id].as_object();
        let mut roots: Vec<String> =
            threads.map(|threads| threads.keys().cloned().collect()).unwrap_or_default();
        roots.sort();
        roots
    };
    let sorted = |roots: &[String]| {
        let mut roots = roots.to_vec();
        roots.sort();
        roots
    };
    assert_eq!(of(&told, "subscribed"), sorted(&roots[3..]));
    let from = told["prev_batch"].as_str().expect("more");
    let list = "unstable/io.element.msc4308/thread_subscriptions";
    let page = alice.get(&format!("{list}?dir=b&limit=2&from={from}")).await;
    assert_eq!(of(&page, "subscribed"), sorted(&roots[1..3]));
    let end = page["end"].as_str().expect("more");
    let page = alice.get(&format!("{list}?dir=b&limit=2&from={end}")).await;
    assert_eq!(of(&page, "subscribed"), roots[..1]);
    assert_eq!(page.get("end"), None);
    let page = alice.get(&format!("{list}?dir=b&to={pos}")).await;
    assert_eq!(page, json!({}), "nothing after what sync told");

    let (told, pos) = alice.threads(Some(&pos), 2).await;
    assert_eq!(told, Value::Null);
    alice.ask(Method::DELETE, &path(&room, &roots[0]), None).await;
    let (told, pos) = alice.threads(Some(&pos), 2).await;
    assert_eq!(of(&told, "unsubscribed"), roots[..1]);
    assert!(told["unsubscribed"][id][&roots[0]]["bump_stamp"].is_i64());
    assert_eq!(alice.threads(Some(&pos), 2).await.0, Value::Null);

    for query in ["dir=f", "dir=b&limit=0", "dir=b&from=x", "dir=b&to=x"] {
        let (status, _) = alice.ask(Method::GET, &format!("{list}?{query}"), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}
