//! Albums, as galleries and as events.

use landbridge_framework::testing::eventually;
use landbridge_telegram::config::Albums;
use landbridge_telegram_peer::Faults;
use serde_json::{Value, json};

use crate::rig::{BOB, BOT, LOBBY, Rig};

const GALLERY: &str = "dm.filament.gallery";

impl Rig {
    /// The messages' contents of a room, by others than Ann.
    fn shown(&self, room: &str) -> Vec<Value> {
        let all = self.events(room, "m.room.message").into_iter();
        let others = all.filter(|event| event["sender"] != self.ann.id());
        others.map(|event| event["content"].clone()).collect()
    }

    /// A gallery of files that Ann has uploaded.
    fn gallery(&self, caption: &str, names: &[&str]) -> Value {
        let mut items = Vec::new();
        for name in names {
            let mxc = self.ann.upload("image/png", name.as_bytes());
            let mxc = mxc.expect("an upload");
            items.push(json!({
                "itemtype": "m.image", "body": name, "url": mxc,
                "info": { "mimetype": "image/png", "size": name.len(), "w": 640, "h": 480 },
            }));
        }
        json!({ "msgtype": GALLERY, "body": caption, "itemtypes": items })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_album_is_one_gallery_if_that_is_wanted() {
    let mut rig = Rig::prepare().await;
    rig.config.albums = Albums::Gallery;
    rig.go().await;
    let room = rig.lobby().await;
    let files = [("one.bin", "the sea"), ("two.bin", ""), ("three.bin", "")];
    let numbers = rig.peer.world().send_album(BOB, LOBBY, &files);
    rig.peer.world().say(BOB, LOBBY, "after");
    eventually("both are there", || rig.shown(&room).len() == 2).await;
    let gallery = rig.shown(&room).remove(0);
    assert_eq!((&gallery["msgtype"], &gallery["body"]), (&json!(GALLERY), &json!("the sea")));
    let items = gallery["itemtypes"].as_array().expect("it has items");
    let names: Vec<_> = items.iter().map(|item| item["body"].as_str().expect("a name")).collect();
    assert_eq!(names, ["one.bin", "two.bin", "three.bin"]);
    assert!(items.iter().all(|item| item["url"].is_string() && item["itemtype"] == "m.file"));

    // Each of its messages can be changed and deleted.
    rig.peer.world().edit(5000, numbers[0], "the ocean");
    let last = || rig.shown(&room).pop().expect("there is one")["m.new_content"].clone();
    eventually("the caption is changed", || last()["body"] == "the ocean").await;
    rig.peer.world().delete(5000, numbers[1]);
    eventually("one is gone", || {
        last()["itemtypes"].as_array().is_some_and(|items| items.len() == 2)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_album_is_events_otherwise() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    rig.peer.world().send_album(BOB, LOBBY, &[("one.bin", "the sea"), ("two.bin", "")]);
    eventually("both are there", || rig.shown(&room).len() == 2).await;
    assert!(rig.shown(&room).iter().all(|content| content["msgtype"] == "m.file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gallery_from_matrix_is_an_album_once() {
    let mut rig = Rig::start().await;
    let room = rig.lobby().await;
    let content = rig.gallery("the sea", &["a.png", "bb.png", "ccc.png"]);
    // It is done, but no answer comes.
    rig.peer.world().faults = Faults { lose_answer: Some(1), ..Faults::default() };
    let event = rig.ann.send(&room, "m.room.message", &content).expect("Ann may speak");
    rig.peer.world().faults = Faults::default();
    let album = || {
        let said = rig.peer.world().said(LOBBY);
        said.into_iter().filter(|said| said.from == BOT).collect::<Vec<_>>()
    };
    eventually("the album is there", || album().len() == 3).await;
    let said = album();
    assert!(said[0].album.is_some() && said.iter().all(|one| one.album == said[0].album));
    assert_eq!(said.iter().map(|one| one.file).collect::<Vec<_>>(), [Some(5), Some(6), Some(7)]);
    assert!(said[0].text.ends_with("the sea") && said[1].text.is_empty());

    // Its answer is lost together with the bridge: it is found, not sent again.
    rig.peer.world().faults = Faults { lose_answer: Some(1), ..Faults::default() };
    let second = rig.gallery("again", &["d.png", "e.png"]);
    rig.ann.send(&room, "m.room.message", &second).expect("Ann may speak");
    rig.kill().await;
    rig.peer.world().faults = Faults::default();
    rig.go().await;
    rig.ann.say(&room, "after").expect("Ann may speak");
    let texts = || rig.said_by(LOBBY, BOT);
    eventually("what came after is there", || {
        texts().last().is_some_and(|text| text.ends_with("after"))
    })
    .await;
    assert_eq!(texts().len(), 6, "each once: {:?}", texts());

    let mut edit = content.clone();
    edit["m.new_content"] =
        json!({ "msgtype": GALLERY, "body": "the ocean", "itemtypes": content["itemtypes"] });
    edit["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": event });
    rig.ann.send(&room, "m.room.message", &edit).expect("Ann may edit");
    eventually("its caption is changed", || texts()[0].ends_with("the ocean")).await;
    assert_eq!(texts().len(), 6, "nothing of it is deleted");
    rig.ann.redact(&room, &event).expect("Ann may delete");
    eventually("all three are gone", || texts().len() == 3).await;
    assert!(rig.shown(&room).is_empty(), "nothing of it came back: {:?}", rig.shown(&room));
}
