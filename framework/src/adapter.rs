//! Where a connector's types end: [`Connector`] and [`Account`] are a [`Network`] and its [`Client`] with every identifier
//! as text ([`Plain`]). Everything behind them is compiled once, not once per network.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;

mod account;
mod connector;

pub(crate) use account::TypedAccount;
pub(crate) use connector::TypedConnector;

use crate::{
    event::{ChatInfo, MediaRef, RemoteEvent, UserInfo},
    handlers::{
        Attempt, Checkpoint, Files, GroupKind, GroupMade, Idempotency, IdempotencyKey, MediaStream,
        Op, Origin, OwnReactions, Quote, RelayProfile, RelayStyle, RoomCaps, SendError, Sent,
    },
    history::{Next, PageQuery},
    inbox::{Entry, InboxPort},
    login::{LoginError, LoginProcess, Outcome},
    network::{
        CancellationToken, ConnectError, DecodeError, Exit, MessageRef, NetError, NetworkInfo,
        PortalKey,
    },
    plain::{Plain, PlainMeta},
};

/// A login as the store has it.
#[derive(Clone)]
pub(crate) struct StoredLogin {
    pub(crate) id: String,
    pub(crate) owner: Option<String>,
    pub(crate) name: String,
    pub(crate) user: Option<String>,
    pub(crate) meta: PlainMeta,
}

/// What a connector can do, with the network's types taken away.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each stands for one independent ability")]
pub(crate) struct Abilities {
    /// What can be done in a room, before narrowing.
    pub(crate) room: RoomCaps,
    /// What happens when a kind of message is sent twice.
    pub(crate) text: Idempotency,
    pub(crate) media: Idempotency,
    pub(crate) gallery: Idempotency,
    pub(crate) location: Idempotency,
    pub(crate) live_location: Idempotency,
    pub(crate) poll: Idempotency,
    /// How many answers a poll may have; 0 is without limit.
    pub(crate) poll_options: usize,
    pub(crate) pins: bool,
    pub(crate) presence: bool,
    pub(crate) relay: Option<RelayStyle>,
    /// Whether only who has the power for it calls everybody.
    pub(crate) calls_by_power: bool,
    pub(crate) history: bool,
    pub(crate) directory: bool,
    /// The groups that can be begun.
    pub(crate) groups: Vec<GroupKind>,
    pub(crate) reconcile: bool,
}

/// One thing to be done on the network.
pub(crate) struct Request {
    pub(crate) portal: Option<(PortalKey<Plain>, PlainMeta)>,
    pub(crate) key: IdempotencyKey,
    pub(crate) relay: Option<RelayProfile>,
    pub(crate) origin: Origin,
    pub(crate) reply_to: Option<MessageRef<Plain>>,
    pub(crate) thread: Option<String>,
    pub(crate) quoted: Option<Quote>,
    pub(crate) attempt: Attempt,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) files: Files,
    pub(crate) own_reactions: OwnReactions,
    /// All messages that are to be changed or deleted.
    pub(crate) targets: Vec<MessageRef<Plain>>,
    pub(crate) op: Op<Plain>,
}

/// Makes a new login durable and connects it.
pub(crate) type FinishLogin =
    Box<dyn FnOnce(StoredLogin) -> BoxFuture<'static, Result<Outcome, LoginError>> + Send>;

/// A [`crate::Network`], erased.
#[async_trait]
pub(crate) trait Connector: Send + Sync + 'static {
    fn id(&self) -> &'static str;
    fn info(&self) -> &NetworkInfo;
    fn abilities(&self) -> &Abilities;
    /// What can be done in one chat.
    fn narrowed(&self, chat: &ChatInfo<Plain>) -> RoomCaps;
    fn decode(
        &self,
        login: &StoredLogin,
        raw: &str,
    ) -> Result<Vec<RemoteEvent<Plain>>, DecodeError>;
    async fn connect(&self, login: &StoredLogin) -> Result<Arc<dyn Account>, ConnectError>;
    fn chat_of_alias(&self, alias: &str) -> Option<PortalKey<Plain>>;
    fn system_logins(&self) -> Vec<StoredLogin>;
    fn flows(&self) -> Vec<(&'static str, &'static str)>;
    fn login(
        &self,
        flow: &str,
        owner: &str,
        relogin: Option<&str>,
        finish: FinishLogin,
    ) -> Result<LoginProcess, LoginError>;
    fn commands(&self) -> Vec<crate::control::ConnectorCommand>;
}

/// A [`crate::Client`], erased.
#[async_trait]
pub(crate) trait Account: Send + Sync + 'static {
    async fn run(&self, port: Arc<dyn InboxPort>, stop: CancellationToken) -> Exit;
    async fn chat(&self, key: &PortalKey<Plain>) -> Result<ChatInfo<Plain>, NetError>;
    async fn user(&self, id: &str) -> Result<UserInfo, NetError>;
    async fn logout(&self);
    /// Text, files, places, polls: what gets an identifier.
    async fn send(&self, request: Request) -> Result<Sent<Plain>, SendError>;
    /// Everything else.
    async fn act(&self, request: Request) -> Result<(), SendError>;
    async fn command(&self, name: &str, request: Request) -> Result<String, SendError>;
    async fn create_group(&self, request: Request) -> Result<GroupMade<Plain>, SendError>;
    async fn opened(&self, request: Request, open: bool) -> Result<(), SendError>;
    async fn find(
        &self,
        at: &PortalKey<Plain>,
        key: &IdempotencyKey,
    ) -> Result<Option<String>, NetError>;
    async fn page(
        &self,
        at: &PortalKey<Plain>,
        query: PageQuery<Plain>,
    ) -> Result<(Vec<Entry>, Next), NetError>;
    async fn resolve(&self, query: &str) -> Result<Option<String>, NetError>;
    async fn search(&self, query: &str) -> Result<Vec<(String, UserInfo)>, NetError>;
    async fn open_dm(&self, user: &str) -> Result<PortalKey<Plain>, NetError>;
    async fn find_chat(&self, query: &str) -> Result<Option<PortalKey<Plain>>, NetError>;
    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, NetError>;
}
