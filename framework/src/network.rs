//! What a connector implements: a [`Network`], its logged-in [`Client`]s, and the names and data they have.
//!
//! Everything a network says is data ([`crate::event`]), everything Matrix says reaches it through a registered handler
//! ([`crate::handlers`]). Nothing here talks to Matrix or to a database.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    fmt,
    future::Future,
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
pub use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    event::{ChatInfo, RemoteEvent, UserInfo},
    handlers::Handlers,
    inbox::Inbox,
    login::{Logins, NewLogin},
};

/// A structured remote identifier with a stable text form, which is what the database stores.
pub trait RemoteId: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static {
    /// The text form. Two identifiers are equal exactly when their text forms are.
    fn encode(&self) -> String;
    /// Reads the text form back.
    fn decode(text: &str) -> Result<Self, BadId>;
}

impl RemoteId for String {
    fn encode(&self) -> String {
        self.clone()
    }
    fn decode(text: &str) -> Result<Self, BadId> {
        Ok(text.into())
    }
}

macro_rules! integer_ids {
    ($($t:ty),*) => {$(
        impl RemoteId for $t {
            fn encode(&self) -> String {
                self.to_string()
            }
            fn decode(text: &str) -> Result<Self, BadId> {
                text.parse().map_err(|_| BadId(text.into()))
            }
        }
    )*};
}
integer_ids!(i64, u64, i32, u32);

/// A stored identifier could not be read back.
#[derive(Debug, thiserror::Error)]
#[error("not an identifier of this network: {0:?}")]
pub struct BadId(pub String);

/// Typed, versioned data a connector keeps beside a login, portal, ghost or message.
pub trait Meta: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static {
    /// Raise it when the shape changes incompatibly.
    const VERSION: u32 = 1;
    /// Reads data written by an older version.
    fn migrate(_from: u32, value: serde_json::Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }
}
impl Meta for () {
    // `()` reads back from whatever an earlier shape left behind.
    fn migrate(_from: u32, _value: serde_json::Value) -> Result<Self, serde_json::Error> {
        Ok(())
    }
}

/// Whether every login sees the same chat under one name, or the chat belongs to one login (a direct chat, say).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope<L> {
    /// One portal for all logins.
    Shared,
    /// A portal of its own per login.
    Private(L),
}

/// The name of a portal: a remote chat and whose view of it.
pub struct PortalKey<N: Network> {
    /// The chat's identifier on the network.
    pub id: N::PortalId,
    /// Whose view of it.
    pub scope: Scope<N::LoginId>,
}

impl<N: Network> PortalKey<N> {
    /// A chat that all logins share.
    pub fn shared(id: impl Into<N::PortalId>) -> Self {
        Self { id: id.into(), scope: Scope::Shared }
    }
    /// A chat as one login sees it.
    pub fn private(id: impl Into<N::PortalId>, login: N::LoginId) -> Self {
        Self { id: id.into(), scope: Scope::Private(login) }
    }
}
impl<N: Network> Clone for PortalKey<N> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), scope: self.scope.clone() }
    }
}
impl<N: Network> fmt::Debug for PortalKey<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortalKey").field("id", &self.id).field("scope", &self.scope).finish()
    }
}
impl<N: Network> PartialEq for PortalKey<N> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.scope == other.scope
    }
}
impl<N: Network> Eq for PortalKey<N> {}
impl<N: Network> Hash for PortalKey<N> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.scope.hash(state);
    }
}

/// A message, or one part of it.
pub struct MessageRef<N: Network> {
    /// The message's identifier on the network.
    pub id: N::MessageId,
    /// The part meant; `None` is the first.
    pub part: Option<PartId>,
}
impl<N: Network> MessageRef<N> {
    /// The message as a whole.
    pub fn whole(id: impl Into<N::MessageId>) -> Self {
        Self { id: id.into(), part: None }
    }
}
impl<N: Network> Clone for MessageRef<N> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), part: self.part.clone() }
    }
}
impl<N: Network> fmt::Debug for MessageRef<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRef").field("id", &self.id).field("part", &self.part).finish()
    }
}
impl<N: Network> PartialEq for MessageRef<N> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.part == other.part
    }
}

/// Names one part of a message (an attachment, say). The empty name is the main part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PartId(pub String);

/// Where something stands in its chat's order, if the network numbers things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamOrder(pub i64);

/// What the dedupe of an event is keyed by: the natural key of the *event*, not only of the message it is about
/// (`edit:123:456`, not `123`). It must not depend on which login saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventKey(pub String);
impl<S: Into<String>> From<S> for EventKey {
    fn from(key: S) -> Self {
        Self(key.into())
    }
}

/// What a network is called and looks like in `m.bridge` and in help texts.
#[derive(Clone, Debug, Default)]
pub struct NetworkInfo {
    /// The network's name, as people say it.
    pub name: &'static str,
    /// Its home page.
    pub url: &'static str,
    /// `mxc:` address of an icon.
    pub icon: Option<String>,
}

/// A chat network: the one trait a connector must implement, with [`Client`].
pub trait Network: Sized + Send + Sync + 'static {
    /// Stable short name: lower-case letters, used in user names, keys and tables.
    const ID: &'static str;
    /// The connector's own section of the configuration.
    type Config: DeserializeOwned + Serialize + Default + Clone + Send + Sync + 'static;
    /// Identifies a chat.
    type PortalId: RemoteId;
    /// Identifies a user of the network.
    type UserId: RemoteId;
    /// Identifies a message within its chat.
    type MessageId: RemoteId;
    /// Identifies a logged-in account.
    type LoginId: RemoteId;
    /// Kept with a login: its credentials. Never logged.
    type LoginMeta: Meta;
    /// Kept with a portal.
    type PortalMeta: Meta;
    /// Kept with a ghost.
    type GhostMeta: Meta;
    /// Kept with each message part.
    type MessageMeta: Meta;
    /// What the network sent, verbatim; stored before anything else happens to it.
    type Raw: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// One logged-in account's connection.
    type Client: Client<Net = Self>;

    /// The network's name and address.
    fn info(config: &Self::Config) -> NetworkInfo;
    /// Registers what can be done from Matrix. Registering a handler *is* declaring the capability.
    fn handlers(handlers: Handlers<Self>) -> Handlers<Self>;
    /// Registers the ways to log in.
    fn logins(logins: Logins<Self>) -> Logins<Self> {
        logins
    }
    /// Logins that exist by configuration and belong to nobody: a relay's bot account. Created or updated at every start.
    fn system_logins(_config: &Self::Config) -> Vec<NewLogin<Self>> {
        Vec::new()
    }
    /// Builds the connector. Called once per start of the bridge; must not wait for the network.
    fn start(
        config: Self::Config,
        runtime: Runtime,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;
    /// Connects one login. Called again, with backoff, whenever [`Client::run`] ends with [`Exit::Lost`].
    fn connect(
        &self,
        login: Login<Self>,
    ) -> impl Future<Output = Result<Self::Client, ConnectError>> + Send;
    /// Reads what the network said. Pure and synchronous, without a live connection: it is run again after a crash and
    /// while logged out, must then give the same events in the same order, and is tested from recorded fixtures.
    fn decode(
        &self,
        login: &Login<Self>,
        raw: &Self::Raw,
    ) -> Result<Vec<RemoteEvent<Self>>, DecodeError>;
    /// The chat an alias of the bridge's namespace stands for (`alias` is the localpart without the prefix that the
    /// configuration gives, e.g. `#chan` of `#irc_#chan:server`). `None`: there is no such chat.
    fn chat_of_alias(&self, _alias: &str) -> Option<PortalKey<Self>> {
        None
    }
}

/// One logged-in account.
pub trait Client: Send + Sync + 'static {
    /// The network it belongs to.
    type Net: Network;
    /// Owns the connection until `stop` is cancelled. `inbox.put(..).await` returns once the raw event is durable, and
    /// waits while the inbox is full: acknowledge to the network, or move its cursor, only after it returned.
    fn run(
        &self,
        inbox: Inbox<Self::Net>,
        stop: CancellationToken,
    ) -> impl Future<Output = Exit> + Send;
    /// Everything known about a chat: asked when a portal's room is created, plumbed or resynchronised.
    fn chat(
        &self,
        key: &PortalKey<Self::Net>,
    ) -> impl Future<Output = Result<ChatInfo<Self::Net>, NetError>> + Send;
    /// What is known about a user: asked when a ghost is first needed and after [`crate::event::Body::UserChanged`].
    fn user(
        &self,
        id: &<Self::Net as Network>::UserId,
    ) -> impl Future<Output = Result<UserInfo, NetError>> + Send;
    /// The account was logged out for good by its owner: revoke the session on the network's side.
    fn logout(&self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// A logged-in account as stored.
pub struct Login<N: Network> {
    /// The account's identifier.
    pub id: N::LoginId,
    /// The connector's data of it. Holds credentials.
    pub meta: N::LoginMeta,
    /// The Matrix user it belongs to; `None` for a system login.
    pub owner: Option<String>,
}
impl<N: Network> Clone for Login<N> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), meta: self.meta.clone(), owner: self.owner.clone() }
    }
}
impl<N: Network> fmt::Debug for Login<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

/// How [`Client::run`] ended.
#[derive(Debug)]
pub enum Exit {
    /// As asked.
    Stopped,
    /// The connection was lost: connect again, with backoff.
    Lost(NetError),
    /// The credentials are no longer good: the user is told, nothing is tried until they log in again.
    BadCredentials(String),
}

/// What a client says about its connection, shown to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginState {
    /// Connecting.
    Connecting,
    /// Connected.
    Connected,
    /// Connected and fetching what was missed.
    Backfilling,
    /// Not connected, will be tried again.
    Transient(String),
    /// Logged out by the network.
    BadCredentials(String),
}

/// What a connector is given at its start.
#[derive(Clone)]
pub struct Runtime {
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Cancelled when the bridge stops.
    pub stop: CancellationToken,
    /// What the program gives its connectors beside their configuration: HTTP clients, a network in the same process.
    pub shared: Shared,
}

/// Things by type, handed from the program to its connectors. Cheap to clone.
#[derive(Clone, Default)]
pub struct Shared(Arc<BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>>);

impl Shared {
    /// With one thing more; of each type there is one.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(self, thing: T) -> Self {
        let mut things = Arc::unwrap_or_clone(self.0);
        things.insert(TypeId::of::<T>(), Arc::new(thing));
        Self(Arc::new(things))
    }

    /// The thing of a type, if the program gave one.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.0.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("len", &self.0.len()).finish()
    }
}

/// The connection to the network is gone and nothing more is to be put.
#[derive(Debug, thiserror::Error)]
pub enum Closed {
    /// The bridge is stopping.
    #[error("the bridge is stopping")]
    Stopping,
    /// The event could not be stored; nothing may be acknowledged.
    #[error("the event could not be stored: {0}")]
    Store(String),
}

/// A request to the network failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NetError {
    /// It may work later.
    #[error("{reason}")]
    Temporary {
        /// What happened.
        reason: String,
        /// When to try again, if the network said so.
        after: Option<Duration>,
    },
    /// It won't.
    #[error("{0}")]
    Permanent(String),
}
impl NetError {
    /// It may work later.
    pub fn temporary(reason: impl fmt::Display) -> Self {
        Self::Temporary { reason: reason.to_string(), after: None }
    }
    /// It won't.
    pub fn permanent(reason: impl fmt::Display) -> Self {
        Self::Permanent(reason.to_string())
    }
}

/// What the network sent makes no sense. The raw event goes to the dead letters, where it can be replayed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub String);

/// The connector can't start: the configuration is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(pub String);

/// A login could not connect.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Try again, with backoff.
    #[error("{0}")]
    Temporary(String),
    /// The user must log in again.
    #[error("{0}")]
    BadCredentials(String),
}
