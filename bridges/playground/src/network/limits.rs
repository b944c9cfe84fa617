//! How much the network takes, and the forms of identifiers and texts.

use super::error::NetworkError;

/// Longest identifier of a person or chat, in bytes.
pub(crate) const MAX_ID: usize = 64;
/// Longest idempotency key, in bytes.
pub(crate) const MAX_KEY: usize = 128;
/// Longest name, in bytes.
pub(crate) const MAX_NAME: usize = 256;
/// Longest topic, in bytes.
pub(crate) const MAX_TOPIC: usize = 1024;
/// Longest message, in bytes.
pub const MAX_TEXT: usize = 16 * 1024;
/// Longest reaction, in bytes: an emoji with all its joiners fits well.
pub(crate) const MAX_EMOJI: usize = 64;
/// Largest body of a request, in bytes.
pub(crate) const MAX_BODY: usize = 64 * 1024;
/// Most events or messages in one answer.
pub(crate) const MAX_PAGE: i64 = 500;
/// Longest wait of a long poll, in seconds.
pub(crate) const MAX_WAIT: u64 = 60;
/// Most people on the network.
pub(crate) const MAX_PEOPLE: i64 = 20_000;
/// Most chats on the network.
pub(crate) const MAX_CHATS: i64 = 5_000;
/// Most members of a chat.
pub(crate) const MAX_MEMBERS: i64 = 5_000;
/// Most reactions to one message.
pub(crate) const MAX_REACTIONS: i64 = 200;
/// Fewest and most answers of a poll.
pub(crate) const ANSWERS: std::ops::RangeInclusive<usize> = 1..=20;
/// Most events the network keeps; it refuses changes when it is full.
pub(crate) const MAX_EVENTS: i64 = 5_000_000;
/// Most people shown as typing at a time.
pub(crate) const MAX_TYPING: usize = 256;
/// How long somebody types without saying so again, in milliseconds.
pub(crate) const TYPING_MS: i64 = 15_000;
/// Most open streams of pages and waiting polls at a time.
pub(crate) const MAX_STREAMS: usize = 256;

fn at_most(what: &'static str, text: &str, limit: usize) -> Result<(), NetworkError> {
    if text.len() > limit {
        Err(NetworkError::TooLong { what, limit, unit: "bytes" })
    } else {
        Ok(())
    }
}

/// Checks an identifier: 1 to 64 of a-z, 0-9, `.`, `_`, `-`, beginning with a letter or digit.
pub(crate) fn id(what: &'static str, id: &str) -> Result<(), NetworkError> {
    at_most(what, id, MAX_ID)?;
    let mut bytes = id.bytes();
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    if bytes.next().is_some_and(alphanumeric)
        && bytes.all(|b| alphanumeric(b) || matches!(b, b'.' | b'_' | b'-'))
    {
        return Ok(());
    }
    Err(NetworkError::Invalid(format!(
        "{what} {id:?} must be of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit"
    )))
}

/// Checks a name that people see: not blank, no control characters.
pub(crate) fn name(text: &str) -> Result<(), NetworkError> {
    at_most("the name", text, MAX_NAME)?;
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err(NetworkError::Invalid(
            "a name must not be blank nor hold control characters".into(),
        ));
    }
    Ok(())
}

/// Checks a topic.
pub(crate) fn topic(text: &str) -> Result<(), NetworkError> {
    at_most("the topic", text, MAX_TOPIC)
}

/// Checks a message's text.
pub(crate) fn text(text: &str) -> Result<(), NetworkError> {
    at_most("the text", text, MAX_TEXT)?;
    if text.trim().is_empty() {
        return Err(NetworkError::Invalid("a message must say something".into()));
    }
    Ok(())
}

/// Checks a reaction.
pub(crate) fn emoji(text: &str) -> Result<(), NetworkError> {
    at_most("the reaction", text, MAX_EMOJI)?;
    if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(NetworkError::Invalid("a reaction must be an emoji or a word".into()));
    }
    Ok(())
}

/// Checks the answers of a poll.
pub(crate) fn answers(options: &[String]) -> Result<(), NetworkError> {
    if !ANSWERS.contains(&options.len()) {
        return Err(NetworkError::Invalid(format!(
            "a poll has {} to {} answers",
            ANSWERS.start(),
            ANSWERS.end()
        )));
    }
    options.iter().try_for_each(|option| name(option))
}

/// Checks an idempotency key.
pub(crate) fn key(key: Option<&str>) -> Result<(), NetworkError> {
    let Some(key) = key else { return Ok(()) };
    at_most("the key", key, MAX_KEY)?;
    if key.is_empty() {
        return Err(NetworkError::Invalid("a key must not be empty".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        for good in ["a", "alice", "a.b-c_9", "9lives"] {
            id("chat", good).unwrap();
        }
        for bad in ["", "Alice", ".a", "a b", "ä", "a/b", &"a".repeat(65)] {
            assert!(id("chat", bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn texts() {
        text("hello").unwrap();
        assert!(text(" \n").is_err());
        assert!(text(&"x".repeat(MAX_TEXT + 1)).is_err());
        assert!(name("a\u{7}b").is_err());
        assert!(emoji("👩‍👩‍👧‍👦").is_ok());
        assert!(emoji("a b").is_err());
        assert!(key(Some("")).is_err());
        assert!(key(None).is_ok());
        assert!(answers(&["yes".into(), "no".into()]).is_ok());
        assert!(answers(&[]).is_err());
        assert!(answers(&vec!["x".into(); 21]).is_err());
        assert!(answers(&[" ".into()]).is_err());
    }
}
