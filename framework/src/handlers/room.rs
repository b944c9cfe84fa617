//! What a handler can ask for that is about a room and the people in it.

use crate::{event::Disappear, network::Network};

/// The pinned messages, in order.
pub struct PinsSet<N: Network> {
    /// The messages.
    pub ids: Vec<N::MessageId>,
}

/// The pinned messages, and what changed: for networks that pin one at a time.
pub struct PinsChanged<N: Network> {
    /// The messages, in order.
    pub ids: Vec<N::MessageId>,
    /// Those that weren't pinned before.
    pub added: Vec<N::MessageId>,
    /// Those that no longer are.
    pub removed: Vec<N::MessageId>,
}

/// When what is said in the chat from now on disappears; `None`: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisappearSet(pub Option<Disappear>);

/// A change of the chat's data.
#[derive(Clone, Debug, PartialEq)]
pub struct RoomMeta(pub ChatEdit);

/// What is to be changed about a chat.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEdit {
    /// The name; empty clears it.
    Name(String),
    /// The topic; empty clears it.
    Topic(String),
    /// The picture's `mxc:` address: [`super::Files::open`] reads it.
    Avatar(Option<String>),
    /// The people whose power level changed, with the new ones.
    Power(Vec<(PowerHolder, i64)>),
}

/// Whose power level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PowerHolder {
    /// A user of the network, by encoded identifier ([`crate::RemoteId::decode`] reads it).
    Remote(String),
    /// A Matrix user, by Matrix ID.
    Matrix(String),
    /// Everybody else.
    Default,
}

/// What people without a power level of their own may do in the chat, as far as it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionsSet(pub Vec<Permission>);

/// One thing that needs a power level, with the level that it needs now. What everybody else has is in
/// [`PowerHolder::Default`] of [`ChatEdit::Power`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What needs it.
    pub what: Permitted,
    /// The level.
    pub level: i64,
    /// The level that everybody without one of their own has.
    pub everybody: i64,
}
impl Permission {
    /// Whether everybody may.
    pub fn is_for_everybody(&self) -> bool {
        self.everybody >= self.level
    }
}

/// What may need a power level (Client-Server API, `m.room.power_levels`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permitted {
    /// Saying something: events of types without a level of their own.
    Messages,
    /// Changing state of types without a level of their own.
    State,
    /// Events of one type.
    Event(String),
    /// `ban`, `kick`, `invite` or `redact`.
    Action(&'static str),
    /// Mentioning everybody (`notifications.room`).
    MentionRoom,
}

/// A change of somebody's membership.
pub struct Membership<N: Network> {
    /// What is done.
    pub action: MemberAction,
    /// To whom.
    pub target: MemberTarget<N>,
    /// What they are called in the room.
    pub display_name: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
}

/// What is done about somebody's membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberAction {
    /// They join by themselves.
    Join,
    /// They leave by themselves.
    Leave,
    /// They are invited.
    Invite,
    /// They are put out.
    Kick,
    /// They are shut out.
    Ban,
    /// They are let in again.
    Unban,
    /// They are in the room as before, but are called something else, or look different.
    Rename,
}

/// Whose membership.
pub enum MemberTarget<N: Network> {
    /// A user of the network.
    Remote(N::UserId),
    /// A Matrix user, by Matrix ID, with their login if they have one.
    Matrix(String, Option<N::LoginId>),
}

impl<N: Network> Clone for MemberTarget<N> {
    fn clone(&self) -> Self {
        match self {
            Self::Remote(id) => Self::Remote(id.clone()),
            Self::Matrix(mxid, login) => Self::Matrix(mxid.clone(), login.clone()),
        }
    }
}
