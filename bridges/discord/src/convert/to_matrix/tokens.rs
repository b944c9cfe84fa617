//! What stands for something else in a text: mentions, emoji, times, addresses (API reference, "Message Formatting").

use landbridge_framework::{
    RemoteId as _,
    format::{Rgb, RoomTarget, Style, UserTarget},
};

use super::{Names, emoji_file};
use crate::{
    convert::date,
    ids::{Id, Person, Place},
};

/// Longer addresses are read as text.
const MAX_URL: usize = 2_048;

/// The shrug, whose backslash escapes nothing.
pub(super) fn shrug(rest: &str) -> Option<usize> {
    let face = "\\_(ツ)_/¯";
    rest.starts_with(face).then_some(face.len())
}

/// What stands at the beginning of `rest`: its length, its text, its style.
pub(super) fn read(
    rest: &str,
    last: Option<char>,
    names: &Names,
) -> Option<(usize, String, Option<Style>)> {
    if rest.starts_with('<') {
        return angled(rest, names);
    }
    if rest.starts_with('@') {
        let word = ["@everyone", "@here"].into_iter().find(|word| rest.starts_with(word))?;
        return Some((word.len(), word.into(), names.everyone.then_some(Style::Everyone)));
    }
    // An address in the middle of a word is none.
    if last.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let len = address(rest)?;
    let url = rest[..len].to_owned();
    Some((len, url.clone(), Some(Style::Link { url })))
}

/// `<...>`.
fn angled(rest: &str, names: &Names) -> Option<(usize, String, Option<Style>)> {
    let end = rest.find('>')?;
    if end > MAX_URL {
        return None;
    }
    let inner = &rest[1..end];
    let (text, style) = if let Some(id) = inner.strip_prefix("@&") {
        let id: Id = id.parse().ok()?;
        let role = names.roles.get(&id);
        let name = role.map_or("deleted-role", |role| role.name.as_str());
        let colour = role.map(|role| role.colour).filter(|colour| *colour != 0);
        let [_, red, green, blue] = colour.unwrap_or_default().to_be_bytes();
        let style = colour.map(|_| Style::Colour { fg: Some(Rgb(red, green, blue)), bg: None });
        (format!("@{}", name.trim_start_matches('@')), style)
    } else if let Some(id) = inner.strip_prefix("@!").or_else(|| inner.strip_prefix('@')) {
        let id: Id = id.parse().ok()?;
        let name = names.users.get(&id).map_or("unknown-user", String::as_str);
        let target = UserTarget::Remote(Person::User(id).encode());
        (format!("@{name}"), Some(Style::User(target)))
    } else if let Some(id) = inner.strip_prefix('#') {
        let id: Id = id.parse().ok()?;
        let name = names.channels.get(&id).map_or("unknown", String::as_str);
        let target = RoomTarget::Remote(Place::Channel(id).encode());
        (format!("#{name}"), Some(Style::Room(target)))
    } else if let Some(time) = inner.strip_prefix("t:") {
        (timestamp(time)?, None)
    } else if let Some(command) = inner.strip_prefix('/') {
        let (name, id) = command.rsplit_once(':')?;
        let _: Id = id.parse().ok()?;
        (format!("/{name}"), Some(Style::Code))
    } else if let Some(page) = inner.strip_prefix("id:") {
        let name = match page.split(':').next()? {
            "customize" => "Channels & Roles",
            "browse" => "Browse Channels",
            "guide" => "Server Guide",
            "linked-roles" => "Linked Roles",
            _ => return None,
        };
        (name.to_owned(), Some(Style::Bold))
    } else if inner.starts_with("http://") || inner.starts_with("https://") {
        if inner.contains(char::is_whitespace) {
            return None;
        }
        (inner.to_owned(), Some(Style::Link { url: inner.to_owned() }))
    } else {
        let emoji = inner.strip_prefix("a:").or_else(|| inner.strip_prefix(':'))?;
        let (name, id) = emoji.split_once(':')?;
        let id: Id = id.parse().ok()?;
        let word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let media = emoji_file(id, inner.starts_with("a:")).0;
        let style = Style::RemoteEmoji { id: id.to_string(), media: Some(media) };
        (word.then(|| format!(":{name}:"))?, Some(style))
    };
    Some((end + 1, text, style))
}

/// `1618953630:R`, in words. Relative times would go on changing, so the time itself is given.
fn timestamp(inner: &str) -> Option<String> {
    let (seconds, style) = inner.split_once(':').unwrap_or((inner, "f"));
    let digits = seconds.strip_prefix('-').unwrap_or(seconds);
    if digits.is_empty() || digits.len() > 13 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds = seconds.parse().ok()?;
    match style {
        "t" => date::time(seconds, false),
        "T" => date::time(seconds, true),
        "d" | "D" => date::date(seconds),
        "f" | "F" | "R" | "s" | "S" => date::date_time(seconds),
        _ => None,
    }
}

/// How long the address is that `rest` begins with.
pub(crate) fn address(rest: &str) -> Option<usize> {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| rest.starts_with(scheme))?;
    let end = rest.find(|c: char| c.is_whitespace() || c == '<').unwrap_or(rest.len());
    let mut url = &rest[..end.min(rest.len())];
    while let Some(last) = url.chars().next_back() {
        let unmatched = last == ')' && url.matches(')').count() > url.matches('(').count();
        // Marks that stand around the address, not in it.
        let mark = matches!(last, '.' | ',' | ':' | ';' | '"' | '\'' | ']' | '*' | '|' | '~');
        if !unmatched && !mark {
            break;
        }
        url = &url[..url.len() - last.len_utf8()];
    }
    (url.len() > scheme.len() && url.len() <= MAX_URL).then_some(url.len())
}

/// `[text](address "title")` at the beginning of `rest`: text, address, length.
pub(super) fn masked(rest: &str) -> Option<(&str, String, usize)> {
    let mut depth = 0_usize;
    let mut close = None;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                if depth == 0 {
                    close = Some(at);
                    break;
                }
            }
            _ => {}
        }
    }
    let close = close?;
    let text = &rest[1..close];
    let target = rest[close + 1..].strip_prefix('(')?;
    let mut open = 0_usize;
    let end = target.char_indices().find_map(|(at, c)| match c {
        '(' => {
            open += 1;
            None
        }
        ')' if open == 0 => Some(at),
        ')' => {
            open -= 1;
            None
        }
        '\n' => Some(usize::MAX),
        _ => None,
    })?;
    let inner = target.get(..end)?.trim();
    let url = match inner.split_once(char::is_whitespace) {
        Some((url, title)) if title.trim().starts_with(['"', '\'']) => url,
        Some(_) => return None,
        None => inner,
    };
    let url = url.strip_prefix('<').and_then(|url| url.strip_suffix('>')).unwrap_or(url);
    let known = ["https://", "http://"].iter().any(|s| url.len() > s.len() && url.starts_with(s));
    (known && url.len() <= MAX_URL && !text.trim().is_empty())
        .then(|| (text, url.to_owned(), close + 2 + end + 1))
}
