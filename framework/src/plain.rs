//! [`Plain`]: the network whose identifiers are all text. Inside the framework every network looks like it, so that
//! portals, queues and the store are written, compiled and tested once.

use serde::{Deserialize, Serialize};

use crate::{
    event::{
        Body, ChatDelta, ChatInfo, InThread, Member, MemberChange, Message, Part, PowerLevels,
        RemoteEvent, Sender, UserInfo,
    },
    handlers::Handlers,
    inbox::Inbox,
    network::{
        CancellationToken, Client, ConnectError, DecodeError, Exit, Login, MessageRef, Meta,
        NetError, Network, NetworkInfo, PortalKey, RemoteId, Runtime, Scope, StartError,
    },
};

/// See the module. It has no values: nothing of it ever runs, it only names types.
#[derive(Clone, Debug)]
pub(crate) enum Plain {}

/// A connector's data as stored: its shape's version and its JSON.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct PlainMeta {
    pub(crate) version: u32,
    pub(crate) json: String,
}
impl Meta for PlainMeta {}

// Its JSON stays out of logs: it is the connector's, and may be secret.
impl std::fmt::Debug for PlainMeta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainMeta").field("version", &self.version).finish_non_exhaustive()
    }
}

impl PlainMeta {
    pub(crate) fn of<M: Meta>(meta: &M) -> Self {
        // Serialising plain data to memory fails only for maps with keys that aren't text; that reads back as the default.
        Self { version: M::VERSION, json: serde_json::to_string(meta).unwrap_or_default() }
    }

    /// Reads it as the connector's type. What can't be read any more is logged and becomes the default.
    pub(crate) fn read<M: Meta>(&self) -> M {
        if self.json.is_empty() {
            return M::default();
        }
        let read = serde_json::from_str(&self.json).and_then(|value| {
            if self.version == M::VERSION {
                serde_json::from_value(value)
            } else {
                M::migrate(self.version, value)
            }
        });
        read.unwrap_or_else(|error| {
            tracing::error!(version = self.version, %error, "a connector's stored data can't be read, using its default");
            M::default()
        })
    }
}

/// The client of [`Plain`], which has no values either.
pub(crate) enum NoClient {}

impl Client for NoClient {
    type Net = Plain;
    async fn run(&self, _: Inbox<Plain>, _: CancellationToken) -> Exit {
        match *self {}
    }
    async fn chat(&self, _: &PortalKey<Plain>) -> Result<ChatInfo<Plain>, NetError> {
        match *self {}
    }
    async fn user(&self, _: &String) -> Result<UserInfo, NetError> {
        match *self {}
    }
}

impl Network for Plain {
    const ID: &'static str = "plain";
    type Config = ();
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = PlainMeta;
    type PortalMeta = PlainMeta;
    type GhostMeta = PlainMeta;
    type MessageMeta = PlainMeta;
    type Raw = String;
    type Client = NoClient;

    fn info((): &()) -> NetworkInfo {
        NetworkInfo::default()
    }
    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        handlers
    }
    async fn start((): (), _: Runtime) -> Result<Self, StartError> {
        Err(StartError("there is no network of this name".into()))
    }
    async fn connect(&self, _: Login<Self>) -> Result<NoClient, ConnectError> {
        match *self {}
    }
    fn decode(&self, _: &Login<Self>, _: &String) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        match *self {}
    }
}

/// What can be written with all identifiers as text.
pub(crate) trait ToPlain {
    type Plain;
    fn plain(self) -> Self::Plain;
}

impl<N: Network> ToPlain for PortalKey<N> {
    type Plain = PortalKey<Plain>;
    fn plain(self) -> PortalKey<Plain> {
        PortalKey {
            id: self.id.encode(),
            scope: match self.scope {
                Scope::Shared => Scope::Shared,
                Scope::Private(login) => Scope::Private(login.encode()),
            },
        }
    }
}

impl<N: Network> ToPlain for MessageRef<N> {
    type Plain = MessageRef<Plain>;
    fn plain(self) -> MessageRef<Plain> {
        MessageRef { id: self.id.encode(), part: self.part }
    }
}

impl<N: Network> ToPlain for Sender<N> {
    type Plain = Sender<Plain>;
    fn plain(self) -> Sender<Plain> {
        match self {
            Sender::Me => Sender::Me,
            Sender::Login(id) => Sender::Login(id.encode()),
            Sender::User(id) => Sender::User(id.encode()),
            Sender::Matrix(mxid) => Sender::Matrix(mxid),
            Sender::System => Sender::System,
        }
    }
}

impl<N: Network> ToPlain for Message<N> {
    type Plain = Message<Plain>;
    fn plain(self) -> Message<Plain> {
        let part = |part: Part<N>| Part {
            id: part.id,
            content: part.content,
            meta: PlainMeta::of(&part.meta),
            previews: part.previews,
        };
        Message {
            id: self.id.encode(),
            parts: self.parts.into_iter().map(part).collect(),
            reply_to: self.reply_to.map(ToPlain::plain),
            thread: self.thread.map(|id| id.encode()),
            echo_of: self.echo_of,
            disappear: self.disappear,
            disappear_from: self.disappear_from,
            profile: self.profile,
            album: self.album,
            rest: Vec::new(),
        }
    }
}

impl<N: Network> ToPlain for PowerLevels<N> {
    type Plain = PowerLevels<Plain>;
    fn plain(self) -> PowerLevels<Plain> {
        PowerLevels {
            users: self.users.into_iter().map(|(user, level)| (user.plain(), level)).collect(),
            users_default: self.users_default,
            events_default: self.events_default,
            state_default: self.state_default,
            events: self.events,
            actions: self.actions,
        }
    }
}

impl<N: Network> ToPlain for ChatDelta<N> {
    type Plain = ChatDelta<Plain>;
    fn plain(self) -> ChatDelta<Plain> {
        ChatDelta {
            name: self.name,
            topic: self.topic,
            avatar: self.avatar,
            parent: self.parent.map(|parent| parent.map(|id| id.encode())),
            position: self.position,
            join_rule: self.join_rule,
            power: self.power.map(ToPlain::plain),
            disappear: self.disappear,
            meta: self.meta.as_ref().map(PlainMeta::of),
            standing: self.standing,
        }
    }
}

impl<N: Network> ToPlain for ChatInfo<N> {
    type Plain = ChatInfo<Plain>;
    fn plain(self) -> ChatInfo<Plain> {
        let member = |member: Member<N>| Member {
            user: member.user.plain(),
            membership: member.membership,
            power: member.power,
            info: member.info,
        };
        ChatInfo {
            kind: self.kind,
            name: self.name,
            topic: self.topic,
            avatar: self.avatar,
            parent: self.parent.map(|id| id.encode()),
            position: self.position,
            members: self.members.into_iter().map(member).collect(),
            members_complete: self.members_complete,
            dm_with: self.dm_with.map(|id| id.encode()),
            invite: self.invite,
            join_rule: self.join_rule,
            alias: self.alias,
            power: self.power.map(ToPlain::plain),
            disappear: self.disappear,
            meta: self.meta.as_ref().map(PlainMeta::of),
        }
    }
}

impl<N: Network> ToPlain for MemberChange<N> {
    type Plain = MemberChange<Plain>;
    fn plain(self) -> MemberChange<Plain> {
        MemberChange { user: self.user.plain(), membership: self.membership, reason: self.reason }
    }
}

impl<N: Network> ToPlain for Body<N> {
    type Plain = Body<Plain>;
    fn plain(self) -> Body<Plain> {
        match self {
            Body::Message(message) => Body::Message(message.plain()),
            Body::Edit { target, version, new } => {
                Body::Edit { target: target.encode(), version, new: new.plain() }
            }
            Body::Remove { target, for_me_only } => {
                Body::Remove { target: target.plain(), for_me_only }
            }
            Body::React { target, emoji, set } => {
                Body::React { target: target.plain(), emoji, set }
            }
            Body::ReactionSync { target, all } => Body::ReactionSync {
                target: target.plain(),
                all: all.into_iter().map(|(user, emoji)| (user.encode(), emoji)).collect(),
            },
            Body::Read { up_to } => Body::Read { up_to: up_to.plain() },
            Body::Delivered { ids } => Body::Delivered { ids: encoded(&ids) },
            Body::MarkUnread(unread) => Body::MarkUnread(unread),
            Body::Typing { kind, timeout } => Body::Typing { kind, timeout },
            Body::Presence(presence) => Body::Presence(presence),
            Body::Pins { ids } => Body::Pins { ids: encoded(&ids) },
            Body::Pin { target, pinned } => Body::Pin { target: target.encode(), pinned },
            Body::PollResults { poll, counts, ended } => {
                Body::PollResults { poll: poll.encode(), counts, ended }
            }
            Body::PollVote { poll, choices } => Body::PollVote { poll: poll.encode(), choices },
            Body::PollEnd { poll } => Body::PollEnd { poll: poll.encode() },
            Body::ChatInfo(delta) => Body::ChatInfo(delta.plain()),
            Body::Members(changes) => {
                Body::Members(changes.into_iter().map(ToPlain::plain).collect())
            }
            Body::UserChanged { user, info } => Body::UserChanged { user: user.encode(), info },
            Body::ChatGone { for_me_only } => Body::ChatGone { for_me_only },
            Body::PortalMoved { to } => Body::PortalMoved { to: to.plain() },
            Body::Call(call) => Body::Call(call),
            Body::Resync => Body::Resync,
        }
    }
}

fn encoded<I: RemoteId>(ids: &[I]) -> Vec<String> {
    ids.iter().map(RemoteId::encode).collect()
}

impl<N: Network> ToPlain for RemoteEvent<N> {
    type Plain = RemoteEvent<Plain>;
    fn plain(self) -> RemoteEvent<Plain> {
        RemoteEvent {
            portal: self.portal.plain(),
            sender: self.sender.plain(),
            at: self.at,
            order: self.order,
            key: self.key,
            create_portal: self.create_portal,
            thread: self
                .thread
                .map(|thread| InThread { chat: thread.chat.plain(), root: thread.root.encode() }),
            body: self.body.plain(),
        }
    }
}
