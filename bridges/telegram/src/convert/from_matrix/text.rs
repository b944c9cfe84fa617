//! Rich text as Telegram's: plain text, and entities that are counted in UTF-16 code units.

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use landbridge_framework::{
    RemoteId as _,
    format::{Rich, RoomTarget, Span, Style, UserTarget},
};

use super::MAX_ENTITIES;
use crate::{
    convert::utf16,
    ids::{Peer, UserId},
};

/// A stretch of a text and what holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// Where it begins, in UTF-16 code units.
    pub offset: usize,
    /// How long it is, in UTF-16 code units.
    pub length: usize,
    /// What holds there.
    pub kind: Kind,
}

/// What an entity says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A quote.
    Quote,
    /// A block of code, in a language.
    Pre(String),
    /// A link.
    Link(String),
    /// A mention of a user.
    Mention(i64),
    /// Bold.
    Bold,
    /// Italic.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strike,
    /// Hidden until it is touched.
    Spoiler,
    /// Inline code.
    Code,
    /// A custom emoji, by its number; the text is the ordinary emoji that stands for it.
    CustomEmoji(i64),
}

/// A text as Telegram has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// Its entities, those that begin first (and of these, the longer) first.
    pub entities: Vec<Entity>,
}

/// Text to be put in at places of another, without disturbing what is counted in bytes of that one.
#[derive(Default)]
struct Added {
    /// Before what stands at this byte: the marks of list items.
    before: BTreeMap<usize, String>,
    /// After what ends at this byte: addresses that Telegram can't link to.
    after: BTreeMap<usize, String>,
}

/// Writes a rich text.
pub fn write(rich: &Rich) -> Written {
    let rich = &rich.clone().joined();
    let added = added(rich);
    let source = rich.text();
    // Where each byte of the source went: as the beginning of a span, and as the end of one.
    let mut starts = vec![0_usize; source.len() + 1];
    let mut ends = vec![0_usize; source.len() + 1];
    let mut text = String::with_capacity(source.len());
    let mut at = 0;
    let put = |text: &mut String, at: &mut usize, what: &str| {
        text.push_str(what);
        *at += utf16::len(what);
    };
    let stops =
        source.char_indices().map(|(byte, c)| (byte, Some(c))).chain([(source.len(), None)]);
    for (byte, c) in stops {
        ends[byte] = at;
        if let Some(after) = added.after.get(&byte) {
            put(&mut text, &mut at, after);
        }
        if let Some(before) = added.before.get(&byte) {
            put(&mut text, &mut at, before);
        }
        starts[byte] = at;
        if let Some(c) = c {
            put(&mut text, &mut at, c.encode_utf8(&mut [0; 4]));
        }
    }
    let mut entities = Vec::new();
    for span in rich.spans() {
        let Some(kind) = kind(&span.style, &source[span.range.clone()]) else { continue };
        let (start, end) = (starts[span.range.start], ends[span.range.end]);
        if start < end {
            entities.push(Entity { offset: start, length: end - start, kind });
        }
    }
    trim(Written { text, entities: nested(entities) })
}

/// What must be put in for what Telegram has no entity for.
fn added(rich: &Rich) -> Added {
    let mut added = Added::default();
    for span in rich.spans() {
        let covered = &rich.text()[span.range.clone()];
        match &span.style {
            Style::ListItem { number } => {
                let depth = rich.spans().iter().filter(|outer| holds(outer, span)).count();
                let mark = match number {
                    Some(number) => format!("{number}. "),
                    None => "\u{2022} ".to_owned(),
                };
                let indent = "    ".repeat(depth.min(8));
                added
                    .before
                    .entry(span.range.start)
                    .or_default()
                    .push_str(&format!("{indent}{mark}"));
            }
            Style::Link { url } if !is_linkable(url) && !says(covered, url) => {
                let said = url.strip_prefix("mailto:").unwrap_or(url);
                added.after.entry(span.range.end).or_default().push_str(&format!(" ({said})"));
            }
            Style::Spoiler { reason: Some(reason) } => {
                added.before.entry(span.range.start).or_default().push_str(&format!("({reason}) "));
            }
            _ => {}
        }
    }
    added
}

/// Whether a list item holds another.
fn holds(outer: &Span, inner: &Span) -> bool {
    matches!(outer.style, Style::ListItem { .. })
        && outer.range.start <= inner.range.start
        && outer.range.end >= inner.range.end
        && outer.range != inner.range
}

/// Telegram links to what its clients open; the rest is said in the text.
fn is_linkable(url: &str) -> bool {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "tg"))
}

/// Whether a text is the address that it would be linked to.
fn says(text: &str, url: &str) -> bool {
    let bare = |url: &str| {
        let url = url.strip_prefix("mailto:").unwrap_or(url);
        let url =
            url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or(url);
        url.strip_suffix('/').unwrap_or(url).to_owned()
    };
    text == url || bare(text) == bare(url)
}

/// What a style is to Telegram, where it is something.
fn kind(style: &Style, covered: &str) -> Option<Kind> {
    Some(match style {
        // Telegram has no headings; bold comes nearest.
        Style::Bold | Style::Heading { .. } => Kind::Bold,
        Style::Italic => Kind::Italic,
        Style::Underline => Kind::Underline,
        Style::Strike => Kind::Strike,
        Style::Code => Kind::Code,
        Style::CodeBlock { language } => Kind::Pre(language.clone().unwrap_or_default()),
        Style::Spoiler { .. } => Kind::Spoiler,
        Style::Quote => Kind::Quote,
        Style::RemoteEmoji { id, .. } => Kind::CustomEmoji(id.parse().ok()?),
        // Telegram finds by itself what looks like an address.
        Style::Link { url } if covered == url || url.strip_prefix("mailto:") == Some(covered) => {
            return None;
        }
        Style::Link { url } if is_linkable(url) => Kind::Link(url.clone()),
        Style::User(UserTarget::Remote(id)) => match UserId::decode(id).ok()?.0 {
            Peer::User(id) => Kind::Mention(id),
            Peer::Group(_) | Peer::Channel(_) => return None,
        },
        Style::User(UserTarget::Matrix(mxid)) => Kind::Link(format!("https://matrix.to/#/{mxid}")),
        Style::Room(RoomTarget::Matrix(room)) => Kind::Link(format!("https://matrix.to/#/{room}")),
        Style::Room(RoomTarget::Remote(chat)) => {
            let number = chat.strip_prefix('c')?.split('.').next()?;
            Kind::Link(format!("https://t.me/c/{number}"))
        }
        _ => return None,
    })
}

/// Entities as Telegram takes them: code holds no others, quotes hold no quotes, links no links, and of many only the first.
fn nested(mut entities: Vec<Entity>) -> Vec<Entity> {
    entities.sort_by(|a, b| {
        (a.offset, std::cmp::Reverse(a.length), &a.kind).cmp(&(
            b.offset,
            std::cmp::Reverse(b.length),
            &b.kind,
        ))
    });
    entities.dedup();
    let mut out: Vec<Entity> = Vec::with_capacity(entities.len());
    for entity in entities {
        let end = entity.offset + entity.length;
        let clashes = |other: &Entity| {
            let overlap = entity.offset < other.offset + other.length && other.offset < end;
            overlap && cant_hold(&other.kind, &entity.kind)
        };
        if !out.iter().any(clashes) {
            out.push(entity);
        }
    }
    out.truncate(MAX_ENTITIES);
    out
}

/// Whether of two entities that overlap the second must go, for being in or under the first.
fn cant_hold(outer: &Kind, inner: &Kind) -> bool {
    let link = |kind: &Kind| matches!(kind, Kind::Link(_) | Kind::Mention(_));
    outer == inner || matches!(outer, Kind::Pre(_) | Kind::Code) || link(outer) && link(inner)
}

/// Without white space around it, which Telegram takes away too: offsets must fit what is left.
fn trim(written: Written) -> Written {
    let begin = written.text.len() - written.text.trim_start().len();
    let gone = utf16::len(&written.text[..begin]);
    let text = written.text.trim().to_owned();
    let length = utf16::len(&text);
    let entities =
        written.entities.into_iter().filter_map(|entity| cut(&entity, gone, length)).collect();
    Written { text, entities }
}

/// An entity of a text as it is for the part of that length that begins at an offset; `None` if it has none of it.
pub(super) fn cut(entity: &Entity, from: usize, length: usize) -> Option<Entity> {
    let start = entity.offset.max(from);
    let end = (entity.offset + entity.length).min(from + length);
    (start < end).then(|| Entity {
        offset: start - from,
        length: end - start,
        kind: entity.kind.clone(),
    })
}

/// The entities in Telegram's own types. `user` gives what it takes to name a user; those it doesn't know are not mentioned.
pub fn to_tl(
    entities: &[Entity],
    user: impl Fn(i64) -> Option<tl::enums::InputUser>,
) -> Vec<tl::enums::MessageEntity> {
    let one = |entity: &Entity| {
        let offset = i32::try_from(entity.offset).ok()?;
        let length = i32::try_from(entity.length).ok()?;
        Some(match &entity.kind {
            Kind::Bold => tl::types::MessageEntityBold { offset, length }.into(),
            Kind::Italic => tl::types::MessageEntityItalic { offset, length }.into(),
            Kind::Underline => tl::types::MessageEntityUnderline { offset, length }.into(),
            Kind::Strike => tl::types::MessageEntityStrike { offset, length }.into(),
            Kind::Spoiler => tl::types::MessageEntitySpoiler { offset, length }.into(),
            Kind::Code => tl::types::MessageEntityCode { offset, length }.into(),
            Kind::Quote => {
                tl::types::MessageEntityBlockquote { collapsed: false, offset, length }.into()
            }
            Kind::Pre(language) => {
                tl::types::MessageEntityPre { offset, length, language: language.clone() }.into()
            }
            Kind::CustomEmoji(document_id) => {
                tl::types::MessageEntityCustomEmoji { offset, length, document_id: *document_id }
                    .into()
            }
            Kind::Link(url) => {
                tl::types::MessageEntityTextUrl { offset, length, url: url.clone() }.into()
            }
            Kind::Mention(id) => {
                let user_id = user(*id)?;
                tl::types::InputMessageEntityMentionName { offset, length, user_id }.into()
            }
        })
    };
    entities.iter().filter_map(one).collect()
}
