//! What a handler can ask for that is about a poll (MSC3381).

use crate::{
    event::Poll,
    network::{MessageRef, Network},
};

/// A poll to start. The options' ids are those they have on Matrix; where the network gives its own, the handler answers with
/// [`super::Sent::Poll`], or the network's echo of the poll says so.
pub struct PollSent(pub Poll);

/// A vote in a poll.
pub struct PollVoted<N: Network> {
    /// The poll's message.
    pub poll: MessageRef<N>,
    /// The chosen options, by their ids on the network, replacing earlier choices; none takes the vote back.
    pub choices: Vec<String>,
    /// The connector's data of the poll's message.
    pub meta: N::MessageMeta,
}

/// A poll to close. Whoever asked has the right to: they started it, or may redact in the room.
pub struct PollEnded<N: Network> {
    /// The poll's message.
    pub poll: MessageRef<N>,
    /// The connector's data of the poll's message.
    pub meta: N::MessageMeta,
}
