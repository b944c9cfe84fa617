//! The network's own emoji, reactions, and names of single messages.

use serde_json::{Value, json};

use super::{eventually, last, stage::What, staged::Staged};

fn words(id: &str, emoji: &str, file: &str) -> What {
    What::Emoji { id: id.into(), emoji: emoji.into(), file: file.into() }
}

fn reaction(target: &str, emoji: &str, file: Option<&str>, set: bool) -> What {
    let file = file.map(ToOwned::to_owned);
    What::React { target: target.into(), emoji: emoji.into(), file, set }
}

#[tokio::test]
async fn an_emoji_is_a_picture_on_matrix_and_is_known_when_it_comes_back() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", words("m1", "parrot", "parrot.gif"));
    world.stage.tell("c", "bob", words("m2", "parrot", "parrot.gif"));
    world.stage.tell("c", "bob", reaction("m1", "parrot", Some("parrot.gif"), true));
    eventually("a reaction", || !world.events(&room, "m.reaction").is_empty()).await;
    let html = |at: usize| {
        let content = &world.events(&room, "m.room.message")[at]["content"];
        content["formatted_body"].as_str().unwrap().to_owned()
    };
    let key = world.events(&room, "m.reaction")[0]["content"].clone();
    let mxc = key["m.relates_to"]["key"].as_str().unwrap().to_owned();
    assert!(mxc.starts_with("mxc://"), "{mxc}");
    assert_eq!(key["shortcode"], ":parrot:");
    assert_eq!(key["com.beeper.reaction.shortcode"], ":parrot:");
    for at in [0, 1] {
        assert!(
            html(at).contains(&format!("<img data-mx-emoticon src=\"{mxc}\" alt=\":parrot:\""))
        );
    }
    assert_eq!((world.stage.fetched(), world.homeserver.uploads()), (1, 1), "once is enough");

    let picture = |src: &str| {
        json!({
            "msgtype": "m.text", "body": ":x:", "format": "org.matrix.custom.html",
            "formatted_body": format!("<img data-mx-emoticon src=\"{src}\" alt=\":x:\">"),
        })
    };
    ann.send(&room, "m.room.message", &picture(&mxc)).unwrap();
    ann.send(&room, "m.room.message", &picture("mxc://elsewhere/x")).unwrap();
    let m1 = world.events(&room, "m.room.message")[0]["event_id"].as_str().unwrap().to_owned();
    ann.react(&room, &m1, &mxc).unwrap();
    let wanted = ["ann: :x: [parrot]", "ann: :x:", "reactions to m1: parrot"];
    eventually("all three", || world.stage.asked() == wanted).await;
}

#[tokio::test]
async fn an_emoji_whose_picture_cannot_be_had_is_its_name() {
    let (world, _ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", words("m", "ghost", "missing"));
    world.stage.tell("c", "bob", reaction("m", "ghost", Some("missing"), true));
    eventually("a reaction", || !world.events(&room, "m.reaction").is_empty()).await;
    assert_eq!(world.homeserver.messages(&room)[0].1, "look: :ghost:");
    let key = world.events(&room, "m.reaction")[0]["content"]["m.relates_to"]["key"].clone();
    assert_eq!(key, ":ghost:");
}

#[tokio::test]
async fn a_reaction_that_is_taken_back_at_once_is_gone() {
    let (world, _ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.tell("c", "bob", What::Say { id: "m".into(), text: "hi".into() });
    for set in [true, false, true, false] {
        world.stage.tell("c", "eve", reaction("m", "+1", None, set));
    }
    world.stage.tell("c", "eve", reaction("m", "heart", None, true));
    let keys = || {
        let live = world.events(&room, "m.reaction");
        let keys = live.into_iter().map(|event| event["content"]["m.relates_to"]["key"].clone());
        keys.filter(|key| !key.is_null()).collect::<Vec<Value>>()
    };
    eventually("what is left", || keys() == ["heart"]).await;
}

#[tokio::test]
async fn where_one_reaction_is_allowed_the_newest_stays() {
    let (world, ann, room, bridge) = Staged::new().await.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    world.stage.tell("c", "bob", What::Say { id: "m".into(), text: "hi".into() });
    eventually("a message", || world.homeserver.messages(&room).len() == 1).await;
    let event = last(&world.homeserver.timeline(&room), "m.room.message");
    let event = event["event_id"].as_str().unwrap().to_owned();
    let first = ann.react(&room, &event, "1").unwrap();
    let second = ann.react(&room, &event, "2").unwrap();
    let wanted = ["reactions to m: 1", "reactions to m: 2"];
    eventually("both", || world.stage.asked() == wanted).await;
    let redacted = |id: &str| {
        let events = world.events(&room, "m.reaction");
        let event = events.into_iter().find(|event| event["event_id"] == *id).unwrap();
        event["unsigned"].get("redacted_because").is_some()
    };
    eventually("the end of the first", || redacted(&first)).await;
    assert!(!redacted(&second));
}

#[tokio::test]
async fn a_message_may_have_a_name_of_its_own() {
    let (world, _ann, room, _bridge) = Staged::new().await.opened().await;
    let what = What::Named { id: "m".into(), text: "<b>uild ok".into(), name: "C & I".into() };
    world.stage.tell("c", "hook", what);
    eventually("a message", || world.homeserver.messages(&room).len() == 1).await;
    let content = last(&world.homeserver.timeline(&room), "m.room.message")["content"].clone();
    assert_eq!(content["body"], "C & I: <b>uild ok");
    assert_eq!(
        content["formatted_body"],
        "<strong data-mx-profile-fallback>C &amp; I: </strong>&lt;b&gt;uild ok"
    );
    let profile = &content["com.beeper.per_message_profile"];
    assert_eq!(profile["displayname"], "C & I");
    assert_eq!(profile["has_fallback"], true);
}
