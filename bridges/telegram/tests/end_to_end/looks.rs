//! How people and chats look: their names, their pictures, and what a chat says about itself.

use landbridge_framework::testing::eventually;
use serde_json::{Value, json};

use crate::rig::{BOB, BOBS_GHOST, CLUB, Rig};

const FIRST: &[u8] = b"\x89PNG\r\n\x1a\nfirst";
const SECOND: &[u8] = b"\x89PNG\r\n\x1a\nsecond";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_have_the_names_and_pictures_that_they_have_on_telegram() {
    let rig = Rig::prepare().await;
    rig.peer.world().portray(BOB, FIRST);
    let mut rig = rig;
    rig.go().await;
    rig.lobby().await;
    let profile = || rig.homeserver.profile(BOBS_GHOST);
    let is_called = |name: &str| {
        let shown = profile()["displayname"].as_str().map(ToOwned::to_owned);
        shown.is_some_and(|shown| shown.contains(name))
    };
    eventually("Bob has his name", || is_called("Bob")).await;
    eventually("and his picture", || rig.bytes(&profile()["avatar_url"]).as_deref() == Some(FIRST))
        .await;
    // Both may change, in the middle of anything.
    rig.peer.world().rename(BOB, "Robert");
    eventually("Bob has his new name", || is_called("Robert")).await;
    rig.peer.world().portray(BOB, SECOND);
    eventually("and his new picture", || {
        rig.bytes(&profile()["avatar_url"]).as_deref() == Some(SECOND)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_looks_as_on_telegram() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    rig.peer.world().entitle(BOB, CLUB, "Chess club");
    eventually("it has the new name", || rig.state(&room, "m.room.name")["name"] == "Chess club")
        .await;
    assert_eq!(rig.last(&room, "m.room.name")["sender"], BOBS_GHOST);
    rig.peer.world().describe(CLUB, "for beginners");
    eventually("it says the new words", || {
        rig.state(&room, "m.room.topic")["topic"] == "for beginners"
    })
    .await;
    rig.peer.world().picture(BOB, CLUB, Some(FIRST));
    eventually("it has the new picture", || {
        rig.bytes(&rig.state(&room, "m.room.avatar")["url"]).as_deref() == Some(FIRST)
    })
    .await;
    rig.peer.world().picture(BOB, CLUB, None);
    eventually("it has none", || rig.state(&room, "m.room.avatar")["url"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_looks_as_on_matrix() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let shown = || rig.peer.world().shown(CLUB);
    let set = |kind: &str, content: Value| {
        rig.ann.set_state(&room, kind, "", &content).expect("Ann may change it");
    };
    set("m.room.name", json!({ "name": "Chess club" }));
    eventually("it has the new name", || shown().title == "Chess club").await;
    set("m.room.topic", json!({ "topic": "for beginners" }));
    eventually("it says the new words", || shown().about == "for beginners").await;
    let picture = rig.ann.upload("image/png", FIRST).expect("an upload");
    set("m.room.avatar", json!({ "url": picture }));
    eventually("it has the new picture", || shown().picture.as_deref() == Some(FIRST)).await;
    // Whatever comes back of it comes before this.
    rig.peer.world().say(BOB, CLUB, "nice");
    eventually("Bob has seen it", || rig.heard(&room).contains(&"nice".to_owned())).await;
    for kind in ["m.room.name", "m.room.topic"] {
        let by_ann =
            rig.events(&room, kind).into_iter().filter(|event| event["sender"] == rig.ann.id());
        assert_eq!(by_ann.count(), 1, "nothing came back of {kind}");
    }
    // The picture may, as Telegram has made it.
    assert_eq!(rig.bytes(&rig.state(&room, "m.room.avatar")["url"]).as_deref(), Some(FIRST));
    set("m.room.avatar", json!({}));
    eventually("it has none", || shown().picture.is_none()).await;
}
