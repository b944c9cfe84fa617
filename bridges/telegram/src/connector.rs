//! What the framework asks of a connector.

mod commands;
mod directory;
mod groups;
mod history;
mod live;
mod login;
mod members;
mod outgoing;
mod passing;
mod permissions;
mod polls;
mod rooms;
mod send;
mod send_album;
mod send_files;
mod takeout;
mod topics;

use std::sync::Arc;

use landbridge_framework::{event::MediaRef, handlers::MediaStream, prelude::*};
use serde::{Deserialize, Serialize};

pub use crate::client::Connection;
use crate::{
    client::StoredSession,
    config::Config,
    convert::to_matrix::Reader,
    ids::{ChatId, UserId},
    raw::Raw,
};

/// The connector.
pub struct Telegram {
    config: Arc<Config>,
    runtime: Runtime,
}

/// An account's credentials: its session.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    pub(crate) session: StoredSession,
}
impl Meta for Credentials {}

/// What is kept with a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatMeta {
    /// Whether only administrators write.
    pub broadcast: bool,
    /// The chat's user name.
    pub username: Option<String>,
    /// The only reactions that are allowed; `None`: all are.
    pub reactions: Option<Vec<String>>,
}
impl Meta for ChatMeta {}

impl Network for Telegram {
    const ID: &'static str = "telegram";
    type Config = Config;
    type PortalId = ChatId;
    type UserId = UserId;
    type MessageId = i32;
    type LoginId = i64;
    type LoginMeta = Credentials;
    type PortalMeta = ChatMeta;
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Raw;
    type Client = Connection;

    fn info(_: &Config) -> NetworkInfo {
        NetworkInfo { name: "Telegram", url: "https://telegram.org", icon: None }
    }

    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        let handlers = send::register(handlers);
        let handlers = send_files::register(handlers);
        let handlers = send_album::register(handlers);
        let handlers = polls::register(handlers);
        let handlers = passing::register(handlers);
        let handlers = live::register(handlers);
        let handlers = rooms::register(handlers);
        let handlers = groups::register(handlers);
        let handlers = permissions::register(handlers);
        members::register(handlers)
            .history(history::Past)
            .directory(directory::Everybody)
            .media_source(Files)
            .relay(RelayStyle::Prefix)
            .command(
                "press",
                "`press NUMBER`: press a button of the chat's latest message that has any",
                commands::press,
            )
            .command(
                "takeout",
                "`takeout begin|end`: read history as an export, which Telegram limits less",
                takeout::takeout,
            )
            .command(
                "topic",
                "`topic new NAME|rename NAME|close|reopen`: make a topic in this forum, or change the room's",
                topics::command,
            )
            .narrow(send::narrow)
    }

    fn logins(logins: Logins<Self>) -> Logins<Self> {
        login::register(logins)
    }

    fn system_logins(config: &Config) -> Vec<NewLogin<Self>> {
        let Some(id) = config.bot_id() else { return Vec::new() };
        let session = StoredSession { nonce: format!("bot{id}"), ..StoredSession::default() };
        vec![NewLogin::new(id, "Relay", Credentials { session }).user(UserId::user(id))]
    }

    async fn start(config: Config, runtime: Runtime) -> Result<Self, StartError> {
        config.check().map_err(StartError)?;
        Ok(Self { config: Arc::new(config), runtime })
    }

    async fn connect(&self, login: Login<Self>) -> Result<Connection, ConnectError> {
        // What is kept of the session is in the login's stream: the connection is made when that can be read.
        Ok(Connection::new(self.config.clone(), login, self.runtime.clock.clone()))
    }

    fn decode(
        &self,
        login: &Login<Self>,
        raw: &Raw,
    ) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        let reader = Reader::new(login, self.config.topics).with_albums(self.config.albums);
        let events = reader.read(raw);
        events.map_err(|error| DecodeError(error.to_string()))
    }
}

/// Fetches files.
struct Files;

impl landbridge_framework::MediaSource<Telegram> for Files {
    async fn open(&self, client: &Connection, media: &MediaRef) -> Result<MediaStream, NetError> {
        client.live()?.open(media).await
    }
}
