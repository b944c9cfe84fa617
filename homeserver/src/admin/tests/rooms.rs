//! Rooms.

use http::StatusCode;
use serde_json::{Value, json};

use super::rig::{Rig, join, texts};

#[tokio::test]
async fn rooms_are_listed_by_anything_and_page_by_page() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let attic = rig
        .room(
            &bob,
            json!({ "name": "Attic", "preset": "public_chat", "visibility": "public",
            "room_alias_name": "loft", "room_version": "10" }),
        )
        .await;
    let cellar = rig.room(&eve, json!({ "name": "cellar", "topic": "Wine" })).await;
    let bare = rig.room(&bob, json!({ "creation_content": { "type": "m.space" } })).await;
    join(&rig, &eve, &attic).await;
    rig.client(&bob, "POST", &format!("rooms/{bare}/leave"), json!({})).await;
    let names = [(attic.as_str(), 'a'), (cellar.as_str(), 'c'), (bare.as_str(), 'b')];
    let list = async |query: &str| {
        let answer = rig.must("GET", &format!("v1/rooms{query}"), Value::Null).await;
        let ids = texts(&answer["rooms"], "room_id").into_iter();
        let short = ids.map(|id| names.iter().find(|(known, _)| *known == id).unwrap().1);
        (short.collect::<String>(), answer)
    };
    for (query, expected) in [
        ("", "bac"),
        ("?dir=b", "cab"),
        ("?order_by=joined_members", "acb"),
        ("?order_by=creator&dir=f&search_term=c", "ac"),
        ("?search_term=ATT", "a"),
        ("?search_term=loft", "a"),
        ("?search_term=Wine", ""),
        ("?public_rooms=true", "a"),
        ("?public_rooms=false", "bc"),
        ("?empty_rooms=true", "b"),
        ("?empty_rooms=false", "ac"),
    ] {
        // A bare room's ID may have a c in it, too.
        if query.contains("search_term=c") && (bare.contains('c') || !attic.contains('c')) {
            continue;
        }
        assert_eq!(list(query).await.0, expected, "{query}");
    }
    let (_, answer) = list("?limit=2&from=1").await;
    assert_eq!(
        (&answer["offset"], &answer["total_rooms"], &answer["prev_batch"], &answer["next_batch"]),
        (&json!(1), &json!(3), &json!(0), &Value::Null)
    );
    assert_eq!(list("?limit=2").await.1["next_batch"], 2);
    let (_, answer) = list("?search_term=Attic").await;
    let shown = &answer["rooms"][0];
    for (key, value) in [
        ("name", json!("Attic")),
        ("canonical_alias", json!("#loft:h")),
        ("joined_members", json!(2)),
        ("joined_local_members", json!(2)),
        ("version", json!("10")),
        ("creator", json!("@bob:h")),
        ("encryption", Value::Null),
        ("federatable", json!(true)),
        ("public", json!(true)),
        ("join_rules", json!("public")),
        ("history_visibility", json!("shared")),
        ("room_type", Value::Null),
    ] {
        assert_eq!(shown[key], value, "{key}");
    }
    // What changes is seen.
    rig.client(&bob, "PUT", &format!("rooms/{attic}/state/m.room.name"), json!({ "name": "Roof" }))
        .await;
    assert_eq!(list("?search_term=Roof").await.0, "a");
    assert_eq!(rig.refused("GET", "v1/rooms?order_by=smell", Value::Null).await.0, 400);

    let cellar = rig.must("GET", &format!("v1/rooms/{cellar}"), Value::Null).await;
    assert_eq!(
        (&cellar["topic"], &cellar["joined_local_devices"], &cellar["forgotten"]),
        (&json!("Wine"), &json!(1), &json!(false))
    );
    let bare = rig.must("GET", &format!("v1/rooms/{bare}"), Value::Null).await;
    assert_eq!(bare["room_type"], "m.space");
    assert_eq!(
        rig.refused("GET", "v1/rooms/!nowhere:h", Value::Null).await,
        (404, "M_NOT_FOUND".into())
    );
}

#[tokio::test]
async fn administrators_read_rooms_that_they_are_not_in() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let room = rig.room(&bob, json!({ "name": "Secrets" })).await;
    let mut said = Vec::new();
    for text in ["one", "two", "three"] {
        said.push(rig.say(&bob, &room, text).await);
    }
    let at =
        async |what: &str| rig.must("GET", &format!("v1/rooms/{room}/{what}"), Value::Null).await;
    assert_eq!(at("members").await, json!({ "members": ["@bob:h"], "total": 1 }));
    let state = at("state").await;
    assert!(texts(&state["state"], "type").contains(&"m.room.power_levels"));
    assert_eq!(at("state?type=m.room.name").await["state"][0]["content"]["name"], "Secrets");
    let page = at("messages?dir=b&limit=2").await;
    assert_eq!(texts(&page["chunk"], "event_id"), [&said[2], &said[1]]);
    let end = page["end"].as_str().unwrap();
    let page = at(&format!("messages?dir=b&limit=1&from={end}")).await;
    assert_eq!(texts(&page["chunk"], "event_id"), [&said[0]]);
    let page = at("messages?limit=1").await;
    assert_eq!(page["chunk"][0]["type"], "m.room.create", "forwards unless said otherwise");
    let context = at(&format!("context/{}?limit=2", said[1])).await;
    assert_eq!(context["event"]["content"]["body"], "two");
    assert_eq!(texts(&context["events_after"], "event_id"), [&said[2]]);
    let near = at("timestamp_to_event?ts=0").await;
    assert!(near["event_id"].is_string());
    let whole = rig.must("GET", &format!("v1/fetch_event/{}", said[0]), Value::Null).await;
    assert_eq!(whole["event"]["content"]["body"], "one");
    assert!(whole["event"]["prev_events"].is_array());
    let ends = at("forward_extremities").await;
    assert_eq!((&ends["count"], &ends["results"][0]["event_id"]), (&json!(1), &json!(said[2])));
    for path in ["messages?from=x", "timestamp_to_event?ts=0&dir=up", "messages?filter=x"] {
        assert_eq!(
            rig.refused("GET", &format!("v1/rooms/{room}/{path}"), Value::Null).await.0,
            400,
            "{path}"
        );
    }
    for path in ["context/$nothing", "timestamp_to_event?ts=9999999999999"] {
        assert_eq!(
            rig.refused("GET", &format!("v1/rooms/{room}/{path}"), Value::Null).await.0,
            404,
            "{path}"
        );
    }
    // The eyes of an administrator are for these paths alone.
    let boss = format!("/_matrix/client/v3/rooms/{room}/messages?dir=b");
    assert_eq!(rig.ask("GET", &boss, &rig.admin, &Value::Null).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn people_are_brought_in_and_given_power() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    for version in ["10", "12"] {
        let room = rig.room(&bob, json!({ "room_version": version })).await;
        let into = format!("v1/join/{room}");
        let body = json!({ "user_id": eve.id });
        assert_eq!(
            rig.refused("POST", &into, body.clone()).await.0,
            403,
            "the administrator is not in it"
        );
        let make = format!("v1/rooms/{room}/make_room_admin");
        rig.must("POST", &make, Value::Null).await;
        let boss = rig.must("GET", "v1/users/@boss:h/memberships", Value::Null).await;
        assert_eq!(boss["memberships"][&room], "invite");
        rig.must("POST", &into, json!({ "user_id": "@boss:h" })).await;
        assert_eq!(rig.must("POST", &into, body).await["room_id"], json!(room));
        let members = rig.must("GET", &format!("v1/rooms/{room}/members"), Value::Null).await;
        assert_eq!(members["total"], 3);
        rig.must("POST", &make, json!({ "user_id": eve.id })).await;
        rig.client(
            &eve,
            "PUT",
            &format!("rooms/{room}/state/m.room.name"),
            json!({ "name": "Hers" }),
        )
        .await;
        let levels = rig
            .client(&bob, "GET", &format!("rooms/{room}/state/m.room.power_levels"), Value::Null)
            .await;
        assert!(levels["users"]["@eve:h"].as_i64() >= Some(100), "{levels}");
    }
    let empty = rig.room(&bob, json!({})).await;
    rig.client(&bob, "POST", &format!("rooms/{empty}/leave"), json!({})).await;
    let refused =
        rig.refused("POST", &format!("v1/rooms/{empty}/make_room_admin"), json!({})).await;
    assert_eq!(refused, (400, "M_UNKNOWN".into()), "nobody is left to give power");
    let nobody = json!({ "user_id": "@nobody:h" });
    assert_eq!(rig.refused("POST", &format!("v1/join/{empty}"), nobody).await.0, 404);
}

#[tokio::test]
async fn nobody_comes_into_a_blocked_room() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "preset": "public_chat" })).await;
    let path = format!("v1/rooms/{room}/block");
    assert_eq!(rig.must("GET", &path, Value::Null).await, json!({ "block": false }));
    rig.must("PUT", &path, json!({ "block": true })).await;
    let rig = rig.restart().await;
    assert_eq!(
        rig.must("GET", &path, Value::Null).await,
        json!({ "block": true, "user_id": "@boss:h" })
    );
    let join = format!("/_matrix/client/v3/join/{room}");
    let (status, answer) = rig.ask("POST", &join, &eve.token, &json!({})).await;
    assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")));
    let invite = format!("/_matrix/client/v3/rooms/{room}/invite");
    let (status, _) = rig.ask("POST", &invite, &bob.token, &json!({ "user_id": eve.id })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    rig.say(&bob, &room, "who is inside stays").await;
    rig.must("PUT", &path, json!({ "block": false })).await;
    assert_eq!(rig.ask("POST", &join, &eve.token, &json!({})).await.0, StatusCode::OK);
    // Also before anybody here knows it.
    rig.must("PUT", "v1/rooms/!unknown:h/block", json!({ "block": true })).await;
    assert_eq!(rig.must("GET", "v1/rooms/!unknown:h/block", Value::Null).await["block"], true);
}

#[tokio::test]
async fn the_tree_of_a_space_is_shown_whoever_may_see_it() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let space =
        rig.room(&bob, json!({ "creation_content": { "type": "m.space" }, "name": "House" })).await;
    let attic = rig.room(&bob, json!({ "name": "Attic" })).await;
    for (child, order) in [(attic.as_str(), "a"), ("!elsewhere:x", "b")] {
        let path = format!("rooms/{space}/state/m.space.child/{child}");
        rig.client(&bob, "PUT", &path, json!({ "via": ["h"], "order": order })).await;
    }
    let client = format!("/_matrix/client/v1/rooms/{space}/hierarchy");
    let refused = rig.ask("GET", &client, &rig.admin, &Value::Null).await;
    assert_eq!(refused.0, StatusCode::FORBIDDEN, "the Client-Server API shows it to nobody else");
    let path = format!("v1/rooms/{space}/hierarchy");
    let tree = rig.must("GET", &path, Value::Null).await;
    assert_eq!(texts(&tree["rooms"], "name"), ["House", "Attic"]);
    assert_eq!(
        texts(&tree["rooms"][0]["children_state"], "state_key"),
        [attic.as_str(), "!elsewhere:x"]
    );
    assert_eq!(tree.get("next_batch"), None);
    let top = rig.must("GET", &format!("{path}?max_depth=0"), Value::Null).await;
    assert_eq!(texts(&top["rooms"], "name"), ["House"]);
    let first = rig.must("GET", &format!("{path}?limit=1"), Value::Null).await;
    let next = first["next_batch"].as_str().unwrap();
    let second = rig.must("GET", &format!("{path}?limit=1&from={next}"), Value::Null).await;
    assert_eq!(texts(&second["rooms"], "name"), ["Attic"]);
    for query in ["limit=0", "max_depth=-1", "from=x"] {
        let refused = rig.refused("GET", &format!("{path}?{query}"), Value::Null).await;
        assert_eq!(refused, (400, "M_INVALID_PARAM".into()), "{query}");
    }
    assert_eq!(rig.refused("GET", "v1/rooms/!no:h/hierarchy", Value::Null).await.0, 404);
    // None of the ends is ever too many.
    let ends = format!("v1/rooms/{space}/forward_extremities");
    assert_eq!(rig.must("DELETE", &ends, Value::Null).await, json!({ "deleted": 0 }));
    assert_eq!(rig.must("GET", &ends, Value::Null).await["count"], 1);
    let unknown = "v1/rooms/!no:h/forward_extremities";
    assert_eq!(rig.refused("DELETE", unknown, Value::Null).await.0, 404);
}
