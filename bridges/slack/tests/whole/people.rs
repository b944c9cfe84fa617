//! People: how they look, how they come and go.

use serde_json::json;

use crate::{World, slack::with_channel};
use landbridge_framework::testing::{eventually, fetch_link};

#[tokio::test]
async fn people_look_as_in_slack() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    slack.say("U01", json!({ "text": "hello" }));
    eventually("her words", || world.said(&room) == ["hello"]).await;
    let alice = world.event_of(&room, "hello")["sender"].as_str().unwrap().to_owned();
    assert_eq!(alice, World::ghost("U01"));
    let looks = |name: &str, picture: &str| {
        let profile = world.homeserver.profile(&alice);
        profile["displayname"] == name
            && world.picture(&profile["avatar_url"]).is_some_and(|found| found == picture)
    };
    eventually("her name and picture", || looks("Alice", "U01.png")).await;
    let picture = slack.inside().picture("new.png");
    let profile = json!({ "display_name": "Ally", "real_name": "Alice", "image_512": picture });
    let user = json!({ "id": "U01", "team_id": "T01", "name": "alice", "profile": profile });
    slack.inside().people.insert("U01".into(), user.clone());
    slack.emit(&json!({ "type": "user_change", "user": user, "event_ts": "4100000000.000001" }));
    eventually("her other name and picture", || looks("Ally", "new.png")).await;
    // Whoever mentions her calls her so, too.
    slack.say("U02", json!({ "text": "<@U01>?" }));
    eventually("a mention", || world.said(&room).contains(&"@Ally?".to_owned())).await;
}

#[tokio::test]
async fn a_bot_looks_as_each_of_its_messages_says() {
    let world = World::new().await;
    let (_ann, room, _bridge) = world.opened().await;
    let slack = &world.slack;
    let icon = slack.inside().picture("rocket.png");
    let said = |text: &str, name: &str| {
        let mut inside = slack.inside();
        let message = json!({
            "type": "message", "subtype": "bot_message", "bot_id": "B09", "text": text, "username": name,
            "bot_profile": { "id": "B09", "name": "Builder" }, "icons": { "image_48": icon },
        });
        let message = inside.add(message);
        inside.tell(&with_channel(message));
    };
    said("built", "Builder");
    said("deployed", "Deploy");
    eventually("both", || world.homeserver.messages(&room).len() == 2).await;
    let bodies = world.said(&room);
    assert!(bodies[0] == "built" && bodies[1].ends_with("deployed"), "{bodies:?}");
    let builder = World::ghost("B09");
    assert_eq!(world.homeserver.profile(&builder)["displayname"], "Builder");
    let profile = |body: &str| {
        world.event_of(&room, body)["content"]["com.beeper.per_message_profile"].clone()
    };
    assert!(profile("built").is_null(), "it is its own name");
    let shown = profile(&bodies[1]);
    assert_eq!(shown["displayname"], "Deploy");
    assert_eq!(world.picture(&shown["avatar_url"]).as_deref(), Some("rocket.png"));
}

#[tokio::test]
async fn the_relay_shows_pictures_that_can_be_fetched() {
    let world =
        World::with(|bridge, _| bridge.public_address = Some("https://bridge.example".into()))
            .await;
    let (ann, room, bridge) = world.opened().await;
    let picture = b"\x89PNG\r\n\x1a\nand so on";
    let mxc = ann.upload("image/png", picture).unwrap();
    let looks = json!({ "membership": "join", "displayname": "Ann", "avatar_url": mxc });
    ann.set_state(&room, "m.room.member", ann.id(), &looks).unwrap();
    ann.say(&room, "hello").unwrap();
    let slack = &world.slack;
    eventually("her words", || slack.messages().iter().any(|it| it["text"] == "hello")).await;
    let said = slack.messages().pop().unwrap();
    assert_eq!(said["username"], "Ann");
    let link = said["icon_url"].as_str().unwrap();
    assert!(link.starts_with("https://bridge.example/"), "{link}");
    let found = fetch_link(bridge.public_router(), link).await.unwrap();
    assert_eq!(found, ("image/png".to_owned(), picture.to_vec()));
}

#[tokio::test]
async fn people_come_and_go_on_both_sides() {
    let world = World::new().await;
    let (ann, room, _bridge) = world.plumbed().await;
    let slack = &world.slack;
    let cleo = World::ghost("U03");
    let is =
        |expected: &str| world.homeserver.membership(&room, &cleo).as_deref() == Some(expected);
    let passes = |comes: bool| slack.inside().passes("C02", "U03", comes);
    passes(true);
    eventually("her arrival", || is("join")).await;
    passes(false);
    eventually("her departure", || is("leave")).await;
    assert!(ann.invite(&room, &cleo));
    eventually("she is asked in", || slack.called("conversations.invite") == 1).await;
    let asked = slack.asked("conversations.invite").remove(0);
    assert_eq!((&asked["channel"], &asked["users"]), (&json!("C02"), &json!("U03")));
    eventually("she is there", || is("join")).await;
    assert!(ann.kick(&room, &cleo));
    eventually("she is put out", || slack.called("conversations.kick") == 1).await;
    let asked = slack.asked("conversations.kick").remove(0);
    assert_eq!((&asked["channel"], &asked["user"]), (&json!("C02"), &json!("U03")));
    slack.say("U01", json!({ "text": "end", "channel": "C02" }));
    eventually("all of it", || world.said(&room) == ["end"]).await;
    assert!(is("leave") && slack.called("conversations.kick") == 1);
}
