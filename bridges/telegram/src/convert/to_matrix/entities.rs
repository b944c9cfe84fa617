//! Text with entities (core.telegram.org/api/entities) as rich text.

use grammers_tl_types as tl;
use landbridge_framework::{
    RemoteId as _,
    format::{Rich, Style, UserTarget},
};
use tl::enums::MessageEntity as Entity;

use crate::{
    convert::{files::FileRef, utf16::Offsets},
    ids::{Peer, UserId},
    raw::Known,
};

/// Telegram's own limit is 100; more is not looked at.
const MAX_ENTITIES: usize = 1000;

/// A text with its entities. `known` gives the people whose user names are mentioned, where it has them.
pub fn rich(text: &str, entities: &[Entity], known: &Known) -> Rich {
    let offsets = Offsets::of(text);
    let mut out = Rich::plain(text);
    for entity in entities.iter().take(MAX_ENTITIES) {
        let (offset, length) = place(entity);
        let Some(range) = offsets.bytes(offset, length) else { continue };
        let covered = &text[range.clone()];
        let Some(style) = style(entity, covered, known) else { continue };
        // A block's own last line break would become an empty line.
        let range = if style.is_block() {
            let kept = covered.trim_end_matches('\n').len();
            range.start..range.start + kept
        } else {
            range
        };
        out.style(range, style);
    }
    out
}

/// What an entity says of the text it covers; `None` where that is nothing that Matrix shows.
fn style(entity: &Entity, covered: &str, known: &Known) -> Option<Style> {
    let link = |url: String| Some(Style::Link { url });
    match entity {
        Entity::Bold(_) => Some(Style::Bold),
        Entity::Italic(_) => Some(Style::Italic),
        // Inserted and replaced text is shown as Telegram shows it; what was replaced is not in the text.
        Entity::Underline(_) | Entity::DiffInsert(_) | Entity::DiffReplace(_) => {
            Some(Style::Underline)
        }
        Entity::Strike(_) | Entity::DiffDelete(_) => Some(Style::Strike),
        Entity::Spoiler(_) => Some(Style::Spoiler { reason: None }),
        Entity::Code(_) => Some(Style::Code),
        Entity::Pre(pre) => Some(Style::CodeBlock {
            language: Some(pre.language.trim().to_owned()).filter(|language| !language.is_empty()),
        }),
        // Matrix has no quotes that unfold: they are shown whole.
        Entity::Blockquote(_) => Some(Style::Quote),
        Entity::Url(_) => link(absolute(covered)),
        Entity::Email(_) => link(format!("mailto:{covered}")),
        Entity::TextUrl(url) => match user_of_link(&url.url) {
            Some(user) => Some(mention(user)),
            None => link(absolute(&url.url)),
        },
        Entity::MentionName(name) => Some(mention(name.user_id)),
        Entity::Mention(_) => {
            let name = covered.strip_prefix('@')?;
            match user_of_name(known, name) {
                Some(user) => Some(Style::User(UserTarget::Remote(user.encode()))),
                None => link(format!("https://t.me/{name}")),
            }
        }
        // Its text is the ordinary emoji that stands for it where it can't be shown.
        Entity::CustomEmoji(emoji) => Some(Style::RemoteEmoji {
            id: emoji.document_id.to_string(),
            media: Some(FileRef::Emoji(emoji.document_id).encode().0),
        }),
        // The text says all there is to say.
        Entity::Hashtag(_)
        | Entity::Cashtag(_)
        | Entity::BotCommand(_)
        | Entity::Phone(_)
        | Entity::BankCard(_)
        | Entity::TonAddress(_)
        | Entity::FormattedDate(_)
        | Entity::InputMessageEntityMentionName(_)
        | Entity::Unknown(_) => None,
    }
}

fn mention(user: i64) -> Style {
    Style::User(UserTarget::Remote(UserId::user(user).encode()))
}

/// The user of this name, if the event brought them along. Names are compared as Telegram does, without regard to case.
fn user_of_name(known: &Known, name: &str) -> Option<UserId> {
    let fits = |username: &String| username.eq_ignore_ascii_case(name);
    let (id, _) = known
        .iter()
        .find(|(id, facts)| id.starts_with('u') && facts.username.as_ref().is_some_and(fits))?;
    id.strip_prefix('u')?.parse().ok().map(|id| UserId(Peer::User(id)))
}

/// `tg://user?id=123`, which mentions people without user names.
fn user_of_link(url: &str) -> Option<i64> {
    url.strip_prefix("tg://user?id=")?.parse().ok().filter(|id| *id > 0)
}

/// Telegram knows links without scheme.
fn absolute(url: &str) -> String {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    let has_scheme = scheme.is_some_and(|scheme| {
        !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-".contains(c))
            // `example.org:8080` and `localhost:80` are hosts with ports.
            && !url[scheme.len() + 1..].starts_with(|c: char| c.is_ascii_digit())
    });
    if has_scheme { url.to_owned() } else { format!("https://{url}") }
}

/// Where an entity stands, in UTF-16 code units.
fn place(entity: &Entity) -> (i32, i32) {
    macro_rules! place {
        ($($kind:ident),*) => {
            match entity {
                $(Entity::$kind(e) => (e.offset, e.length),)*
            }
        };
    }
    place!(
        Unknown,
        Mention,
        Hashtag,
        BotCommand,
        Url,
        Email,
        Bold,
        Italic,
        Code,
        Pre,
        TextUrl,
        MentionName,
        InputMessageEntityMentionName,
        Phone,
        Cashtag,
        Underline,
        Strike,
        BankCard,
        Spoiler,
        CustomEmoji,
        Blockquote,
        FormattedDate,
        DiffInsert,
        DiffReplace,
        DiffDelete,
        TonAddress
    )
}
