//! The bridge to the Playground: what the framework asks of a connector.

mod handlers;
mod lookup;
mod run;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use landbridge_framework::prelude::*;
use serde::{Deserialize, Serialize};
use url::Url;

pub use run::Connection;

use crate::{
    client::{Api, ApiError},
    config::Config,
    convert,
    wire::{Event, Message as StoredMessage},
};

/// The connector.
pub struct Playground {
    api: Api,
    bot: Arc<str>,
    poll: Duration,
}

/// What the network said, as it is kept until it is handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Raw {
    /// An entry of the log, seen as it happened or caught up with.
    Event(Event),
    /// A message of the past, read from history.
    Past {
        /// Where.
        chat: String,
        /// The message in its present state.
        message: StoredMessage,
    },
    /// Somebody begins or ends typing. Never stored.
    Typing {
        /// Where.
        chat: String,
        /// Who.
        person: String,
        /// Begins, or ends.
        typing: bool,
    },
}

/// An account's credentials.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Credentials {
    /// The person's own token, or the network's; none where the network is open.
    token: Option<String>,
}

impl Meta for Credentials {}

impl Network for Playground {
    const ID: &'static str = "playground";
    type Config = Config;
    type PortalId = String;
    type UserId = String;
    type MessageId = String;
    type LoginId = String;
    type LoginMeta = Credentials;
    type PortalMeta = ();
    type GhostMeta = ();
    type MessageMeta = ();
    type Raw = Raw;
    type Client = Connection;

    fn info(_: &Config) -> NetworkInfo {
        NetworkInfo {
            name: "Playground",
            url: "https://github.com/landbridge/landbridge",
            icon: None,
        }
    }

    fn handlers(handlers: Handlers<Self>) -> Handlers<Self> {
        handlers::register(handlers).history(lookup::Past).directory(lookup::Everybody)
    }

    fn logins(logins: Logins<Self>) -> Logins<Self> {
        let token = |mut io: LoginIo<Self>| async move {
            let form = Form::new()
                .instructions(
                    "On the Playground's page, choose who you are and press \"Login token\".",
                )
                .token("token", "Token");
            let answer: Token = io.ask(form).await?;
            io.network().check_token(answer.token).await
        };
        let name = |mut io: LoginIo<Self>| async move {
            let form = Form::new()
                .instructions("Who are you on the Playground? (Only where the network has no token of its own.)")
                .text("name", "Identifier, such as alice");
            let answer: Name = io.ask(form).await?;
            io.network().check_name(answer.name).await
        };
        logins.flow("token", "With a login token", token).flow(
            "name",
            "With a name, on an open Playground",
            name,
        )
    }

    fn system_logins(config: &Config) -> Vec<NewLogin<Self>> {
        let credentials = Credentials { token: config.token.clone() };
        vec![NewLogin::new(config.bot.as_str(), "Relay", credentials).user(config.bot.clone())]
    }

    async fn start(config: Config, _: Runtime) -> Result<Self, StartError> {
        let base = Url::parse(&config.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| {
                StartError(format!(
                    "the Playground's url {:?} must begin with http:// or https://",
                    config.url
                ))
            })?;
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| StartError(error.to_string()))?;
        let poll = Duration::from_secs(config.poll_seconds.clamp(1, 60));
        Ok(Self { api: Api::new(http, base), bot: config.bot.as_str().into(), poll })
    }

    async fn connect(&self, login: Login<Self>) -> Result<Connection, ConnectError> {
        let api = self.api.acting_as(&login.id, login.meta.token.as_deref());
        let me = api.whoami().await.map_err(|error| connect_error(&error))?;
        match me.person {
            Some(person) if person.id != login.id => {
                return Err(ConnectError::BadCredentials(format!(
                    "the token is {}'s",
                    person.name
                )));
            }
            Some(_) => {}
            None => {
                api.person(&login.id).await.map_err(|error| connect_error(&error))?;
            }
        }
        // What a bot was told before its first connection is there to be bridged; a person's past is read as history.
        let begin = if *login.id == *self.bot { 0 } else { me.newest };
        Ok(Connection::new(api, self.bot.clone(), begin, self.poll))
    }

    fn decode(
        &self,
        login: &Login<Self>,
        raw: &Raw,
    ) -> Result<Vec<RemoteEvent<Self>>, DecodeError> {
        Ok(convert::events(login, &self.bot, raw))
    }

    fn chat_of_alias(&self, alias: &str) -> Option<PortalKey<Self>> {
        // Direct chats are nobody's to enter.
        (!alias.starts_with("dm.")).then(|| PortalKey::shared(alias))
    }
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

impl Playground {
    /// Whose token it is.
    async fn check_token(&self, token: String) -> Result<NewLogin<Self>, LoginError> {
        let api = self.api.acting_as("", Some(&token));
        let me = api.whoami().await.map_err(|error| login_error(&error))?;
        let person = me.person.ok_or_else(|| {
            LoginError::Refused("this is the network's own token, not a person's".into())
        })?;
        let credentials = Credentials { token: Some(token) };
        Ok(NewLogin::new(person.id.as_str(), person.name, credentials).user(person.id))
    }

    /// Whether an open network has this person.
    async fn check_name(&self, name: String) -> Result<NewLogin<Self>, LoginError> {
        let api = self.api.acting_as(&name, None);
        let person = api.person(&name).await.map_err(|error| login_error(&error))?;
        if person.bot {
            return Err(LoginError::Refused("that is a program's account".into()));
        }
        Ok(NewLogin::new(person.id.as_str(), person.name, Credentials::default()).user(person.id))
    }
}

fn login_error(error: &ApiError) -> LoginError {
    LoginError::Refused(match error.code() {
        Some("unauthorized") => "the Playground doesn't know this token".into(),
        Some("not_found") => "there is nobody of that name".into(),
        _ => error.to_string(),
    })
}

fn connect_error(error: &ApiError) -> ConnectError {
    match error {
        ApiError::Refused(refusal) => ConnectError::BadCredentials(refusal.message.clone()),
        _ => ConnectError::Temporary(error.to_string()),
    }
}

fn net_error(error: &ApiError) -> NetError {
    match error {
        ApiError::Refused(refusal) => NetError::permanent(&refusal.message),
        ApiError::RateLimited(after) => {
            NetError::Temporary { reason: error.to_string(), after: Some(*after) }
        }
        _ => NetError::temporary(error),
    }
}
