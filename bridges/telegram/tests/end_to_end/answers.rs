//! What is said about what was said: reactions, pins, answers, and where something comes from.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::{Sent, carried};
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, BOBS_GHOST, CLUB, CLUB_ID, Rig};

const CAT: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 cat";

impl Rig {
    /// The event of a message by its text.
    pub(crate) fn event_of(&self, room: &str, body: &str) -> Option<String> {
        let events = self.events(room, "m.room.message");
        let event = events.iter().find(|event| event["content"]["body"] == body)?;
        event["event_id"].as_str().map(ToOwned::to_owned)
    }

    /// Whether a message of the club has these reactions.
    fn has_reactions(&self, text: &str, wanted: &[(i64, &str)]) -> bool {
        let said = self.peer.world().said(CLUB);
        let message = said.iter().find(|said| said.text == text);
        let reactions = message.map(|said| &said.reactions[..]).unwrap_or_default();
        reactions.iter().map(|(who, what)| (*who, what.as_str())).eq(wanted.iter().copied())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_are_the_same_on_both_sides_custom_emoji_too() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let welcome = rig.event_of(&room, "welcome").expect("it is there");
    let cat = rig.peer.world().custom_emoji("image/webp", CAT, "🐈");
    let thumb: tl::enums::Reaction = tl::types::ReactionEmoji { emoticon: "👍".into() }.into();
    let reaction = tl::types::ReactionCustomEmoji { document_id: cat };
    rig.peer.world().react(BOB, CLUB, 1, vec![reaction.into()]).expect("it is there");
    let shown = || {
        let mut all = rig.events(&room, "m.reaction");
        all.retain(|event| event["content"]["m.relates_to"]["event_id"] == welcome);
        all
    };
    eventually("Bob's reaction is there", || shown().len() == 1).await;
    let first = shown().remove(0);
    assert_eq!(first["sender"], BOBS_GHOST);
    let key = first["content"]["m.relates_to"]["key"].clone();
    assert_eq!(rig.bytes(&key).as_deref(), Some(CAT), "it is a picture: {key}");

    // Ann takes the same, which Telegram knows; and another, in the place of it.
    let key = key.as_str().expect("a text").to_owned();
    rig.ann.react(&room, &welcome, &key).expect("Ann may react");
    let emoji = format!("emoji {cat}");
    eventually("it is Alice's", || rig.has_reactions("welcome", &[(BOB, &emoji), (ALICE, &emoji)]))
        .await;
    let heart = rig.ann.react(&room, &welcome, "❤️").expect("Ann may react");
    eventually("another is Alice's", || {
        rig.has_reactions("welcome", &[(BOB, &emoji), (ALICE, "❤")])
    })
    .await;
    rig.ann.redact(&room, &heart).expect("Ann may take it back");
    eventually("Alice has none", || rig.has_reactions("welcome", &[(BOB, &emoji)])).await;

    // Bob takes another, too.
    rig.peer.world().react(BOB, CLUB, 1, vec![thumb]).expect("it is there");
    let keys = || {
        let all = shown().into_iter().filter(|event| event["sender"] == BOBS_GHOST);
        all.map(|event| event["content"]["m.relates_to"]["key"].clone()).collect::<Vec<_>>()
    };
    eventually("Bob's is another", || keys() == [json!("👍")]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pins_are_the_same_on_both_sides() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    rig.ann.say(&room, "rules").expect("Ann may speak");
    eventually("the rules are there", || rig.said_by(CLUB, ALICE) == ["rules"]).await;
    let welcome = rig.event_of(&room, "welcome").expect("it is there");
    let rules = rig.event_of(&room, "rules").expect("it is there");
    let here = || rig.state(&room, "m.room.pinned_events")["pinned"].clone();
    let there = || {
        let said = rig.peer.world().said(CLUB).into_iter().filter(|said| said.pinned);
        said.map(|said| said.text).collect::<Vec<_>>()
    };
    rig.peer.world().pin(CLUB_ID, 1, true);
    eventually("Bob's pin is there", || here() == json!([welcome])).await;
    let pin = |events: Value| {
        let content = json!({ "pinned": events });
        rig.ann.set_state(&room, "m.room.pinned_events", "", &content).expect("Ann may pin");
    };
    pin(json!([welcome, rules]));
    eventually("Ann's pin is there", || there() == ["welcome", "rules"]).await;
    pin(json!([rules]));
    eventually("the other is not", || there() == ["rules"]).await;
    rig.peer.world().pin(CLUB_ID, 2, false);
    eventually("nothing is pinned", || here() == json!([])).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_something_of_another_chat_quotes_it() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let lobby = tl::types::PeerChannel { channel_id: 5000 };
    let bob = tl::types::PeerUser { user_id: BOB };
    // Message 1 of this chat is not what it answers.
    let sent = Sent {
        text: "have you seen this?".into(),
        reply_to: Some(1),
        quote: Some("free cake".into()),
        elsewhere: Some((lobby.into(), bob.into())),
        ..Sent::default()
    };
    rig.peer.world().send(BOB, CLUB, sent);
    eventually("the answer is there", || rig.heard(&room).len() == 2).await;
    let content = rig.last(&room, "m.room.message")["content"].clone();
    assert_eq!(content["body"], "> Bob: free cake\nhave you seen this?");
    assert!(content.get("m.relates_to").is_none(), "{content}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_answers_and_show_the_part_that_they_are_about() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let welcome = rig.event_of(&room, "welcome").expect("it is there");
    let sent = Sent { text: "to whom?".into(), reply_to: Some(1), ..Sent::default() };
    let number = rig.peer.world().send(BOB, CLUB, sent.clone());
    eventually("the answer is there", || rig.event_of(&room, "to whom?").is_some()).await;
    let answer = rig.last(&room, "m.room.message");
    assert_eq!(answer["content"]["m.relates_to"]["m.in_reply_to"]["event_id"], welcome);
    let quoting = Sent { text: "and come?".into(), quote: Some("welc".into()), ..sent };
    rig.peer.world().send(BOB, CLUB, quoting);
    eventually("the other is there", || rig.heard(&room).len() == 3).await;
    let content = rig.last(&room, "m.room.message")["content"].clone();
    assert_eq!(content["m.relates_to"]["m.in_reply_to"]["event_id"], welcome);
    let html = content["formatted_body"].as_str().unwrap_or_default();
    assert!(html.contains("<blockquote>welc</blockquote>"), "{content}");
    assert!(content["body"].as_str().is_some_and(|body| body.ends_with("and come?")), "{content}");

    let about = json!({
        "msgtype": "m.text", "body": "to you",
        "m.relates_to": { "m.in_reply_to": { "event_id": answer["event_id"] } },
    });
    rig.ann.send(&room, "m.room.message", &about).expect("Ann may answer");
    eventually("Ann's answer is there", || {
        let said = rig.peer.world().said(CLUB);
        said.last().is_some_and(|said| said.text == "to you" && said.reply_to == Some(number))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forwarded_says_where_it_comes_from() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let forward = |text: &str, from, name: Option<&str>, post| Sent {
        text: text.into(),
        forward: Some((from, name.map(Into::into), post)),
        ..Sent::default()
    };
    let bob = tl::types::PeerUser { user_id: BOB }.into();
    let lobby = tl::types::PeerChannel { channel_id: 5000 }.into();
    for (sent, name, link) in [
        (forward("one", Some(bob), None, None), "Bob", Some(BOBS_GHOST)),
        (forward("two", None, Some("Carol"), None), "Carol", None),
        (forward("three", Some(lobby), None, Some(7)), "Lobby", Some("https://t.me/c/5000/7")),
    ] {
        let text = sent.text.clone();
        rig.peer.world().send(BOB, CLUB, sent);
        eventually("it is there", || rig.heard(&room).iter().any(|body| body.ends_with(&text)))
            .await;
        let content = rig.last(&room, "m.room.message")["content"].clone();
        let body = content["body"].as_str().unwrap_or_default();
        assert!(body.contains("Forwarded from") && body.contains(name), "{content}");
        let html = content["formatted_body"].as_str().unwrap_or_default();
        assert!(link.is_none_or(|link| html.contains(link)), "{content}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_are_their_channels_under_the_names_that_they_are_signed_with() {
    const NEWS: i64 = 5200;
    let rig = Rig::with_alice().await;
    {
        let mut world = rig.peer.world();
        world.own_channel(NEWS, "News", ALICE, &[BOB]);
        world.broadcast(NEWS);
        let place = landbridge_telegram_peer::Place::Channel(NEWS);
        let signature = Some("The editor".into());
        world.send(BOB, place, Sent { text: "good news".into(), signature, ..Sent::default() });
    }
    let room = rig.room_named("News").await;
    eventually("the post is there", || !rig.heard(&room).is_empty()).await;
    let post = rig.last(&room, "m.room.message");
    assert_eq!(post["sender"], "@telegram_c5200:hs.example");
    let profile = &post["content"]["com.beeper.per_message_profile"];
    assert_eq!(profile["displayname"], "The editor", "{post}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn captions_are_changed_on_both_sides() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let number = {
        let mut world = rig.peer.world();
        let file = world.document("text/plain", b"e4 e5", Vec::new());
        let media = Some(carried(file).into());
        world.send(BOB, CLUB, Sent { text: "my game".into(), media, ..Sent::default() })
    };
    eventually("the file is there", || rig.heard(&room).contains(&"my game".to_owned())).await;
    let file = rig.last(&room, "m.room.message")["content"].clone();
    assert_eq!(rig.bytes(&file["url"]).as_deref(), Some(&b"e4 e5"[..]), "{file}");
    rig.peer.world().edit(CLUB_ID, number, "our game");
    eventually("its caption is changed", || rig.heard(&room).contains(&"our game".to_owned()))
        .await;
    let edit = rig.last(&room, "m.room.message")["content"]["m.new_content"].clone();
    assert_eq!((&edit["url"], &edit["msgtype"]), (&file["url"], &json!("m.file")));

    let mxc = rig.ann.upload("text/plain", b"d4 d5").expect("an upload");
    let content = |body: &str| {
        json!({
            "msgtype": "m.file", "body": body, "filename": "game.txt", "url": mxc,
            "info": { "mimetype": "text/plain", "size": 5 },
        })
    };
    let event = rig.ann.send(&room, "m.room.message", &content("mine")).expect("Ann may send");
    eventually("Ann's file is there", || rig.said_by(CLUB, ALICE) == ["mine"]).await;
    let mut edit = content("* yours");
    edit["m.new_content"] = content("yours");
    edit["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": event });
    rig.ann.send(&room, "m.room.message", &edit).expect("Ann may edit");
    eventually("its caption is changed", || rig.said_by(CLUB, ALICE) == ["yours"]).await;
    let said = rig.peer.world().said(CLUB).pop().expect("it is there");
    assert_eq!((said.file, said.edited), (Some(5), true));
}
