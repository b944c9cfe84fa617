//! What an owner asks of its connection, and the answers.

use tokio::sync::oneshot;

use super::snapshot::Incoming;
use crate::message::Message;

/// One line of text to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutLine {
    /// Channel or nick.
    pub target: String,
    /// NOTICE instead of PRIVMSG.
    pub notice: bool,
    /// The text, already cut to the length the server takes.
    pub text: String,
    /// Client-only tags (`+name`), sent where the server has message-tags.
    pub tags: Vec<(String, String)>,
}

/// The server's confirmation of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirmed {
    /// The line's id, where the server gives one.
    pub msgid: Option<String>,
    /// When the server took it, in milliseconds since 1970, where it says.
    pub at: Option<u64>,
}

/// Why an order wasn't carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFailure {
    /// It certainly didn't leave us.
    #[error("not sent: {0}")]
    NotSent(String),
    /// The server refused it.
    #[error("the IRC server refused it: {text} ({code})")]
    Refused {
        /// The numeric, or the code of a standard reply.
        code: String,
        /// The server's words.
        text: String,
    },
    /// The server wants us to try later.
    #[error("the IRC server asks to wait: {0}")]
    Throttled(String),
    /// It left us and the connection broke before the server confirmed it: it may have arrived.
    #[error("the connection broke before the server confirmed it")]
    Lost,
}

/// What WHOIS tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whois {
    /// The nick as its owner writes it.
    pub nick: String,
    /// User name.
    pub user: String,
    /// Host or cloak.
    pub host: String,
    /// Real name.
    pub realname: String,
    /// The services account, if logged in.
    pub account: Option<String>,
    /// Whether the server marks it as a bot (numeric 335).
    pub bot: bool,
}

pub(crate) type Answer<T> = oneshot::Sender<Result<T, SendFailure>>;

/// An order to the connection's task.
#[derive(Debug)]
pub(crate) enum Order {
    Line { line: OutLine, done: Answer<Confirmed> },
    Join { channel: String, key: Option<String>, done: Answer<()> },
    Whois { nick: String, done: Answer<Option<Whois>> },
    History { params: Vec<String>, done: Answer<Vec<Incoming>> },
    Checked { message: Message, about: [String; 2], done: Answer<Confirmed> },
    Command { message: Message, done: Answer<()> },
}

impl Order {
    /// Whether nobody waits for a text's answer any more: then it is about to be said another way, and must not be said here as well.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(self, Self::Line { done, .. } if done.is_closed())
    }

    /// Answers an order that never reached the socket. An owner that has gone needs no answer.
    pub(crate) fn not_sent(self, reason: &str) {
        let failure = SendFailure::NotSent(reason.to_owned());
        match self {
            Self::Line { done, .. } | Self::Checked { done, .. } => drop(done.send(Err(failure))),
            Self::Whois { done, .. } => drop(done.send(Err(failure))),
            Self::History { done, .. } => drop(done.send(Err(failure))),
            Self::Join { done, .. } | Self::Command { done, .. } => drop(done.send(Err(failure))),
        }
    }
}
