//! One channel as the listening connection sees it.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::raw::Flags;

/// A channel.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "a channel's modes are independent switches")]
pub struct Channel {
    /// Its name as the server writes it.
    pub name: String,
    /// Its topic, once known.
    pub topic: Option<String>,
    /// The people in it by folded nick, without our own.
    pub people: HashMap<String, Person>,
    /// Whether NAMES has told who is in it.
    pub synced: bool,
    /// The bot's own ranks.
    pub my_ranks: String,
    /// Whether only those with voice speak (`+m`).
    pub moderated: bool,
    /// Whether only operators set the topic (`+t`).
    pub topic_locked: bool,
    /// Whether only those invited join (`+i`).
    pub invite_only: bool,
    /// What NAMES has told so far.
    pub(super) listed: HashMap<String, Person>,
}

/// Somebody in a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The nick as its owner writes it.
    pub nick: String,
    /// Rank modes.
    pub ranks: String,
    /// When their quit is to be told, and its reason.
    pub(super) gone: Option<(Instant, String)>,
}

impl Person {
    pub(super) fn new(nick: &str) -> Self {
        Self { nick: nick.to_owned(), ranks: String::new(), gone: None }
    }
}

impl Channel {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(super) fn set_flags(&mut self, flags: Flags) {
        self.moderated = flags.moderated.unwrap_or(self.moderated);
        self.topic_locked = flags.topic_locked.unwrap_or(self.topic_locked);
        self.invite_only = flags.invite_only.unwrap_or(self.invite_only);
    }

    /// Whether the bot is an operator here.
    pub fn bot_is_operator(&self) -> bool {
        crate::modes::level(&self.my_ranks) >= crate::modes::OPERATOR
    }
}
