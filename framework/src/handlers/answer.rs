//! What a handler answers. The three failures that matter to a retry loop are impossible to mix up.

use std::time::Duration;

use crate::{
    event::Message,
    network::{Network, StreamOrder},
};

/// Something was sent that has an identifier on the network.
pub enum Sent<N: Network> {
    /// It is there, under this identifier.
    Now {
        /// Its identifier.
        id: N::MessageId,
        /// Its place in the chat's order.
        order: Option<StreamOrder>,
    },
    /// It is there, and the connector keeps data of it, as of messages from the network.
    Kept {
        /// Its identifier.
        id: N::MessageId,
        /// Its place in the chat's order.
        order: Option<StreamOrder>,
        /// The connector's data of it.
        meta: N::MessageMeta,
    },
    /// A poll is there, and its options have ids of the network's own, here in their order.
    Poll {
        /// The poll's message.
        id: N::MessageId,
        /// Its options.
        options: Vec<String>,
    },
    /// The network has taken it, as several messages. Edits and deletions from Matrix are about all of them:
    /// [`super::Targets`].
    Many(Vec<N::MessageId>),
    /// It is handed over; that it arrived is known when the network echoes it with [`Message::echo_of`].
    AwaitEcho,
}
impl<N: Network> Sent<N> {
    /// It is there, under this identifier.
    pub fn now(id: impl Into<N::MessageId>) -> Self {
        Self::Now { id: id.into(), order: None }
    }
    /// It is there, as the network's own record of it says.
    pub fn as_message(message: &Message<N>) -> Self {
        Self::Now { id: message.id.clone(), order: None }
    }
}

/// It is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It was certainly not done, and may be tried again.
    #[error("not sent, to be tried again: {reason}")]
    Retry {
        /// How long to wait, if the network said so.
        after: Option<Duration>,
        /// What has to wait.
        scope: LimitScope,
        /// What happened.
        reason: String,
    },
    /// It was not done and never will be. The user is told why.
    #[error("refused: {user}")]
    Refused {
        /// What the user is told.
        user: String,
    },
    /// It may have been done: the answer was lost. What follows depends on the handler's [`Idempotency`].
    #[error("may have been sent: {reason}")]
    Unknown {
        /// What happened.
        reason: String,
    },
}
impl SendError {
    /// Not done; the login has to wait.
    pub fn retry(reason: impl std::fmt::Display) -> Self {
        Self::Retry { after: None, scope: LimitScope::Login, reason: reason.to_string() }
    }
    /// Not done, because of a rate limit.
    pub fn limited(after: Duration, scope: LimitScope) -> Self {
        Self::Retry { after: Some(after), scope, reason: "rate limited".into() }
    }
    /// Never to be done.
    pub fn refused(user: impl std::fmt::Display) -> Self {
        Self::Refused { user: user.to_string() }
    }
    /// Perhaps done.
    pub fn unknown(reason: impl std::fmt::Display) -> Self {
        Self::Unknown { reason: reason.to_string() }
    }
}

/// What a rate limit stops. Everything else goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitScope {
    /// This chat.
    Chat,
    /// Everything this login sends.
    Login,
    /// Everything the bridge sends to the network.
    Global,
}

/// What happens on the network when the same key is sent twice; decides how [`SendError::Unknown`] and a crash in the
/// middle of a send are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// The network does it once, for ever: it is simply sent again.
    Native,
    /// The network does it once within this time: sent again within it, after it as with [`Self::Reconcile`] if there is
    /// a [`crate::Reconcile`], else as with [`Self::None`].
    Window(Duration),
    /// The network can be asked whether the key arrived: looked up after a settling time, and again right before
    /// it is sent again.
    Reconcile,
    /// Nothing can be known, and losing is worse than doubling: sent once more, with [`super::Attempt::maybe_sent`], and
    /// counted; the user is told "may have been sent twice".
    AtLeastOnce,
    /// Nothing can be known, and doubling is worse than losing: never sent again by itself; the user is told "may have been
    /// sent".
    None,
}
