//! Files in all their sorts, and what programs and links show.

use serde_json::{Value, json};

use crate::{
    fake::{CHANNEL, Fake},
    texts,
    world::World,
};
use landbridge_framework::testing::{eventually, fetch_link};

/// The least that is a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";
const SPOILER: &str = "page.codeberg.everypizza.msc4193.spoiler";

/// An attachment as the API has it.
fn attachment(world: &World, id: &str, name: &str, mime: &str) -> Value {
    json!({
        "id": id, "filename": name, "content_type": mime, "size": 16,
        "url": world.fake.file(&format!("attachments/{CHANNEL}/{id}/{name}")),
        "proxy_url": world.fake.file(&format!("attachments/{CHANNEL}/{id}/{name}")),
    })
}

#[tokio::test]
async fn pictures_come_with_what_is_said_of_them() {
    let world = World::opened().await;
    let mut hidden = attachment(&world, "70", "SPOILER_end.png", "image/png");
    hidden["width"] = 20.into();
    hidden["height"] = 10.into();
    hidden["description"] = "The end of the film".into();
    let moving = attachment(&world, "71", "cat.gif", "image/gif");
    let message = json!({
        "author": Fake::user("ann"), "content": "Look:", "attachments": [hidden, moving],
    });
    world.fake.post(CHANNEL, message);
    let expected = ["Look:", "The end of the film", "cat.gif"];
    eventually("text and both pictures", || texts(&world.said()) == expected).await;
    let content = world.find("The end of the film")["content"].clone();
    assert_eq!((&content["msgtype"], &content["filename"]), (&json!("m.image"), &json!("end.png")));
    assert_eq!((&content["info"]["w"], &content[SPOILER]), (&json!(20), &json!(true)));
    let path = world.picture(&content["url"]).unwrap();
    assert_eq!(path, "attachments/600/70/SPOILER_end.png");
    let moving = world.find("cat.gif")["content"].clone();
    assert_eq!(moving["info"]["mimetype"], "image/gif");
    assert_eq!(moving.get(SPOILER), None);
}

#[tokio::test]
async fn an_address_that_has_ended_is_asked_for_again() {
    let world = World::opened().await;
    let mut file = attachment(&world, "70", "a.zip", "application/zip");
    // The second in which it ended, in hexadecimal digits.
    let fresh = file["url"].clone();
    file["url"] = world.fake.file("attachments/gone.zip?ex=5f000000").into();
    world.fake.faults(|faults| faults.deaf = true);
    let message = json!({ "author": Fake::user("ann"), "content": "", "attachments": [file] });
    let id = world.fake.post(CHANNEL, message.clone());
    world.fake.faults(|faults| faults.deaf = false);
    let told = {
        let mut state = world.fake.state();
        let all = state.messages.get_mut(CHANNEL).unwrap();
        let known = all.iter_mut().find(|known| known["id"] == *id).unwrap();
        let told = known.clone();
        known["attachments"][0]["url"] = fresh;
        told
    };
    world.fake.dispatch("MESSAGE_CREATE", &told);
    eventually("the file", || texts(&world.said()) == ["a.zip"]).await;
    let path = world.picture(&world.find("a.zip")["content"]["url"]).unwrap();
    assert_eq!(path, "attachments/600/70/a.zip");
}

#[tokio::test]
async fn voice_messages_come_with_their_waveform() {
    let world = World::opened().await;
    let mut voice = attachment(&world, "72", "voice-message.ogg", "audio/ogg");
    voice["duration_secs"] = 1.5.into();
    voice["waveform"] = "AAECAw==".into();
    let message = json!({
        "author": Fake::user("ann"), "content": "", "flags": 1 << 13, "attachments": [voice],
    });
    world.fake.post(CHANNEL, message);
    eventually("the voice", || texts(&world.said()) == ["voice-message.ogg"]).await;
    let content = world.find("voice-message.ogg")["content"].clone();
    assert_eq!(content["msgtype"], "m.audio");
    assert_eq!(content["org.matrix.msc3245.voice"], json!({}));
    let audio = &content["org.matrix.msc1767.audio"];
    assert_eq!(*audio, json!({ "duration": 1500, "waveform": [0, 4, 8, 12] }));
    let path = world.picture(&content["url"]).unwrap();
    assert_eq!(path, "attachments/600/72/voice-message.ogg");
}

#[tokio::test]
async fn stickers_of_every_sort_come() {
    let world = World::opened().await;
    let sorts = [("80", 1), ("81", 2), ("82", 4), ("83", 3)];
    for (id, sort) in sorts {
        let item = json!({ "id": id, "name": format!("Wave {id}"), "format_type": sort });
        let message =
            json!({ "author": Fake::user("ann"), "content": "", "sticker_items": [item] });
        world.fake.post(CHANNEL, message);
    }
    eventually("all four", || world.count("m.sticker") == 4).await;
    let all = world.homeserver.timeline(&world.room);
    let stickers: Vec<&Value> =
        all.iter().filter(|event| event["type"] == "m.sticker").map(|e| &e["content"]).collect();
    let types: Vec<&Value> = stickers.iter().map(|it| &it["info"]["mimetype"]).collect();
    assert_eq!(types, ["image/png", "image/png", "image/gif", "image/gif"]);
    let paths: Vec<Option<String>> =
        stickers.iter().map(|sticker| world.picture(&sticker["url"])).collect();
    let path = |name: &str| Some(format!("stickers/{name}"));
    // The last one, of Lottie, was drawn here.
    assert_eq!(paths, [path("80.png"), path("81.png"), path("82.gif"), None]);
    let (mime, drawn) = world.user.download(stickers[3]["url"].as_str().unwrap()).unwrap();
    assert_eq!((mime.as_str(), &drawn[..4]), ("image/gif", b"GIF8".as_slice()));
}

#[tokio::test]
async fn pictures_go_with_what_is_said_of_them() {
    let world = World::opened().await;
    let mxc = world.user.upload("image/png", b"a picture").unwrap();
    let mut content = json!({
        "msgtype": "m.image", "body": "The *end*", "filename": "end.png", "url": mxc,
        "info": { "mimetype": "image/png" },
    });
    content[SPOILER] = true.into();
    world.user.send(&world.room, "m.room.message", &content).unwrap();
    eventually("the picture", || world.files(CHANNEL) == ["SPOILER_end.png"]).await;
    let sent = world.fake.sent().pop().unwrap();
    assert_eq!(sent["content"], "The \\*end\\*");
    assert_eq!(sent["attachments"][0]["description"], "The *end*");
    let content = json!({
        "body": "Wave", "url": mxc, "info": { "mimetype": "image/png", "w": 160, "h": 160 },
    });
    world.user.send(&world.room, "m.sticker", &content).unwrap();
    eventually("the sticker", || world.files(CHANNEL).len() == 2).await;
    assert_eq!(world.files(CHANNEL)[1], "Wave.png");
}

#[tokio::test]
async fn what_is_too_large_for_discord_is_a_link() {
    let mut world = World::with(|bridge, network| {
        bridge.portals.clear();
        bridge.public_address = Some("https://bridge.example".into());
        network.files.max_upload_bytes = 4;
    })
    .await;
    world.open(CHANNEL).await;
    let mxc = world.user.upload("application/zip", b"five!").unwrap();
    let content = json!({ "msgtype": "m.file", "body": "a.zip", "url": mxc });
    world.user.send(&world.room, "m.room.message", &content).unwrap();
    eventually("a message", || world.heard().len() == 1).await;
    let text = world.heard().remove(0).1;
    let link = text.strip_prefix("[a.zip](").and_then(|text| text.strip_suffix(')')).unwrap();
    assert!(link.starts_with("https://bridge.example/"), "{text}");
    assert!(world.files(CHANNEL).is_empty());
    let found = fetch_link(world.appservice().0, link).await.unwrap();
    assert_eq!(found, ("application/zip".to_owned(), b"five!".to_vec()));
}

#[tokio::test]
async fn the_relay_shows_pictures_that_can_be_fetched() {
    let world = World::opened_for(CHANNEL, |bridge| {
        bridge.public_address = Some("https://bridge.example".into());
    })
    .await;
    let mxc = world.user.upload("image/png", PNG).unwrap();
    let looks = json!({ "membership": "join", "displayname": "Bob", "avatar_url": mxc });
    world.user.set_state(&world.room, "m.room.member", world.user.id(), &looks).unwrap();
    world.user.say(&world.room, "hello").unwrap();
    eventually("a message", || world.heard().len() == 1).await;
    let sent = world.fake.sent().pop().unwrap();
    let link = sent["avatar_url"].as_str().unwrap();
    assert!(link.starts_with("https://bridge.example/"), "{link}");
    let found = fetch_link(world.appservice().0, link).await.unwrap();
    assert_eq!(found, ("image/png".to_owned(), PNG.to_vec()));
    // A link is good for the one file.
    let other = world.user.upload("image/png", b"secret").unwrap();
    let (_, id) = mxc.rsplit_once('/').unwrap();
    let (_, other) = other.rsplit_once('/').unwrap();
    assert_eq!(fetch_link(world.appservice().0, &link.replace(id, other)).await, None);
}

#[tokio::test]
async fn what_programs_and_links_show_is_shown() {
    let world = World::opened().await;
    let mut program = Fake::user("ann");
    program["bot"] = true.into();
    let embed = json!({
        "type": "rich", "title": "Release", "url": "https://example.org/r", "description": "It is **out**.",
        "author": { "name": "Builder" }, "fields": [{ "name": "Version", "value": "2", "inline": true }],
        "footer": { "text": "today" },
    });
    let button = json!({ "type": 2, "style": 5, "label": "Read", "url": "https://example.org/n" });
    let message = json!({
        "author": program, "content": "", "embeds": [embed],
        "components": [{ "type": 1, "components": [button] }],
    });
    world.fake.post(CHANNEL, message);
    eventually("both parts", || world.said().len() == 2).await;
    let said = world.said();
    assert!(said[0].1.contains("Read") && said[0].1.contains("https://example.org/n"), "{said:?}");
    let quoted =
        "> Builder\n> Release (https://example.org/r)\n> It is out.\n> Version\n> 2\n> today";
    assert_eq!(said[1].1, quoted);
    assert_eq!(world.find(quoted)["content"]["msgtype"], "m.notice");
    // What Discord finds behind a link comes a little later, as a change of the message.
    let link = "https://example.org/page";
    let id = world.fake.say(CHANNEL, "ann", link);
    eventually("the link", || world.said().len() == 3).await;
    let preview =
        json!({ "type": "link", "url": link, "title": "A page", "description": "Worth reading" });
    world.fake.unfurl(CHANNEL, &id, json!([preview]));
    let shown = || {
        let all = world.homeserver.timeline(&world.room);
        all.iter().any(|event| {
            let preview = &event["content"]["m.new_content"]["com.beeper.linkpreviews"][0];
            preview["og:title"] == "A page" && preview["matched_url"] == link
        })
    };
    eventually("what it leads to", shown).await;
}
