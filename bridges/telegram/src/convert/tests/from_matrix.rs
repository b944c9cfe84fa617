//! Each Matrix content's text and entities, and each file's form, compared with its golden file.

use grammers_tl_types as tl;
use landbridge_framework::{
    event::MediaKind,
    format::{self, Rich, UserTarget},
};
use serde_json::{Value, json};

use super::{golden, matrix_cases};
use crate::convert::from_matrix::{
    MAX_CAPTION, MAX_TEXT, Sending, Written, sending, split, to_tl, write,
};

/// As the framework does it: ghosts of Telegram's users are those users.
pub(super) fn for_telegram(content: &Value) -> Rich {
    let mut rich = format::from_content(content);
    rich.resolve_users(|target| {
        let remote = match target {
            UserTarget::Matrix(mxid) => mxid
                .strip_prefix("@telegram_")
                .and_then(|rest| rest.strip_suffix(":example.org"))
                .map(|id| UserTarget::Remote(id.into())),
            UserTarget::Remote(_) => None,
        };
        Some(remote.unwrap_or_else(|| target.clone()))
    });
    rich
}

fn shown(written: &Written) -> Value {
    let units: Vec<u16> = written.text.encode_utf16().collect();
    let entities: Vec<Value> = written
        .entities
        .iter()
        .map(|entity| {
            let covered = String::from_utf16(&units[entity.offset..entity.offset + entity.length]).unwrap();
            json!({ "offset": entity.offset, "length": entity.length, "kind": format!("{:?}", entity.kind), "covers": covered })
        })
        .collect();
    json!({ "text": written.text, "entities": entities })
}

#[test]
fn texts() {
    for (name, content) in matrix_cases::texts() {
        let chunks = split(&write(&for_telegram(&content)), MAX_TEXT, MAX_TEXT);
        let out: Vec<Value> = chunks.iter().map(shown).collect();
        golden("from_matrix", &format!("text_{name}"), &json!({ "in": content, "out": out }));
    }
}

#[test]
fn captions_are_shorter() {
    let content = json!({ "body": "0123456789 ".repeat(500) });
    let chunks = split(&write(&for_telegram(&content)), MAX_CAPTION, MAX_TEXT);
    let lengths: Vec<usize> = chunks.iter().map(|chunk| chunk.text.len()).collect();
    assert!(lengths[0] <= MAX_CAPTION && lengths[1] > MAX_CAPTION, "{lengths:?}");
}

fn file(kind: MediaKind, mime: &str) -> Sending {
    Sending {
        kind,
        name: "name.ext".into(),
        mime: mime.into(),
        size: 1000,
        dimensions: Some((640, 480)),
        seconds: Some(12.4),
        spoiler: false,
    }
}

#[test]
fn files() {
    let image = || file(MediaKind::Image, "image/jpeg");
    let cases = [
        ("photo", image()),
        ("photo_spoiler", Sending { spoiler: true, ..image() }),
        ("photo_without_dimensions", Sending { dimensions: None, ..image() }),
        ("image_too_large", Sending { size: 11 << 20, ..image() }),
        ("image_too_wide", Sending { dimensions: Some((2100, 100)), ..image() }),
        ("image_too_many_pixels", Sending { dimensions: Some((9000, 1001)), ..image() }),
        ("image_svg", file(MediaKind::Image, "image/svg+xml")),
        ("image_gif", file(MediaKind::Image, "image/gif")),
        ("gif_as_video", file(MediaKind::Gif, "video/mp4")),
        ("video", file(MediaKind::Video, "video/mp4")),
        ("video_note", file(MediaKind::VideoNote, "video/mp4")),
        ("audio", file(MediaKind::Audio, "audio/mpeg")),
        ("voice", file(MediaKind::Voice { waveform: vec![0, 128, 255] }, "audio/ogg")),
        ("sticker", file(MediaKind::Sticker { pack: None }, "image/webp")),
        ("sticker_png", file(MediaKind::Sticker { pack: None }, "image/png")),
        ("file", file(MediaKind::File, "application/pdf")),
        ("file_without_type", file(MediaKind::File, "")),
    ];
    for (name, about) in cases {
        let uploaded = tl::types::InputFile {
            id: 1,
            parts: 1,
            name: about.name.clone(),
            md5_checksum: String::new(),
        };
        let media = sending(uploaded.into(), &about);
        let value = json!({ "in": format!("{about:?}"), "out": format!("{media:?}") });
        golden("from_matrix", &format!("media_{name}"), &value);
    }
}

#[test]
fn entities_are_in_telegrams_own_types() {
    let content = json!({
        "body": "x",
        "format": "org.matrix.custom.html",
        "formatted_body": "<b>b</b><i>i</i><u>u</u><del>s</del><code>c</code><a href=\"https://x.y\">l</a>\
            <a href=\"https://matrix.to/#/@telegram_200:example.org\">A</a>\
            <a href=\"https://matrix.to/#/@telegram_300:example.org\">B</a><span data-mx-spoiler>h</span>",
    });
    let written = write(&for_telegram(&content));
    let known =
        |id: i64| (id == 200).then(|| tl::types::InputUser { user_id: id, access_hash: 5 }.into());
    let tl = to_tl(&written.entities, known);
    assert_eq!(written.entities.len(), 9);
    assert_eq!(tl.len(), 8, "a user without access hash is not mentioned");
    let mention = tl::types::InputMessageEntityMentionName {
        offset: 6,
        length: 1,
        user_id: tl::types::InputUser { user_id: 200, access_hash: 5 }.into(),
    };
    assert!(tl.contains(&mention.into()));
}
