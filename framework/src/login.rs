//! Logging in to the network, written by a connector as one async function.
//!
//! The function asks through [`LoginIo`]; each question suspends it until whoever drives the login (the bot's chat, the
//! provisioning API, a web page) has the answer. Dropping the [`LoginProcess`] drops the function wherever it waits:
//! that is how a login is cancelled. What it has collected so far lives in its local variables, so a restart of the
//! bridge ends it, and the driver tells the user to start again ([`pending`]).

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use crate::network::{NetError, Network};

mod form;
mod io;
pub mod pending;
mod process;

#[cfg(test)]
pub(crate) mod tests;

pub use form::{CookieField, CookieSpec, Display, Field, FieldKind, Form, OAuthCode, OAuthSpec};
pub use io::LoginIo;
pub use process::{Answer, AnswerError, LoginProcess, Outcome, Step, StepKind};

/// What a finished login gives: the account, and what it takes to connect it.
pub struct NewLogin<N: Network> {
    /// Identifies the account. An existing login with this ID is updated.
    pub id: N::LoginId,
    /// What the user sees in lists, for example the phone number.
    pub name: String,
    /// Credentials and whatever else the connector keeps.
    pub meta: N::LoginMeta,
    /// Its user on the network, if it is known: the ghost that stands for it where there is no double puppet.
    pub user: Option<N::UserId>,
}

impl<N: Network> NewLogin<N> {
    /// An account.
    pub fn new(id: impl Into<N::LoginId>, name: impl Into<String>, meta: N::LoginMeta) -> Self {
        Self { id: id.into(), name: name.into(), meta, user: None }
    }

    /// With its user on the network.
    #[must_use]
    pub fn user(mut self, user: N::UserId) -> Self {
        self.user = Some(user);
        self
    }
}

impl<N: Network> Clone for NewLogin<N> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            name: self.name.clone(),
            meta: self.meta.clone(),
            user: self.user.clone(),
        }
    }
}

impl<N: Network> fmt::Debug for NewLogin<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewLogin")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Why a login ended without an account.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoginError {
    /// The network or the connector said no; the text is for the user.
    #[error("{0}")]
    Refused(String),
    /// The network couldn't be asked.
    #[error("the network could not be reached: {0}")]
    Network(String),
    /// The user, or whoever drove the login, gave up.
    #[error("the login was cancelled")]
    Cancelled,
    /// The driver can't do what the step needs (say, a security key in a chat).
    #[error("this step can't be done here: {0}")]
    Unsupported(&'static str),
}

impl LoginError {
    /// A refusal with a text for the user.
    pub fn refused(reason: impl fmt::Display) -> Self {
        Self::Refused(reason.to_string())
    }
}

impl From<NetError> for LoginError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Permanent(reason) => Self::Refused(reason),
            error @ NetError::Temporary { .. } => Self::Network(error.to_string()),
        }
    }
}

type FlowFuture<N> = Pin<Box<dyn Future<Output = Result<NewLogin<N>, LoginError>> + Send>>;

/// One way to log in.
pub struct Flow<N: Network> {
    /// Stable name, used in commands and URLs.
    pub id: &'static str,
    /// What the user sees.
    pub title: &'static str,
    run: Arc<dyn Fn(LoginIo<N>) -> FlowFuture<N> + Send + Sync>,
}

impl<N: Network> Clone for Flow<N> {
    fn clone(&self) -> Self {
        Self { id: self.id, title: self.title, run: self.run.clone() }
    }
}

impl<N: Network> Flow<N> {
    /// Starts the flow as a task of its own, on the started `network`, for the Matrix user `owner`. `relogin` is the login to be renewed, if any. `finish` makes the new
    /// login durable and connects it; only when it returned is the user told that they are logged in.
    pub fn start<F, Fut>(
        &self,
        network: Arc<N>,
        owner: String,
        relogin: Option<N::LoginId>,
        finish: F,
    ) -> LoginProcess
    where
        F: FnOnce(NewLogin<N>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<Outcome, LoginError>> + Send + 'static,
    {
        let run = self.run.clone();
        LoginProcess::spawn(move |link| {
            let flow = run(LoginIo::new(link, network, owner, relogin));
            async move { finish(flow.await?).await }
        })
    }
}

/// The ways to log in to a network.
pub struct Logins<N: Network> {
    flows: Vec<Flow<N>>,
}

impl<N: Network> Default for Logins<N> {
    fn default() -> Self {
        Self { flows: Vec::new() }
    }
}

impl<N: Network> Logins<N> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a way to log in.
    #[must_use]
    pub fn flow<F, Fut>(mut self, id: &'static str, title: &'static str, flow: F) -> Self
    where
        F: Fn(LoginIo<N>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<NewLogin<N>, LoginError>> + Send + 'static,
    {
        self.flows.push(Flow { id, title, run: Arc::new(move |io| Box::pin(flow(io))) });
        self
    }

    /// All flows, in the order they were added.
    pub fn flows(&self) -> &[Flow<N>] {
        &self.flows
    }

    /// The flow of this name.
    pub fn get(&self, id: &str) -> Option<&Flow<N>> {
        self.flows.iter().find(|f| f.id == id)
    }
}
