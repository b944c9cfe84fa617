//! Deleting rooms and old messages, also where that breaks off.

use http::StatusCode;
use landbridge_database::args;
use serde_json::{Value, json};

use super::rig::{Rig, join, texts, wait_for};
use crate::services::room_jobs::shutdown::Shutdown;
use crate::storage::jobs::{self, Job, Kind, Status};

/// Rows of a table, for what no endpoint shows any more.
async fn count(rig: &Rig, sql: &'static str) -> i64 {
    rig.app().db.fetch_optional(sql, args![]).await.unwrap().unwrap().int(0).unwrap()
}

/// Writes work down behind the back of who does it.
async fn write(rig: &Rig, job: Job) {
    let written = rig.app().committer.run(move |tx| {
        let job = job.clone();
        Box::pin(async move {
            jobs::insert(tx, &job).await?;
            jobs::update(tx, &job).await
        })
    });
    written.await.unwrap();
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
    let job = Job {
        id: "job".to_owned(),
        kind: Kind::Delete,
        subject: id.to_string(),
        room: Some(nid),
        status: Status::Purging,
        request: json!({ "room_name": "", "message": "", "purge": true, "force_purge": false })
            .to_string(),
        result: serde_json::to_string(&Shutdown::default()).unwrap(),
        error: None,
        changed_ms: 0,
    };
    write(&rig, job).await;
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

#[tokio::test]
async fn what_was_said_before_the_purged_is_still_told() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    // More than a room keeps in memory.
    let room = rig.room(&bob, json!({ "name": "Diary" })).await;
    let mut said = Vec::new();
    for number in 0..crate::room::RECENT + 8 {
        said.push(rig.say(&bob, &room, &format!("{number}")).await);
    }
    let path = format!("v1/purge_history/{room}/{}", said.last().unwrap());
    let started = rig.must("POST", &path, json!({ "delete_local_events": true })).await;
    let path = format!("v1/purge_history_status/{}", started["purge_id"].as_str().unwrap());
    wait_for(&rig, &path, "complete").await;
    let filter = "%7B%22room%22:%7B%22timeline%22:%7B%22limit%22:100%7D%7D%7D";
    let sync = rig.client(&bob, "GET", &format!("sync?filter={filter}"), Value::Null).await;
    let events = &sync["rooms"]["join"][&room]["timeline"]["events"];
    let kinds = texts(events, "type");
    assert_eq!((kinds.first(), kinds.last()), (Some(&"m.room.create"), Some(&"m.room.message")));
    assert_eq!(kinds.iter().filter(|kind| **kind == "m.room.message").count(), 1);
}

#[tokio::test]
async fn nobody_is_lost_on_the_way_from_the_old_room_to_the_new_one() {
    let rig = Rig::new().await;
    let (bob, eve) = (rig.person("bob").await, rig.person("eve").await);
    let room = rig.room(&bob, json!({ "preset": "public_chat" })).await;
    join(&rig, &eve, &room).await;
    let new = rig.room(&bob, json!({ "preset": "public_chat" })).await;
    // As a crash leaves it: the new room is there, and Eve is out of the old one and not in the new one.
    rig.client(&eve, "POST", &format!("rooms/{room}/leave"), json!({})).await;
    let id: &ruma::RoomId = room.as_str().try_into().unwrap();
    let job = Job {
        id: "job".to_owned(),
        kind: Kind::Delete,
        subject: id.to_string(),
        room: Some(rig.app().rooms.get(id).await.unwrap().nid()),
        status: Status::Active,
        request: json!({ "new_room_user_id": "@boss:h", "room_name": "", "message": "",
            "purge": false, "force_purge": false })
        .to_string(),
        result: json!({ "kicked_users": [bob.id, eve.id], "failed_to_kick_users": [],
            "local_aliases": ["#was:h"], "new_room_id": new })
        .to_string(),
        error: None,
        changed_ms: i64::MAX,
    };
    write(&rig, job).await;
    let rig = rig.restart().await;
    let done = wait_for(&rig, "v2/rooms/delete_status/job", "complete").await;
    assert_eq!(done["shutdown_room"]["kicked_users"], json!([bob.id, eve.id]));
    assert_eq!(done["shutdown_room"]["local_aliases"], json!(["#was:h"]));
    let members = |room: &str| format!("v1/rooms/{room}/members");
    assert_eq!(rig.must("GET", &members(&room), Value::Null).await["total"], 0);
    let inside = rig.must("GET", &members(&new), Value::Null).await;
    assert_eq!(inside["members"], json!([bob.id, eve.id]));
}
