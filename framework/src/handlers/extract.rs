//! What a handler can ask for, by type.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{
    Gallery, IdempotencyKey, LiveLocation, Media, MediaAccess, MediaStream, NewGroup, SendError,
    poll::{PollEnded, PollSent, PollVoted},
    room::{DisappearSet, Membership, PermissionsSet, PinsChanged, PinsSet, RoomMeta},
};
use crate::{
    event::{Emoji, Geo, Poll, Presence},
    format::Rich,
    network::{Login, MessageRef, NetError, Network, PortalKey},
};

/// One thing Matrix wants done, with everything a handler may ask for.
pub struct Out<N: Network> {
    pub(crate) client: Arc<N::Client>,
    pub(crate) login: Login<N>,
    pub(crate) portal: Option<(PortalKey<N>, Arc<N::PortalMeta>)>,
    pub(crate) key: IdempotencyKey,
    pub(crate) relay: Option<RelayProfile>,
    pub(crate) origin: Origin,
    pub(crate) reply_to: Option<MessageRef<N>>,
    pub(crate) thread: Option<N::MessageId>,
    pub(crate) quoted: Option<Quote>,
    pub(crate) attempt: Attempt,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) files: Files,
    pub(crate) own_reactions: OwnReactions,
    pub(crate) targets: Vec<MessageRef<N>>,
    pub(crate) op: Op<N>,
}

/// What is to be done.
pub enum Op<N: Network> {
    /// See [`Text`].
    Text(Text),
    /// See [`Media`].
    Media(Media),
    /// See [`Gallery`].
    Gallery(Gallery),
    /// See [`Location`].
    Location(Geo),
    /// See [`LiveLocation`].
    LiveLocation(LiveLocation<N>),
    /// See [`PollSent`].
    Poll(Poll),
    /// See [`PollVoted`].
    PollVote(PollVoted<N>),
    /// See [`PollEnded`].
    PollEnd(PollEnded<N>),
    /// See [`Edited`].
    Edit(Edited<N>),
    /// See [`Removed`].
    Remove(Removed<N>),
    /// See [`Reacted`].
    React(Reacted<N>),
    /// See [`Read`].
    Read(Read<N>),
    /// See [`Typing`].
    Typing(Typing),
    /// See [`Unread`].
    Unread(Unread),
    /// See [`PinsSet`] and [`PinsChanged`].
    Pins(PinsChanged<N>),
    /// See [`DisappearSet`].
    Disappear(DisappearSet),
    /// See [`PermissionsSet`].
    Permissions(PermissionsSet),
    /// See [`PresenceSet`].
    Presence(PresenceSet),
    /// See [`RoomMeta`].
    RoomMeta(RoomMeta),
    /// See [`Membership`].
    Membership(Membership<N>),
    /// See [`NewGroup`].
    Group(NewGroup<N>),
    /// The portal was opened or closed.
    Portal,
    /// See [`Args`].
    Command(Args),
}

/// Something a handler may ask for.
pub trait FromOut<N: Network>: Sized + Send {
    /// Takes it out of what Matrix wants done.
    fn take(out: &Out<N>) -> Result<Self, SendError>;
}

/// The connection that does it.
pub struct Via<N: Network>(pub Arc<N::Client>);
impl<N: Network> FromOut<N> for Via<N> {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.client.clone()))
    }
}

impl<N: Network> FromOut<N> for Login<N> {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(out.login.clone())
    }
}

/// The chat, and the connector's data of it.
pub struct In<N: Network>(pub PortalKey<N>, pub Arc<N::PortalMeta>);
impl<N: Network> FromOut<N> for In<N> {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        let (key, meta) = out
            .portal
            .clone()
            .ok_or_else(|| SendError::refused("this works only in a bridged room"))?;
        Ok(Self(key, meta))
    }
}

/// The key to pass on as nonce, `random_id` or `client_msg_id`.
pub struct Key(pub IdempotencyKey);
impl<N: Network> FromOut<N> for Key {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.key.clone()))
    }
}

/// For whom it is relayed; `None` when the login's own owner does it.
pub struct As(pub Option<RelayProfile>);
impl<N: Network> FromOut<N> for As {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.relay.clone()))
    }
}

/// A Matrix user who is relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayProfile {
    /// Their Matrix ID.
    pub mxid: String,
    /// Their name in the room.
    pub name: String,
    /// Their picture, as `mxc:` address.
    pub avatar_mxc: Option<String>,
    /// Their picture, as an address that everybody can fetch, if the bridge has one.
    pub avatar_url: Option<String>,
}

/// The Matrix event behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Who sent it.
    pub sender: String,
    /// What they are called in the room.
    pub name: String,
    /// Its event id; empty for what isn't an event (typing, a command of the provisioning API).
    pub event_id: String,
    /// The room.
    pub room_id: String,
    /// Its `origin_server_ts`, in milliseconds since the Unix epoch.
    pub ts_ms: i64,
}
impl<N: Network> FromOut<N> for Origin {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(out.origin.clone())
    }
}

/// What kind of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextKind {
    /// `m.text`.
    #[default]
    Text,
    /// `m.notice`.
    Notice,
    /// `m.emote`.
    Emote,
}

/// Text to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// The text.
    pub body: Rich,
    /// What kind.
    pub kind: TextKind,
}

/// A place to send.
pub struct Location(pub Geo);

/// The message that is answered.
pub struct ReplyTo<N: Network>(pub Option<MessageRef<N>>);
impl<N: Network> FromOut<N> for ReplyTo<N> {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.reply_to.clone()))
    }
}

/// The message that is answered, in words: for networks that have no replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quoted(pub Option<Quote>);
impl<N: Network> FromOut<N> for Quoted {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.quoted.clone()))
    }
}

/// Who said what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// What the author is called in the room.
    pub sender: String,
    /// The beginning of what they said.
    pub text: String,
}

/// Which attempt at it this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Attempts before this one.
    pub before: u32,
    /// Whether one of them may have reached the network.
    pub maybe_sent: bool,
}
impl<N: Network> FromOut<N> for Attempt {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(out.attempt)
    }
}

/// A short durable note on the operation, for those that take several steps (a long text in several lines): after a crash
/// the next attempt finds what the last one saved.
#[derive(Clone)]
pub struct Checkpoint {
    pub(crate) note: Option<String>,
    pub(crate) port: Arc<dyn CheckpointPort>,
}
impl Checkpoint {
    /// What was saved last, by this or an earlier attempt's handler.
    pub fn get(&self) -> Option<&str> {
        self.note.as_deref()
    }
    /// Saves a note; durable when it returns.
    pub async fn save(&mut self, note: impl Into<String> + Send) -> Result<(), SendError> {
        let note = note.into();
        self.port.save(&note).await?;
        self.note = Some(note);
        Ok(())
    }
}
impl<N: Network> FromOut<N> for Checkpoint {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(out.checkpoint.clone())
    }
}

/// Where a [`Checkpoint`] is kept.
#[async_trait]
pub(crate) trait CheckpointPort: Send + Sync + 'static {
    async fn save(&self, note: &str) -> Result<(), SendError>;
}

/// The bridge's files: to read one by its `mxc:` address (a chat's new picture, that of somebody who is relayed), and to
/// publish something that the network has no room for.
#[derive(Clone)]
pub struct Files(pub(crate) Arc<dyn MediaAccess>);
impl Files {
    /// Reads a file, bounded by the bridge's size limit.
    pub async fn open(&self, mxc: &str) -> Result<MediaStream, NetError> {
        self.0.open(mxc).await
    }
    /// An address everybody can fetch a file at, if the bridge serves one.
    pub fn link(&self, mxc: &str, name: &str) -> Option<String> {
        self.0.link(mxc, name)
    }
    /// Keeps bytes where everybody can fetch them. `None`: this bridge has no public address.
    pub async fn publish(
        &self,
        bytes: Bytes,
        name: &str,
        mime: &str,
    ) -> Result<Option<String>, NetError> {
        self.0.publish(bytes, name, mime).await
    }
}
impl<N: Network> FromOut<N> for Files {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(out.files.clone())
    }
}

/// The root of the thread it belongs to; of an edit, a deletion, a reaction, a vote or a receipt, that of the message it is
/// about.
pub struct Thread<N: Network>(pub Option<N::MessageId>);
impl<N: Network> FromOut<N> for Thread<N> {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.thread.clone()))
    }
}

/// A message's new text.
pub struct Edited<N: Network> {
    /// The message.
    pub target: MessageRef<N>,
    /// Its new text.
    pub body: Rich,
    /// What kind.
    pub kind: TextKind,
    /// What the text was before, if it is known.
    pub old: Option<Rich>,
    /// The connector's data of the message.
    pub meta: N::MessageMeta,
}

/// All messages that the event of an [`Edited`] or a [`Removed`] became, in order: several where its handler answered with
/// [`super::Sent::Many`]. The first is their `target`. Of what else is about a message: that message.
pub struct Targets<N: Network>(pub Vec<MessageRef<N>>);
impl<N: Network> FromOut<N> for Targets<N> {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(Self(out.targets.clone()))
    }
}

/// A message to delete.
pub struct Removed<N: Network> {
    /// The message.
    pub target: MessageRef<N>,
    /// The connector's data of the message.
    pub meta: N::MessageMeta,
    /// Why, in words.
    pub reason: Option<String>,
}

/// A reaction to set or to take back.
pub struct Reacted<N: Network> {
    /// The message.
    pub target: MessageRef<N>,
    /// The reaction.
    pub emoji: Emoji,
    /// `false`: take it back.
    pub set: bool,
}

/// The reactions that the account has on the message of a [`Reacted`], once that is done, oldest first; in relay those of all
/// who are relayed. For networks that take them all at once. Never more than [`super::ReactCaps::per_user`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnReactions(pub Vec<Emoji>);
impl<N: Network> FromOut<N> for OwnReactions {
    fn take(out: &Out<N>) -> Result<Self, SendError> {
        Ok(out.own_reactions.clone())
    }
}

/// The last message read.
pub struct Read<N: Network> {
    /// The message.
    pub up_to: MessageRef<N>,
}

/// Somebody types, or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typing(pub bool);

/// The chat was marked unread, or read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread(pub bool);

/// A user's presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceSet(pub Presence);

/// The words of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Args(pub Vec<String>);

/// A handler asked for something that this operation doesn't have: a mistake of the connector, told to its author.
fn mismatch<T>(what: &str) -> Result<T, SendError> {
    Err(SendError::refused(format!(
        "the connector's handler asks for {what}, which this operation does not carry"
    )))
}

macro_rules! cloned {
    ($($t:ident => $variant:ident),*) => {$(
        impl<N: Network> FromOut<N> for $t {
            fn take(out: &Out<N>) -> Result<Self, SendError> {
                match &out.op {
                    Op::$variant(value) => Ok(value.clone()),
                    _ => mismatch(stringify!($t)),
                }
            }
        }
    )*};
}
cloned!(Text => Text, Media => Media, Gallery => Gallery, Typing => Typing, Unread => Unread, PresenceSet => Presence, RoomMeta => RoomMeta, Args => Command,
    DisappearSet => Disappear, PermissionsSet => Permissions);

macro_rules! wrapped {
    ($($t:ident => $variant:ident),*) => {$(
        impl<N: Network> FromOut<N> for $t {
            fn take(out: &Out<N>) -> Result<Self, SendError> {
                match &out.op {
                    Op::$variant(value) => Ok(Self(value.clone())),
                    _ => mismatch(stringify!($t)),
                }
            }
        }
    )*};
}
wrapped!(Location => Location, PollSent => Poll);

macro_rules! fields {
    ($($t:ident => $variant:ident { $($field:ident),* }),*) => {$(
        impl<N: Network> FromOut<N> for $t<N> {
            fn take(out: &Out<N>) -> Result<Self, SendError> {
                match &out.op {
                    Op::$variant(value) => Ok(Self { $($field: value.$field.clone()),* }),
                    _ => mismatch(stringify!($t)),
                }
            }
        }
    )*};
}
fields!(
    Edited => Edit { target, body, kind, old, meta },
    Removed => Remove { target, meta, reason },
    Reacted => React { target, emoji, set },
    Read => Read { up_to },
    PinsSet => Pins { ids },
    PinsChanged => Pins { ids, added, removed },
    PollVoted => PollVote { poll, choices, meta },
    PollEnded => PollEnd { poll, meta },
    LiveLocation => LiveLocation { place, lasts, message, ends },
    NewGroup => Group { kind, name, topic, avatar, members },
    Membership => Membership { action, target, display_name, reason }
);
