//! A [`Network`] behind [`Connector`].

use std::sync::Arc;

use async_trait::async_trait;

use super::{Abilities, Account, Connector, FinishLogin, StoredLogin, TypedAccount};
use crate::{
    control::{ConnectorCommand, Level},
    event::{ChatInfo, Member, RemoteEvent, Sender},
    handlers::{Handlers, Idempotency, RoomCaps},
    login::{LoginError, LoginProcess, Logins, NewLogin},
    network::{
        BadId, ConnectError, DecodeError, Login, Network, NetworkInfo, PortalKey, RemoteId,
        Runtime, Scope, StartError,
    },
    plain::{Plain, PlainMeta, ToPlain},
};

/// A started network with everything it registered.
pub(crate) struct TypedConnector<N: Network> {
    network: Arc<N>,
    info: NetworkInfo,
    handlers: Arc<Handlers<N>>,
    logins: Logins<N>,
    system: Vec<StoredLogin>,
    abilities: Abilities,
}

impl<N: Network> TypedConnector<N> {
    pub(crate) async fn start(config: N::Config, runtime: Runtime) -> Result<Self, StartError> {
        let info = N::info(&config);
        let handlers = Arc::new(N::handlers(Handlers::new()));
        let logins = N::logins(Logins::new());
        let system =
            N::system_logins(&config).into_iter().map(|login| stored(login, None)).collect();
        let abilities = abilities(&handlers);
        let network = Arc::new(N::start(config, runtime).await?);
        Ok(Self { network, info, handlers, logins, system, abilities })
    }

    fn typed_login(login: &StoredLogin) -> Result<Login<N>, BadId> {
        Ok(Login {
            id: N::LoginId::decode(&login.id)?,
            meta: login.meta.read(),
            owner: login.owner.clone(),
        })
    }
}

pub(super) fn stored<N: Network>(login: NewLogin<N>, owner: Option<String>) -> StoredLogin {
    StoredLogin {
        id: login.id.encode(),
        owner,
        name: login.name,
        user: login.user.map(|user| user.encode()),
        meta: PlainMeta::of(&login.meta),
    }
}

fn abilities<N: Network>(h: &Handlers<N>) -> Abilities {
    let room = RoomCaps {
        text: h.text.as_ref().map(|(caps, ..)| caps.clone()),
        media: h.media.as_ref().map(|(caps, ..)| caps.clone()),
        gallery: h.gallery.is_some(),
        location: h.location.is_some(),
        live_location: h.live_location.is_some(),
        poll: h.poll.is_some(),
        poll_vote: h.poll_vote.as_ref().map(|(caps, _)| caps.clone()),
        poll_end: h.poll_end.is_some(),
        permissions: h.permissions.is_some(),
        disappear: h.disappear.as_ref().map(|(caps, _)| caps.clone()),
        edit: h.edit.as_ref().map(|(caps, _)| caps.clone()),
        remove: h.remove.as_ref().map(|(caps, _)| caps.clone()),
        react: h.react.as_ref().map(|(caps, _)| caps.clone()),
        reply: h.text.is_some(),
        thread: h.text.is_some(),
        read: h.read.is_some(),
        typing: h.typing.is_some(),
        unread: h.unread.is_some(),
        room_meta: h.room_meta.as_ref().map(|(caps, _)| caps.clone()),
        membership: h.membership.as_ref().map(|(caps, _)| caps.clone()),
    };
    Abilities {
        room,
        text: h.text.as_ref().map_or(Idempotency::None, |(_, i, _)| *i),
        media: h.media.as_ref().map_or(Idempotency::None, |(_, i, _)| *i),
        gallery: h.gallery.as_ref().map_or(Idempotency::None, |(i, _)| *i),
        location: h.location.as_ref().map_or(Idempotency::None, |(i, _)| *i),
        live_location: h.live_location.as_ref().map_or(Idempotency::None, |(i, _)| *i),
        poll: h.poll.as_ref().map_or(Idempotency::None, |(_, i, _)| *i),
        poll_options: h.poll.as_ref().map_or(0, |(caps, ..)| caps.max_options),
        pins: h.pins.is_some(),
        presence: h.presence.is_some(),
        relay: h.relay,
        calls_by_power: h.calls_by_power,
        history: h.history.is_some(),
        directory: h.directory.is_some(),
        groups: h.group.as_ref().map(|(kinds, _)| kinds.clone()).unwrap_or_default(),
        reconcile: h.reconcile.is_some(),
    }
}

#[async_trait]
impl<N: Network> Connector for TypedConnector<N> {
    fn id(&self) -> &'static str {
        N::ID
    }
    fn info(&self) -> &NetworkInfo {
        &self.info
    }
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }
    fn narrowed(&self, chat: &ChatInfo<Plain>) -> RoomCaps {
        let mut caps = self.abilities.room.clone();
        if let (Some(narrow), Ok(chat)) = (self.handlers.narrow, typed_chat::<N>(chat)) {
            narrow(&chat, &mut caps);
        }
        caps
    }
    fn decode(
        &self,
        login: &StoredLogin,
        raw: &str,
    ) -> Result<Vec<RemoteEvent<Plain>>, DecodeError> {
        let login = Self::typed_login(login).map_err(|error| DecodeError(error.to_string()))?;
        let raw = serde_json::from_str(raw).map_err(|error| DecodeError(error.to_string()))?;
        Ok(self.network.decode(&login, &raw)?.into_iter().map(ToPlain::plain).collect())
    }
    async fn connect(&self, login: &StoredLogin) -> Result<Arc<dyn Account>, ConnectError> {
        let typed = Self::typed_login(login)
            .map_err(|error| ConnectError::BadCredentials(error.to_string()))?;
        let client = self.network.connect(typed.clone()).await?;
        Ok(Arc::new(TypedAccount::<N>::new(client, typed, self.handlers.clone())))
    }
    fn chat_of_alias(&self, alias: &str) -> Option<PortalKey<Plain>> {
        self.network.chat_of_alias(alias).map(ToPlain::plain)
    }
    fn system_logins(&self) -> Vec<StoredLogin> {
        self.system.clone()
    }
    fn flows(&self) -> Vec<(&'static str, &'static str)> {
        self.logins.flows().iter().map(|flow| (flow.id, flow.title)).collect()
    }
    fn login(
        &self,
        flow: &str,
        owner: &str,
        relogin: Option<&str>,
        finish: FinishLogin,
    ) -> Result<LoginProcess, LoginError> {
        let flow = self.logins.get(flow);
        let flow = flow.ok_or_else(|| LoginError::refused("there is no such way to log in"))?;
        let relogin = relogin.map(N::LoginId::decode).transpose().map_err(LoginError::refused)?;
        let mxid = owner.to_owned();
        Ok(flow.start(self.network.clone(), owner.to_owned(), relogin, move |login| {
            finish(stored(login, Some(mxid)))
        }))
    }
    fn commands(&self) -> Vec<ConnectorCommand> {
        let commands = self.handlers.commands.iter();
        commands
            .map(|(name, command)| ConnectorCommand {
                name,
                help: command.help,
                level: if command.admin { Level::Admin } else { Level::Relay },
            })
            .collect()
    }
}

pub(super) fn typed_key<N: Network>(key: &PortalKey<Plain>) -> Result<PortalKey<N>, BadId> {
    Ok(PortalKey {
        id: N::PortalId::decode(&key.id)?,
        scope: match &key.scope {
            Scope::Shared => Scope::Shared,
            Scope::Private(login) => Scope::Private(N::LoginId::decode(login)?),
        },
    })
}

fn typed_chat<N: Network>(chat: &ChatInfo<Plain>) -> Result<ChatInfo<N>, BadId> {
    let member = |member: &Member<Plain>| {
        let user = match &member.user {
            Sender::Me => Sender::Me,
            Sender::Login(id) => Sender::Login(N::LoginId::decode(id)?),
            Sender::User(id) => Sender::User(N::UserId::decode(id)?),
            Sender::Matrix(mxid) => Sender::Matrix(mxid.clone()),
            Sender::System => Sender::System,
        };
        Ok(Member {
            user,
            membership: member.membership,
            power: member.power,
            info: member.info.clone(),
        })
    };
    Ok(ChatInfo {
        kind: chat.kind,
        name: chat.name.clone(),
        topic: chat.topic.clone(),
        avatar: chat.avatar.clone(),
        parent: chat.parent.as_deref().map(N::PortalId::decode).transpose()?,
        position: chat.position,
        members: chat.members.iter().map(member).collect::<Result<_, BadId>>()?,
        members_complete: chat.members_complete,
        dm_with: chat.dm_with.as_deref().map(N::UserId::decode).transpose()?,
        invite: chat.invite.clone(),
        join_rule: chat.join_rule,
        alias: chat.alias.clone(),
        power: None,
        disappear: chat.disappear,
        meta: chat.meta.as_ref().map(PlainMeta::read),
    })
}
