//! The IRC network as the framework sees it.

mod chat;
mod commands;
mod directory;
mod history;
mod login;
mod members;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use landbridge_framework::event::{ChatInfo, UserInfo};
use landbridge_framework::handlers::{
    EditCaps, Handlers, Idempotency, MemberCaps, MetaCaps, ReactCaps, RelayStyle, TextCaps,
};
use landbridge_framework::prelude::{CancellationToken, Exit, RemoteEvent};
use landbridge_framework::{
    Client, ConnectError, DecodeError, Inbox, Login, LoginState, Logins, Meta, NetError, Network,
    NetworkInfo, NewLogin, PortalKey, Runtime, Scope, StartError,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::DropGuard;

use crate::client::{Failure, Random, Secret, State};
use crate::config::IrcConfig;
use crate::hub::Hub;
use crate::ids::{Account, Chat, Nick};
use crate::pool::Identity;
use crate::raw::Raw;

/// The IRC bridge: all configured networks.
pub struct Irc {
    hubs: Hubs,
    /// Ends every connection when the bridge goes, however it goes.
    _connections: DropGuard,
}

/// The networks by their names in identifiers.
pub(crate) type Hubs = Arc<BTreeMap<String, Arc<Hub>>>;

/// What a login keeps: nothing for the bot, whose account is configured; a user's own nick and account.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LoginMeta {
    /// The nick the user wants.
    pub nick: Option<String>,
    /// Their account with the network's services.
    pub account: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
}
impl Meta for LoginMeta {}

/// One login's connection: the network's bot, or a Matrix user's own account.
pub struct IrcClient {
    pub(crate) hub: Arc<Hub>,
    pub(crate) account: Account,
    pub(crate) meta: LoginMeta,
    pub(crate) hubs: Hubs,
}

impl IrcClient {
    /// The network of a chat or user. The framework knows logins, not networks: with several networks it may hand one network's
    /// chat to another's login.
    pub(crate) fn hub_of(&self, network: &str) -> &Arc<Hub> {
        self.hubs.get(network).unwrap_or(&self.hub)
    }
}

impl std::fmt::Debug for Irc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Irc").field("networks", &self.hubs.keys()).finish_non_exhaustive()
    }
}

impl Irc {
    pub(crate) fn hub(&self, network: &str) -> Option<&Arc<Hub>> {
        self.hubs.get(network)
    }
}

impl Network for Irc {
    const ID: &'static str = "irc";
    type Config = IrcConfig;
    type PortalId = Chat;
    type UserId = Nick;
    type MessageId = String;
    type LoginId = Account;
    type LoginMeta = LoginMeta;
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Raw;
    type Client = IrcClient;

    fn info(_: &IrcConfig) -> NetworkInfo {
        NetworkInfo { name: "IRC", url: "https://modern.ircdocs.horse", icon: None }
    }

    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        handlers
            .text(TextCaps::default(), Idempotency::AtLeastOnce, send::text)
            .edit(EditCaps::default(), send::edit)
            .react(ReactCaps::default(), send::react)
            .typing(send::typing)
            .room_meta(
                MetaCaps { name: false, topic: true, avatar: false, power: true },
                members::room_meta,
            )
            .membership(MemberCaps::default(), members::membership)
            .opened(members::opened)
            .closed(members::closed)
            .relay(RelayStyle::NativeProfile)
            .history(history::ChatHistory)
            .directory(directory::IrcDirectory)
            .command("nick", "`nick NAME`: take another nick on IRC", commands::nick)
            .command("whois", "`whois NICK`: who somebody on IRC is", commands::whois)
            .command(
                "connections",
                "`connections`: the bridge's IRC connections",
                commands::connections,
            )
    }

    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins.flow("guest", "Only a nick", login::guest).flow(
            "account",
            "An account of the network (SASL or NickServ)",
            login::account,
        )
    }

    fn system_logins(config: &IrcConfig) -> Vec<NewLogin<Self>> {
        let bots = config.networks.keys().map(|name| {
            let id = Account { network: config.short_name(name).to_owned(), owner: None };
            NewLogin::new(id, format!("{name}'s bot"), LoginMeta::default())
        });
        bots.collect()
    }

    async fn start(config: IrcConfig, runtime: Runtime) -> Result<Self, StartError> {
        config.validate().map_err(StartError)?;
        let stop = runtime.stop.child_token();
        let random = Random::new(rand::random::<u64>);
        let hubs = config.networks.iter().map(|(name, network)| {
            let short = config.short_name(name);
            let hub = Hub::new(
                short,
                name,
                network.clone(),
                config.messages.clone(),
                Arc::clone(&runtime.clock),
                random.clone(),
                stop.clone(),
            );
            (short.to_owned(), Arc::new(hub))
        });
        Ok(Self { hubs: Arc::new(hubs.collect()), _connections: stop.clone().drop_guard() })
    }

    async fn connect(&self, login: Login<Self>) -> Result<IrcClient, ConnectError> {
        let gone = || {
            ConnectError::Temporary(format!(
                "the network {:?} is no longer configured",
                login.id.network
            ))
        };
        let hub = self.hub(&login.id.network).ok_or_else(gone)?;
        let hubs = Arc::clone(&self.hubs);
        Ok(IrcClient { hub: Arc::clone(hub), account: login.id, meta: login.meta, hubs })
    }

    fn decode(
        &self,
        login: &Login<Self>,
        raw: &Raw,
    ) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        crate::decode::decode(&login.id, raw)
    }

    fn chat_of_alias(&self, alias: &str) -> Option<PortalKey<Self>> {
        // "#irc_#channel" on the default network, "#irc_oftc/#channel" on another.
        let (network, channel) = match alias.split_once('/') {
            Some((network, channel)) if self.hubs.contains_key(network) => (network, channel),
            _ => ("", alias),
        };
        let hub = self.hub(network)?;
        if !crate::chan::is_valid(channel) || !hub.config.is_open(channel) {
            return None;
        }
        Some(PortalKey { id: Chat::channel(network, hub.fold(channel)), scope: Scope::Shared })
    }
}

impl Client for IrcClient {
    type Net = Irc;

    async fn run(&self, inbox: Inbox<Irc>, stop: CancellationToken) -> Exit {
        match &self.account.owner {
            None => crate::listener::run(&self.hub, inbox, stop).await,
            Some(owner) => self.run_personal(owner, inbox, stop).await,
        }
    }

    async fn chat(&self, key: &PortalKey<Irc>) -> Result<ChatInfo<Irc>, NetError> {
        chat::info(self.hub_of(key.id.network()), key).await
    }

    async fn user(&self, id: &Nick) -> Result<UserInfo, NetError> {
        let spelled = self.hub_of(&id.network).tracker().spelling(&id.nick).map(str::to_owned);
        Ok(UserInfo::named(spelled.unwrap_or_else(|| id.nick.clone())))
    }

    async fn logout(&self) {
        if let Some(owner) = &self.account.owner {
            self.hub.pool.forget_identity(owner);
        }
    }
}

impl IrcClient {
    /// A Matrix user's own account: their puppet stays connected, and what is said to it goes to their login.
    async fn run_personal(&self, owner: &str, inbox: Inbox<Irc>, stop: CancellationToken) -> Exit {
        let identity = Identity {
            nick: self.meta.nick.clone(),
            account: self.meta.account.clone(),
            password: self.meta.password.clone(),
        };
        self.hub.pool.set_identity(owner, identity);
        loop {
            let puppet = match self.hub.pool.get(&self.hub, owner, None) {
                Ok(puppet) => puppet,
                Err(reason) => return Exit::Lost(NetError::temporary(reason)),
            };
            puppet.set_inbox(inbox.clone());
            let mut states = puppet.handle.watch();
            loop {
                let state = states.borrow_and_update().clone();
                match state {
                    State::Online(_) => inbox.state(LoginState::Connected),
                    State::Offline(Some(failure)) => {
                        inbox.state(LoginState::Transient(failure.to_string()));
                    }
                    State::Offline(None) => inbox.state(LoginState::Connecting),
                    State::Closed(Some(Failure::Credentials(reason))) => {
                        self.hub.pool.forget_identity(owner);
                        return Exit::BadCredentials(reason);
                    }
                    State::Closed(_) => break,
                }
                tokio::select! {
                    () = stop.cancelled() => {
                        self.hub.pool.close(owner);
                        return Exit::Stopped;
                    }
                    changed = states.changed() => if changed.is_err() { break },
                }
            }
            if self.hub.stop.is_cancelled() {
                return Exit::Stopped;
            }
        }
    }
}
