//! The bench's network on the wire: lines of JSON over TCP, both ways. `tests/bench/fakenet.go` is the other side.

use serde::{Deserialize, Serialize};

/// What the network says.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum FromNetwork {
    /// Somebody said something.
    Msg(Said),
    /// What was sent under `req` is there.
    Sent {
        /// The request's number.
        req: u64,
        /// The message's identifier.
        id: String,
    },
}

/// A message of the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Said {
    /// Its number among all that the network said to this account.
    pub(crate) seq: u64,
    /// Its identifier.
    pub(crate) id: String,
    /// Where.
    pub(crate) chat: String,
    /// Who.
    pub(crate) user: String,
    /// When, in milliseconds since 1970.
    pub(crate) ts: u64,
    /// What.
    pub(crate) text: String,
}

/// What an account says.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub(crate) enum ToNetwork<'a> {
    /// Who it is. The first line.
    Hello { token: &'a str },
    /// All up to this number is kept.
    Ack { seq: u64 },
    /// Something to be said. The network says it once, however often it comes with the same key.
    Send { req: u64, chat: &'a str, text: &'a str, key: &'a str },
}
