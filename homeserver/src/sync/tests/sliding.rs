//! Sliding sync: what is told when, and how much of it.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig, bodies, ids, keys};
use crate::room::Preset;

const PATH: &str = "unstable/org.matrix.simplified_msc3575/sync";

impl Person<'_> {
    /// A request that waits for nothing; the answer and its position.
    pub(super) async fn slide(&self, pos: Option<&str>, body: Value) -> (Value, String) {
        let query = pos.map(|pos| format!("?pos={pos}")).unwrap_or_default();
        let answer = self.call(Method::POST, &format!("{PATH}{query}"), body).await;
        let pos = answer["pos"].as_str().expect("a position").to_owned();
        (answer, pos)
    }
}

fn window(from: usize, to: usize) -> Value {
    json!({"lists": {"all": {
        "ranges": [[from, to]],
        "required_state": [["m.room.create", ""], ["m.room.member", "$LAZY"]],
        "timeline_limit": 5,
    }}})
}

#[tokio::test]
async fn a_window_shows_the_newest_rooms_and_goes_on_where_it_was() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(alice.room(Preset::PublicChat, None).await);
    }
    alice.say(&rooms[1], "one").await;
    let (answer, pos) = alice.slide(None, window(0, 1)).await;
    assert_eq!(answer["lists"]["all"]["count"], 4);
    let told = answer["rooms"].as_object().expect("rooms");
    assert_eq!(told.len(), 2);
    let room = &told[rooms[1].id().as_str()];
    assert!(told.contains_key(rooms[3].id().as_str()), "the newest of the others");
    assert_eq!(room["initial"], true);
    assert_eq!(bodies(&room["timeline"]), ["one"]);
    assert_eq!(room["limited"], true);
    assert_eq!(room["num_live"], 0);
    assert_eq!(room["joined_count"], 1);
    let mine = format!("m.room.member/{}", alice.id);
    assert_eq!(keys(&room["required_state"]), ["m.room.create/".to_owned(), mine]);

    let (answer, pos) = alice.slide(Some(&pos), window(0, 1)).await;
    assert_eq!(answer.get("rooms"), None, "{answer}");
    let id = alice.say(&rooms[1], "two").await;
    let (answer, pos) = alice.slide(Some(&pos), window(0, 1)).await;
    let room = &answer["rooms"][rooms[1].id().as_str()];
    assert_eq!(ids(&room["timeline"]), [id]);
    assert_eq!(room.get("initial"), None);
    assert_eq!(room["limited"], false);
    assert_eq!(room["num_live"], 1);
    assert_eq!(room.get("required_state"), None, "nothing of it is new: {room}");

    // A wider window brings the rest.
    let (answer, _) = alice.slide(Some(&pos), window(0, 9)).await;
    assert_eq!(answer["rooms"].as_object().expect("rooms").len(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_given_again() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let (_, first) = alice.slide(None, window(0, 9)).await;
    let one = alice.say(&room, "one").await;
    let other = alice.room(Preset::PublicChat, None).await;
    let (lost, _) = alice.slide(Some(&first), window(0, 9)).await;
    assert_eq!(ids(&lost["rooms"][room.id().as_str()]["timeline"]), [one.as_str()]);
    let two = alice.say(&room, "two").await;
    let (again, second) = alice.slide(Some(&first), window(0, 9)).await;
    assert_eq!(ids(&again["rooms"][room.id().as_str()]["timeline"]), [one, two]);
    assert_eq!(again["rooms"][other.id().as_str()]["initial"], true);
    let (answer, _) = alice.slide(Some(&second), window(0, 9)).await;
    assert_eq!(answer.get("rooms"), None, "{answer}");
}

#[tokio::test]
async fn a_room_that_left_the_window_comes_back_where_it_was() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let (old, new) =
        (alice.room(Preset::PublicChat, None).await, alice.room(Preset::PublicChat, None).await);
    alice.say(&old, "first").await;
    let (answer, pos) = alice.slide(None, window(0, 0)).await;
    assert!(answer["rooms"].get(old.id().as_str()).is_some());
    alice.say(&new, "up").await;
    let (answer, pos) = alice.slide(Some(&pos), window(0, 0)).await;
    assert!(answer["rooms"].get(old.id().as_str()).is_none());
    // State moves no room up.
    let topic = alice.set(&old, "m.room.topic", "", &json!({"topic": "t"})).await;
    let (answer, pos) = alice.slide(Some(&pos), window(0, 0)).await;
    assert_eq!(answer.get("rooms"), None);
    let said = alice.say(&old, "back").await;
    let (answer, _) = alice.slide(Some(&pos), window(0, 0)).await;
    let room = &answer["rooms"][old.id().as_str()];
    assert_eq!(ids(&room["timeline"]), [topic, said]);
    assert_eq!(room.get("initial"), None);
    assert_eq!(room["limited"], false);
}

#[tokio::test]
async fn a_connection_outlives_a_restart_and_unknown_positions_are_refused() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let (_, pos) = alice.slide(None, window(0, 9)).await;
    let said = alice.say(&room, "one").await;
    let (id, alice) = (room.id().to_owned(), alice.keep());
    drop(room);

    let rig = rig.restart().await;
    let alice = rig.again(alice);
    let (answer, _) = alice.slide(Some(&pos), window(0, 9)).await;
    assert_eq!(ids(&answer["rooms"][id.as_str()]["timeline"]), [said]);
    assert_eq!(answer["rooms"][id.as_str()].get("initial"), None);

    let elsewhere = json!({"conn_id": "other", "lists": {}});
    for (pos, body) in [(pos.as_str(), elsewhere), ("rubbish", window(0, 1))] {
        let (status, answer) =
            alice.ask(Method::POST, &format!("{PATH}?pos={pos}"), Some(&body)).await;
        assert_eq!(
            (status, &answer["errcode"]),
            (StatusCode::BAD_REQUEST, &json!("M_UNKNOWN_POS"))
        );
    }
}

#[tokio::test]
async fn what_is_not_a_request_is_refused() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let list = |list: Value| json!({ "lists": { "a": list } });
    let many: Vec<[&str; 2]> = vec![["m.room.name", ""]; 600];
    for (body, errcode) in [
        (list(json!({"ranges": [[5, 2]], "timeline_limit": 1})), "M_INVALID_PARAM"),
        (list(json!({"ranges": [[-1, 2]], "timeline_limit": 1})), "M_BAD_JSON"),
        (list(json!({"ranges": [[0, 2]]})), "M_BAD_JSON"),
        (list(json!({"timeline_limit": 1, "required_state": many})), "M_INVALID_PARAM"),
        (json!({"conn_id": "x".repeat(300)}), "M_INVALID_PARAM"),
        (json!({"extensions": {"to_device": {"enabled": true, "since": "x"}}}), "M_INVALID_PARAM"),
    ] {
        let (status, answer) = alice.ask(Method::POST, PATH, Some(&body)).await;
        assert_eq!((status, &answer["errcode"]), (StatusCode::BAD_REQUEST, &json!(errcode)));
    }
}

#[tokio::test]
async fn invitations_joining_and_leaving_are_told() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PrivateChat, None).await;
    alice.set(&room, "m.room.name", "", &json!({"name": "The room"})).await;
    alice.say(&room, "before").await;
    let name = room.id().as_str();
    let (_, pos) = bob.slide(None, window(0, 9)).await;
    alice.member(&room, &bob.id, "invite").await;
    let (answer, pos) = bob.slide(Some(&pos), window(0, 9)).await;
    let told = &answer["rooms"][name];
    assert!(keys(&told["invite_state"]).contains(&"m.room.create/".to_owned()), "{told}");
    assert!(keys(&told["invite_state"]).contains(&format!("m.room.member/{}", bob.id)));
    assert_eq!(told["name"], "The room");
    assert_eq!(told.get("timeline"), None);

    bob.join(&room).await;
    let (answer, pos) = bob.slide(Some(&pos), window(0, 9)).await;
    let told = &answer["rooms"][name];
    assert_eq!(told["initial"], true);
    assert_eq!(bodies(&told["timeline"]), ["before"]);
    assert_eq!(told["joined_count"], 2);

    alice.member(&room, &bob.id, "leave").await;
    alice.say(&room, "gone?").await;
    let (answer, pos) = bob.slide(Some(&pos), window(0, 9)).await;
    let told = &answer["rooms"][name];
    assert_eq!(told["timeline"][0]["content"]["membership"], "leave", "{told}");
    assert!(bodies(&told["timeline"]).is_empty());
    let (answer, _) = bob.slide(Some(&pos), window(0, 9)).await;
    assert_eq!(answer["lists"]["all"]["count"], 0);
    assert_eq!(answer.get("rooms"), None, "{answer}");
}

#[tokio::test]
async fn filters_choose_rooms() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let plain = alice.room(Preset::PublicChat, None).await;
    let secret = alice.room(Preset::PublicChat, None).await;
    let algorithm = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    alice.set(&secret, "m.room.encryption", "", &algorithm).await;
    let asked = bob.room(Preset::PrivateChat, None).await;
    bob.member(&asked, &alice.id, "invite").await;
    let body = json!({"creation_content": {"type": "m.space"}});
    let space = alice.call(Method::POST, "v3/createRoom", body).await;
    let space = space["room_id"].as_str().expect("an id").to_owned();
    let path = format!("v3/rooms/{space}/state/m.space.child/{}", plain.id());
    alice.call(Method::PUT, &path, json!({"via": ["h"]})).await;
    let path = format!("v3/user/{}/account_data/m.direct", alice.id);
    let mut direct = serde_json::Map::new();
    direct.insert(bob.id.to_string(), json!([secret.id()]));
    alice.call(Method::PUT, &path, Value::Object(direct)).await;
    let path = format!("v3/user/{}/rooms/{}/tags/m.favourite", alice.id, plain.id());
    alice.call(Method::PUT, &path, json!({})).await;

    let (plain, secret, asked) =
        (plain.id().to_string(), secret.id().to_string(), asked.id().to_string());
    for (filters, expected) in [
        (json!({}), vec![&plain, &secret, &asked, &space]),
        (json!({"is_encrypted": true}), vec![&secret]),
        (json!({"is_invite": true}), vec![&asked]),
        (json!({"is_invite": false, "is_encrypted": false}), vec![&plain, &space]),
        (json!({"is_dm": true}), vec![&secret]),
        (json!({"is_dm": false, "is_invite": false}), vec![&plain, &space]),
        (json!({"room_types": ["m.space"]}), vec![&space]),
        (
            json!({"room_types": [null, "m.space"], "not_room_types": ["m.space"]}),
            vec![&plain, &secret, &asked],
        ),
        (json!({"spaces": [&space]}), vec![&plain]),
        (json!({"tags": ["m.favourite"]}), vec![&plain]),
        (json!({"not_tags": ["m.favourite"], "is_invite": false}), vec![&secret, &space]),
    ] {
        let list = json!({"ranges": [[0, 9]], "timeline_limit": 0, "filters": filters});
        let (answer, _) = alice.slide(None, json!({"lists": {"a": list}})).await;
        let mut told: Vec<String> = answer["rooms"]
            .as_object()
            .map(|rooms| rooms.keys().cloned().collect())
            .unwrap_or_default();
        let mut expected: Vec<String> = expected.into_iter().cloned().collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{filters}");
        assert_eq!(answer["lists"]["a"]["count"], expected.len(), "{filters}");
    }
}

#[tokio::test]
async fn subscriptions_reach_beyond_windows_and_can_want_more() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    for n in 0..6 {
        alice.say(&room, &n.to_string()).await;
    }
    let name = room.id().as_str();
    let subscribe = |limit: usize, required: Value| {
        let mut rooms = serde_json::Map::new();
        rooms.insert(name.to_owned(), json!({"timeline_limit": limit, "required_state": required}));
        json!({ "room_subscriptions": rooms })
    };
    let (answer, pos) = alice.slide(None, subscribe(1, json!([]))).await;
    assert_eq!(bodies(&answer["rooms"][name]["timeline"]), ["5"]);
    assert_eq!(answer["rooms"][name].get("required_state"), None);
    let more = subscribe(3, json!([["m.room.create", ""], ["m.room.member", "$ME"]]));
    let (answer, pos) = alice.slide(Some(&pos), more.clone()).await;
    let told = &answer["rooms"][name];
    assert_eq!(bodies(&told["timeline"]), ["3", "4", "5"]);
    assert_eq!(told["unstable_expanded_timeline"], true);
    assert_eq!(told.get("initial"), None);
    assert_eq!(told["required_state"].as_array().expect("state").len(), 2);
    let (answer, pos) = alice.slide(Some(&pos), more).await;
    assert_eq!(answer.get("rooms"), None);
    // Less, and then as much as before, tells nothing twice.
    let (_, pos) = alice.slide(Some(&pos), subscribe(1, json!([]))).await;
    let (answer, _) = alice.slide(Some(&pos), subscribe(3, json!([]))).await;
    assert_eq!(answer.get("rooms"), None, "{answer}");

    let stranger = rig.person("stranger").await;
    let (answer, _) = stranger.slide(None, subscribe(3, json!([]))).await;
    assert_eq!(answer.get("rooms"), None, "a room that is not hers: {answer}");
}

#[tokio::test]
async fn extensions_tell_what_is_new() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let said = alice.say(&room, "one").await;
    let name = room.id().as_str();
    let mut body = window(0, 9);
    let on = json!({"enabled": true});
    body["extensions"] = json!({
        "account_data": on, "receipts": on, "typing": on, "e2ee": on, "to_device": on,
    });
    let (answer, pos) = alice.slide(None, body.clone()).await;
    let told = &answer["extensions"];
    assert_eq!(told["account_data"]["global"][0]["type"], "m.push_rules");
    assert!(told["e2ee"]["device_one_time_keys_count"].is_object());
    assert!(told["to_device"]["next_batch"].is_string());

    let path = format!("v3/user/{}/rooms/{name}/account_data/m.note", alice.id);
    alice.call(Method::PUT, &path, json!({"n": 1})).await;
    let path = format!("v3/user/{}/account_data/m.global", alice.id);
    alice.call(Method::PUT, &path, json!({"n": 2})).await;
    bob.call(Method::POST, &format!("v3/rooms/{name}/receipt/m.read/{said}"), json!({})).await;
    let path = format!("v3/rooms/{name}/typing/{}", bob.id);
    bob.call(Method::PUT, &path, json!({"typing": true, "timeout": 10000})).await;
    let carol = rig.person("carol").await;
    carol.join(&room).await;
    let (answer, pos) = alice.slide(Some(&pos), body.clone()).await;
    let told = &answer["extensions"];
    assert_eq!(told["account_data"]["global"], json!([{"type": "m.global", "content": {"n": 2}}]));
    let notes = &told["account_data"]["rooms"][name];
    assert_eq!(*notes, json!([{"type": "m.note", "content": {"n": 1}}]));
    let receipt = &told["receipts"]["rooms"][name]["content"][&said]["m.read"];
    assert!(receipt[bob.id.as_str()].is_object(), "{told}");
    let typing = &told["typing"]["rooms"][name];
    assert_eq!(*typing, json!({"type": "m.typing", "content": {"user_ids": [bob.id]}}));
    let changed = told["e2ee"]["device_lists"]["changed"].as_array().expect("a list");
    assert!(changed.contains(&json!(carol.id)), "{told}");
    let (answer, _) = alice.slide(Some(&pos), body).await;
    let extensions = answer["extensions"].as_object().expect("extensions");
    let mut quiet: Vec<&String> = extensions.keys().collect();
    quiet.sort();
    assert_eq!(quiet, ["e2ee", "to_device"]);
    assert_eq!(extensions["e2ee"].get("device_lists"), None);
}

#[tokio::test]
async fn messages_to_a_device_stay_until_their_token_comes_back() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let whoami = alice.get("v3/account/whoami").await;
    let device = whoami["device_id"].as_str().expect("a device").to_owned();
    let mut to = serde_json::Map::new();
    to.insert(alice.id.to_string(), json!({ device: {"n": 1} }));
    let send = |txn: &str| format!("v3/sendToDevice/m.test/{txn}");
    alice.call(Method::PUT, &send("1"), json!({"messages": to})).await;
    let body = |since: Option<&str>| {
        json!({"conn_id": "encryption",
            "extensions": {"to_device": {"enabled": true, "since": since, "limit": 1}}})
    };
    let (answer, pos) = alice.slide(None, body(None)).await;
    let events = answer["extensions"]["to_device"]["events"].as_array().expect("events").len();
    assert_eq!(events, 1);
    let (answer, pos) = alice.slide(Some(&pos), body(None)).await;
    assert_eq!(answer["extensions"]["to_device"]["events"][0]["content"]["n"], 1);
    let since = answer["extensions"]["to_device"]["next_batch"].as_str().expect("a token");
    let (answer, pos) = alice.slide(Some(&pos), body(Some(since))).await;
    assert_eq!(answer["extensions"]["to_device"]["events"], json!([]));
    let (answer, _) = alice.slide(Some(&pos), body(None)).await;
    assert_eq!(answer["extensions"]["to_device"]["events"], json!([]), "it was acknowledged");
}

#[tokio::test]
async fn a_waiting_request_is_woken() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (_, pos) = alice.slide(None, window(0, 9)).await;
    let path = format!("{PATH}?pos={pos}&timeout=60000");
    let wait = alice.call(Method::POST, &path, window(0, 9));
    let (answer, said) = tokio::join!(wait, async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        bob.say(&room, "wake").await
    });
    assert_eq!(ids(&answer["rooms"][room.id().as_str()]["timeline"]), [said]);
    // A list that is asked otherwise is answered at once, though no room is new.
    let pos = answer["pos"].as_str().expect("a position");
    let path = format!("{PATH}?pos={pos}&timeout=60000");
    let answer = alice.call(Method::POST, &path, window(0, 99)).await;
    assert_eq!(answer["lists"]["all"]["count"], 1);
}

#[tokio::test]
async fn ignored_users_are_not_heard_and_rooms_without_names_have_heroes() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let path = format!("v3/user/{}/account_data/m.ignored_user_list", alice.id);
    let mut ignored = serde_json::Map::new();
    ignored.insert(bob.id.to_string(), json!({}));
    alice.call(Method::PUT, &path, json!({ "ignored_users": ignored })).await;
    let (answer, pos) = alice.slide(None, window(0, 9)).await;
    let told = &answer["rooms"][room.id().as_str()];
    assert_eq!(told["heroes"][0]["user_id"], json!(bob.id));
    bob.say(&room, "hey").await;
    let other = bob.room(Preset::PrivateChat, None).await;
    bob.member(&other, &alice.id, "invite").await;
    let (answer, _) = alice.slide(Some(&pos), window(0, 9)).await;
    assert_eq!(answer.get("rooms"), None, "{answer}");
    assert_eq!(answer["lists"]["all"]["count"], 1);
}

#[tokio::test]
async fn the_order_of_rooms_outlives_a_restart() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..4 {
        rooms.push(alice.room(Preset::PublicChat, None).await);
    }
    let algorithm = json!({"algorithm": "m.megolm.v1.aes-sha2"});
    alice.set(&rooms[2], "m.room.encryption", "", &algorithm).await;
    alice.say(&rooms[0], "up").await;
    alice.set(&rooms[1], "m.room.topic", "", &json!({"topic": "t"})).await;
    let ids: Vec<String> = rooms.iter().map(|room| room.id().to_string()).collect();
    let alice = alice.keep();
    drop(rooms);

    let rig = rig.restart().await;
    let alice = rig.again(alice);
    let shown = async |list: Value| -> Vec<String> {
        let (answer, _) = alice.slide(None, json!({"lists": {"a": list}})).await;
        answer["rooms"].as_object().map(|rooms| rooms.keys().cloned().collect()).unwrap_or_default()
    };
    assert_eq!(shown(json!({"ranges": [[0, 0]], "timeline_limit": 0})).await, [ids[0].as_str()]);
    assert_eq!(shown(json!({"ranges": [[1, 1]], "timeline_limit": 0})).await, [ids[3].as_str()]);
    let filters = json!({"is_encrypted": true});
    let list = json!({"ranges": [[0, 9]], "timeline_limit": 0, "filters": filters});
    assert_eq!(shown(list).await, [ids[2].as_str()]);
    let filters = json!({"room_types": ["m.space"]});
    let list = json!({"ranges": [[0, 9]], "timeline_limit": 0, "filters": filters});
    assert_eq!(shown(list).await, Vec::<String>::new());
}
