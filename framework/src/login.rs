//! Logging in is one async function that asks: [`LoginIo`]. The bot's chat, the provisioning API and the dashboard all
//! drive it the same way; dropping it cancels.

use std::{collections::BTreeMap, future::Future, sync::Arc};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::sync::{mpsc, oneshot};

use crate::network::Network;

/// The ways to log in to a network.
pub struct Logins<N: Network> {
    pub(crate) flows: Vec<Flow<N>>,
}

type Run<N> =
    Arc<dyn Fn(LoginIo<N>) -> BoxFuture<'static, Result<NewLogin<N>, LoginError>> + Send + Sync>;

/// One way to log in.
pub(crate) struct Flow<N: Network> {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) run: Run<N>,
}

impl<N: Network> Logins<N> {
    pub(crate) fn new() -> Self {
        Self { flows: Vec::new() }
    }
    /// Adds a way to log in: its short name, its title, and the function that does it.
    #[must_use]
    pub fn flow<F, Fut>(mut self, id: &'static str, title: &'static str, run: F) -> Self
    where
        F: Fn(LoginIo<N>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<NewLogin<N>, LoginError>> + Send + 'static,
    {
        self.flows.push(Flow { id, title, run: Arc::new(move |io| Box::pin(run(io))) });
        self
    }
}

/// A login's conversation with the person who logs in. Each call waits until they have answered.
pub struct LoginIo<N: Network> {
    steps: mpsc::Sender<(Step, oneshot::Sender<BTreeMap<String, String>>)>,
    owner: String,
    relogin: Option<N::LoginId>,
}

/// What the person is asked or shown.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// To be filled in.
    Form(Form),
    /// To be looked at, until the network is satisfied.
    Display(Display),
}

impl<N: Network> LoginIo<N> {
    pub(crate) fn new(
        owner: String,
        relogin: Option<N::LoginId>,
    ) -> (Self, mpsc::Receiver<(Step, oneshot::Sender<BTreeMap<String, String>>)>) {
        let (steps, receiver) = mpsc::channel(1);
        (Self { steps, owner, relogin }, receiver)
    }
    /// The Matrix user who logs in.
    pub fn owner(&self) -> &str {
        &self.owner
    }
    /// The login that is renewed, if it is one.
    pub fn relogin(&self) -> Option<&N::LoginId> {
        self.relogin.as_ref()
    }
    /// Asks for a form to be filled in, and reads it as `T`, whose fields are the form's.
    pub async fn ask<T: DeserializeOwned>(&mut self, form: Form) -> Result<T, LoginError> {
        let (answer, answered) = oneshot::channel();
        self.steps.send((Step::Form(form), answer)).await.map_err(|_| LoginError::Cancelled)?;
        let fields = answered.await.map_err(|_| LoginError::Cancelled)?;
        let object = fields
            .into_iter()
            .map(|(key, value)| (key, serde_json::Value::String(value)))
            .collect();
        serde_json::from_value(serde_json::Value::Object(object))
            .map_err(|error| LoginError::Refused(error.to_string()))
    }
    /// Shows something until `done` is.
    pub async fn show_until<T>(
        &mut self,
        display: Display,
        done: impl Future<Output = T> + Send,
    ) -> Result<T, LoginError> {
        let (shown, _closed) = oneshot::channel();
        self.steps
            .send((Step::Display(display), shown))
            .await
            .map_err(|_| LoginError::Cancelled)?;
        tokio::select! {
            done = done => Ok(done),
            () = self.steps.closed() => Err(LoginError::Cancelled),
        }
    }
}

/// A form.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Form {
    /// What it is for.
    pub instructions: String,
    /// What is asked.
    pub fields: Vec<Field>,
}

/// One thing that a form asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Field {
    /// Its name in the answer.
    pub id: String,
    /// What the person reads.
    pub label: String,
    /// What sort of thing.
    pub kind: FieldKind,
}

/// What sort of thing a field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Plain text.
    Text,
    /// A user name.
    Username,
    /// A password: not shown, and removed from the chat.
    Password,
    /// A token: not shown, and removed from the chat.
    Token,
    /// A phone number.
    Phone,
    /// An e-mail address.
    Email,
    /// A code that was sent.
    Code,
    /// A host name or address.
    Url,
}

impl Form {
    /// An empty form.
    pub fn new() -> Self {
        Self::default()
    }
    /// What it is for.
    #[must_use]
    pub fn instructions(mut self, text: impl Into<String>) -> Self {
        self.instructions = text.into();
        self
    }
    /// Asks for something.
    #[must_use]
    pub fn field(
        mut self,
        id: impl Into<String>,
        label: impl Into<String>,
        kind: FieldKind,
    ) -> Self {
        self.fields.push(Field { id: id.into(), label: label.into(), kind });
        self
    }
    /// Asks for text.
    #[must_use]
    pub fn text(self, id: impl Into<String>, label: impl Into<String>) -> Self {
        self.field(id, label, FieldKind::Text)
    }
    /// Asks for a password.
    #[must_use]
    pub fn password(self, id: impl Into<String>, label: impl Into<String>) -> Self {
        self.field(id, label, FieldKind::Password)
    }
    /// Asks for a token.
    #[must_use]
    pub fn token(self, id: impl Into<String>, label: impl Into<String>) -> Self {
        self.field(id, label, FieldKind::Token)
    }
}

/// Something to look at.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Display {
    /// To be scanned.
    Qr(String),
    /// To be typed in elsewhere.
    Code(String),
    /// To be compared.
    Emoji(String),
}

/// An account that has logged in.
pub struct NewLogin<N: Network> {
    /// Its identifier.
    pub id: N::LoginId,
    /// What people call it.
    pub name: String,
    /// The connector's data of it: credentials.
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

/// Why a login did not come about.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The person, or a restart, ended it.
    #[error("the login was cancelled")]
    Cancelled,
    /// The network, or the connector, said no. Shown to the person.
    #[error("{0}")]
    Refused(String),
}
impl From<crate::network::NetError> for LoginError {
    fn from(error: crate::network::NetError) -> Self {
        Self::Refused(error.to_string())
    }
}
