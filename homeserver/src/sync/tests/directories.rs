//! Finding users, rooms and events by their time.

use http::Method;
use serde_json::{Value, json};

use super::rig::{Person, Rig};
use crate::room::Preset;

async fn found(person: &Person<'_>, term: &str, limit: usize) -> (Vec<String>, bool) {
    let body = json!({ "search_term": term, "limit": limit });
    let answer = person.call(Method::POST, "v3/user_directory/search", body).await;
    let results = answer["results"].as_array().expect("results");
    let ids = results.iter().map(|user| user["user_id"].as_str().expect("an id").to_owned());
    (ids.collect(), answer["limited"].as_bool().expect("a truth"))
}

async fn name(person: &Person<'_>, name: &str) {
    let path = format!("v3/profile/{}/displayname", person.id);
    person.call(Method::PUT, &path, json!({ "displayname": name })).await;
}

#[tokio::test]
async fn users_are_found_by_words_where_they_may_be_seen() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let ann = rig.person("ann").await;
    let annabel = rig.person("annabel").await;
    let mary = rig.person("mary").await;
    let hidden = rig.person("ann_hidden").await;
    name(&mary, "Mary-Ann Müller").await;
    name(&annabel, "Somebody").await;
    // One shares a room, one is in a room that all may join, one in a room that the world may read, one in neither.
    let shared = alice.room(Preset::PrivateChat, None).await;
    alice.member(&shared, &annabel.id, "invite").await;
    annabel.join(&shared).await;
    ann.room(Preset::PublicChat, None).await;
    mary.room(Preset::PrivateChat, Some("world_readable")).await;
    let closing = hidden.room(Preset::PublicChat, None).await;
    hidden.set(&closing, "m.room.join_rules", "", &json!({ "join_rule": "invite" })).await;

    let all = ["@ann:h", "@annabel:h", "@mary:h"].map(str::to_owned).to_vec();
    assert_eq!(found(&alice, "ANN", 10).await, (all.clone(), false));
    assert_eq!(found(&alice, "ann", 2).await, (all[..2].to_vec(), true));
    assert_eq!(found(&alice, "müller ann", 10).await.0, ["@mary:h"]);
    assert_eq!(found(&alice, "@ann:h", 10).await.0[0], "@ann:h");
    assert_eq!(found(&alice, "somebo", 10).await.0, ["@annabel:h"]);
    assert_eq!(found(&alice, "alice", 10).await.0, Vec::<String>::new(), "oneself");
    for nobody in ["nn", "%", "_", "", "ann nobody"] {
        assert_eq!(found(&alice, nobody, 10).await.0, Vec::<String>::new(), "{nobody:?}");
    }
    name(&annabel, "Other").await;
    assert_eq!(found(&alice, "somebody", 10).await.0, Vec::<String>::new());
    assert_eq!(found(&alice, "other", 10).await.0, ["@annabel:h"]);
    annabel.leave(&shared).await;
    assert_eq!(found(&alice, "other", 10).await.0, Vec::<String>::new());

    // As if there had been no directory until now.
    let id = ann.id.clone();
    let erase = rig.app().committer.run(move |tx| {
        let id = id.clone();
        Box::pin(async move { crate::storage::user_directory::set(tx, &id, &[]).await })
    });
    erase.await.expect("it is written");
    assert_eq!(found(&alice, "@ann:h", 10).await.0, ["@mary:h"]);
    let kept = alice.keep();
    let rig = rig.restart().await;
    let alice = rig.again(kept);
    for _ in 0..200 {
        if found(&alice, "@ann:h", 10).await.0.contains(&"@ann:h".to_owned()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the words of earlier users were not written");
}

#[tokio::test]
async fn the_public_list_shows_rooms_as_they_are_now() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let body = json!({ "visibility": "public", "name": "Attic" });
    let answer = alice.call(Method::POST, "v3/createRoom", body).await;
    let id = ruma::RoomId::parse(answer["room_id"].as_str().expect("an id")).expect("a room id");
    let space = json!({ "visibility": "public", "name": "Space", "creation_content": { "type": "m.space" } });
    alice.call(Method::POST, "v3/createRoom", space).await;
    let room = rig.app().rooms.get(&id).await.expect("the room");
    let list = async |filter: Value| {
        let answer = alice.call(Method::POST, "v3/publicRooms", json!({ "filter": filter })).await;
        let chunk = answer["chunk"].as_array().expect("rooms").clone();
        let shown = |room: &Value| {
            (room["name"].as_str().unwrap_or("-").to_owned(), room["num_joined_members"].as_i64())
        };
        chunk.iter().map(shown).collect::<Vec<_>>()
    };
    let attic = |name: &str, members| vec![(name.to_owned(), Some(members))];
    let named = |term: &str| json!({ "generic_search_term": term });
    assert_eq!(list(named("ATT")).await, attic("Attic", 1));
    assert_eq!(list(json!({ "room_types": [null] })).await, attic("Attic", 1));
    assert_eq!(list(json!({ "room_types": ["m.space"] })).await, attic("Space", 1));
    bob.join(&room).await;
    assert_eq!(list(json!({})).await[0], ("Attic".to_owned(), Some(2)), "the fullest comes first");
    alice.set(&room, "m.room.name", "", &json!({ "name": "Cellar_100%" })).await;
    assert_eq!(list(named("attic")).await, vec![]);
    assert_eq!(list(named("r_100%")).await, attic("Cellar_100%", 2));
    assert_eq!(list(named("cellarx100%")).await, vec![]);
    let kept = alice.keep();
    let rig = rig.restart().await;
    let alice = rig.again(kept);
    let path = format!("v3/directory/list/room/{id}");
    alice.call(Method::PUT, &path, json!({ "visibility": "private" })).await;
    let left = alice.get("v3/publicRooms").await;
    assert_eq!(left["total_room_count_estimate"], 1);
    assert_eq!(left["chunk"][0]["name"], "Space");
    let (status, error) = alice.ask(Method::GET, "v3/publicRooms?since=x", None).await;
    assert_eq!((status.as_u16(), &error["errcode"]), (400, &json!("M_INVALID_PARAM")));
}

#[tokio::test]
async fn the_nearest_event_that_one_may_see_is_found_however_many_lie_before() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    let mut sent = Vec::new();
    for n in 0..130 {
        sent.push(alice.say(&room, &format!("{n}")).await);
    }
    let join = bob.join(&room).await;
    let at =
        |dir: &str, ts: i64| format!("v1/rooms/{}/timestamp_to_event?dir={dir}&ts={ts}", room.id());
    let tenth = alice.get(&format!("v3/rooms/{}/event/{}", room.id(), sent[10])).await;
    let ts = tenth["origin_server_ts"].as_i64().expect("a time");
    assert_eq!(bob.get(&at("f", ts)).await["event_id"], json!(join));
    let last = alice.get(&at("b", i64::MAX)).await;
    assert_eq!(last["event_id"], json!(join));
    let (status, error) = bob.ask(Method::GET, &at("b", 0), None).await;
    assert_eq!((status.as_u16(), &error["errcode"]), (404, &json!("M_NOT_FOUND")));
}
