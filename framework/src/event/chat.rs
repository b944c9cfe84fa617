//! Chats and the people in them.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MediaRef, Sender};
use crate::network::Network;

/// Everything known about a chat. What is `None` or empty is left as it is in the room.
#[derive(Clone)]
pub struct ChatInfo<N: Network> {
    /// What sort of chat.
    pub kind: ChatKind,
    /// Its name; a direct chat takes the other's name if there is none.
    pub name: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its picture.
    pub avatar: Option<MediaRef>,
    /// The chat it is part of: a server, a category, a forum. The nearest one that is a [`ChatKind::Space`] becomes the space
    /// that holds its room.
    pub parent: Option<N::PortalId>,
    /// Its place among its neighbours there: lower comes first. Without one it stands behind those that have one.
    pub position: Option<i64>,
    /// The people in it.
    pub members: Vec<Member<N>>,
    /// Whether `members` are all: ghosts that aren't among them leave the room.
    pub members_complete: bool,
    /// In a direct chat, the other.
    pub dm_with: Option<N::UserId>,
    /// Matrix users to invite, besides the owner of the login that the chat came by.
    pub invite: Vec<String>,
    /// Who may join the room.
    pub join_rule: JoinRule,
    /// An alias for the room: its localpart, without `#` and server name.
    pub alias: Option<String>,
    /// Who may do what.
    pub power: Option<PowerLevels<N>>,
    /// When what is said in it disappears; `Some(None)`: never.
    pub disappear: Option<Option<Disappear>>,
    /// The connector's data of the portal.
    pub meta: Option<N::PortalMeta>,
}

impl<N: Network> Default for ChatInfo<N> {
    fn default() -> Self {
        Self {
            kind: ChatKind::Group,
            name: None,
            topic: None,
            avatar: None,
            parent: None,
            position: None,
            members: Vec::new(),
            members_complete: false,
            dm_with: None,
            invite: Vec::new(),
            join_rule: JoinRule::Invite,
            alias: None,
            power: None,
            disappear: None,
            meta: None,
        }
    }
}

// `meta` stays out of logs: it is the connector's, and may be secret.
impl<N: Network> std::fmt::Debug for ChatInfo<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatInfo")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("topic", &self.topic)
            .field("avatar", &self.avatar)
            .field("parent", &self.parent)
            .field("members", &self.members.len())
            .field("dm_with", &self.dm_with)
            .finish_non_exhaustive()
    }
}
impl<N: Network> ChatInfo<N> {
    /// A group of that name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
    /// A direct chat.
    pub fn dm(with: N::UserId) -> Self {
        Self {
            kind: ChatKind::Dm,
            members: vec![Member::from(with.clone())],
            dm_with: Some(with),
            ..Self::default()
        }
    }
    /// With these people among its members.
    #[must_use]
    pub fn members(mut self, users: impl IntoIterator<Item = impl Into<Member<N>>>) -> Self {
        self.members.extend(users.into_iter().map(Into::into));
        self
    }
}

/// What sort of chat it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChatKind {
    /// Two people.
    Dm,
    /// Some people.
    #[default]
    Group,
    /// Open to many.
    Channel,
    /// A chat that holds chats.
    Space,
}

/// Who may join a portal's room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JoinRule {
    /// Those invited.
    #[default]
    Invite,
    /// Everybody.
    Public,
    /// Those invited, and whoever is in the room of the chat it is part of; of a space, also of what that is part of (Client-Server API,
    /// "Restricted rooms").
    Parent,
}

/// Somebody in a chat.
#[derive(Debug, Clone)]
pub struct Member<N: Network> {
    /// Who.
    pub user: Sender<N>,
    /// Joined, invited or banned.
    pub membership: Membership,
    /// Their power level.
    pub power: Option<i64>,
    /// Their profile, if it came with the chat: spares asking.
    pub info: Option<UserInfo>,
}
impl<N: Network> Member<N> {
    /// A user who is in the chat.
    pub fn joined(user: N::UserId) -> Self {
        Self { user: Sender::User(user), membership: Membership::Join, power: None, info: None }
    }
}
impl<N: Network<UserId = U>, U: crate::network::RemoteId> From<U> for Member<N> {
    fn from(user: U) -> Self {
        Self::joined(user)
    }
}

/// How somebody stands to a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// In it.
    Join,
    /// Invited.
    Invite,
    /// Out of it.
    Leave,
    /// Shut out.
    Ban,
    /// No longer shut out, and not in it.
    Unban,
    /// Asking to be let in.
    Knock,
}

/// Somebody's standing changed. The event's sender is who did it.
#[derive(Debug, Clone)]
pub struct MemberChange<N: Network> {
    /// Whose.
    pub user: Sender<N>,
    /// To what.
    pub membership: Membership,
    /// Why, in words.
    pub reason: Option<String>,
}
impl<N: Network> MemberChange<N> {
    /// A user's standing changed.
    pub fn new(user: N::UserId, membership: Membership) -> Self {
        Self { user: Sender::User(user), membership, reason: None }
    }
    /// With a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// What changed about a chat. `None` is unchanged; an empty string, or `Some(None)`, is cleared.
#[derive(Clone)]
pub struct ChatDelta<N: Network> {
    /// The name.
    pub name: Option<String>,
    /// The topic.
    pub topic: Option<String>,
    /// The picture.
    pub avatar: Option<Option<MediaRef>>,
    /// The chat it is part of.
    pub parent: Option<Option<N::PortalId>>,
    /// Its place among its neighbours there.
    pub position: Option<i64>,
    /// Who may join.
    pub join_rule: Option<JoinRule>,
    /// Who may do what: merged into what is known.
    pub power: Option<PowerLevels<N>>,
    /// When what is said in it from now on disappears.
    pub disappear: Option<Option<Disappear>>,
    /// The connector's data of the portal.
    pub meta: Option<N::PortalMeta>,
    /// Whether this only tells how things stand, as networks do when a connection begins: name, topic, picture and place are then
    /// news only if they are not what was told last.
    pub standing: bool,
}
impl<N: Network> Default for ChatDelta<N> {
    fn default() -> Self {
        Self {
            name: None,
            topic: None,
            avatar: None,
            parent: None,
            position: None,
            join_rule: None,
            power: None,
            disappear: None,
            meta: None,
            standing: false,
        }
    }
}
impl<N: Network> std::fmt::Debug for ChatDelta<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatDelta")
            .field("name", &self.name)
            .field("topic", &self.topic)
            .field("avatar", &self.avatar)
            .field("parent", &self.parent)
            .field("join_rule", &self.join_rule)
            .finish_non_exhaustive()
    }
}
impl<N: Network> ChatDelta<N> {
    /// The chat has a new name.
    pub fn name(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
    /// The chat has a new topic.
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: Some(topic.into()), ..Self::default() }
    }
}

/// Who may do what. What isn't given is left as it is.
#[derive(Clone)]
pub struct PowerLevels<N: Network> {
    /// Single people's levels.
    pub users: Vec<(Sender<N>, i64)>,
    /// Everybody else's.
    pub users_default: Option<i64>,
    /// What sending a message needs.
    pub events_default: Option<i64>,
    /// What changing state needs.
    pub state_default: Option<i64>,
    /// What single event types need.
    pub events: BTreeMap<String, i64>,
    /// What `ban`, `kick`, `invite` and `redact` need; other names are ignored.
    pub actions: BTreeMap<String, i64>,
}
impl<N: Network> Default for PowerLevels<N> {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            users_default: None,
            events_default: None,
            state_default: None,
            events: BTreeMap::new(),
            actions: BTreeMap::new(),
        }
    }
}

/// When something that was said disappears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disappear {
    /// After this time.
    pub after: Duration,
    /// Counted from when.
    pub from: DisappearFrom,
}

/// What the time until something disappears is counted from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DisappearFrom {
    /// From when it was read; what was said from Matrix counts as read when it is sent.
    #[default]
    Read,
    /// From when it was sent.
    Sent,
}

impl Disappear {
    /// So long after it was sent.
    pub fn after_sending(after: Duration) -> Self {
        Self { after, from: DisappearFrom::Sent }
    }
    /// So long after it was read.
    pub fn after_reading(after: Duration) -> Self {
        Self { after, from: DisappearFrom::Read }
    }
    /// In milliseconds; what nobody lives to see is as good as 100 years.
    pub(crate) fn millis(self) -> i64 {
        const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);
        self.after.min(LONGEST).as_millis() as i64
    }
    /// How the database keeps it.
    pub(crate) fn to_text(self) -> String {
        let from = match self.from {
            DisappearFrom::Read => "read",
            DisappearFrom::Sent => "sent",
        };
        format!("{from}:{}", self.millis())
    }
    /// Reads [`Self::to_text`] back.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        let (from, millis) = text.split_once(':')?;
        let from = match from {
            "read" => DisappearFrom::Read,
            "sent" => DisappearFrom::Sent,
            _ => return None,
        };
        Some(Self { after: Duration::from_millis(millis.parse().ok()?), from })
    }
}

/// How the threads of a chat are shown on Matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThreadMode {
    /// As Matrix threads in the chat's room.
    #[default]
    Threads,
    /// As rooms of their own.
    Rooms,
}

impl ThreadMode {
    /// How the database, the configuration and the command have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Threads => "threads",
            Self::Rooms => "rooms",
        }
    }
    /// Reads [`Self::as_str`] back.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        match text {
            "threads" => Some(Self::Threads),
            "rooms" => Some(Self::Rooms),
            _ => None,
        }
    }
}

/// What is known about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Their name.
    pub name: Option<String>,
    /// Their picture.
    pub avatar: Option<MediaRef>,
    /// Whether they are a program.
    pub bot: bool,
    /// Addresses of theirs, as URIs (`tel:`, `mailto:`, ...).
    pub identifiers: Vec<String>,
}
impl UserInfo {
    /// A person of that name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
}

/// Whether somebody is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// There.
    Online,
    /// There, but idle.
    Away(Option<String>),
    /// Not there.
    Offline,
}
