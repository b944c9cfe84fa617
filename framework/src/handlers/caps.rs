//! What a connector can do, with its limits: checked before a handler is called, and published in the room.

use std::time::Duration;

use crate::event::DisappearFrom;

/// Limits of text.
#[derive(Clone, Debug, Default)]
pub struct TextCaps {
    /// The longest text in characters; 0 is without limit.
    pub max_len: usize,
}

/// Limits of files.
#[derive(Clone, Debug, Default)]
pub struct MediaCaps {
    /// The largest file in bytes; 0 is without limit.
    pub max_size: u64,
    /// Media types taken, `image/*` too; empty takes all.
    pub mimes: Vec<&'static str>,
    /// Whether a file can have a caption; otherwise it follows as a text of its own.
    pub captions: bool,
}

/// Limits of edits.
#[derive(Clone, Debug, Default)]
pub struct EditCaps {
    /// How old a message may be.
    pub max_age: Option<Duration>,
}

/// Limits of deletions.
#[derive(Clone, Debug, Default)]
pub struct RemoveCaps {
    /// How old a message may be.
    pub max_age: Option<Duration>,
}

/// Limits of reactions.
#[derive(Clone, Debug, Default)]
pub struct ReactCaps {
    /// How many one user may set on a message; when there are more, the oldest is taken back first.
    pub per_user: Option<u32>,
    /// The only emoji taken; empty takes all.
    pub allowed: Vec<String>,
}

/// Limits of polls.
#[derive(Clone, Debug, Default)]
pub struct PollCaps {
    /// How many answers there may be to choose from; 0 is without limit.
    pub max_options: usize,
}

/// Limits of votes.
#[derive(Clone, Debug, Default)]
pub struct VoteCaps {
    /// Whether the relay votes for people without a login. One account has one vote on most networks: then it must not.
    pub relayed: bool,
}

/// Which times until things disappear can be set.
#[derive(Clone, Debug, Default)]
pub struct DisappearCaps {
    /// What they are counted from; empty takes both.
    pub from: Vec<DisappearFrom>,
    /// The only times taken; empty takes all.
    pub times: Vec<Duration>,
}

/// Which of a chat's data can be changed.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for one thing that can be changed")]
pub struct MetaCaps {
    /// The name.
    pub name: bool,
    /// The topic.
    pub topic: bool,
    /// The picture.
    pub avatar: bool,
    /// Power levels.
    pub power: bool,
}
impl Default for MetaCaps {
    fn default() -> Self {
        Self { name: true, topic: true, avatar: true, power: false }
    }
}

/// Which changes of membership can be made.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for one thing that can be done")]
pub struct MemberCaps {
    /// Inviting ghosts.
    pub invite: bool,
    /// Kicking ghosts.
    pub kick: bool,
    /// Banning and unbanning ghosts.
    pub ban: bool,
    /// Matrix users' own joins and leaves are passed on.
    pub own: bool,
}
impl Default for MemberCaps {
    fn default() -> Self {
        Self { invite: true, kick: true, ban: true, own: true }
    }
}

/// How Matrix users without a login of their own appear on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayStyle {
    /// Their name stands before each message, by the configured template.
    Prefix,
    /// The network shows name and picture of the [`super::As`] argument; the text is left alone.
    NativeProfile,
}

/// What can be done in one room. [`super::Handlers::narrow`] may take away from it.
#[derive(Clone, Debug, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each stands for one independent thing that a room can do"
)]
pub struct RoomCaps {
    /// Text.
    pub text: Option<TextCaps>,
    /// Files.
    pub media: Option<MediaCaps>,
    /// Several files as one.
    pub gallery: bool,
    /// Places.
    pub location: bool,
    /// Places while somebody moves.
    pub live_location: bool,
    /// Polls.
    pub poll: bool,
    /// Votes in polls.
    pub poll_vote: Option<VoteCaps>,
    /// Closing polls.
    pub poll_end: bool,
    /// Setting what people may do.
    pub permissions: bool,
    /// Setting when things disappear.
    pub disappear: Option<DisappearCaps>,
    /// Edits.
    pub edit: Option<EditCaps>,
    /// Deletions.
    pub remove: Option<RemoveCaps>,
    /// Reactions.
    pub react: Option<ReactCaps>,
    /// Replies.
    pub reply: bool,
    /// Threads.
    pub thread: bool,
    /// Read receipts.
    pub read: bool,
    /// Typing notices.
    pub typing: bool,
    /// Marking as unread.
    pub unread: bool,
    /// Name, topic and picture.
    pub room_meta: Option<MetaCaps>,
    /// Invites, kicks and bans.
    pub membership: Option<MemberCaps>,
}
