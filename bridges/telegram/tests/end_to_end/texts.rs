//! Texts with more in them than words.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::{Place, Sent};
use serde_json::json;
use tl::enums::MessageEntity as Entity;

use crate::rig::{ALICE, BOB, BOBS_GHOST, BOT, CLUB, DIRECT, Rig};

const CAT: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 cat";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_mentions_spoilers_and_custom_emoji_go_both_ways() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let document_id = rig.peer.world().custom_emoji("image/webp", CAT, "🐈");
    // Offsets count UTF-16 code units.
    let text = "🎉 see this, Alice: mate 🐈";
    let entities: Vec<Entity> = vec![
        tl::types::MessageEntityTextUrl {
            offset: 7,
            length: 4,
            url: "https://example.org/".into(),
        }
        .into(),
        tl::types::MessageEntityMentionName { offset: 13, length: 5, user_id: ALICE }.into(),
        tl::types::MessageEntitySpoiler { offset: 20, length: 4 }.into(),
        tl::types::MessageEntityCustomEmoji { offset: 25, length: 2, document_id }.into(),
    ];
    let sent = Sent { text: text.into(), entities, ..Sent::default() };
    rig.peer.world().send(BOB, CLUB, sent);
    eventually("it is there", || rig.heard(&room).len() == 2).await;
    let content = rig.last(&room, "m.room.message")["content"].clone();
    let html = content["formatted_body"].as_str().unwrap_or_default();
    assert!(html.contains("<a href=\"https://example.org/\">this</a>"), "{content}");
    assert!(html.contains(&format!("https://matrix.to/#/{}", rig.ann.id())), "{content}");
    assert!(html.contains("<span data-mx-spoiler>mate</span>"), "{content}");
    assert_eq!(content["m.mentions"]["user_ids"], json!([rig.ann.id()]));
    let (_, emoji) = html.split_once("data-mx-emoticon").expect("a custom emoji");
    let (_, mxc) = emoji.split_once("src=\"").expect("it has a picture");
    let mxc = mxc.split('"').next().expect("an address").to_owned();
    assert_eq!(rig.bytes(&json!(mxc)).as_deref(), Some(CAT));

    // Ann says the like.
    let html = format!(
        "🎉 see <a href=\"https://example.org/\">this</a>, \
         <a href=\"https://matrix.to/#/{BOBS_GHOST}\">Bob</a>: \
         <span data-mx-spoiler>mate</span> \
         <img data-mx-emoticon src=\"{mxc}\" alt=\"🐈\" height=\"32\">"
    );
    let content = json!({
        "msgtype": "m.text", "body": "see this", "format": "org.matrix.custom.html",
        "formatted_body": html, "m.mentions": { "user_ids": [BOBS_GHOST] },
    });
    rig.ann.send(&room, "m.room.message", &content).expect("Ann may speak");
    eventually("Ann's words are there", || rig.said_by(CLUB, ALICE).len() == 1).await;
    let said = rig.peer.world().said(CLUB).pop().expect("it is there");
    assert_eq!(said.text, "🎉 see this, Bob: mate 🐈");
    let wanted: Vec<Entity> = vec![
        tl::types::MessageEntityTextUrl {
            offset: 7,
            length: 4,
            url: "https://example.org/".into(),
        }
        .into(),
        tl::types::MessageEntityMentionName { offset: 13, length: 3, user_id: BOB }.into(),
        tl::types::MessageEntitySpoiler { offset: 18, length: 4 }.into(),
        tl::types::MessageEntityCustomEmoji { offset: 23, length: 2, document_id }.into(),
    ];
    assert_eq!(said.entities, wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_look_the_same_on_both_sides() {
    let rig = Rig::with_alice().await;
    let (room, _) = rig.chat_with_bob().await;
    // Bob answers himself: his numbers and Alice's needn't be the same, but the message is.
    let asked = {
        let mut world = rig.peer.world();
        world.say(BOB, Place::Direct(BOB, BOT), "a number that Alice doesn't have");
        world.say(BOB, DIRECT, "which opening?")
    };
    let entities: Vec<Entity> = vec![
        tl::types::MessageEntityBold { offset: 0, length: 2 }.into(),
        tl::types::MessageEntityItalic { offset: 3, length: 2 }.into(),
        tl::types::MessageEntityCode { offset: 6, length: 3 }.into(),
        tl::types::MessageEntityStrike { offset: 10, length: 3 }.into(),
    ];
    let text = "e4 e5 Nf3 Nf6".to_owned();
    let sent = Sent { text, entities, reply_to: Some(asked), ..Sent::default() };
    rig.peer.world().send(BOB, DIRECT, sent);
    eventually("it is there", || rig.heard(&room).len() == 3).await;
    let content = rig.last(&room, "m.room.message")["content"].clone();
    let html = "<strong>e4</strong> <em>e5</em> <code>Nf3</code> <del>Nf6</del>";
    assert_eq!(content["formatted_body"], html, "{content}");
    let question = rig.event_of(&room, "which opening?").expect("it is there");
    assert_eq!(content["m.relates_to"]["m.in_reply_to"]["event_id"], question);

    let html = "<h2>Petrov</h2><ul><li><b>solid</b></li><li><i>dry</i></li></ul>\
                <blockquote>1.e4 e5</blockquote><pre><code class=\"language-pgn\">2.Nf3 Nf6</code></pre>";
    let content = json!({
        "msgtype": "m.text", "body": "Petrov", "format": "org.matrix.custom.html", "formatted_body": html,
        "m.relates_to": { "m.in_reply_to": { "event_id": question } },
    });
    rig.ann.send(&room, "m.room.message", &content).expect("Ann may speak");
    eventually("Ann's words are there", || rig.said_by(DIRECT, ALICE).len() == 1).await;
    let said = rig.peer.world().said(DIRECT).pop().expect("it is there");
    assert_eq!(said.text, "Petrov\n• solid\n• dry\n1.e4 e5\n2.Nf3 Nf6");
    assert_eq!(said.reply_to, rig.peer.world().number_of(ALICE, BOB, asked));
    let part = |entity: &Entity| {
        let units: Vec<u16> = said.text.encode_utf16().collect();
        let range = entity.offset() as usize..(entity.offset() + entity.length()) as usize;
        String::from_utf16_lossy(&units[range])
    };
    let kinds: Vec<(&str, String)> = said
        .entities
        .iter()
        .map(|entity| {
            let kind = match entity {
                Entity::Bold(_) => "bold",
                Entity::Italic(_) => "italic",
                Entity::Blockquote(_) => "quote",
                Entity::Pre(code) if code.language == "pgn" => "pgn",
                _ => "other",
            };
            (kind, part(entity))
        })
        .collect();
    for wanted in [
        ("bold", "Petrov"),
        ("bold", "solid"),
        ("italic", "dry"),
        ("quote", "1.e4 e5"),
        ("pgn", "2.Nf3 Nf6"),
    ] {
        assert!(kinds.contains(&(wanted.0, wanted.1.to_owned())), "{wanted:?} of {kinds:?}");
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
}
