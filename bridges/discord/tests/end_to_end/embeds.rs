//! The pictures and films of embeds: of what programs write, and of what Discord finds behind links.

use serde_json::{Value, json};

use crate::{
    fake::{CHANNEL, Fake, GUILD},
    texts,
    world::World,
};
use landbridge_framework::testing::eventually;

/// A picture or film as embeds have it: where it is from, and Discord's copy.
fn media(world: &World, name: &str) -> Value {
    json!({
        "url": format!("https://example.org/{name}"), "proxy_url": world.fake.file(&format!("external/{name}")),
        "width": 40, "height": 30,
    })
}

/// The last content that a message of the room has, which was sent as this.
fn now(world: &World, event: &Value) -> Value {
    let all = world.homeserver.timeline(&world.room).into_iter();
    let mut edits = all.filter(|other| {
        let about = &other["content"]["m.relates_to"];
        about["rel_type"] == "m.replace" && about["event_id"] == event["event_id"]
    });
    let last = edits.next_back().map(|edit| edit["content"]["m.new_content"].clone());
    last.unwrap_or_else(|| event["content"].clone())
}

/// What the first link of a message leads to, as the room shows it.
fn preview(world: &World, event: &Value) -> Value {
    now(world, event)["com.beeper.linkpreviews"][0].clone()
}

#[tokio::test]
async fn the_pictures_of_a_programs_box_come_with_it() {
    let world = World::opened().await;
    let mut program = Fake::user("ann");
    program["bot"] = true.into();
    let embed = json!({
        "type": "rich", "title": "Weather", "image": media(&world, "map.png"),
        "thumbnail": media(&world, "sun.webp"),
    });
    let id =
        world.fake.post(CHANNEL, json!({ "author": program, "content": "", "embeds": [embed] }));
    let expected = ["> Weather", "map.png", "sun.webp"];
    eventually("text and pictures", || texts(&world.said()) == expected).await;
    for (name, mime) in [("map.png", "image/png"), ("sun.webp", "image/webp")] {
        let content = world.find(name)["content"].clone();
        assert_eq!(
            (&content["msgtype"], &content["info"]["mimetype"]),
            (&json!("m.image"), &json!(mime))
        );
        assert_eq!((&content["info"]["w"], &content["info"]["h"]), (&json!(40), &json!(30)));
        assert_eq!(world.picture(&content["url"]), Some(format!("external/{name}")));
    }
    // It draws another, and no small one.
    let map = world.find("map.png");
    let changed =
        json!({ "type": "rich", "title": "Weather", "image": media(&world, "other.png") });
    world.fake.unfurl(CHANNEL, &id, json!([changed]));
    world.fake.edit(CHANNEL, &id, "");
    eventually("the other picture", || {
        world.picture(&now(&world, &map)["url"]).as_deref() == Some("external/other.png")
    })
    .await;
    let is_gone = || world.homeserver.messages(&world.room).len() == 2;
    eventually("no small one", is_gone).await;
    assert!(!texts(&world.said()).contains(&"sun.webp"));
}

#[tokio::test]
async fn a_gif_takes_the_place_of_its_link() {
    let world = World::opened().await;
    let link = "https://tenor.example/view/cat";
    let embed = json!({
        "type": "gifv", "url": link, "video": media(&world, "cat.mp4"),
        "thumbnail": media(&world, "cat.png"),
    });
    // Discord knows of it at once, or a little later.
    let first = json!({ "author": Fake::user("ann"), "content": link, "embeds": [embed] });
    world.fake.post(CHANNEL, first);
    eventually("the film", || texts(&world.said()) == ["cat.mp4"]).await;
    let film = world.find("cat.mp4")["content"].clone();
    assert_eq!(
        (&film["msgtype"], &film["info"]["mimetype"]),
        (&json!("m.video"), &json!("video/mp4"))
    );
    assert_eq!(film["info"]["fi.mau.gif"], true, "it plays by itself: {film}");
    assert_eq!(world.picture(&film["url"]).as_deref(), Some("external/cat.mp4"));
    let id = world.fake.say(CHANNEL, "ann", link);
    eventually("the link", || texts(&world.said()) == ["cat.mp4", link]).await;
    world.fake.unfurl(CHANNEL, &id, json!([embed]));
    eventually("the film in its place", || texts(&world.said()) == ["cat.mp4", "cat.mp4"]).await;
    // Where more is said, the link stays.
    let id = world.fake.say(CHANNEL, "ann", &format!("Look: {link}"));
    eventually("words", || world.said().len() == 3).await;
    let said = world.find(&format!("Look: {link}"));
    world.fake.unfurl(CHANNEL, &id, json!([embed]));
    eventually("what it leads to", || {
        world.picture(&preview(&world, &said)["og:image"]).as_deref() == Some("external/cat.png")
    })
    .await;
    assert_eq!(world.said().len(), 3);
}

#[tokio::test]
async fn a_linked_picture_is_shown() {
    let world = World::opened().await;
    let link = "https://example.org/cat.jpg";
    let embed = json!({ "type": "image", "url": link, "thumbnail": media(&world, "cat.jpg") });
    let id = world.fake.say(CHANNEL, "ann", link);
    eventually("the link", || texts(&world.said()) == [link]).await;
    world.fake.unfurl(CHANNEL, &id, json!([embed]));
    eventually("the picture in its place", || texts(&world.said()) == ["cat.jpg"]).await;
    let picture = world.find("cat.jpg")["content"].clone();
    assert_eq!(picture["msgtype"], "m.image");
    assert_eq!(world.picture(&picture["url"]).as_deref(), Some("external/cat.jpg"));
    // What is about the message is about the picture, now that the link is gone.
    let event = world.find("cat.jpg")["event_id"].clone();
    let react = json!({
        "user_id": "10999", "channel_id": CHANNEL, "guild_id": GUILD, "message_id": id,
        "emoji": { "id": null, "name": "👍" },
    });
    world.fake.dispatch("MESSAGE_REACTION_ADD", &react);
    eventually("a reaction", || {
        let mut all = world.homeserver.timeline(&world.room).into_iter();
        all.any(|it| {
            it["type"] == "m.reaction" && it["content"]["m.relates_to"]["event_id"] == event
        })
    })
    .await;
    let about = json!({ "type": 0, "message_id": id, "channel_id": CHANNEL });
    let answer = json!({
        "author": Fake::user("eve"), "content": "nice", "type": 19, "message_reference": about,
    });
    world.fake.post(CHANNEL, answer);
    eventually("an answer", || texts(&world.said()).contains(&"nice")).await;
    let about = world.find("nice")["content"]["m.relates_to"]["m.in_reply_to"]["event_id"].clone();
    assert_eq!(about, event);
}

#[tokio::test]
async fn previews_of_links_have_their_pictures() {
    let world = World::opened().await;
    for (kind, name) in [("article", "page"), ("video", "film")] {
        let link = format!("https://example.org/{name}");
        let id = world.fake.say(CHANNEL, "ann", &format!("See {link}"));
        let body = format!("See {link}");
        eventually("words", || texts(&world.said()).contains(&&*body)).await;
        let said = world.find(&body);
        let picture = format!("{name}.jpg");
        let embed = json!({ "type": kind, "url": link, "title": name, "thumbnail": media(&world, &picture) });
        world.fake.unfurl(CHANNEL, &id, json!([embed]));
        eventually("its picture", || {
            let image = world.picture(&preview(&world, &said)["og:image"]);
            image == Some(format!("external/{picture}"))
        })
        .await;
        assert_eq!(preview(&world, &said)["og:title"], name);
    }
}

#[tokio::test]
async fn pictures_elsewhere_are_not_fetched() {
    let world = World::opened().await;
    let elsewhere = Fake::start().await;
    let picture = json!({ "url": elsewhere.file("x.png"), "proxy_url": elsewhere.file("x.png") });
    let embed = json!({ "type": "rich", "title": "Box", "image": picture });
    world
        .fake
        .post(CHANNEL, json!({ "author": Fake::user("ann"), "content": "", "embeds": [embed] }));
    world.fake.say(CHANNEL, "ann", "end");
    eventually("all of it", || texts(&world.said()).contains(&"end")).await;
    let pictures = world.homeserver.timeline(&world.room).into_iter();
    let mut pictures = pictures.filter(|event| event["content"]["url"].is_string());
    assert!(pictures.next().is_none(), "{:?}", world.said());
    assert_eq!(texts(&world.said())[0], "> Box");
}
