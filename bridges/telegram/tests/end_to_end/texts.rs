//! Texts with more in them than words.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Sent;
use serde_json::json;
use tl::enums::MessageEntity as Entity;

use crate::rig::{ALICE, BOB, BOBS_GHOST, CLUB, Rig};

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
