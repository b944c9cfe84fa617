//! What is said on Telegram, shown on Matrix and sent back, is the same text with the same mentions and links.

use grammers_tl_types as tl;
use landbridge_framework::format::{self, UserTarget};
use proptest::prelude::*;
use serde_json::Value;

use super::from_matrix::for_telegram;
use crate::{
    convert::{
        from_matrix::{Entity, Kind, Written, write},
        to_matrix::rich,
        utf16,
    },
    raw::Known,
};

/// A text in pieces, each plain or with one entity.
#[derive(Clone, Debug)]
enum Piece {
    Plain(String),
    Bold(String),
    Link(String, u8),
    /// A link that says nothing but itself, which Telegram finds by itself again.
    Bare(u8),
    Mention(String, i64),
    Code(String),
    Spoiler(String),
}

/// Words without what Telegram or HTML takes for markup or cuts off.
fn word() -> impl Strategy<Value = String> {
    "[a-zäöü😀🇩🇪é\u{4e00}-\u{4e10}<>&*_#0-9]{1,8}"
}

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        word().prop_map(Piece::Plain),
        word().prop_map(Piece::Bold),
        (word(), any::<u8>()).prop_map(|(text, n)| Piece::Link(text, n)),
        any::<u8>().prop_map(Piece::Bare),
        (word(), 1_i64..1_000_000).prop_map(|(text, id)| Piece::Mention(text, id)),
        word().prop_map(Piece::Code),
        word().prop_map(Piece::Spoiler),
    ];
    proptest::collection::vec((piece, prop_oneof![Just(" "), Just("\n"), Just(" - ")]), 1..12)
        .prop_map(|pieces| {
            let mut out = Vec::new();
            for (piece, gap) in pieces {
                if !out.is_empty() {
                    out.push(Piece::Plain(gap.to_owned()));
                }
                out.push(piece);
            }
            out
        })
}

/// As Telegram would send it.
fn said(pieces: &[Piece]) -> (String, Vec<tl::enums::MessageEntity>) {
    let mut text = String::new();
    let mut entities = Vec::new();
    for piece in pieces {
        let offset = utf16::len(&text) as i32;
        let bare;
        let (words, entity): (&str, Option<tl::enums::MessageEntity>) = match piece {
            Piece::Plain(words) => (words, None),
            Piece::Bold(words) => {
                let length = utf16::len(words) as i32;
                (words, Some(tl::types::MessageEntityBold { offset, length }.into()))
            }
            Piece::Link(words, n) => {
                let (length, url) =
                    (utf16::len(words) as i32, format!("https://example.org/{n}?a=1&b=2"));
                (words, Some(tl::types::MessageEntityTextUrl { offset, length, url }.into()))
            }
            Piece::Bare(n) => {
                bare = format!("https://example.org/{n}?a=1&b=2");
                let length = utf16::len(&bare) as i32;
                (&bare, Some(tl::types::MessageEntityUrl { offset, length }.into()))
            }
            Piece::Mention(words, user_id) => {
                let length = utf16::len(words) as i32;
                (
                    words,
                    Some(
                        tl::types::MessageEntityMentionName { offset, length, user_id: *user_id }
                            .into(),
                    ),
                )
            }
            Piece::Code(words) => {
                let length = utf16::len(words) as i32;
                (words, Some(tl::types::MessageEntityCode { offset, length }.into()))
            }
            Piece::Spoiler(words) => {
                let length = utf16::len(words) as i32;
                (words, Some(tl::types::MessageEntitySpoiler { offset, length }.into()))
            }
        };
        text.push_str(words);
        entities.extend(entity);
    }
    (text, entities)
}

/// Over Matrix, as content of an event, and back.
fn there_and_back(text: &str, entities: &[tl::enums::MessageEntity]) -> Written {
    let mut shown = rich(text, entities, &Known::new());
    shown.resolve_users(|target| match target {
        UserTarget::Remote(id) => Some(UserTarget::Matrix(format!("@telegram_{id}:example.org"))),
        UserTarget::Matrix(_) => None,
    });
    let content = Value::from(format::to_content(&shown, "m.text"));
    write(&for_telegram(&content))
}

fn covered<'t>(written: &'t Written, wanted: impl Fn(&Kind) -> bool + 't) -> Vec<(String, Kind)> {
    let units: Vec<u16> = written.text.encode_utf16().collect();
    let text = |entity: &Entity| {
        String::from_utf16(&units[entity.offset..entity.offset + entity.length])
            .expect("no half pairs")
    };
    written
        .entities
        .iter()
        .filter(|entity| wanted(&entity.kind))
        .map(|entity| (text(entity), entity.kind.clone()))
        .collect()
}

proptest! {
    #[test]
    fn text_mentions_and_links_survive(pieces in pieces()) {
        let (text, entities) = said(&pieces);
        let back = there_and_back(&text, &entities);
        prop_assert_eq!(&back.text, text.trim());
        let links = covered(&back, |kind| matches!(kind, Kind::Link(_) | Kind::Mention(_)));
        let wanted: Vec<(String, Kind)> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Link(text, n) => {
                    Some((text.clone(), Kind::Link(format!("https://example.org/{n}?a=1&b=2"))))
                }
                Piece::Mention(text, id) => Some((text.clone(), Kind::Mention(*id))),
                _ => None,
            })
            .collect();
        prop_assert_eq!(links, wanted);
        let marked = |wanted: Kind| covered(&back, move |kind| *kind == wanted).len();
        prop_assert_eq!(marked(Kind::Bold), pieces.iter().filter(|p| matches!(p, Piece::Bold(_))).count());
        prop_assert_eq!(marked(Kind::Code), pieces.iter().filter(|p| matches!(p, Piece::Code(_))).count());
        prop_assert_eq!(marked(Kind::Spoiler), pieces.iter().filter(|p| matches!(p, Piece::Spoiler(_))).count());
    }

    #[test]
    fn no_numbers_break_anything(
        text in ".{0,40}",
        spans in proptest::collection::vec((any::<i32>(), any::<i32>(), 0..4_u8), 0..8),
    ) {
        let entities: Vec<tl::enums::MessageEntity> = spans
            .into_iter()
            .map(|(offset, length, kind)| match kind {
                0 => tl::types::MessageEntityBold { offset, length }.into(),
                1 => tl::types::MessageEntityPre { offset, length, language: "x".into() }.into(),
                2 => tl::types::MessageEntityBlockquote { collapsed: false, offset, length }.into(),
                _ => tl::types::MessageEntityUrl { offset, length }.into(),
            })
            .collect();
        let shown = rich(&text, &entities, &Known::new());
        prop_assert_eq!(shown.text(), text.as_str());
        let written = write(&shown);
        let units = utf16::len(&written.text);
        for entity in &written.entities {
            prop_assert!(entity.length > 0 && entity.offset + entity.length <= units);
        }
    }
}
