//! Discord as the framework sees it.

mod act;
mod chat;
mod commands;
mod directory;
mod history;
mod login;
mod room;
mod say;
pub(crate) mod slash;
mod tags;

use std::sync::Arc;

use landbridge_framework::{
    Client, ConnectError, DecodeError, Inbox, Login, LoginState, Logins, MediaSource, Meta,
    NetError, Network, NetworkInfo, NewLogin, PortalKey, RemoteId as _, Runtime, StartError,
    event::{ChatInfo, MediaRef, RemoteEvent, UserInfo},
    handlers::{
        EditCaps, Handlers, Idempotency, MediaCaps, MediaStream, MemberCaps, MetaCaps, PollCaps,
        ReactCaps, RelayStyle, RemoveCaps, TextCaps,
    },
    prelude::{CancellationToken, Exit},
};
use serde::{Deserialize, Serialize};

use crate::{
    client::{Hub, gateway, media},
    config::DiscordConfig,
    decode,
    ids::{Account, Id, Person, Place, Post},
    raw::Raw,
};

/// The Discord bridge.
#[derive(Debug)]
pub struct Discord {
    hub: Arc<Hub>,
}

/// What a login keeps: nothing secret. That somebody is who they say was proven when they logged in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoginMeta {
    /// Who a person is on Discord.
    pub user: Option<Id>,
}
impl Meta for LoginMeta {}

/// What is kept of a portal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortalMeta {
    /// Its server.
    pub guild: Option<Id>,
    /// The channel whose webhook speaks in it: a thread's parent.
    pub parent: Option<Id>,
    /// Whether it is a forum: what is said begins posts there.
    pub forum: bool,
}
impl Meta for PortalMeta {}

/// One login: the bot, or somebody who is linked.
#[derive(Debug)]
pub struct DiscordClient {
    pub(crate) hub: Arc<Hub>,
    account: Account,
    owner: Option<String>,
}

impl Network for Discord {
    const ID: &'static str = "discord";
    type Config = DiscordConfig;
    type PortalId = Place;
    type UserId = Person;
    type MessageId = Post;
    type LoginId = Account;
    type LoginMeta = LoginMeta;
    type PortalMeta = PortalMeta;
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Raw;
    type Client = DiscordClient;

    fn info(_: &DiscordConfig) -> NetworkInfo {
        NetworkInfo { name: "Discord", url: "https://discord.com", icon: None }
    }

    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        // `Native`, because a handler that is called again finds by itself whether the message is there: see `client::send`.
        handlers
            .text(TextCaps { max_len: 0 }, Idempotency::Native, say::text)
            .media(
                MediaCaps { max_size: 0, mimes: Vec::new(), captions: true },
                Idempotency::Native,
                say::media,
            )
            .location(Idempotency::Native, say::location)
            .poll(PollCaps { max_options: say::MAX_ANSWERS }, Idempotency::Native, say::poll)
            .edit(EditCaps::default(), act::edit)
            .remove(RemoveCaps::default(), act::remove)
            .react(ReactCaps::default(), act::react)
            .typing(act::typing)
            .pins(act::pins)
            .room_meta(
                MetaCaps { name: true, topic: true, avatar: false, power: false },
                room::room_meta,
            )
            .membership(
                MemberCaps { invite: false, kick: true, ban: true, own: false },
                room::membership,
            )
            .opened(room::opened)
            .closed(room::closed)
            .relay(RelayStyle::NativeProfile)
            .calls_by_power()
            .history(history::ChannelHistory)
            .directory(directory::Servers)
            .media_source(Files)
            .command("servers", "`servers`: the Discord servers the bot is in", commands::servers)
            .command(
                "channels",
                "`channels SERVER`: the channels of a Discord server, and which are bridged",
                commands::channels,
            )
            .command("tags", "`tags`: the tags that posts of this forum may carry", tags::command)
    }

    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins.flow("code", "With a code from /matrix link on Discord", login::code).flow(
            "oauth",
            "With Discord's page (OAuth2)",
            login::oauth,
        )
    }

    fn system_logins(_: &DiscordConfig) -> Vec<NewLogin<Self>> {
        vec![NewLogin::new(Account::Bot, "Bot", LoginMeta::default())]
    }

    async fn start(config: DiscordConfig, runtime: Runtime) -> Result<Self, StartError> {
        let checked = config.check().map_err(StartError)?;
        let hub = Hub::new(checked, runtime.clock).map_err(StartError)?;
        Ok(Self { hub: Arc::new(hub) })
    }

    async fn connect(&self, login: Login<Self>) -> Result<DiscordClient, ConnectError> {
        Ok(DiscordClient { hub: self.hub.clone(), account: login.id, owner: login.owner })
    }

    fn decode(&self, _: &Login<Self>, raw: &Raw) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        decode::decode(raw)
    }

    fn chat_of_alias(&self, alias: &str) -> Option<PortalKey<Self>> {
        // Only what the configuration opens: a channel of a server that is bridged whole.
        let place = Place::decode(alias).ok()?;
        let Place::Channel(channel) = place else { return None };
        let (guild, _) = self.hub.cache().channel(channel).map(|(g, c)| (g, c.kind))?;
        let open = self.hub.checked.is_whole(guild) && !self.hub.checked.is_closed(channel);
        open.then(|| PortalKey::shared(place))
    }
}

impl Client for DiscordClient {
    type Net = Discord;

    async fn run(&self, inbox: Inbox<Discord>, stop: CancellationToken) -> Exit {
        match self.account {
            Account::Bot => gateway::run(&self.hub, inbox, stop).await,
            Account::Person(user) => {
                // A person's account is never connected by itself: Discord forbids it. The bot reads for everybody.
                self.hub.link(user, self.owner.clone());
                inbox.state(LoginState::Connected);
                stop.cancelled().await;
                self.hub.link(user, None);
                Exit::Stopped
            }
        }
    }

    async fn chat(&self, key: &PortalKey<Discord>) -> Result<ChatInfo<Discord>, NetError> {
        chat::info(&self.hub, key).await
    }

    async fn user(&self, id: &Person) -> Result<UserInfo, NetError> {
        chat::user(&self.hub, id).await
    }

    async fn logout(&self) {
        if let Account::Person(user) = self.account {
            self.hub.link(user, None);
        }
    }
}

/// Discord's files.
pub(crate) struct Files;

impl MediaSource<Discord> for Files {
    async fn open(&self, client: &DiscordClient, file: &MediaRef) -> Result<MediaStream, NetError> {
        media::open(&client.hub, file).await
    }
}
