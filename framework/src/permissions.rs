//! Who may do what: by Matrix ID or a pattern of them, by server name, or everybody.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a Matrix user may do. Each level includes those before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing: their messages are not bridged, the bot doesn't answer.
    Block,
    /// Be relayed.
    Relay,
    /// Log in.
    User,
    /// Everything.
    Admin,
}

/// The level of a user: the entry for themselves counts before a pattern that they match (of several the longest), that
/// before the one for their server, that before `*`.
pub(crate) fn level_of(permissions: &BTreeMap<String, Level>, mxid: &str) -> Level {
    let server = mxid.split_once(':').map_or("", |(_, server)| server);
    let patterns = permissions.iter().filter(|(key, _)| key.starts_with('@') && key.contains('*'));
    let matched = patterns.filter(|(key, _)| matches(key, mxid)).max_by_key(|(key, _)| key.len());
    let nearest = permissions.get(mxid).or(matched.map(|(_, level)| level));
    let nearest = nearest.or_else(|| permissions.get(server)).or_else(|| permissions.get("*"));
    nearest.copied().unwrap_or(Level::Block)
}

/// Whether a text is what a pattern says; `*` stands for anything. Each part is looked for once, from left to right.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_entry_counts() {
        let permissions = BTreeMap::from([
            ("*".to_owned(), Level::Relay),
            ("example.org".to_owned(), Level::User),
            ("@boss:example.org".to_owned(), Level::Admin),
            ("@troll:example.org".to_owned(), Level::Block),
        ]);
        let level = |mxid| level_of(&permissions, mxid);
        assert_eq!(level("@boss:example.org"), Level::Admin);
        assert_eq!(level("@troll:example.org"), Level::Block);
        assert_eq!(level("@a:example.org"), Level::User);
        assert_eq!(level("@a:elsewhere.org:8448"), Level::Relay);
        assert_eq!(level_of(&BTreeMap::new(), "@a:b"), Level::Block);
    }

    #[test]
    fn a_pattern_counts_for_all_who_match_it() {
        let permissions = BTreeMap::from([
            ("*".to_owned(), Level::Relay),
            ("@irc_*:example.org".to_owned(), Level::Block),
            ("@irc_friend*:example.org".to_owned(), Level::User),
            ("@irc_boss:example.org".to_owned(), Level::Admin),
        ]);
        let level = |mxid| level_of(&permissions, mxid);
        assert_eq!(level("@irc_eve:example.org"), Level::Block);
        assert_eq!(level("@irc_friendly:example.org"), Level::User);
        assert_eq!(level("@irc_boss:example.org"), Level::Admin);
        assert_eq!(level("@irc_eve:elsewhere.org"), Level::Relay);
        assert_eq!(level("@eve:example.org"), Level::Relay);
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text, is) in [
            ("@a*:b", "@a:b", true),
            ("@a*:b", "@axx:b", true),
            ("@a*:b", "@a:bc", false),
            ("@*_x*:b", "@one_x_two:b", true),
            ("@*", "@anyone:at.all", true),
            ("@a*a", "@a", false),
        ] {
            assert_eq!(matches(pattern, text), is, "{pattern} {text}");
        }
    }
}
