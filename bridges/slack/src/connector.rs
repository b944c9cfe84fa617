//! Slack as the framework sees it.

mod chat;
mod commands;
mod directory;
mod groups;
mod history;
mod login;
mod media;
mod reconcile;
mod room;
mod run;
mod send;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use landbridge_framework::{event::ChatKind, handlers::RoomCaps, prelude::*};
use rand::TryRng as _;
use serde::{Deserialize, Serialize};
use tokio_util::sync::DropGuard;

pub use run::Connection;

use crate::{
    client::{Api, ApiError, lookup::Lookup, web},
    config::{Secret, SlackConfig},
    decode,
    hub::{Hub, Random},
    ids::{Account, Chat, Ts, User},
    raw::Raw,
};

/// The longest text that Slack takes whole.
const MAX_TEXT: usize = 12_000;

/// The Slack bridge: one app, in any number of workspaces.
pub struct Slack {
    pub(crate) hub: Arc<Hub>,
    /// Ends what is served when the bridge goes, however it goes.
    _serving: DropGuard,
}

/// What a login keeps: nothing for the app, whose tokens are configured or installed; a person's token.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// A person's token.
    pub(crate) token: Option<Secret>,
}
impl Meta for Credentials {}

impl Network for Slack {
    const ID: &'static str = "slack";
    type Config = SlackConfig;
    type PortalId = Chat;
    type UserId = User;
    type MessageId = Ts;
    type LoginId = Account;
    type LoginMeta = Credentials;
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Raw;
    type Client = Connection;

    fn info(_: &SlackConfig) -> NetworkInfo {
        NetworkInfo { name: "Slack", url: "https://slack.com", icon: None }
    }

    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        let caps = landbridge_framework::handlers::MediaCaps {
            max_size: crate::client::files::MAX_FILE,
            mimes: Vec::new(),
            captions: true,
        };
        handlers
            .text(TextCaps { max_len: MAX_TEXT }, Idempotency::Reconcile, send::text)
            .media(caps, Idempotency::Reconcile, media::send)
            .edit(EditCaps::default(), send::edit)
            .remove(RemoveCaps::default(), send::remove)
            .react(ReactCaps::default(), send::react)
            .read(room::read)
            .pins(room::pins)
            .room_meta(
                MetaCaps { name: true, topic: true, avatar: false, power: false },
                room::describe,
            )
            .membership(
                MemberCaps { invite: true, kick: true, ban: false, own: true },
                room::membership,
            )
            .group(groups::kinds(), groups::make)
            .opened(room::opened)
            .closed(room::closed)
            .relay(RelayStyle::NativeProfile)
            .narrow(narrow)
            .history(history::Past)
            .directory(directory::Workspaces)
            .media_source(media::Files)
            .reconcile(reconcile::ByMetadata)
            .admin_command(
                "install",
                "Get a link to install the app in a workspace.",
                commands::install,
            )
            .command("workspaces", "List the workspaces the app is in.", commands::workspaces)
    }

    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins.flow("oauth", "On Slack's own page", login::oauth).flow(
            "token",
            "With a user token of the app",
            login::token,
        )
    }

    fn system_logins(_: &SlackConfig) -> Vec<NewLogin<Self>> {
        vec![NewLogin::new(Account::App, "The app", Credentials::default())]
    }

    async fn start(config: SlackConfig, runtime: Runtime) -> Result<Self, StartError> {
        config.validate().map_err(StartError)?;
        let base = config.base().map_err(StartError)?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_mins(1))
            // Where files are redirected to is looked at first.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| StartError(error.to_string()))?;
        let hub = Hub::new(config, Api::new(http, base), runtime.clock, random());
        let hub = Arc::new(hub);
        let stop = runtime.stop.child_token();
        if let Some(address) = hub.config.listen {
            let listener = web::listen(address)
                .await
                .map_err(|error| StartError(format!("slack.listen {address}: {error}")))?;
            tokio::spawn(web::serve(listener, hub.clone(), stop.clone()));
        }
        Ok(Self { hub, _serving: stop.drop_guard() })
    }

    async fn connect(&self, login: Login<Self>) -> Result<Connection, ConnectError> {
        let hub = self.hub.clone();
        match &login.id {
            Account::App => {
                self.open_configured().await?;
                Ok(Connection::app(hub))
            }
            Account::Person(user) => {
                let token = login.meta.token.as_ref().ok_or_else(|| {
                    ConnectError::BadCredentials("there is no token: log in again".into())
                })?;
                let session = hub.api.session(token, &login.id.encode());
                let me = session.identity().await.map_err(ApiError::connecting)?;
                if (&me.team, &me.user) != (&user.team, &user.user) {
                    return Err(ConnectError::BadCredentials(format!(
                        "the token is {}'s in {}",
                        me.user_name, me.team_name
                    )));
                }
                let lookup = Arc::new(Lookup::new(session.clone()));
                Ok(Connection::person(hub, user.clone(), session, lookup))
            }
        }
    }

    fn decode(
        &self,
        login: &Login<Self>,
        raw: &Raw,
    ) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        decode::decode(&login.id, raw)
    }
}

impl Slack {
    /// Opens the workspaces whose tokens are configured. One that no longer takes its token stops no other.
    async fn open_configured(&self) -> Result<(), ConnectError> {
        let tokens = &self.hub.config.bot_tokens;
        let mut refused = None;
        for (place, token) in tokens.iter().enumerate() {
            match self.hub.open_workspace(token, false).await {
                Ok(_) => {}
                Err(error @ ApiError::Refused(_)) => {
                    tracing::error!(number = place + 1, %error, "a token in slack.bot_tokens is not good");
                    refused = Some(error);
                }
                Err(error) => return Err(error.connecting()),
            }
        }
        match refused {
            Some(error)
                if self.hub.workspaces().is_empty() && self.hub.config.client_id.is_none() =>
            {
                Err(ConnectError::BadCredentials(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}

/// What can't be done in conversations that are no channels.
fn narrow(chat: &ChatInfo<Slack>, caps: &mut RoomCaps) {
    match chat.kind {
        ChatKind::Dm => {
            caps.room_meta = None;
            caps.membership = None;
        }
        // They are called by who is in them.
        ChatKind::Group => {
            if let Some(meta) = &mut caps.room_meta {
                meta.name = false;
            }
        }
        ChatKind::Channel | ChatKind::Space => {}
    }
}

/// Unguessable texts, from the machine's source of them.
fn random() -> Random {
    Arc::new(|| {
        let mut bytes = [0_u8; 24];
        // The machine's source never fails once the machine runs; without it nothing may be guessed either.
        while rand::rngs::SysRng.try_fill_bytes(&mut bytes).is_err() {
            std::thread::yield_now();
        }
        crate::decode::hex(&bytes)
    })
}
