//! What is known of a registered connection, and a line that came over it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::batch::Batch;
use super::caps::Caps;
use crate::isupport::ISupport;
use crate::message::{Message, Source};

/// The facts of a registered connection.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Names this connection among all there ever were: two lines with the same epoch and number are one line.
    pub epoch: Arc<str>,
    /// Ourselves as the server shows us to others. The host may be unknown at first.
    pub me: Source,
    /// What the server says of itself.
    pub isupport: ISupport,
    /// The capabilities that are on.
    pub caps: Caps,
    /// The server's software, from numeric 004.
    pub version: String,
    /// The channels we are in, folded.
    pub joined: BTreeSet<String>,
    /// Whether SASL logged us in.
    pub logged_in: bool,
}

impl Snapshot {
    /// Whether a nick is ours.
    pub fn is_me(&self, nick: &str) -> bool {
        self.isupport.casemapping.same(nick, &self.me.name)
    }

    /// Whether we are in a channel.
    pub fn is_in(&self, channel: &str) -> bool {
        self.joined.contains(&self.isupport.casemapping.fold(channel))
    }

    /// The most bytes of text that fit a line to `target` as the server passes it on, with our prefix before it. An unknown user
    /// or host counts with the longest that servers allow.
    pub fn room_for_text(&self, command: &str, target: &str) -> usize {
        let user = self.me.user.as_ref().map_or(11, String::len);
        let host = self.me.host.as_ref().map_or(63, String::len);
        // ":" nick "!" user "@" host " " command " " target " :" text "\r\n"
        let around = 1
            + self.me.name.len()
            + 1
            + user
            + 1
            + host
            + 1
            + command.len()
            + 1
            + target.len()
            + 2
            + 2;
        self.isupport.line_len.saturating_sub(around).max(64)
    }
}

/// A line of the server, with its place in the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The connection's epoch.
    pub epoch: Arc<str>,
    /// The line's number in it.
    pub number: u64,
    /// The line, read.
    pub message: Message,
    /// When it was said, in milliseconds since 1970, where the server tells.
    pub at: Option<u64>,
    /// The batch it stands in.
    pub batch: Option<Batch>,
}

impl Incoming {
    /// The server's id of it.
    pub fn msgid(&self) -> Option<&str> {
        self.message.tag("msgid").filter(|id| !id.is_empty())
    }
}
