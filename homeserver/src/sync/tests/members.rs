//! `/members` and `/joined_members`.

use serde_json::{Value, json};

use super::rig::{Rig, keys};
use crate::room::Preset;

fn memberships(answer: &Value) -> Vec<String> {
    let events = answer["chunk"].as_array().expect("a chunk");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut all: Vec<String> = events
        .iter()
        .map(|event| {
            format!("{} {}", text(&event["state_key"]), text(&event["content"]["membership"]))
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn members_are_told_now_and_as_they_were() {
    let rig = Rig::new().await;
    let (alice, bob, carol) =
        (rig.person("alice").await, rig.person("bob").await, rig.person("carol").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let (_, start) = alice.sync(None, json!({})).await;
    bob.join(&room).await;
    let (_, middle) = alice.sync(None, json!({})).await;
    bob.leave(&room).await;
    carol.join(&room).await;
    let path = |query: &str| format!("v3/rooms/{}/members{query}", room.id());
    assert_eq!(
        memberships(&alice.get(&path("")).await),
        ["@alice:h join", "@bob:h leave", "@carol:h join"]
    );
    assert_eq!(
        memberships(&alice.get(&path("?membership=join")).await),
        ["@alice:h join", "@carol:h join"]
    );
    assert_eq!(
        memberships(&alice.get(&path("?not_membership=leave")).await),
        ["@alice:h join", "@carol:h join"]
    );
    assert_eq!(
        memberships(&alice.get(&path(&format!("?at={middle}"))).await),
        ["@alice:h join", "@bob:h join"]
    );
    assert_eq!(memberships(&alice.get(&path(&format!("?at={start}"))).await), ["@alice:h join"]);
    let first = alice.sync(None, json!({"room": {"timeline": {"limit": 100}}})).await.0;
    let first = first["rooms"]["join"][room.id().as_str()]["timeline"]["prev_batch"]
        .as_str()
        .expect("a token")
        .to_owned();
    assert_eq!(memberships(&alice.get(&path(&format!("?at={first}"))).await), ["@alice:h join"]);
    // Who left sees the room as he left it.
    let seen = bob.get(&path("")).await;
    assert_eq!(memberships(&seen), ["@alice:h join", "@bob:h leave"]);
    assert_eq!(keys(&seen["chunk"]).len(), 2);
    assert_eq!(seen["chunk"][0]["room_id"], json!(room.id()));
}

#[tokio::test]
async fn joined_members_come_with_their_profiles() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    alice
        .set(
            &room,
            "m.room.member",
            alice.id.as_str(),
            &json!({"membership": "join", "displayname": "A \"q\""}),
        )
        .await;
    // What isn't there, or is no URI of media, is left out.
    let path = format!("v3/rooms/{}/joined_members", room.id());
    let answer = alice.get(&path).await;
    assert_eq!(answer, json!({"joined": {"@alice:h": {"display_name": "A \"q\""}}}));
    for (url, shown) in
        [("mxc://h/a", json!({"avatar_url": "mxc://h/a"})), ("https://h/a", json!({}))]
    {
        let content = json!({"membership": "join", "avatar_url": url});
        alice.set(&room, "m.room.member", alice.id.as_str(), &content).await;
        assert_eq!(alice.get(&path).await, json!({"joined": {"@alice:h": shown}}));
    }
}
