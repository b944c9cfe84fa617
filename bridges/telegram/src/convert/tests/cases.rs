//! Messages: every kind of entity, everything a message can carry, answers and forwards.

#![allow(clippy::too_many_lines, reason = "a table of cases")]

use grammers_tl_types as tl;
use tl::enums::MessageEntity as Entity;

#[allow(clippy::wildcard_imports, reason = "a box of building blocks")]
use super::fixtures::*;
use crate::raw::Raw;

/// A message with entities over it.
pub(super) fn text_with(text: &str, entities: Vec<Entity>) -> Raw {
    new(tl::types::Message { entities: Some(entities), ..message(text) })
}

/// A message of a topic that isn't the first.
pub(super) fn in_topic() -> Raw {
    let reply = tl::types::MessageReplyHeader {
        forum_topic: true,
        reply_to_top_id: Some(77),
        ..reply_to(80)
    };
    new(tl::types::Message { reply_to: Some(reply.into()), ..in_channel("in a topic") })
}

macro_rules! entity {
    ($kind:ident, $offset:expr, $length:expr $(, $field:ident: $value:expr)*) => {
        tl::types::$kind { offset: $offset, length: $length $(, $field: $value)* }.into()
    };
}

fn entities() -> Vec<(&'static str, Raw)> {
    let one = |text: &str, entity: Entity| text_with(text, vec![entity]);
    vec![
        ("entity_bold", one("some bold text", entity!(MessageEntityBold, 5, 4))),
        ("entity_italic", one("some italic text", entity!(MessageEntityItalic, 5, 6))),
        ("entity_underline", one("some underlined text", entity!(MessageEntityUnderline, 5, 10))),
        ("entity_strike", one("some struck text", entity!(MessageEntityStrike, 5, 6))),
        ("entity_spoiler", one("the butler did it", entity!(MessageEntitySpoiler, 4, 6))),
        ("entity_code", one("call f<T>() & go", entity!(MessageEntityCode, 5, 6))),
        (
            "entity_pre",
            one(
                "fn main() {\n    go();\n}",
                entity!(MessageEntityPre, 0, 23, language: String::new()),
            ),
        ),
        (
            "entity_pre_language",
            one("see:\nlet x = 1 < 2;", entity!(MessageEntityPre, 5, 14, language: "rust".into())),
        ),
        (
            "entity_blockquote",
            one(
                "he said\nwell\nthen left",
                entity!(MessageEntityBlockquote, 8, 5, collapsed: false),
            ),
        ),
        (
            "entity_blockquote_expandable",
            one("a long\nquote", entity!(MessageEntityBlockquote, 0, 12, collapsed: true)),
        ),
        (
            "entity_url",
            one("see https://example.org/a?b=1&c=2 there", entity!(MessageEntityUrl, 4, 29)),
        ),
        (
            "entity_url_without_scheme",
            one("see example.org:8080/x there", entity!(MessageEntityUrl, 4, 18)),
        ),
        ("entity_email", one("write to a@example.org", entity!(MessageEntityEmail, 9, 13))),
        (
            "entity_text_url",
            one(
                "see here",
                entity!(MessageEntityTextUrl, 4, 4, url: "https://example.org/".into()),
            ),
        ),
        (
            "entity_text_url_of_user",
            one("ask Bob", entity!(MessageEntityTextUrl, 4, 3, url: "tg://user?id=300".into())),
        ),
        ("entity_mention_known", one("hi @alice!", entity!(MessageEntityMention, 3, 6))),
        ("entity_mention_unknown", one("hi @stranger!", entity!(MessageEntityMention, 3, 9))),
        (
            "entity_mention_name",
            one("hi Bob!", entity!(MessageEntityMentionName, 3, 3, user_id: BOB)),
        ),
        ("entity_hashtag", one("a #tag here", entity!(MessageEntityHashtag, 2, 4))),
        ("entity_cashtag", one("buy $USD now", entity!(MessageEntityCashtag, 4, 4))),
        ("entity_bot_command", one("/start@bot now", entity!(MessageEntityBotCommand, 0, 10))),
        ("entity_phone", one("call +4930123456", entity!(MessageEntityPhone, 5, 11))),
        ("entity_bank_card", one("4242 4242 4242 4242", entity!(MessageEntityBankCard, 0, 19))),
        (
            "entity_custom_emoji",
            one("nice 😺 cat", entity!(MessageEntityCustomEmoji, 5, 2, document_id: 555)),
        ),
        (
            "entity_formatted_date",
            one(
                "at 12:00",
                entity!(MessageEntityFormattedDate, 3, 5, relative: false, short_time: true, long_time: false,
                short_date: false, long_date: false, day_of_week: false, date: DATE),
            ),
        ),
        ("entity_diff_insert", one("new words", entity!(MessageEntityDiffInsert, 0, 3))),
        (
            "entity_diff_replace",
            one("new words", entity!(MessageEntityDiffReplace, 0, 3, old_text: "old".into())),
        ),
        ("entity_diff_delete", one("old words", entity!(MessageEntityDiffDelete, 0, 3))),
        ("entity_ton_address", one("UQabc", entity!(MessageEntityTonAddress, 0, 5))),
        ("entity_unknown", one("what is this", entity!(MessageEntityUnknown, 0, 4))),
        ("entities_after_emoji", one("😀😀 bold", entity!(MessageEntityBold, 5, 4))),
        (
            "entities_nested",
            text_with(
                "bold and both and bold",
                vec![entity!(MessageEntityBold, 0, 22), entity!(MessageEntityItalic, 9, 4)],
            ),
        ),
        (
            "entities_overlapping",
            text_with(
                "one two three",
                vec![entity!(MessageEntityBold, 0, 7), entity!(MessageEntityItalic, 4, 9)],
            ),
        ),
        (
            "entities_link_in_spoiler",
            text_with(
                "psst: here",
                vec![
                    entity!(MessageEntitySpoiler, 0, 10),
                    entity!(MessageEntityTextUrl, 6, 4, url: "https://example.org".into()),
                ],
            ),
        ),
        (
            "entities_bad_link",
            one("click", entity!(MessageEntityTextUrl, 0, 5, url: "javascript:alert(1)".into())),
        ),
        ("html_in_text", new(message("<b>not bold</b> & so on\n\n  indented"))),
    ]
}

fn media() -> Vec<(&'static str, Raw)> {
    let file = |mime: &str, attributes| new(with_media("", document(mime, attributes)));
    let venue = tl::types::MessageMediaVenue {
        geo: geo(),
        title: "Café".into(),
        address: "Street 1".into(),
        provider: "foursquare".into(),
        venue_id: "x".into(),
        venue_type: "food".into(),
    };
    let live = tl::types::MessageMediaGeoLive {
        geo: geo(),
        heading: None,
        period: 3600,
        proximity_notification_radius: None,
    };
    let contact = |user_id| tl::types::MessageMediaContact {
        phone_number: "4930123456".into(),
        first_name: "Carl".into(),
        last_name: "C.".into(),
        vcard: String::new(),
        user_id,
    };
    let dice = |emoticon: &str, value| tl::types::MessageMediaDice {
        value,
        emoticon: emoticon.into(),
        game_outcome: None,
    };
    let game = tl::types::Game {
        id: 1,
        access_hash: 2,
        short_name: "g".into(),
        title: "A game".into(),
        description: "to play".into(),
        photo: photo(),
        document: None,
    };
    let todo = tl::types::MessageMediaToDo {
        todo: tl::types::TodoList {
            others_can_append: false,
            others_can_complete: true,
            title: words("Shopping"),
            list: vec![
                tl::types::TodoItem { id: 1, title: words("bread") }.into(),
                tl::types::TodoItem { id: 2, title: words("milk") }.into(),
            ],
        }
        .into(),
        completions: Some(vec![
            tl::types::TodoCompletion { id: 2, completed_by: user(BOB), date: DATE }.into(),
        ]),
    };
    let round =
        tl::types::MessageMediaDocument { round: true, ..document("video/mp4", vec![video(true)]) };
    let mut preview = document("video/mp4", vec![video(false)]);
    if let Some(tl::enums::Document::Document(document)) = &mut preview.document {
        let size =
            |name: &str, w, h| tl::types::PhotoSize { r#type: name.into(), w, h, size: 9000 };
        document.thumbs = Some(vec![size("m", 320, 180).into(), size("s", 90, 50).into()]);
    }
    let voice = tl::types::MessageMediaDocument {
        voice: true,
        ..document("audio/ogg", vec![audio(true, None, None)])
    };
    let once = tl::types::MessageMediaDocument { ttl_seconds: Some(i32::MAX), ..voice.clone() };
    let captioned = tl::types::Message {
        entities: Some(vec![entity!(MessageEntityBold, 2, 4)]),
        ..with_media("a nice view", media_photo(None))
    };
    vec![
        ("photo", new(with_media("", media_photo(None)))),
        ("photo_caption", new(captioned)),
        ("photo_disappearing", new(with_media("", media_photo(Some(10))))),
        ("photo_once", new(with_media("", media_photo(Some(i32::MAX))))),
        (
            "photo_spoiler",
            new(with_media(
                "",
                tl::types::MessageMediaPhoto { spoiler: true, ..media_photo(None) },
            )),
        ),
        (
            "photo_expired",
            new(with_media(
                "",
                tl::types::MessageMediaPhoto { photo: None, ..media_photo(Some(10)) },
            )),
        ),
        (
            "photo_in_channel",
            new(tl::types::Message { media: Some(media_photo(None).into()), ..in_channel("") }),
        ),
        ("file", file("application/pdf", vec![named("a/../report.pdf")])),
        ("file_without_name", file("application/zip", vec![])),
        (
            "image_as_file",
            file(
                "image/png",
                vec![tl::types::DocumentAttributeImageSize { w: 10, h: 20 }.into(), named("x.png")],
            ),
        ),
        ("video", file("video/mp4", vec![video(false), named("clip.mp4")])),
        ("video_with_preview", new(with_media("", preview))),
        ("video_note", new(with_media("", round))),
        ("gif", file("video/mp4", vec![tl::enums::DocumentAttribute::Animated, video(false)])),
        ("audio", file("audio/mpeg", vec![audio(false, Some("Song"), Some("Band"))])),
        ("voice", new(with_media("", voice))),
        ("voice_once", new(with_media("", once))),
        ("sticker_webp", file("image/webp", vec![sticker()])),
        ("sticker_tgs", file("application/x-tgsticker", vec![sticker()])),
        ("sticker_webm", file("video/webm", vec![sticker(), video(false)])),
        ("location", new(with_media("", tl::types::MessageMediaGeo { geo: geo() }))),
        ("location_venue", new(with_media("", venue))),
        ("location_live", new(with_media("", live))),
        ("contact", new(with_media("", contact(0)))),
        ("contact_on_telegram", new(with_media("", contact(BOB)))),
        ("poll", new(with_media("", poll(false, false, false)))),
        ("poll_quiz", new(with_media("", poll(false, true, false)))),
        ("dice", new(with_media("", dice("🎲", 6)))),
        ("dice_slots", new(with_media("", dice("🎰", 43)))),
        ("game", new(with_media("", tl::types::MessageMediaGame { game: game.into() }))),
        ("todo", new(with_media("", todo))),
        (
            "story",
            new(with_media(
                "",
                tl::types::MessageMediaStory {
                    via_mention: false,
                    peer: user(ALICE),
                    id: 3,
                    story: None,
                },
            )),
        ),
        ("unsupported", new(with_media("", tl::enums::MessageMedia::Unsupported))),
        (
            "unsupported_in_channel",
            new(tl::types::Message {
                media: Some(tl::enums::MessageMedia::Unsupported),
                ..in_channel("")
            }),
        ),
        (
            "web_page",
            new(with_media(
                "https://example.org",
                tl::types::MessageMediaWebPage {
                    force_large_media: false,
                    force_small_media: false,
                    manual: false,
                    safe: true,
                    webpage: tl::types::WebPageEmpty { id: 1, url: None }.into(),
                },
            )),
        ),
        (
            "album_item",
            new(tl::types::Message {
                grouped_id: Some(77),
                ..with_media("one of two", media_photo(None))
            }),
        ),
    ]
}

pub(super) fn all() -> Vec<(&'static str, Raw)> {
    [entities(), media()].concat()
}
