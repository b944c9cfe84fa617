//! [`Rich`] to and from the text fields of an `m.room.message` content.

use serde_json::{Map, Value, json};

use super::{Rich, Style, UserTarget, from_html, to_fallback, to_html};

/// The format name of `formatted_body` (Client-Server API, "m.room.message msgtypes").
const HTML: &str = "org.matrix.custom.html";

/// `msgtype`, `body`, `m.mentions` and, where there is markup, `format` and `formatted_body`.
///
/// `m.mentions` is always there, so that push rules don't guess from the text (MSC3952).
pub fn to_content(rich: &Rich, msgtype: &str) -> Map<String, Value> {
    let mut content = Map::new();
    content.insert("msgtype".into(), msgtype.into());
    content.insert("body".into(), to_fallback(rich).into());
    let html_needed = rich.spans().iter().any(|s| !matches!(s.style, Style::Everyone));
    if html_needed {
        content.insert("format".into(), HTML.into());
        content.insert("formatted_body".into(), to_html(rich).into());
    }
    let users: Vec<&str> = rich
        .users()
        .into_iter()
        .filter_map(|user| match user {
            UserTarget::Matrix(id) => Some(id.as_str()),
            UserTarget::Remote(_) => None,
        })
        .collect();
    let mut mentions = Map::new();
    if !users.is_empty() {
        mentions.insert("user_ids".into(), json!(users));
    }
    if rich.mentions_everyone() {
        mentions.insert("room".into(), true.into());
    }
    content.insert("m.mentions".into(), mentions.into());
    content
}

/// Reads the text of a message or caption: `formatted_body` where it is HTML, else `body`. A fallback of a
/// rich reply and a name of the message's own are removed, and `@room` marked where `m.mentions` says that it was meant.
pub fn from_content(content: &Value) -> Rich {
    let is_html = content.get("format").and_then(Value::as_str) == Some(HTML);
    let formatted = content.get("formatted_body").and_then(Value::as_str).filter(|_| is_html);
    let body = content.get("body").and_then(Value::as_str).unwrap_or_default();
    let body = profile(content).map_or(body, |profile| {
        let name = profile.get("displayname").and_then(Value::as_str).unwrap_or_default();
        let rest = body.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
        rest.filter(|_| !name.is_empty() && profile["has_fallback"] == true).unwrap_or(body)
    });
    let is_reply =
        content.pointer("/m.relates_to/m.in_reply_to/event_id").is_some_and(Value::is_string);
    let mut rich = match formatted {
        Some(html) => from_html(html),
        None if is_reply => Rich::plain(strip_reply_fallback(body)),
        None => Rich::plain(body),
    };
    if rich.is_empty() && !body.is_empty() {
        rich = Rich::plain(body);
    }
    if content.pointer("/m.mentions/room").and_then(Value::as_bool) == Some(true)
        && let Some(at) = rich.text().find("@room")
    {
        rich.style(at..at + "@room".len(), Style::Everyone);
    }
    rich
}

/// The name and picture that one message is shown under (MSC4144), where they aren't its sender's.
pub(crate) fn profile(content: &Value) -> Option<&Value> {
    content.get("com.beeper.per_message_profile").or_else(|| content.get("m.per_message_profile"))
}

/// Removes the quote that older clients put before the `body` of a reply
/// (Client-Server API v1.12 and before, "Fallbacks for rich replies").
pub fn strip_reply_fallback(body: &str) -> &str {
    if !body.starts_with("> <") && !body.starts_with("> * <") {
        return body;
    }
    let mut rest = body;
    while rest.starts_with("> ") || rest.starts_with(">\n") {
        rest = rest.split_once('\n').map_or("", |(_, after)| after);
    }
    rest.strip_prefix('\n').unwrap_or(rest)
}
