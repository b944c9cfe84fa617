//! Photos and music.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Sent;
use serde_json::{Value, json};
use tl::enums::{DocumentAttribute as Attribute, MessageMedia};

use crate::rig::{ALICE, CLUB, Rig};

const PHOTO: &[u8] = b"\xff\xd8\xff photo";
const SPOILER: &str = "page.codeberg.everypizza.msc4193.spoiler";

impl Rig {
    /// Ann sends a picture of this size; what it is on Telegram, with its caption.
    async fn pictured(
        &self,
        room: &str,
        bytes: &[u8],
        (w, h): (u32, u32),
        more: Value,
    ) -> (MessageMedia, String) {
        let mut content = json!({
            "msgtype": "m.image", "body": "board.jpg", "filename": "board.jpg",
            "url": self.ann.upload("image/jpeg", bytes).expect("an upload"),
            "info": { "mimetype": "image/jpeg", "size": bytes.len(), "w": w, "h": h },
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            content[key] = value.clone();
        }
        let said = || {
            let said = self.peer.world().said(CLUB).into_iter();
            said.filter(|said| said.from == ALICE).collect::<Vec<_>>()
        };
        let before = said().len();
        self.ann.send(room, "m.room.message", &content).expect("Ann may send");
        eventually("it is on Telegram", || said().len() > before).await;
        let said = said().pop().expect("it is there");
        (said.media.expect("it carries something"), said.text)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_are_pictures_with_what_is_said_of_them() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let photo = rig.peer.world().photo(PHOTO);
    let hidden = tl::types::MessageMediaPhoto { spoiler: true, ..photo };
    let sent = Sent { text: "mate in two".into(), media: Some(hidden.into()), ..Sent::default() };
    let content = rig.arrived(&room, "m.room.message", sent).await;
    assert_eq!((&content["msgtype"], &content["body"]), (&json!("m.image"), &json!("mate in two")));
    assert_eq!((&content["info"]["w"], &content["info"]["h"]), (&json!(640), &json!(480)));
    assert_eq!(content[SPOILER], true, "{content}");
    assert_eq!(rig.bytes(&content["url"]).as_deref(), Some(PHOTO));

    let more = json!({ "body": "mate in one", SPOILER: true });
    let (media, caption) = rig.pictured(&room, PHOTO, (640, 480), more).await;
    let MessageMedia::Photo(photo) = media else { panic!("no photo: {media:?}") };
    assert!(photo.spoiler && caption == "mate in one", "{caption}");
    // What Telegram takes for no photo is a file: too long and narrow, or of bytes that it can't read.
    for (bytes, size) in [(PHOTO, (2_100, 100)), (&b"no picture"[..], (640, 480))] {
        let (media, caption) = rig.pictured(&room, bytes, size, json!({})).await;
        let MessageMedia::Document(media) = media else { panic!("no file: {media:?}") };
        let Some(tl::enums::Document::Document(file)) = media.document else { panic!("no file") };
        assert_eq!((file.size, caption.as_str()), (bytes.len() as i64, ""));
    }
    assert_eq!(rig.heard(&room).len(), 2, "nothing of it came back: {:?}", rig.heard(&room));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn music_has_its_title_and_length() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let song = ("audio/mpeg", &b"ID3 song"[..]);
    let audio = tl::types::DocumentAttributeAudio {
        voice: false,
        duration: 180,
        title: Some("One Night in Bangkok".into()),
        performer: Some("Murray Head".into()),
        waveform: None,
    };
    let name = tl::types::DocumentAttributeFilename { file_name: "night.mp3".into() };
    let content = rig.file(&room, "m.room.message", song, vec![audio.into(), name.into()]).await;
    assert_eq!(
        (&content["msgtype"], &content["filename"]),
        (&json!("m.audio"), &json!("night.mp3"))
    );
    assert_eq!(content["info"]["duration"], 180_000);
    assert!(content["org.matrix.msc3245.voice"].is_null(), "it is no voice: {content}");

    let content =
        json!({ "msgtype": "m.audio", "body": "night.mp3", "info": { "duration": 180_000 } });
    let (mime, attributes) = rig.attributes(&room, "m.room.message", song, content).await;
    let is_song = |a: &Attribute| matches!(a, Attribute::Audio(audio) if !audio.voice && audio.duration == 180);
    assert!(mime == "audio/mpeg" && attributes.iter().any(is_song), "{mime} {attributes:?}");
}
