//! Albums of the network as galleries, and galleries of Matrix as albums.

use serde_json::{Value, json};

use super::{
    eventually,
    stage::{Filed, What},
    staged::Staged,
};

const MESSAGE: &str = "m.room.message";
const GALLERY: &str = "dm.filament.gallery";

fn filed(id: &str, caption: Option<&str>) -> Filed {
    Filed {
        id: id.into(),
        file: format!("{id}.gif"),
        album: Some("holidays".into()),
        caption: caption.map(ToOwned::to_owned),
    }
}

fn file(id: &str) -> What {
    What::File(filed(id, None))
}

fn say(id: &str) -> What {
    What::Say { id: id.into(), text: id.into() }
}

/// What a message's content shows: its files' names, or its text.
fn shows(content: &Value) -> Vec<String> {
    let name =
        |item: &Value| item["filename"].as_str().or(item["body"].as_str()).map(str::to_owned);
    match content["itemtypes"].as_array() {
        Some(items) => items.iter().filter_map(name).collect(),
        None => name(content).into_iter().collect(),
    }
}

impl Staged {
    /// What people see in a room, event by event: edited, and without what was deleted.
    fn seen(&self, room: &str) -> Vec<Vec<String>> {
        let all = self.events(room, MESSAGE);
        let replaces = |event: &Value| {
            let relates = &event["content"]["m.relates_to"];
            (relates["rel_type"] == "m.replace").then(|| relates["event_id"].clone())
        };
        let first = all.iter().filter(|event| replaces(event).is_none());
        first
            .filter(|event| event["content"].get("body").is_some())
            .map(|event| {
                let edits = all.iter().rev();
                let last =
                    edits.clone().find(|edit| replaces(edit).as_ref() == Some(&event["event_id"]));
                shows(last.map_or(&event["content"], |edit| &edit["content"]["m.new_content"]))
            })
            .collect()
    }
}

#[tokio::test]
async fn an_album_is_one_event_and_each_of_its_messages_stays_one() {
    let (world, _ann, room, bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", say("before"));
    world.stage.tell("c", "bob", What::File(filed("a", Some("the sea"))));
    world.stage.tell("c", "bob", file("b"));
    world.stage.tell("c", "bob", file("c"));
    // Another's is none of it.
    world.stage.tell("c", "eve", file("d"));
    world.stage.tell("c", "bob", say("after"));
    let wanted = [vec!["before"], vec!["a.gif", "b.gif", "c.gif"], vec!["d.gif"], vec!["after"]];
    eventually("all of it", || world.seen(&room) == wanted).await;
    let event = world.events(&room, MESSAGE).remove(1);
    let (id, content) = (event["event_id"].as_str().unwrap().to_owned(), &event["content"]);
    assert_eq!((&content["msgtype"], &content["body"]), (&json!(GALLERY), &json!("the sea")));
    for item in content["itemtypes"].as_array().unwrap() {
        assert_eq!(item["itemtype"], "m.image");
        assert!(item["url"].as_str().unwrap().starts_with("mxc://"), "{item}");
        assert!(item.get("msgtype").is_none());
    }

    // What comes late is added; what is said of one is said of the event.
    world.stage.tell("c", "bob", file("e"));
    eventually("the late one", || world.seen(&room)[1].len() == 4).await;
    drop(bridge);
    for target in ["b", "c"] {
        let emoji = "+1".to_owned();
        let reaction = What::React { target: target.into(), emoji, file: None, set: true };
        world.stage.tell("c", "eve", reaction);
    }
    // Both are there at once.
    let _bridge = world.start().await;
    let new = Filed { file: "new.gif".into(), ..filed("b", None) };
    world.stage.tell("c", "bob", What::NewFile(new));
    world.stage.tell("c", "bob", What::NewFile(filed("a", Some("the ocean"))));
    let wanted = ["a.gif", "new.gif", "c.gif", "e.gif"];
    eventually("both changes", || {
        let last = world.events(&room, MESSAGE).pop().unwrap();
        let new = &last["content"]["m.new_content"];
        new["body"] == "the ocean" && shows(new) == wanted
    })
    .await;
    let reactions = world.events(&room, "m.reaction");
    assert_eq!(reactions.len(), 1, "an event takes each reaction once");
    assert_eq!(reactions[0]["content"]["m.relates_to"]["event_id"], *id);

    world.stage.tell("c", "bob", What::Remove("a".into()));
    eventually("one less", || world.seen(&room)[1] == wanted[1..]).await;
    let last = world.events(&room, MESSAGE).pop().unwrap();
    assert_eq!(last["content"]["m.new_content"]["body"], "3 files");
    for id in ["b", "c", "e"] {
        world.stage.tell("c", "bob", What::Remove(id.into()));
    }
    let wanted = [vec!["before"], vec!["d.gif"], vec!["after"]];
    eventually("the rest of it", || world.seen(&room) == wanted).await;
}

#[tokio::test]
async fn a_file_alone_is_what_it_was() {
    let (world, _ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", file("a"));
    eventually("the file", || world.seen(&room) == [["a.gif"]]).await;
    assert_eq!(world.events(&room, MESSAGE)[0]["content"]["msgtype"], "m.image");
}

fn sent(caption: &str, names: &[&str]) -> Value {
    let item = |name: &&str| {
        json!({ "itemtype": "m.image", "body": name, "url": format!("mxc://hs.example/{name}"),
            "info": { "mimetype": "image/png", "size": 5 } })
    };
    let items: Vec<_> = names.iter().map(item).collect();
    json!({ "msgtype": GALLERY, "body": caption, "itemtypes": items })
}

#[tokio::test]
async fn a_gallery_from_matrix_is_an_album_on_the_network() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    let event = ann.send(&room, MESSAGE, &sent("the sea", &["a.png", "b.png", "c.png"])).unwrap();
    eventually("the album", || world.stage.asked() == ["gallery the sea: a.png, b.png, c.png"])
        .await;
    // What comes back as its messages is known.
    for number in 1..=3 {
        world.stage.tell("c", "annie", file(&format!("s1/{number}")));
    }
    let mut edit = sent("* the ocean", &["a.png", "b.png", "c.png"]);
    edit["m.new_content"] = sent("the ocean", &["a.png", "b.png", "c.png"]);
    edit["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": event });
    ann.send(&room, MESSAGE, &edit).unwrap();
    // Only the message with the caption is changed.
    eventually("the edit", || world.stage.asked().last().unwrap() == "edit s1/1: the ocean").await;
    world.stage.tell("c", "annie", What::Remove("s1/2".into()));
    eventually("one less", || world.seen(&room) == [["a.png", "c.png"]]).await;
    let last = world.events(&room, MESSAGE).pop().unwrap();
    assert_eq!(last["sender"], ann.id(), "hers is changed as hers");
    assert_eq!(last["content"]["m.new_content"]["body"], "the ocean");
    ann.redact(&room, &event).unwrap();
    eventually("the end", || world.stage.asked().last().unwrap() == "remove s1/1, s1/3").await;
}

#[test]
fn no_file_is_lost_or_doubled_wherever_the_bridge_is_killed() {
    crate::testing::pump::run(async {
        let (world, ann, room, bridge) = Staged::new().await.opened().await;
        world.log_in(&bridge, &ann, "annie").await;
        world.kill(Some(bridge)).await;
        world.stage.tell("c", "bob", say("before"));
        for id in ["a", "b", "c", "d"] {
            world.stage.tell("c", "bob", file(id));
        }
        world.stage.tell("c", "bob", say("after"));
        ann.send(&room, MESSAGE, &sent("", &["x.png", "y.png"])).unwrap();
        world.crash(30).await;
        let _bridge = world.start().await;
        let by_bob = || {
            let seen = world.seen(&room).into_iter();
            seen.flatten().filter(|name| !name.ends_with("png")).collect::<Vec<_>>()
        };
        let wanted = ["before", "a.gif", "b.gif", "c.gif", "d.gif", "after"];
        eventually("what Bob said, each once and in order", || by_bob() == wanted).await;
        let wanted = ["gallery : x.png, y.png"];
        eventually("what Ann said, once", || world.stage.asked() == wanted).await;
    });
}
