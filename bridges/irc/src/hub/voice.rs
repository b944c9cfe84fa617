//! Who says a Matrix user's words on IRC: their own connection, or the bot for them.

use std::sync::Arc;
use std::time::Duration;

use landbridge_framework::handlers::{LimitScope, SendError};

use super::Hub;
use crate::client::{ClientHandle, Confirmed, Failure, OutLine, SendFailure, State};
use crate::ids::Chat;
use crate::pool::{NoPuppet, Puppet};

/// How long a message waits for the bot's connection before its room's queue pauses.
const BOT_PATIENCE: Duration = Duration::from_secs(15);
/// The pause before another attempt.
const PAUSE: Duration = Duration::from_secs(3);

/// The connection that speaks.
#[derive(Clone, Debug)]
pub enum Voice {
    /// The author's own.
    Puppet(Arc<Puppet>),
    /// The bot's, for the author.
    Relay(ClientHandle),
}

impl Voice {
    /// The connection.
    pub fn handle(&self) -> &ClientHandle {
        match self {
            Self::Puppet(puppet) => &puppet.handle,
            Self::Relay(handle) => handle,
        }
    }

    /// Whether the bot speaks.
    pub fn is_relay(&self) -> bool {
        matches!(self, Self::Relay(_))
    }
}

/// A Matrix user who wants to say something.
#[derive(Clone, Debug)]
pub struct Author {
    /// Their Matrix ID.
    pub mxid: String,
    /// What they are called in the room.
    pub name: Option<String>,
    /// Whether they have a login of their own: then the bot never speaks for them.
    pub personal: bool,
}

/// Why a puppet can't speak in a chat.
#[derive(Debug)]
pub enum Undeliverable {
    /// The bot may speak instead.
    Relay(String),
    /// Nobody may: the author is shut out.
    ShutOut(String),
    /// It may work in a moment.
    Later(String),
}

impl Undeliverable {
    /// What it means for a message that was on its way: another attempt may find another voice.
    fn into_error(self) -> SendError {
        match self {
            Self::ShutOut(reason) => SendError::refused(reason),
            Self::Relay(reason) | Self::Later(reason) => later(reason),
        }
    }
}

impl Hub {
    /// The connection that speaks for an author in a chat, online and in the channel.
    pub async fn voice(self: &Arc<Self>, author: &Author, chat: &Chat) -> Result<Voice, SendError> {
        let reason = match self.pool.get(self, &author.mxid, author.name.as_deref()) {
            Ok(puppet) => match self.ready(&puppet, chat).await {
                Ok(()) => return Ok(Voice::Puppet(puppet)),
                Err(Undeliverable::ShutOut(reason)) => return Err(SendError::refused(reason)),
                Err(Undeliverable::Later(reason)) => return Err(later(reason)),
                Err(Undeliverable::Relay(reason)) => reason,
            },
            Err(reason @ (NoPuppet::Off | NoPuppet::Full)) => reason.to_string(),
        };
        if matches!(chat, Chat::Query { .. }) || author.personal {
            return Err(later(reason));
        }
        if self.config.puppets.enabled && !self.config.puppets.fall_back_to_relay {
            return Err(SendError::refused(reason));
        }
        tracing::debug!(mxid = %author.mxid, %reason, "the bot speaks for a Matrix user");
        let handle = self
            .online_listener(BOT_PATIENCE)
            .await
            .map_err(|failure| later(failure.to_string()))?;
        self.join_with(&handle, chat).await?;
        Ok(Voice::Relay(handle))
    }

    async fn join_with(&self, handle: &ClientHandle, chat: &Chat) -> Result<(), SendError> {
        let Chat::Channel { name, .. } = chat else { return Ok(()) };
        match handle.join(name, None).await {
            Ok(()) => Ok(()),
            Err(SendFailure::Refused { text, code }) => Err(SendError::refused(format!(
                "the IRC channel doesn't let the bridge in: {text} ({code})"
            ))),
            Err(failure) => Err(later(failure.to_string())),
        }
    }

    /// Brings a puppet online and into the channel.
    async fn ready(
        self: &Arc<Self>,
        puppet: &Arc<Puppet>,
        chat: &Chat,
    ) -> Result<(), Undeliverable> {
        let patience = puppet.patience_left(Duration::from_secs(self.config.puppets.patience));
        let me = match puppet.handle.online(patience).await {
            Ok(me) => me,
            Err(failure) => {
                return Err(match puppet.handle.state() {
                    State::Offline(Some(Failure::Banned(reason)))
                    | State::Closed(Some(Failure::Banned(reason))) => Undeliverable::ShutOut(
                        format!("you are banned from the IRC network: {reason}"),
                    ),
                    _ => Undeliverable::Relay(failure.to_string()),
                });
            }
        };
        let Chat::Channel { name, .. } = chat else { return Ok(()) };
        if me.is_in(name) {
            return Ok(());
        }
        match puppet.join(name).await {
            Ok(()) => Ok(()),
            Err(SendFailure::Refused { code, text }) => {
                self.refused_entry(puppet, name, &code, &text).await
            }
            Err(failure) => Err(Undeliverable::Later(failure.to_string())),
        }
    }

    async fn refused_entry(
        &self,
        puppet: &Puppet,
        channel: &str,
        code: &str,
        text: &str,
    ) -> Result<(), Undeliverable> {
        match code {
            "474" => {
                Err(Undeliverable::ShutOut(format!("you are banned from the IRC channel: {text}")))
            }
            // Invite only: where the bot is operator it lets those in whom the Matrix room has let in.
            "473" => {
                let operator = self
                    .tracker()
                    .channel(&self.fold(channel))
                    .is_some_and(crate::membership::Channel::bot_is_operator);
                if let (true, Some(bot), Some(me)) =
                    (operator, self.listener(), puppet.handle.snapshot())
                {
                    let invite =
                        crate::message::Message::new("INVITE", [me.me.name.as_str(), channel]);
                    if bot.command(invite).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                        if puppet.join(channel).await.is_ok() {
                            return Ok(());
                        }
                    }
                }
                Err(Undeliverable::Relay(text.to_owned()))
            }
            _ => Err(Undeliverable::Relay(text.to_owned())),
        }
    }

    /// Says one line, and waits for its confirmation.
    pub async fn say(
        self: &Arc<Self>,
        voice: &Voice,
        chat: &Chat,
        line: OutLine,
    ) -> Result<Confirmed, SendError> {
        let failure = match voice.handle().send(line.clone()).await {
            Ok(confirmed) => return Ok(confirmed),
            Err(failure) => failure,
        };
        let outside = voice.handle().snapshot().is_some_and(|me| !me.is_in(chat.target()));
        if let (SendFailure::Refused { code, .. }, Chat::Channel { .. }, true) =
            (&failure, chat, outside)
            && matches!(code.as_str(), "403" | "404" | "442")
        {
            // Put out between the check and the line: back in, and once more.
            match voice {
                Voice::Puppet(puppet) => {
                    self.ready(puppet, chat).await.map_err(Undeliverable::into_error)?;
                }
                Voice::Relay(handle) => self.join_with(handle, chat).await?,
            }
            return voice.handle().send(line).await.map_err(error_of);
        }
        Err(error_of(failure))
    }
}

/// What a failure of the connection means for the message.
fn error_of(failure: SendFailure) -> SendError {
    match failure {
        SendFailure::NotSent(reason) => later(reason),
        SendFailure::Throttled(reason) => {
            SendError::Retry { after: Some(PAUSE * 2), scope: LimitScope::Chat, reason }
        }
        SendFailure::Refused { code, text } if code == "401" => {
            SendError::refused(format!("nobody has this nick on IRC now: {text}"))
        }
        refused @ SendFailure::Refused { .. } => SendError::refused(refused),
        SendFailure::Lost => SendError::unknown(SendFailure::Lost),
    }
}

fn later(reason: impl Into<String>) -> SendError {
    SendError::Retry { after: Some(PAUSE), scope: LimitScope::Chat, reason: reason.into() }
}
