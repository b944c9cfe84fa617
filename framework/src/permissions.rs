//! Who may do what: by Matrix ID, by server name, or everybody.

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

/// The level of a user: the entry for themselves counts before the one for their server, that before `*`.
pub(crate) fn level_of(permissions: &BTreeMap<String, Level>, mxid: &str) -> Level {
    let server = mxid.split_once(':').map_or("", |(_, server)| server);
    [mxid, server, "*"]
        .iter()
        .find_map(|key| permissions.get(*key))
        .copied()
        .unwrap_or(Level::Block)
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
}
