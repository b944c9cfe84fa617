//! What a handler is given about a place that somebody shares while they move (MSC3489, MSC3672).

use std::time::Duration;

use crate::{
    event::Geo,
    network::{MessageRef, Network},
};

/// Where somebody is, for as long as they share it. It is sent first, then changed as they move, and ended; each of that may
/// come twice. The answer names the message in each case; one that becomes several names that first which is changed.
pub struct LiveLocation<N: Network> {
    /// Where they are; `None` only where it ends.
    pub place: Option<Geo>,
    /// How long they share it from now on.
    pub lasts: Duration,
    /// The message it was sent as; `None`: it is to be sent.
    pub message: Option<MessageRef<N>>,
    /// Whether it ends.
    pub ends: bool,
}
