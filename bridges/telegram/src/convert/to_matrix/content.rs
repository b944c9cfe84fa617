//! What a message carries besides text: files, places, polls, and all that Matrix has no form for, in words.

use std::time::Duration;

use grammers_tl_types as tl;
use landbridge_framework::{
    RemoteId as _,
    event::{Content, Geo, MediaPart},
    format::{Rich, Style, UserTarget},
};
use tl::enums::MessageMedia as Media;

use super::{media, poll};
use crate::{
    convert::dates,
    ids::{ChatId, Peer, UserId},
};

/// What Telegram sent makes no sense, or names something by an identifier that isn't one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A chat's stored text form.
    #[error("not a chat: {0:?}")]
    Chat(String),
}

/// `ttl_seconds` of what may be seen once.
const ONCE: i32 = i32::MAX;

/// What a message carries.
pub(super) enum Carried {
    /// A file, which takes the message's text as its caption.
    File(Box<MediaPart>, Option<Duration>),
    /// Something that stands by itself; the message's text, if any, follows it.
    Alone(Content),
    /// Words, which go with the message's text.
    Words(Rich),
    /// Something that can only be seen on Telegram.
    Elsewhere(String),
    /// Nothing that need be said.
    Nothing,
}

/// What a message carries. `id` and `chat` name the message.
pub(super) fn carried(media: &Media, chat: ChatId, id: i32) -> Carried {
    let elsewhere = |what: &str| Carried::Elsewhere(what.to_owned());
    match media {
        Media::Empty | Media::WebPage(_) => Carried::Nothing,
        Media::Photo(photo) => {
            let part = photo.photo.as_ref().and_then(|photo| media::photo(photo, chat, id));
            let part = part.map(|part| MediaPart { spoiler: photo.spoiler, ..part });
            file(part, photo.ttl_seconds, "a photo")
        }
        Media::Document(document) => {
            let what = match (document.voice, document.round, document.video) {
                (true, _, _) => "a voice message",
                (_, true, _) => "a video message",
                (_, _, true) => "a video",
                _ => "a file",
            };
            let part = document.document.as_ref().and_then(|d| media::document(d, chat, id));
            let part = part.map(|part| MediaPart { spoiler: document.spoiler, ..part });
            file(part, document.ttl_seconds, what)
        }
        Media::Geo(geo) => place(&geo.geo, None),
        Media::GeoLive(live) => {
            let name = format!("Live location, for {}", dates::length(live.period));
            place(&live.geo, Some(name))
        }
        Media::Venue(venue) => {
            let name = [venue.title.as_str(), venue.address.as_str()];
            let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
            place(&venue.geo, Some(name.join(", ")).filter(|name| !name.is_empty()))
        }
        Media::Contact(contact) => Carried::Words(contact_words(contact)),
        Media::Poll(media) => Carried::Alone(poll::poll(media)),
        Media::Dice(dice) => Carried::Words(Rich::plain(dice_words(&dice.emoticon, dice.value))),
        Media::Game(game) => {
            let tl::enums::Game::Game(game) = &game.game;
            let mut words = Rich::plain("\u{1f3ae} ");
            words.push_styled(&game.title, Style::Bold);
            if !game.description.is_empty() {
                words.push(&format!("\n{}", game.description));
            }
            Carried::Words(words)
        }
        Media::Invoice(invoice) => {
            let mut words = Rich::plain("\u{1f9fe} ");
            words.push_styled(&invoice.title, Style::Bold);
            words.push(&format!(
                "\n{}\n{}",
                invoice.description,
                money(invoice.total_amount, &invoice.currency)
            ));
            Carried::Words(words)
        }
        Media::ToDo(list) => Carried::Words(todo_words(list)),
        Media::Giveaway(giveaway) => {
            let prize = giveaway.prize_description.as_deref().map(|prize| format!(" of {prize}"));
            Carried::Words(Rich::plain(format!(
                "\u{1f381} A giveaway{} to {} people, until {}",
                prize.unwrap_or_default(),
                giveaway.quantity,
                dates::calendar(giveaway.until_date)
            )))
        }
        Media::GiveawayResults(results) => Carried::Words(Rich::plain(format!(
            "\u{1f381} A giveaway has ended, with {} winners",
            results.winners_count
        ))),
        Media::PaidMedia(paid) => {
            elsewhere(&format!("something that costs {} stars to see", paid.stars_amount))
        }
        Media::Story(_) => elsewhere("a story"),
        Media::VideoStream(_) => elsewhere("a live stream"),
        Media::Unsupported => elsewhere("a message of a new kind"),
    }
}

/// A file that disappears does so here too; one that may be seen once is not brought here at all, where it would be kept.
fn file(part: Option<MediaPart>, ttl: Option<i32>, what: &str) -> Carried {
    match (part, ttl) {
        (_, Some(ONCE)) => Carried::Elsewhere(format!("{what} that may be seen once")),
        (Some(part), ttl) => {
            let seconds = ttl.and_then(|ttl| u64::try_from(ttl).ok()).filter(|ttl| *ttl > 0);
            Carried::File(Box::new(part), seconds.map(Duration::from_secs))
        }
        (None, _) => Carried::Elsewhere(format!("{what} that has expired")),
    }
}

fn place(geo: &tl::enums::GeoPoint, name: Option<String>) -> Carried {
    match geo {
        tl::enums::GeoPoint::Point(point) => {
            Carried::Alone(Content::Location(Geo { lat: point.lat, lon: point.long, name }))
        }
        tl::enums::GeoPoint::Empty => Carried::Elsewhere("a place".into()),
    }
}

fn contact_words(contact: &tl::types::MessageMediaContact) -> Rich {
    let name = [contact.first_name.as_str(), contact.last_name.as_str()];
    let name: Vec<&str> = name.into_iter().filter(|part| !part.is_empty()).collect();
    let name = if name.is_empty() { "a contact".to_owned() } else { name.join(" ") };
    let mut words = Rich::plain("\u{1f464} ");
    let at = words.push(&name);
    if contact.user_id > 0 {
        let user = UserId(Peer::User(contact.user_id)).encode();
        words.style(at, Style::User(UserTarget::Remote(user)));
    }
    if !contact.phone_number.is_empty() {
        let plus = if contact.phone_number.starts_with('+') { "" } else { "+" };
        words.push(&format!("\n{plus}{}", contact.phone_number));
    }
    words
}

/// What a thrown die shows (core.telegram.org/api/dice).
fn dice_words(emoji: &str, value: i32) -> String {
    match emoji.trim_end_matches('\u{fe0f}') {
        "\u{1f3b0}" if (1..=64).contains(&value) => {
            // Three reels of four symbols, the left one counting least.
            let symbol = |reel: u32| {
                ["BAR", "\u{1f347}", "\u{1f34b}", "7"][((value - 1) >> (2 * reel) & 3) as usize]
            };
            format!("{emoji} {} | {} | {}", symbol(0), symbol(1), symbol(2))
        }
        "\u{1f3af}" if value == 6 => format!("{emoji} bull's-eye"),
        "\u{1f3af}" if value == 1 => format!("{emoji} missed"),
        "\u{1f3c0}" if (1..=5).contains(&value) => {
            format!("{emoji} {}", if value >= 4 { "scored" } else { "missed" })
        }
        "\u{26bd}" if (1..=5).contains(&value) => {
            format!("{emoji} {}", if value >= 3 { "goal" } else { "missed" })
        }
        "\u{1f3b3}" if (1..=6).contains(&value) => {
            let pins = ["0", "1", "3", "4", "5", "6"][(value - 1) as usize];
            format!("{emoji} {pins} of 6 pins")
        }
        // Not thrown yet.
        _ if value == 0 => emoji.to_owned(),
        _ => format!("{emoji} {value}"),
    }
}

/// An amount in a currency's smallest unit, which is the hundredth in most.
pub(super) fn money(amount: i64, currency: &str) -> String {
    match currency {
        "XTR" => format!("{amount} stars"),
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "PYG" | "UGX" => format!("{amount} {currency}"),
        _ => {
            let sign = if amount < 0 { "-" } else { "" };
            let amount = amount.unsigned_abs();
            format!("{sign}{}.{:02} {currency}", amount / 100, amount % 100)
        }
    }
}

fn todo_words(media: &tl::types::MessageMediaToDo) -> Rich {
    let tl::enums::TodoList::List(list) = &media.todo;
    let tl::enums::TextWithEntities::Entities(title) = &list.title;
    let done: Vec<i32> = media
        .completions
        .iter()
        .flatten()
        .map(|completion| {
            let tl::enums::TodoCompletion::Completion(completion) = completion;
            completion.id
        })
        .collect();
    let mut words = Rich::new();
    words.push_styled(&title.text, Style::Bold);
    for tl::enums::TodoItem::Item(item) in list.list.iter().take(100) {
        let tl::enums::TextWithEntities::Entities(text) = &item.title;
        words.push(if done.contains(&item.id) { "\n\u{2611} " } else { "\n\u{2610} " });
        words.push(&text.text);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dice_show_what_was_thrown() {
        assert_eq!(dice_words("🎲", 4), "🎲 4");
        assert_eq!(dice_words("🎰", 64), "🎰 7 | 7 | 7");
        assert_eq!(dice_words("🎰", 1), "🎰 BAR | BAR | BAR");
        assert_eq!(dice_words("🎰", 2), "🎰 🍇 | BAR | BAR");
        assert_eq!(dice_words("🎯", 6), "🎯 bull's-eye");
        assert_eq!(dice_words("⚽", 3), "⚽ goal");
        assert_eq!(dice_words("🎳", 6), "🎳 6 of 6 pins");
        assert_eq!(dice_words("🎳", i32::MAX), format!("🎳 {}", i32::MAX));
        assert_eq!(dice_words("🎲", 0), "🎲");
    }

    #[test]
    fn amounts_have_their_units() {
        assert_eq!(money(1250, "EUR"), "12.50 EUR");
        assert_eq!(money(-5, "USD"), "-0.05 USD");
        assert_eq!(money(300, "JPY"), "300 JPY");
        assert_eq!(money(7, "XTR"), "7 stars");
    }
}
