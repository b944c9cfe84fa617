//! What a network says, as data: one [`RemoteEvent`] with one [`Body`] out of a closed list.
//!
//! Events carry no callbacks and fetch nothing, so they can be stored, replayed, compared in tests and decoded again.

use std::time::{Duration, SystemTime};

use crate::network::{EventKey, MessageRef, Network, PortalKey, StreamOrder};

mod chat;
mod content;

pub use chat::{
    ChatDelta, ChatInfo, ChatKind, Disappear, DisappearFrom, JoinRule, Member, MemberChange,
    Membership, PowerLevels, Presence, ThreadMode, UserInfo,
};
pub(crate) use content::{AlbumItem, same_emoji};
pub use content::{
    CallNotice, Content, EchoOf, Emoji, Geo, LinkPreview, MediaKind, MediaPart, MediaRef, Message,
    MessageProfile, Part, Poll, PollOption, TypingKind,
};

/// One thing that happened in a remote chat.
#[derive(Debug, Clone)]
pub struct RemoteEvent<N: Network> {
    /// Where.
    pub portal: PortalKey<N>,
    /// Who did it.
    pub sender: Sender<N>,
    /// When, by the network's clock.
    pub at: SystemTime,
    /// Its place in the chat's order, if the network numbers things.
    pub order: Option<StreamOrder>,
    /// The event's natural key: portals handle each key once, whichever login it came by.
    pub key: EventKey,
    /// Whether a room is created for it if there is none yet.
    pub create_portal: bool,
    /// The thread it happened in, where the network has threads that are chats of their own: `portal` names the thread.
    pub thread: Option<InThread<N>>,
    /// What happened.
    pub body: Body<N>,
}

/// A thread that is a chat of its own (a Discord thread, a forum's post or topic). Whether it is shown as a Matrix thread in
/// the room of the chat it belongs to, or as a room of its own, is chosen per chat ([`ThreadMode`]).
#[derive(Debug, Clone)]
pub struct InThread<N: Network> {
    /// The chat it belongs to.
    pub chat: PortalKey<N>,
    /// The message in that chat that it begins with.
    pub root: N::MessageId,
}

impl<N: Network> RemoteEvent<N> {
    /// An event that creates its portal if need be.
    pub fn new(
        portal: PortalKey<N>,
        sender: Sender<N>,
        at: SystemTime,
        key: impl Into<EventKey>,
        body: impl Into<Body<N>>,
    ) -> Self {
        Self {
            portal,
            sender,
            at,
            order: None,
            key: key.into(),
            create_portal: true,
            thread: None,
            body: body.into(),
        }
    }
    /// As part of a thread that is a chat of its own: `portal` is the thread, `chat` what it belongs to, `root` the message
    /// there that it begins with. Message ids must be unique within `chat` and its threads together. What concerns only the
    /// thread as a chat (its name, its members, its end) is left out where it is shown as a Matrix thread.
    #[must_use]
    pub fn in_thread_of(mut self, chat: PortalKey<N>, root: impl Into<N::MessageId>) -> Self {
        self.thread = Some(InThread { chat, root: root.into() });
        self
    }
    /// With its place in the chat's order.
    #[must_use]
    pub fn ordered(mut self, order: i64) -> Self {
        self.order = Some(StreamOrder(order));
        self
    }
    /// Dropped if the chat has no room yet.
    #[must_use]
    pub fn only_in_known_portals(mut self) -> Self {
        self.create_portal = false;
        self
    }
}

/// Who did it.
pub enum Sender<N: Network> {
    /// The account the event came by: shown as its owner's double puppet if there is one.
    Me,
    /// Another account that is logged in to this bridge.
    Login(N::LoginId),
    /// A user of the network: shown as a ghost.
    User(N::UserId),
    /// A Matrix user who is relayed: only as the one whose membership changes (an operator kicks their puppet).
    Matrix(String),
    /// The network itself: shown as the bridge's bot.
    System,
}

// By hand, because the derived ones would ask the network itself to be `Clone` and `Debug`.
impl<N: Network> Clone for Sender<N> {
    fn clone(&self) -> Self {
        match self {
            Self::Me => Self::Me,
            Self::Login(id) => Self::Login(id.clone()),
            Self::User(id) => Self::User(id.clone()),
            Self::Matrix(mxid) => Self::Matrix(mxid.clone()),
            Self::System => Self::System,
        }
    }
}
impl<N: Network> std::fmt::Debug for Sender<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Me => f.write_str("Me"),
            Self::Login(id) => f.debug_tuple("Login").field(id).finish(),
            Self::User(id) => f.debug_tuple("User").field(id).finish(),
            Self::Matrix(mxid) => f.debug_tuple("Matrix").field(mxid).finish(),
            Self::System => f.write_str("System"),
        }
    }
}

/// What happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Body<N: Network> {
    /// A message.
    Message(Message<N>),
    /// A message was changed. `version` orders edits (a counter or a time): an older one that arrives later is dropped,
    /// one that comes before its message is parked.
    Edit {
        /// The message.
        target: N::MessageId,
        /// Orders the edits of one message.
        version: u64,
        /// Its new form, with the same part names.
        new: Message<N>,
    },
    /// A message, or one part, was deleted.
    Remove {
        /// What was deleted.
        target: MessageRef<N>,
        /// Only for the account it came by; then nothing is redacted for others.
        for_me_only: bool,
    },
    /// A reaction was set or taken back.
    React {
        /// The message reacted to.
        target: MessageRef<N>,
        /// The reaction.
        emoji: Emoji,
        /// `false`: taken back.
        set: bool,
    },
    /// All reactions of a message, replacing what was known.
    ReactionSync {
        /// The message.
        target: MessageRef<N>,
        /// Who reacted with what.
        all: Vec<(N::UserId, Emoji)>,
    },
    /// The sender has read up to and including this message. Latest wins; never queued.
    Read {
        /// The last message read.
        up_to: MessageRef<N>,
    },
    /// Messages sent from Matrix have reached their recipients.
    Delivered {
        /// The messages.
        ids: Vec<N::MessageId>,
    },
    /// The account's owner marked the chat unread, or read again.
    MarkUnread(bool),
    /// The sender is typing. Latest wins; never queued. A zero timeout ends it.
    Typing {
        /// What they are doing.
        kind: TypingKind,
        /// How long to show it.
        timeout: Duration,
    },
    /// The sender's presence. Latest wins; never queued.
    Presence(Presence),
    /// The chat's pinned messages, replacing what was known; of a thread that its chat's room shows, those in the thread.
    Pins {
        /// The pinned messages, in order.
        ids: Vec<N::MessageId>,
    },
    /// One message was pinned, or no longer is.
    Pin {
        /// The message.
        target: N::MessageId,
        /// `false`: it no longer is.
        pinned: bool,
    },
    /// The sender voted in a poll.
    PollVote {
        /// The poll's message.
        poll: N::MessageId,
        /// The chosen options' ids, replacing earlier choices; none takes the vote back.
        choices: Vec<String>,
    },
    /// How a poll stands, where the network counts votes but doesn't tell whose they are: shown by one message that is kept
    /// up to date.
    PollResults {
        /// The poll's message.
        poll: N::MessageId,
        /// Votes by the options' ids, replacing what was known.
        counts: Vec<(String, u64)>,
        /// Whether it is closed.
        ended: bool,
    },
    /// A poll was closed.
    PollEnd {
        /// The poll's message.
        poll: N::MessageId,
    },
    /// The chat's name, topic, picture, power levels or other data changed.
    ChatInfo(ChatDelta<N>),
    /// People came, went, were invited or banned.
    Members(Vec<MemberChange<N>>),
    /// A user's name or picture changed: ask [`crate::Client::user`] again, or take `info` if it is given.
    UserChanged {
        /// The user.
        user: N::UserId,
        /// Their new profile, if known.
        info: Option<UserInfo>,
    },
    /// The chat no longer exists, or no longer for the account it came by.
    ChatGone {
        /// Only for this account.
        for_me_only: bool,
    },
    /// The chat goes on under another identifier.
    ///
    /// Its messages keep theirs, unless the chat was one login's alone and is everybody's now: then they begin anew, and what was said
    /// before can no longer be changed or answered from Matrix.
    PortalMoved {
        /// Its new name.
        to: PortalKey<N>,
    },
    /// Somebody called.
    Call(CallNotice),
    /// Something was missed: ask [`crate::Client::chat`] again, and fetch missing history.
    Resync,
}

impl<N: Network> From<Message<N>> for Body<N> {
    fn from(message: Message<N>) -> Self {
        Self::Message(message)
    }
}
impl<N: Network> From<ChatDelta<N>> for Body<N> {
    fn from(delta: ChatDelta<N>) -> Self {
        Self::ChatInfo(delta)
    }
}
impl<N: Network> From<Vec<MemberChange<N>>> for Body<N> {
    fn from(changes: Vec<MemberChange<N>>) -> Self {
        Self::Members(changes)
    }
}
