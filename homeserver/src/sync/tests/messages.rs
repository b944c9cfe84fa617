//! `/messages`, `/context`, `/event`: paging, and who may see what.

use http::{Method, StatusCode};
use serde_json::json;

use super::rig::{Rig, bodies, ids};
use crate::room::Preset;

#[tokio::test]
async fn pages_neither_skip_nor_repeat() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let mut sent = Vec::new();
    for n in 0..150 {
        sent.push(alice.say(&room, &n.to_string()).await);
    }
    let filter: String =
        url::form_urlencoded::byte_serialize(br#"{"types":["m.room.message"]}"#).collect();
    for limit in [1, 7, 50, 149, 150, 1000] {
        for dir in ["b", "f"] {
            let (mut all, mut from) = (Vec::new(), String::new());
            loop {
                let path = format!(
                    "v3/rooms/{}/messages?dir={dir}&limit={limit}&filter={filter}{from}",
                    room.id()
                );
                let page = alice.get(&path).await;
                assert!(ids(&page["chunk"]).len() <= limit);
                all.extend(ids(&page["chunk"]).into_iter().map(str::to_owned));
                match page["end"].as_str() {
                    Some(end) => from = format!("&from={end}"),
                    None => break,
                }
            }
            if dir == "b" {
                all.reverse();
            }
            assert_eq!(all, sent, "dir={dir} limit={limit}");
        }
    }
}

#[tokio::test]
async fn whoever_left_reads_up_to_his_leaving() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    alice.say(&room, "before he came").await;
    bob.join(&room).await;
    let seen = alice.say(&room, "while he was there").await;
    let leave = bob.leave(&room).await;
    let (_, token) = bob.sync(None, json!({})).await;
    let unseen = alice.say(&room, "after he left").await;
    let page = bob.get(&format!("v3/rooms/{}/messages?dir=b&limit=2", room.id())).await;
    assert_eq!(ids(&page["chunk"]), [leave.as_str(), seen.as_str()]);
    let all = bob.get(&format!("v3/rooms/{}/messages?dir=b&limit=100", room.id())).await;
    assert_eq!(bodies(&all["chunk"]), ["while he was there"]);
    let page =
        bob.get(&format!("v3/rooms/{}/messages?dir=f&limit=100&from={token}", room.id())).await;
    assert!(ids(&page["chunk"]).is_empty());
    let path = |id: &str| format!("v3/rooms/{}/event/{id}", room.id());
    assert_eq!(bob.ask(Method::GET, &path(&seen), None).await.0, StatusCode::OK);
    assert_eq!(bob.ask(Method::GET, &path(&unseen), None).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn visibility_counts_as_it_was_at_each_event() {
    let rig = Rig::new().await;
    let (alice, bob, carol) =
        (rig.person("alice").await, rig.person("bob").await, rig.person("carol").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    let visibility = |value: &str| json!({ "history_visibility": value });
    alice.say(&room, "joined").await;
    alice.set(&room, "m.room.history_visibility", "", &visibility("shared")).await;
    alice.say(&room, "shared").await;
    alice.set(&room, "m.room.history_visibility", "", &visibility("invited")).await;
    alice.say(&room, "invited 1").await;
    alice.member(&room, &bob.id, "invite").await;
    alice.say(&room, "invited 2").await;
    alice.set(&room, "m.room.history_visibility", "", &visibility("world_readable")).await;
    alice.say(&room, "world").await;
    let path = format!("v3/rooms/{}/messages?dir=f&limit=100", room.id());
    assert_eq!(bodies(&carol.get(&path).await["chunk"]), ["world"]);
    bob.join(&room).await;
    let page = bob.get(&path).await;
    assert_eq!(bodies(&page["chunk"]), ["shared", "invited 2", "world"]);
    let membership = |body: &str| {
        let chunk = page["chunk"].as_array().expect("events");
        chunk.iter().find(|event| event["content"]["body"] == body).expect("told")["unsigned"]["membership"].clone()
    };
    assert_eq!((membership("shared"), membership("world")), (json!("leave"), json!("invite")));
}

#[tokio::test]
async fn strangers_are_refused() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let id = alice.say(&room, "private").await;
    for room in [room.id().as_str(), "!nowhere:h"] {
        for path in ["messages?dir=b", "members", "joined_members", "threads"] {
            let version = if path == "threads" { "v1" } else { "v3" };
            let (status, answer) =
                bob.ask(Method::GET, &format!("{version}/rooms/{room}/{path}"), None).await;
            assert_eq!(
                (status, &answer["errcode"]),
                (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")),
                "{path}"
            );
        }
        let (status, _) = bob.ask(Method::GET, &format!("v3/rooms/{room}/event/{id}"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
    }
    for path in ["messages?dir=x", "messages", "messages?dir=b&from=rubbish"] {
        let (status, _) =
            alice.ask(Method::GET, &format!("v3/rooms/{}/{path}", room.id()), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn the_context_of_an_event_lies_on_both_sides_of_it() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let mut sent = Vec::new();
    for n in 0..9 {
        sent.push(alice.say(&room, &n.to_string()).await);
    }
    let answer = alice.get(&format!("v3/rooms/{}/context/{}?limit=4", room.id(), sent[4])).await;
    assert_eq!(answer["event"]["event_id"], json!(sent[4]));
    assert_eq!(bodies(&answer["events_before"]), ["3", "2"]);
    assert_eq!(bodies(&answer["events_after"]), ["5", "6"]);
    assert!(!answer["state"].as_array().expect("state").is_empty());
    let page = |dir: &str, key: &str| {
        format!(
            "v3/rooms/{}/messages?dir={dir}&limit=1&from={}",
            room.id(),
            answer[key].as_str().expect("a token")
        )
    };
    assert_eq!(bodies(&alice.get(&page("b", "start")).await["chunk"]), ["1"]);
    assert_eq!(bodies(&alice.get(&page("f", "end")).await["chunk"]), ["7"]);
}

#[tokio::test]
async fn an_event_is_found_by_its_time() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let id = alice.say(&room, "now").await;
    let event = alice.get(&format!("v3/rooms/{}/event/{id}", room.id())).await;
    let ts = event["origin_server_ts"].as_i64().expect("a time");
    let near =
        |ts: i64, dir: &str| format!("v1/rooms/{}/timestamp_to_event?ts={ts}&dir={dir}", room.id());
    let found = alice.get(&near(ts + 1000, "b")).await;
    assert_eq!(found, json!({"event_id": id, "origin_server_ts": ts}));
    let first = alice.get(&near(0, "f")).await;
    assert_ne!(first["event_id"], json!(id));
    assert_eq!(alice.ask(Method::GET, &near(ts + 1000, "f"), None).await.0, StatusCode::NOT_FOUND);
}
