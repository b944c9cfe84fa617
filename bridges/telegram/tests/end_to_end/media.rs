//! What is not text: stickers, voices, films, places, and what Matrix has no form for.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::{Sent, carried};
use serde_json::{Value, json};
use tl::enums::{DocumentAttribute as Attribute, MessageMedia};

use crate::rig::{ALICE, BOB, CLUB, Rig};

const PICTURE: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 still";
/// A gzipped something, as animated stickers are.
const MOVING: &[u8] = b"\x1f\x8b\x08\0moving";

impl Rig {
    /// Bob sends something to the club; what Ann's room shows of it.
    pub(crate) async fn arrived(&self, room: &str, kind: &str, sent: Sent) -> Value {
        let before = self.last(room, kind)["event_id"].clone();
        self.peer.world().send(BOB, CLUB, sent);
        eventually("it is there", || self.last(room, kind)["event_id"] != before).await;
        self.last(room, kind)["content"].clone()
    }

    /// The same of a file.
    pub(crate) async fn file(
        &self,
        room: &str,
        kind: &str,
        (mime, bytes): (&str, &[u8]),
        attributes: Vec<Attribute>,
    ) -> Value {
        let file = self.peer.world().document(mime, bytes, attributes);
        let sent = Sent { media: Some(carried(file).into()), ..Sent::default() };
        let content = self.arrived(room, kind, sent).await;
        assert_eq!(self.bytes(&content["url"]).as_deref(), Some(bytes), "{content}");
        content
    }

    /// Ann sends something; what it is on Telegram.
    async fn carried(&self, room: &str, kind: &str, content: Value) -> MessageMedia {
        let count = || {
            let said = self.peer.world().said(CLUB);
            said.into_iter().filter(|said| said.from == ALICE).collect::<Vec<_>>()
        };
        let before = count().len();
        self.ann.send(room, kind, &content).expect("Ann may send");
        eventually("it is on Telegram", || count().len() > before).await;
        count().pop().and_then(|said| said.media).expect("it carries something")
    }

    /// The type and the attributes of a file that Ann sends.
    pub(crate) async fn attributes(
        &self,
        room: &str,
        kind: &str,
        (mime, bytes): (&str, &[u8]),
        mut content: Value,
    ) -> (String, Vec<Attribute>) {
        content["url"] = self.ann.upload(mime, bytes).expect("an upload").into();
        content["info"]["mimetype"] = mime.into();
        content["info"]["size"] = bytes.len().into();
        let media = self.carried(room, kind, content).await;
        let MessageMedia::Document(media) = media else { panic!("no file: {media:?}") };
        let Some(tl::enums::Document::Document(file)) = media.document else { panic!("no file") };
        (file.mime_type, file.attributes)
    }
}

fn sticker(set: i64) -> Attribute {
    tl::types::DocumentAttributeSticker {
        mask: false,
        alt: "🐈".into(),
        stickerset: tl::types::InputStickerSetId { id: set, access_hash: set * 7 }.into(),
        mask_coords: None,
    }
    .into()
}

fn film(round_message: bool, nosound: bool) -> tl::types::DocumentAttributeVideo {
    tl::types::DocumentAttributeVideo {
        round_message,
        supports_streaming: false,
        nosound,
        duration: 3.0,
        w: 240,
        h: 240,
        preload_prefix_size: None,
        video_start_ts: None,
        video_codec: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stickers_are_stickers_and_those_that_move_their_previews() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let still = ("image/webp", PICTURE);
    let content = rig.file(&room, "m.sticker", still, vec![sticker(3)]).await;
    assert_eq!(
        (&content["body"], &content["info"]["mimetype"]),
        (&json!("🐈"), &json!("image/webp"))
    );
    let moving = {
        let mut world = rig.peer.world();
        let mut file = world.document("application/x-tgsticker", MOVING, vec![sticker(4)]);
        world.preview(&mut file, PICTURE);
        Sent { media: Some(carried(file).into()), ..Sent::default() }
    };
    let content = rig.arrived(&room, "m.sticker", moving).await;
    assert_eq!(rig.bytes(&content["url"]).as_deref(), Some(PICTURE), "{content}");

    let content = json!({ "body": "dog", "info": { "w": 512, "h": 512 } });
    let (mime, attributes) = rig.attributes(&room, "m.sticker", still, content).await;
    let is_dog = |a: &Attribute| matches!(a, Attribute::Sticker(sticker) if sticker.alt == "dog");
    assert!(mime == "image/webp" && attributes.iter().any(is_dog), "{mime} {attributes:?}");
    let content = json!({ "body": "dog", "info": { "w": 512, "h": 512 } });
    let other = ("image/png", &b"\x89PNG\r\n\x1a\ndog"[..]);
    let (mime, attributes) = rig.attributes(&room, "m.sticker", other, content).await;
    assert!(mime == "image/png" && !attributes.iter().any(is_dog), "{mime} {attributes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn voices_have_their_waveform_on_both_sides() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let voice = ("audio/ogg", &b"OggS voice"[..]);
    // Eight values of five bits each: 0, 31, 0, 31, ...
    let waveform = vec![0xe0, 0x83, 0x0f, 0x3e, 0xf8];
    let audio = tl::types::DocumentAttributeAudio {
        voice: true,
        duration: 2,
        title: None,
        performer: None,
        waveform: Some(waveform.clone()),
    };
    let content = rig.file(&room, "m.room.message", voice, vec![audio.into()]).await;
    assert_eq!(content["msgtype"], "m.audio");
    assert!(content["org.matrix.msc3245.voice"].is_object(), "{content}");
    let shown = &content["org.matrix.msc1767.audio"];
    let wanted = json!({ "duration": 2000, "waveform": [0, 1020, 0, 1020, 0, 1020, 0, 1020] });
    assert_eq!(*shown, wanted);

    // Said by Ann, it is the same.
    let content = json!({
        "msgtype": "m.audio", "body": "voice.ogg", "info": { "duration": 2000 },
        "org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": wanted,
    });
    let (mime, attributes) = rig.attributes(&room, "m.room.message", voice, content).await;
    let same = |a: &Attribute| match a {
        Attribute::Audio(audio) => {
            audio.voice && audio.duration == 2 && audio.waveform.as_ref() == Some(&waveform)
        }
        _ => false,
    };
    assert!(mime == "audio/ogg" && attributes.iter().any(same), "{mime} {attributes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn films_and_moving_pictures_are_what_they_are() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let mp4 = ("video/mp4", &b"\0\0\0\x18ftypmp42"[..]);
    let round = vec![film(true, false).into()];
    let content = rig.file(&room, "m.room.message", mp4, round).await;
    assert_eq!(
        (&content["msgtype"], &content["info"]["duration"]),
        (&json!("m.video"), &json!(3000))
    );
    let moving = vec![Attribute::Animated, film(false, true).into()];
    let content = rig.file(&room, "m.room.message", mp4, moving).await;
    assert_eq!(content["msgtype"], "m.video");
    assert_eq!(content["info"]["fi.mau.gif"], true, "{content}");

    // A picture that moves, and a film that is shown like one.
    let is_gif = |a: &Attribute| matches!(a, Attribute::Animated);
    let gif = ("image/gif", &b"GIF89a moving"[..]);
    let content = json!({ "msgtype": "m.image", "body": "cat.gif", "info": {} });
    let (_, attributes) = rig.attributes(&room, "m.room.message", gif, content).await;
    assert!(attributes.iter().any(is_gif), "{attributes:?}");
    let info = json!({ "fi.mau.gif": true, "w": 240, "h": 240, "duration": 3000 });
    let content = json!({ "msgtype": "m.video", "body": "cat.mp4", "info": info });
    let (_, attributes) = rig.attributes(&room, "m.room.message", mp4, content).await;
    assert!(attributes.iter().any(is_gif), "{attributes:?}");
    let content =
        json!({ "msgtype": "m.video", "body": "film.mp4", "info": { "w": 240, "h": 240 } });
    let (_, attributes) = rig.attributes(&room, "m.room.message", mp4, content).await;
    let is_film = |a: &Attribute| matches!(a, Attribute::Video(film) if film.w == 240);
    assert!(attributes.iter().any(is_film) && !attributes.iter().any(is_gif), "{attributes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_places() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let geo = tl::types::GeoPoint { long: 13.4, lat: 52.5, access_hash: 0, accuracy_radius: None };
    let geo = tl::enums::GeoPoint::Point(geo);
    let sent = |media: MessageMedia| Sent { media: Some(media), ..Sent::default() };
    let place = tl::types::MessageMediaGeo { geo: geo.clone() };
    let content = rig.arrived(&room, "m.room.message", sent(place.into())).await;
    assert_eq!(
        (&content["msgtype"], &content["geo_uri"]),
        (&json!("m.location"), &json!("geo:52.5,13.4"))
    );
    let venue = tl::types::MessageMediaVenue {
        geo,
        title: "The Rook".into(),
        address: "1 Chess Lane".into(),
        provider: String::new(),
        venue_id: String::new(),
        venue_type: String::new(),
    };
    let content = rig.arrived(&room, "m.room.message", sent(venue.into())).await;
    assert_eq!(
        (&content["body"], &content["geo_uri"]),
        (&json!("The Rook, 1 Chess Lane"), &json!("geo:52.5,13.4"))
    );

    let content =
        json!({ "msgtype": "m.location", "body": "Home", "geo_uri": "geo:48.1,11.6;u=20" });
    let MessageMedia::Venue(venue) = rig.carried(&room, "m.room.message", content).await else {
        panic!("a place with a name is a venue")
    };
    let tl::enums::GeoPoint::Point(at) = venue.geo else { panic!("it is somewhere") };
    assert_eq!((venue.title.as_str(), at.lat, at.long), ("Home", 48.1, 11.6));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_matrix_has_no_form_for_is_said_in_words() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let said = async |media: MessageMedia| {
        let sent = Sent { media: Some(media), ..Sent::default() };
        let content = rig.arrived(&room, "m.room.message", sent).await;
        let text = |key: &str| content[key].as_str().unwrap_or_default().to_owned();
        (text("msgtype"), text("body"))
    };
    let contact = tl::types::MessageMediaContact {
        phone_number: "15550009".into(),
        first_name: "Dora".into(),
        last_name: "Doe".into(),
        vcard: String::new(),
        user_id: 0,
    };
    let (_, body) = said(contact.into()).await;
    assert_eq!(body, "👤 Dora Doe\n+15550009");
    let dice =
        tl::types::MessageMediaDice { value: 4, emoticon: "🎲".into(), game_outcome: None };
    assert_eq!(said(dice.into()).await.1, "🎲 4");
    // Here it would be kept.
    let uploads = rig.homeserver.uploads();
    let file = rig.peer.world().document("video/mp4", b"secret", vec![film(false, false).into()]);
    let once = tl::types::MessageMediaDocument {
        video: true,
        ttl_seconds: Some(i32::MAX),
        ..carried(file)
    };
    let (msgtype, body) = said(once.into()).await;
    assert_eq!(msgtype, "m.notice");
    assert!(body.starts_with("a video that may be seen once: https://t.me/c/5100/"), "{body}");
    assert_eq!(rig.homeserver.uploads(), uploads);
}
