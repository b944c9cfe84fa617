//! What is made in one piece, and what is gone on with after a crash.

use http::Method;
use ruma::{CanonicalJsonObject, RoomVersionId};
use serde_json::{Value, json};

use super::rig::{Person, Rig};
use crate::nid::RoomNid;
use crate::room::{CreateRoom, Invitee, Preset};

fn request(creator: &Person<'_>, published: bool, replaces: Option<RoomNid>) -> CreateRoom {
    let creator = Invitee { user: creator.id.clone(), profile: CanonicalJsonObject::new() };
    let room = CreateRoom::new(creator, RoomVersionId::V11, Preset::PublicChat);
    CreateRoom { published, replaces, ..room }
}

#[tokio::test]
async fn a_room_is_listed_in_the_commit_that_makes_it() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = rig.app().rooms.create(request(&alice, true, None)).await.expect("a room");
    assert!(rig.app().directory.is_public(room.id()).await.expect("an answer"));
    let kept = alice.keep();
    let rig = rig.restart().await;
    let list = rig.again(kept).get("v3/publicRooms").await;
    assert_eq!(list["chunk"][0]["room_id"], json!(room.id()));

    // One that can't be made isn't listed either.
    let bob = rig.person("bob").await;
    let body = json!({ "visibility": "public", "room_alias_name": "taken" });
    bob.call(Method::POST, "v3/createRoom", body.clone()).await;
    let (status, _) = bob.ask(Method::POST, "v3/createRoom", Some(&body)).await;
    assert_eq!(status.as_u16(), 400);
    assert_eq!(bob.get("v3/publicRooms").await["total_room_count_estimate"], 2);
}

#[tokio::test]
async fn an_upgrade_that_broke_off_is_finished_after_the_start() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let body = json!({
        "visibility": "public", "room_alias_name": "attic", "room_version": "11",
        "initial_state": [{
            "type": "m.room.canonical_alias", "content": { "alias": "#attic:h" }, "state_key": "",
        }],
    });
    let answer = alice.call(Method::POST, "v3/createRoom", body).await;
    let old = ruma::RoomId::parse(answer["room_id"].as_str().expect("an id")).expect("a room id");
    let tag = format!("v3/user/{}/rooms/{old}/tags/m.favourite", alice.id);
    alice.call(Method::PUT, &tag, json!({})).await;
    let nid = rig.app().rooms.get(&old).await.expect("the room").nid();
    let mut begun = request(&alice, false, Some(nid));
    let predecessor = json!({ "predecessor": { "room_id": old } });
    let Value::Object(predecessor) = predecessor else { unreachable!("it is one") };
    begun.creation_content =
        ruma::canonical_json::try_from_json_map(predecessor).expect("canonical JSON");
    // The new room is durable; what follows is never begun.
    let new = rig.app().rooms.create(begun).await.expect("a room").id().to_owned();
    let kept = alice.keep();
    let rig = rig.restart().await;
    let alice = rig.again(kept);
    for _ in 0..200 {
        if crate::storage::upgrades::all(&rig.app().db).await.expect("rows").is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let state = async |room: &ruma::RoomId, kind: &str| {
        alice.get(&format!("v3/rooms/{room}/state/{kind}")).await
    };
    assert_eq!(state(&old, "m.room.tombstone").await["replacement_room"], json!(new));
    assert_eq!(alice.get("v3/directory/room/%23attic:h").await["room_id"], json!(new));
    assert_eq!(state(&old, "m.room.canonical_alias").await, json!({}));
    assert_eq!(state(&new, "m.room.canonical_alias").await["alias"], "#attic:h");
    assert_eq!(state(&old, "m.room.power_levels").await["events_default"], 50);
    let list = alice.get("v3/publicRooms").await;
    assert_eq!(list["chunk"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["chunk"][0]["room_id"], json!(new));
    let tags = alice.get(&format!("v3/user/{}/rooms/{new}/tags", alice.id)).await;
    assert!(tags["tags"]["m.favourite"].is_object());
}
