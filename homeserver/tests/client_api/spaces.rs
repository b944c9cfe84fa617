//! Spaces, from outside.

use http::Method;
use serde_json::{Value, json};

use super::support::{TestServer, User};

async fn space(user: &User<'_>, name: &str, more: Value) -> String {
    let mut body =
        json!({ "preset": "public_chat", "name": name, "creation_content": { "type": "m.space" } });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    user.create_room(body).await
}

async fn child(user: &User<'_>, space: &str, room: &str, content: Value) {
    user.must(Method::PUT, &format!("v3/rooms/{space}/state/m.space.child/{room}"), content).await;
}

fn via() -> Value {
    json!({ "via": ["hs.test"] })
}

async fn names(user: &User<'_>, space: &str, query: &str) -> Vec<String> {
    let path = format!("v1/rooms/{space}/hierarchy?{query}");
    let answer = user.must(Method::GET, &path, Value::Null).await;
    let name = |room: &Value| room["name"].as_str().unwrap().to_owned();
    answer["rooms"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn a_space_is_walked_in_order_to_a_depth_and_in_pages() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let root = space(&alice, "root", json!({})).await;
    let below = space(&alice, "below", json!({})).await;
    let mut rooms = Vec::new();
    for name in ["one", "two", "three"] {
        rooms.push(alice.create_room(json!({ "preset": "public_chat", "name": name })).await);
    }
    child(&alice, &root, &rooms[0], json!({ "via": ["hs.test"], "order": "z" })).await;
    child(&alice, &root, &below, json!({ "via": ["hs.test"], "order": "b" })).await;
    child(&alice, &root, &rooms[2], json!({ "via": ["hs.test"], "order": "a", "suggested": true }))
        .await;
    child(&alice, &below, &rooms[1], via()).await;
    // Back up: a loop.
    child(&alice, &below, &root, via()).await;
    // Not children: no servers, and a room that isn't known here.
    child(&alice, &root, "!gone:hs.test", json!({})).await;
    child(&alice, &root, "!elsewhere:other.test", via()).await;
    // Of a room that is no space, nothing counts.
    child(&alice, &rooms[0], &rooms[1], via()).await;

    let all = ["root", "three", "below", "two", "one"];
    assert_eq!(names(&alice, &root, "").await, all);
    assert_eq!(names(&alice, &root, "max_depth=1").await, ["root", "three", "below", "one"]);
    assert_eq!(names(&alice, &root, "max_depth=0").await, ["root"]);
    assert_eq!(names(&alice, &root, "suggested_only=true").await, ["root", "three"]);

    let (mut met, mut from) = (Vec::new(), String::new());
    loop {
        let path = format!("v1/rooms/{root}/hierarchy?limit=2{from}");
        let page = alice.must(Method::GET, &path, Value::Null).await;
        met.extend(page["rooms"].as_array().unwrap().iter().map(|room| room["name"].clone()));
        let Some(next) = page["next_batch"].as_str() else { break };
        // Asked again, the same page comes.
        let again = format!("v1/rooms/{root}/hierarchy?limit=2&from={next}");
        let one = alice.must(Method::GET, &again, Value::Null).await;
        assert_eq!(alice.must(Method::GET, &again, Value::Null).await["rooms"], one["rooms"]);
        from = format!("&from={next}");
    }
    assert_eq!(met, all);

    let answer = alice.must(Method::GET, &format!("v1/rooms/{root}/hierarchy"), Value::Null).await;
    let children = answer["rooms"][0]["children_state"].as_array().unwrap();
    let keys: Vec<_> = children.iter().map(|event| event["state_key"].as_str().unwrap()).collect();
    assert_eq!(keys, [&*rooms[2], &*below, &*rooms[0], "!elsewhere:other.test"]);
    assert_eq!(children[0]["type"], "m.space.child");
    assert!(children[0]["origin_server_ts"].is_i64() && children[0]["sender"] == alice.id);
    assert_eq!(answer["rooms"][0]["room_type"], "m.space");
    assert_eq!(answer["rooms"][0]["room_version"], "12");
    assert_eq!(answer["rooms"][4]["children_state"], json!([]));
}

#[tokio::test]
async fn each_user_is_shown_what_is_for_them() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let space_id = space(&alice, "root", json!({})).await;
    let club = alice.create_room(json!({ "name": "club" })).await;
    let rule = |content: Value| json!([{ "type": "m.room.join_rules", "content": content }]);
    let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
    let kinds = [
        ("private", json!([])),
        ("knock", rule(json!({ "join_rule": "knock" }))),
        ("restricted", rule(json!({ "join_rule": "restricted", "allow": allow }))),
        (
            "readable",
            json!([{ "type": "m.room.history_visibility", "content": { "history_visibility": "world_readable" } }]),
        ),
    ];
    let mut rooms = std::collections::BTreeMap::new();
    for (order, (name, state)) in kinds.into_iter().enumerate() {
        let room = alice.create_room(json!({ "name": name, "initial_state": state })).await;
        child(&alice, &space_id, &room, json!({ "via": ["hs.test"], "order": order.to_string() }))
            .await;
        rooms.insert(name, room);
    }
    assert_eq!(
        names(&alice, &space_id, "").await,
        ["root", "private", "knock", "restricted", "readable"]
    );
    assert_eq!(names(&bob, &space_id, "").await, ["root", "knock", "readable"]);
    let summary = format!("v1/room_summary/{}", rooms["restricted"]);
    assert_eq!(bob.refused(Method::GET, &summary, Value::Null).await.0, 404);

    // Through the room whose members it lets in, and by an invite.
    for room in [&club, &rooms["private"]] {
        let invite = format!("v3/rooms/{room}/invite");
        alice.must(Method::POST, &invite, json!({ "user_id": bob.id })).await;
    }
    bob.must(Method::POST, &format!("v3/join/{club}"), json!({})).await;
    assert_eq!(
        names(&bob, &space_id, "").await,
        ["root", "private", "knock", "restricted", "readable"]
    );
    let shown = bob.must(Method::GET, &summary, Value::Null).await;
    assert_eq!(shown["allowed_room_ids"], json!([club]));

    // A ban closes a room that is open to others.
    let ban = format!("v3/rooms/{}/ban", rooms["knock"]);
    alice.must(Method::POST, &ban, json!({ "user_id": bob.id })).await;
    assert_eq!(names(&bob, &space_id, "").await, ["root", "private", "restricted", "readable"]);
}

#[tokio::test]
async fn bad_walks_are_refused() {
    let server = TestServer::start().await;
    let alice = server.register("alice").await;
    let bob = server.register("bob").await;
    let space_id = space(&alice, "root", json!({})).await;
    let hidden = alice.create_room(json!({})).await;
    for name in ["one", "two"] {
        let room = alice.create_room(json!({ "preset": "public_chat", "name": name })).await;
        child(&alice, &space_id, &room, via()).await;
    }
    let at = |room: &str, query: &str| format!("v1/rooms/{room}/hierarchy?{query}");
    let forbidden = (403, "M_FORBIDDEN".to_owned());
    let invalid = (400, "M_INVALID_PARAM".to_owned());
    for room in [&*hidden, "!none:hs.test"] {
        assert_eq!(bob.refused(Method::GET, &at(room, ""), Value::Null).await, forbidden);
    }
    for query in ["limit=0", "limit=-1", "limit=x", "max_depth=-1", "suggested_only=x", "from=x"] {
        let refused = alice.refused(Method::GET, &at(&space_id, query), Value::Null).await;
        assert_eq!(refused, invalid, "{query}");
    }
    let first = alice.must(Method::GET, &at(&space_id, "limit=1"), Value::Null).await;
    let next = first["next_batch"].as_str().unwrap();
    for more in ["max_depth=1", "suggested_only=true"] {
        let query = format!("from={next}&{more}");
        assert_eq!(alice.refused(Method::GET, &at(&space_id, &query), Value::Null).await, invalid);
    }
    let from = at(&space_id, &format!("from={next}"));
    assert_eq!(bob.refused(Method::GET, &from, Value::Null).await, invalid);
    alice.must(Method::GET, &from, Value::Null).await;
}
