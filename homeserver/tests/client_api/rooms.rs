//! Rooms, from outside.

use http::Method;
use serde_json::{Value, json};

use super::support::TestServer;

#[tokio::test]
async fn membership_follows_the_rules() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({})).await;
    let join = format!("v3/join/{room}");
    let at = |what: &str| format!("v3/rooms/{room}/{what}");
    let bob_is = json!({ "user_id": bob.id });
    assert_eq!(bob.refused(Method::POST, &join, json!({})).await, (403, "M_FORBIDDEN".to_owned()));
    assert_eq!(alice.refused(Method::POST, &at("kick"), bob_is.clone()).await.0, 403);
    alice.must(Method::POST, &at("invite"), bob_is.clone()).await;
    bob.must(Method::POST, &join, json!({})).await;
    assert_eq!(
        bob.must(Method::GET, "v3/joined_rooms", Value::Null).await["joined_rooms"],
        json!([room])
    );
    assert_eq!(bob.refused(Method::POST, &at("forget"), json!({})).await.0, 400);
    alice.must(Method::POST, &at("kick"), json!({ "user_id": bob.id, "reason": "noise" })).await;
    let path = at(&format!("state/m.room.member/{}", bob.id));
    let kicked = alice.must(Method::GET, &path, Value::Null).await;
    assert_eq!((&kicked["membership"], &kicked["reason"]), (&json!("leave"), &json!("noise")));
    alice.must(Method::POST, &at("invite"), bob_is.clone()).await;
    bob.must(Method::POST, &join, json!({})).await;
    alice.must(Method::POST, &at("ban"), bob_is.clone()).await;
    assert_eq!(bob.refused(Method::POST, &join, json!({})).await.0, 403);
    assert_eq!(alice.refused(Method::POST, &at("kick"), bob_is.clone()).await.0, 403);
    alice.must(Method::POST, &at("unban"), bob_is.clone()).await;
    assert_eq!(alice.refused(Method::POST, &at("unban"), bob_is).await.0, 403);
    bob.must(Method::POST, &at("forget"), json!({})).await;
}

#[tokio::test]
async fn tags_are_ordered_by_numbers() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({})).await;
    let tags = format!("v3/user/{}/rooms/{room}/tags", alice.id);
    let tag = format!("{tags}/u.work");
    for (order, kept) in
        [(json!(0.5), json!(0.5)), (json!(1), json!(1)), (json!("0.25"), json!(0.25))]
    {
        alice.must(Method::PUT, &tag, json!({ "order": order, "org.example.more": [1] })).await;
        let expected = json!({ "tags": { "u.work": { "order": kept, "org.example.more": [1] } } });
        assert_eq!(alice.must(Method::GET, &tags, Value::Null).await, expected);
    }
    for order in [json!({ "a": 1 }), json!("first"), json!("inf"), json!(null), json!([])] {
        let refused = alice.refused(Method::PUT, &tag, json!({ "order": order })).await;
        assert_eq!(refused, (400, "M_BAD_JSON".to_owned()), "{order}");
    }
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    assert_eq!(bob.refused(Method::PUT, &tag, json!({})).await, forbidden);
    assert_eq!(bob.refused(Method::GET, &tags, Value::Null).await, forbidden);
    assert_eq!(bob.refused(Method::DELETE, &tag, Value::Null).await, forbidden);
    alice.must(Method::DELETE, &tag, Value::Null).await;
    assert_eq!(alice.must(Method::GET, &tags, Value::Null).await, json!({ "tags": {} }));
}

#[tokio::test]
async fn who_left_reads_the_state_of_that_time() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let eve = server.register("eve").await;
    let room = alice.create_room(json!({ "preset": "public_chat", "topic": "before" })).await;
    let topic = format!("v3/rooms/{room}/state/m.room.topic");
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    bob.must(Method::POST, &format!("v3/rooms/{room}/leave"), json!({})).await;
    alice.must(Method::PUT, &topic, json!({ "topic": "after" })).await;
    assert_eq!(bob.must(Method::GET, &topic, Value::Null).await["topic"], "before");
    assert_eq!(alice.must(Method::GET, &topic, Value::Null).await["topic"], "after");
    assert_eq!(
        eve.refused(Method::GET, &topic, Value::Null).await,
        (403, "M_FORBIDDEN".to_owned())
    );
}

#[tokio::test]
async fn aliases_lead_to_rooms_and_canonical_ones_must() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room =
        alice.create_room(json!({ "preset": "public_chat", "room_alias_name": "attic" })).await;
    let alias = "v3/directory/room/%23attic:hs.test";
    assert_eq!(bob.must(Method::GET, alias, Value::Null).await["room_id"], json!(room));
    let taken = json!({ "room_alias_name": "attic" });
    assert_eq!(
        bob.refused(Method::POST, "v3/createRoom", taken).await,
        (400, "M_ROOM_IN_USE".to_owned())
    );
    assert_eq!(bob.refused(Method::PUT, alias, json!({ "room_id": room })).await.0, 403);
    bob.must(Method::POST, "v3/join/%23attic:hs.test", json!({})).await;
    assert_eq!(bob.refused(Method::DELETE, alias, Value::Null).await.0, 403);
    let canonical = format!("v3/rooms/{room}/state/m.room.canonical_alias");
    let wrong = json!({ "alias": "#cellar:hs.test" });
    assert_eq!(
        alice.refused(Method::PUT, &canonical, wrong).await,
        (400, "M_BAD_ALIAS".to_owned())
    );
    alice.must(Method::DELETE, alias, Value::Null).await;
    assert_eq!(alice.must(Method::GET, &canonical, Value::Null).await, json!({}));
}

#[tokio::test]
async fn the_public_list_is_paged_without_gaps() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let mut rooms = Vec::new();
    for name in ["one", "two", "three", "four", "five"] {
        rooms.push(alice.create_room(json!({ "visibility": "public", "name": name })).await);
    }
    let (mut seen, mut since) = (Vec::new(), String::new());
    loop {
        let page = alice
            .must(Method::GET, &format!("v3/publicRooms?limit=2&since={since}"), Value::Null)
            .await;
        assert_eq!(page["total_room_count_estimate"], 5);
        seen.extend(
            page["chunk"]
                .as_array()
                .unwrap()
                .iter()
                .map(|room| room["room_id"].as_str().unwrap().to_owned()),
        );
        match page["next_batch"].as_str() {
            Some(next) => since = next.replace('!', "%21"),
            None => break,
        }
    }
    seen.sort();
    rooms.sort();
    assert_eq!(seen, rooms);
    let filter = json!({ "filter": { "generic_search_term": "THREE" } });
    let found = alice.must(Method::POST, "v3/publicRooms", filter).await;
    assert_eq!(found["chunk"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_is_sent_once_however_often_it_is_asked_for() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({})).await;
    let send = format!("v3/rooms/{room}/send/m.room.message/t1");
    let body = json!({ "msgtype": "m.text", "body": "hello" });
    let first = alice.must(Method::PUT, &send, body.clone()).await;
    assert_eq!(alice.must(Method::PUT, &send, body.clone()).await, first);
    let server_time = format!("{send}x?ts=5");
    let event =
        alice.must(Method::PUT, &server_time, body).await["event_id"].as_str().unwrap().to_owned();
    let event =
        alice.must(Method::GET, &format!("v3/rooms/{room}/event/{event}"), Value::Null).await;
    assert_ne!(
        event["origin_server_ts"], 5,
        "only application services say when something was sent"
    );
}

#[tokio::test]
async fn an_upgraded_room_takes_its_state_aliases_and_settings_along() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let create = json!({ "preset": "public_chat", "room_version": "10", "name": "Attic", "room_alias_name": "attic" });
    let old = alice.create_room(create).await;
    bob.must(Method::POST, &format!("v3/join/{old}"), json!({})).await;
    let tag = format!("v3/user/{}/rooms/{old}/tags/m.favourite", bob.id);
    bob.must(Method::PUT, &tag, json!({ "order": 0.5 })).await;
    let upgrade = format!("v3/rooms/{old}/upgrade");
    assert_eq!(bob.refused(Method::POST, &upgrade, json!({ "new_version": "12" })).await.0, 403);
    let answer = alice.must(Method::POST, &upgrade, json!({ "new_version": "12" })).await;
    let new = answer["replacement_room"].as_str().unwrap();
    let state = |room: &str, kind: &str| format!("v3/rooms/{room}/state/{kind}");
    let tombstone = alice.must(Method::GET, &state(&old, "m.room.tombstone"), Value::Null).await;
    assert_eq!(tombstone["replacement_room"], new);
    let created = alice.must(Method::GET, &state(new, "m.room.create"), Value::Null).await;
    assert_eq!(created["predecessor"]["room_id"], json!(old));
    assert_eq!(
        alice.must(Method::GET, &state(new, "m.room.name"), Value::Null).await["name"],
        "Attic"
    );
    bob.must(Method::POST, "v3/join/%23attic:hs.test", json!({})).await;
    let tags =
        bob.must(Method::GET, &format!("v3/user/{}/rooms/{new}/tags", bob.id), Value::Null).await;
    assert_eq!(tags["tags"]["m.favourite"]["order"], 0.5);
}

#[tokio::test]
async fn aliases_and_listing_are_shown_to_whom_they_concern() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let body = json!({ "room_alias_name": "one", "visibility": "public" });
    let room = alice.create_room(body).await;
    alice.must(Method::PUT, "v3/directory/room/%23two:hs.test", json!({ "room_id": room })).await;
    let path = format!("v3/rooms/{room}/aliases");
    let mut aliases = alice.must(Method::GET, &path, Value::Null).await;
    aliases["aliases"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    assert_eq!(aliases, json!({ "aliases": ["#one:hs.test", "#two:hs.test"] }));
    assert_eq!(bob.refused(Method::GET, &path, Value::Null).await, (403, "M_FORBIDDEN".to_owned()));
    let listed = format!("v3/directory/list/room/{room}");
    assert_eq!(
        bob.must(Method::GET, &listed, Value::Null).await,
        json!({ "visibility": "public" })
    );
    alice.must(Method::PUT, &listed, json!({ "visibility": "private" })).await;
    let path = format!("/_matrix/client/{listed}");
    let (_, answer) = server.request(Method::GET, &path, None, &Value::Null).await;
    assert_eq!(answer, json!({ "visibility": "private" }));
    for (method, path) in [
        (Method::GET, "v3/directory/list/room/!none:hs.test"),
        (Method::GET, "v3/rooms/!none:hs.test/aliases"),
    ] {
        let refused = bob.refused(method, path, Value::Null).await;
        assert!([403, 404].contains(&refused.0), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn whoever_knocks_waits_to_be_let_in() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let rules = json!([{ "type": "m.room.join_rules", "state_key": "", "content": { "join_rule": "knock" } }]);
    let room =
        alice.create_room(json!({ "room_alias_name": "door", "initial_state": rules })).await;
    let closed = alice.create_room(json!({})).await;
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    let knock = format!("v3/knock/{closed}");
    assert_eq!(bob.refused(Method::POST, &knock, json!({})).await, forbidden);
    let join = format!("v3/join/{room}");
    assert_eq!(bob.refused(Method::POST, &join, json!({})).await, forbidden);
    let body = json!({ "reason": "it is me" });
    let answer = bob.must(Method::POST, "v3/knock/%23door:hs.test", body).await;
    assert_eq!(answer, json!({ "room_id": room }));
    let member = format!("v3/rooms/{room}/state/m.room.member/{}", bob.id);
    let knocked = alice.must(Method::GET, &member, Value::Null).await;
    assert_eq!((&knocked["membership"], &knocked["reason"]), (&json!("knock"), &json!("it is me")));
    alice
        .must(Method::POST, &format!("v3/rooms/{room}/invite"), json!({ "user_id": bob.id }))
        .await;
    bob.must(Method::POST, &join, json!({})).await;
    let knock = format!("v3/knock/{room}");
    assert_eq!(bob.refused(Method::POST, &knock, json!({})).await, forbidden);
}

#[tokio::test]
async fn a_state_event_is_told_whole_where_that_is_asked() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let room = alice.create_room(json!({ "topic": "before" })).await;
    let topic = format!("v3/rooms/{room}/state/m.room.topic");
    let set = alice.must(Method::PUT, &topic, json!({ "topic": "after" })).await;
    let event = alice.must(Method::GET, &format!("{topic}?format=event"), Value::Null).await;
    assert_eq!(event["event_id"], set["event_id"]);
    assert_eq!(event["room_id"], json!(room));
    assert_eq!(event["unsigned"]["prev_content"]["topic"], "before");
    assert!(event["unsigned"]["replaces_state"].is_string(), "{event}");
    assert!(event["unsigned"]["age"].is_i64());
    let wrong = format!("{topic}?format=other");
    assert_eq!(alice.refused(Method::GET, &wrong, Value::Null).await.1, "M_INVALID_PARAM");
    let state = alice.must(Method::GET, &format!("v3/rooms/{room}/state"), Value::Null).await;
    let state = state.as_array().unwrap();
    assert!(state.iter().all(|event| event["unsigned"]["age"].is_i64()));
    assert!(state.iter().any(|event| event["event_id"] == set["event_id"]));
}

#[tokio::test]
async fn policy_servers_and_image_packs_are_state_like_other_state() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let room = alice.create_room(json!({ "preset": "public_chat" })).await;
    bob.must(Method::POST, &format!("v3/join/{room}"), json!({})).await;
    let policy = json!({ "via": "policy.example.org",
        "public_keys": { "ed25519": "6yhHGKhCiXTSEN2ksjV7kX_N6rBQZ3Xb-M7LlC6NS-s" } });
    let pack = json!({ "images": { "cat_wave": { "url": "mxc://hs.test/cat" } },
        "pack": { "display_name": "Cats", "usage": ["emoticon"] } });
    for (kind, content) in [("m.room.policy/", policy), ("m.room.image_pack/cats", pack)] {
        let path = format!("v3/rooms/{room}/state/{kind}");
        // Who may not set state may not set these.
        assert_eq!(bob.refused(Method::PUT, &path, content.clone()).await.0, 403);
        alice.must(Method::PUT, &path, content.clone()).await;
        assert_eq!(bob.must(Method::GET, &path, Value::Null).await, content);
    }
    // No server of that name is in the room, so it uses none, and sending asks nobody.
    let send = format!("v3/rooms/{room}/send/m.room.message/1");
    bob.must(Method::PUT, &send, json!({ "msgtype": "m.text", "body": "hello" })).await;
    let rooms = format!("v3/user/{}/account_data/m.image_pack.rooms", bob.id);
    let chosen = json!({ "rooms": { room.as_str(): { "cats": {} } } });
    bob.must(Method::PUT, &rooms, chosen.clone()).await;
    assert_eq!(bob.must(Method::GET, &rooms, Value::Null).await, chosen);
}
