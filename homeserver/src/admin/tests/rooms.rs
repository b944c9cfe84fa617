//! Rooms.

use std::time::Duration;

use http::StatusCode;
use landbridge_database::args;
use serde_json::{Value, json};

use super::rig::{Person, Rig, texts};

/// Rows of a table, for what no endpoint shows any more.
async fn count(rig: &Rig, sql: &'static str) -> i64 {
    rig.app().db.fetch_optional(sql, args![]).await.unwrap().unwrap().int(0).unwrap()
}

async fn wait_for(rig: &Rig, path: &str, status: &str) -> Value {
    let done = async {
        loop {
            let answer = rig.must("GET", path, Value::Null).await;
            if answer["status"] == status {
                break answer;
            }
            assert!(answer["status"] == "active" || answer["status"] == "scheduled", "{answer}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), done).await.expect("it ends")
}

async fn join(rig: &Rig, who: &Person, room: &str) {
    rig.client(who, "POST", &format!("join/{room}"), json!({})).await;
}

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
async fn a_deleted_room_leaves_nothing_behind() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let other = rig.room(&bob, json!({ "name": "Stays" })).await;
    let kept = rig.say(&bob, &other, "stays").await;
    // A search waits until the words of all that was said before are written.
    let search = json!({ "search_categories": { "room_events": { "search_term": "goes" } } });
    rig.client(&bob, "POST", "search", search.clone()).await;
    let (events, groups, words) = (
        count(&rig, "SELECT COUNT(*) FROM event").await,
        count(&rig, "SELECT COUNT(*) FROM state_group").await,
        count(&rig, "SELECT COUNT(*) FROM search_doc").await,
    );
    let room = rig
        .room(
            &bob,
            json!({ "preset": "public_chat", "visibility": "public", "room_alias_name": "gone" }),
        )
        .await;
    join(&rig, &eve, &room).await;
    let said = rig.say(&bob, &room, "goes").await;
    rig.client(&eve, "POST", &format!("rooms/{room}/receipt/m.read/{said}"), json!({})).await;
    rig.client(&eve, "PUT", &format!("user/@eve:h/rooms/{room}/tags/m.favourite"), json!({})).await;
    let thread = format!("rooms/{room}/thread/{said}/subscription");
    let thread = format!("/_matrix/client/unstable/io.element.msc4306/{thread}");
    assert_eq!(rig.ask("PUT", &thread, &eve.token, &json!({})).await.0, StatusCode::OK);
    let later = format!("rooms/{room}/send/m.room.message/later?org.matrix.msc4140.delay=900000");
    rig.client(&eve, "PUT", &later, json!({ "msgtype": "m.text", "body": "never" })).await;
    rig.client(&bob, "POST", "search", search).await;
    assert!(count(&rig, "SELECT COUNT(*) FROM search_doc").await > words);

    let body = json!({ "block": true });
    let id = rig.must("DELETE", &format!("v2/rooms/{room}"), body).await;
    let path = format!("v2/rooms/delete_status/{}", id["delete_id"].as_str().unwrap());
    let done = wait_for(&rig, &path, "complete").await;
    assert_eq!(done["shutdown_room"]["kicked_users"], json!(["@bob:h", "@eve:h"]));
    assert_eq!(done["shutdown_room"]["local_aliases"], json!(["#gone:h"]));
    assert_eq!(done["shutdown_room"]["new_room_id"], Value::Null);
    let all = rig.must("GET", &format!("v2/rooms/{room}/delete_status"), Value::Null).await;
    assert_eq!(all["results"][0], done);

    for (table, expected) in [
        ("SELECT COUNT(*) FROM event", events),
        ("SELECT COUNT(*) FROM event_json", events),
        ("SELECT COUNT(*) FROM state_group", groups),
        ("SELECT COUNT(*) FROM room", 1),
        ("SELECT COUNT(*) FROM membership", 1),
        ("SELECT COUNT(*) FROM receipt", 0),
        ("SELECT COUNT(*) FROM alias", 0),
        ("SELECT COUNT(*) FROM published_rooms", 0),
        ("SELECT COUNT(*) FROM room_listing", 0),
        ("SELECT COUNT(*) FROM room_open", 1),
        ("SELECT COUNT(*) FROM thread_subscription", 0),
        ("SELECT COUNT(*) FROM delayed_event", 0),
        ("SELECT COUNT(*) FROM search_doc", words),
        ("SELECT COUNT(*) FROM account_data WHERE room_id <> ''", 0),
    ] {
        assert_eq!(count(&rig, table).await, expected, "{table}");
    }
    assert_eq!(rig.refused("GET", &format!("v1/rooms/{room}"), Value::Null).await.0, 404);
    assert_eq!(rig.refused("GET", &format!("v1/fetch_event/{said}"), Value::Null).await.0, 404);
    assert_eq!(
        rig.must("GET", &format!("v1/rooms/{room}/block"), Value::Null).await["block"],
        true
    );
    let rooms = rig.client(&eve, "GET", "joined_rooms", Value::Null).await;
    assert_eq!(rooms["joined_rooms"], json!([]));
    let sync = rig.client(&eve, "GET", "sync", Value::Null).await;
    assert_eq!(sync["rooms"]["join"].get(&room), None);
    let send = format!("/_matrix/client/v3/rooms/{room}/send/m.room.message/x");
    assert_eq!(rig.ask("PUT", &send, &bob.token, &json!({})).await.0, StatusCode::NOT_FOUND);

    // The numbers of what is gone aren't given again: a restart would have come to the same ones.
    let rig = rig.restart().await;
    let next = rig.room(&bob, json!({})).await;
    let again = rig.say(&bob, &next, "new").await;
    for (id, text) in [(&kept, "stays"), (&again, "new")] {
        let whole = rig.must("GET", &format!("v1/fetch_event/{id}"), Value::Null).await;
        assert_eq!(whole["event"]["content"]["body"], text);
    }
    let floor = count(&rig, "SELECT event FROM number_floor").await;
    assert!(count(&rig, "SELECT MAX(nid) FROM event").await > floor && floor > events);
    assert_eq!(rig.refused("DELETE", &format!("v2/rooms/{room}"), json!({})).await.0, 404);
}

#[tokio::test]
async fn people_are_told_in_a_new_room_why_theirs_is_gone() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "preset": "public_chat", "room_alias_name": "town" })).await;
    join(&rig, &eve, &room).await;
    let body = json!({ "new_room_user_id": "@boss:h", "room_name": "Notice", "message": "No.", "purge": false });
    let done = rig.must("DELETE", &format!("v1/rooms/{room}"), body).await;
    let new = done["new_room_id"].as_str().unwrap().to_owned();
    assert_eq!(done["kicked_users"], json!(["@bob:h", "@eve:h"]));
    let members = rig.must("GET", &format!("v1/rooms/{new}/members"), Value::Null).await;
    assert_eq!(members["members"], json!(["@bob:h", "@boss:h", "@eve:h"]));
    let said =
        rig.client(&eve, "GET", &format!("rooms/{new}/messages?dir=b&limit=20"), Value::Null).await;
    let bodies: Vec<_> = said["chunk"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|event| event["content"]["body"].as_str())
        .collect();
    assert_eq!(bodies, ["No."]);
    let send = format!("/_matrix/client/v3/rooms/{new}/send/m.room.message/x");
    let (status, _) =
        rig.ask("PUT", &send, &eve.token, &json!({ "msgtype": "m.text", "body": "But" })).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let alias = rig.client(&eve, "GET", "directory/room/%23town:h", Value::Null).await;
    assert_eq!(alias["room_id"], json!(new));
    // Nothing was purged.
    let old = rig.must("GET", &format!("v1/rooms/{room}"), Value::Null).await;
    assert_eq!((&old["joined_members"], &old["forgotten"]), (&json!(0), &json!(true)));
    let unknown = json!({ "block": true });
    let answer = rig.must("DELETE", "v1/rooms/!never:h", unknown).await;
    assert_eq!(answer["kicked_users"], json!([]));
    assert_eq!(rig.refused("DELETE", "v1/rooms/!other:h", json!({})).await.0, 404);
    let foreign = json!({ "new_room_user_id": "@a:elsewhere" });
    assert_eq!(
        rig.refused("DELETE", &format!("v1/rooms/{room}"), foreign).await.1,
        "M_INVALID_PARAM"
    );
    assert_eq!(rig.refused("GET", "v2/rooms/delete_status/x", Value::Null).await.0, 404);
}

#[tokio::test]
async fn a_deletion_that_was_broken_off_goes_on_after_a_restart() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let room = rig.room(&bob, json!({})).await;
    rig.say(&bob, &room, "goes").await;
    // As a crash leaves it: the room is shut, and some of its rows may be gone.
    let id: &ruma::RoomId = room.as_str().try_into().unwrap();
    let nid = rig.app().rooms.get(id).await.unwrap().nid();
    let job = crate::storage::room_jobs::Job {
        id: "job".to_owned(),
        kind: crate::storage::room_jobs::Kind::Delete,
        room_id: id.to_owned(),
        room: Some(nid),
        status: crate::storage::room_jobs::Status::Purging,
        request: json!({ "room_name": "", "message": "", "purge": true, "force_purge": false })
            .to_string(),
        result: serde_json::to_string(&crate::services::room_jobs::shutdown::Shutdown::default())
            .unwrap(),
        error: None,
    };
    rig.app()
        .committer
        .run(move |tx| {
            let job = job.clone();
            Box::pin(async move {
                crate::storage::room_jobs::insert(tx, &job).await?;
                crate::storage::room_jobs::update(tx, &job, None).await
            })
        })
        .await
        .unwrap();
    let rig = rig.restart().await;
    assert_eq!(rig.refused("GET", &format!("v1/rooms/{room}"), Value::Null).await.0, 404);
    wait_for(&rig, "v2/rooms/delete_status/job", "complete").await;
    assert_eq!(count(&rig, "SELECT COUNT(*) FROM event").await, 0);
}

#[tokio::test]
async fn old_messages_are_purged_and_state_stays() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let room = rig.room(&bob, json!({ "name": "Diary" })).await;
    let mut said = Vec::new();
    for number in 0..5 {
        said.push(rig.say(&bob, &room, &format!("{number}")).await);
    }
    let purge = async |path: &str, body: Value| {
        let answer = rig.must("POST", &format!("v1/purge_history/{path}"), body).await;
        let path = format!("v1/purge_history_status/{}", answer["purge_id"].as_str().unwrap());
        wait_for(&rig, &path, "complete").await;
    };
    let bodies = async || {
        let page = rig
            .client(&bob, "GET", &format!("rooms/{room}/messages?dir=f&limit=100"), Value::Null)
            .await;
        let sync = rig.client(&bob, "GET", "sync", Value::Null).await;
        let list = |events: &Value| {
            let events = events.as_array().unwrap().iter();
            events.filter_map(|event| event["content"]["body"].as_str()).collect::<String>()
        };
        let told = list(&sync["rooms"]["join"][&room]["timeline"]["events"]);
        assert_eq!(list(&page["chunk"]), told, "sync tells the same");
        told
    };
    let to = format!("{room}/{}", said[3]);
    purge(&to, Value::Null).await;
    assert_eq!(bodies().await, "01234", "there is no other copy of what people here said");
    purge(&to, json!({ "delete_local_events": true })).await;
    assert_eq!(bodies().await, "34");
    let name =
        rig.client(&bob, "GET", &format!("rooms/{room}/state/m.room.name"), Value::Null).await;
    assert_eq!(name["name"], "Diary");
    assert_eq!(
        rig.refused("GET", &format!("v1/fetch_event/{}", said[0]), Value::Null).await.0,
        404
    );
    purge(&room, json!({ "purge_up_to_ts": 9_999_999_999_999_i64, "delete_local_events": true }))
        .await;
    assert_eq!(bodies().await, "4", "the last one stays, for the next to refer to");
    rig.say(&bob, &room, "5").await;
    assert_eq!(bodies().await, "45");
    let rig = rig.restart().await;
    rig.say(&bob, &room, "6").await;
    assert_eq!(
        rig.refused("POST", &format!("v1/purge_history/{room}"), json!({})).await.1,
        "M_MISSING_PARAM"
    );
    let unknown = format!("v1/purge_history/{room}/$nothing");
    assert_eq!(rig.refused("POST", &unknown, json!({})).await.0, 404);
    assert_eq!(rig.refused("GET", "v1/purge_history_status/x", Value::Null).await.0, 404);
}
