//! What the parts of one running bridge share.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::{Notify, RwLock, Semaphore};

use crate::{
    adapter::Connector,
    bridge::Groups,
    clock::Clock,
    config::BridgeConfig,
    disappearing::Disappearing,
    ghost::Ghosts,
    handlers::MediaAccess,
    inbox::gate::Gate,
    login_pool::LoginPool,
    matrix::{Intent, Matrix, MatrixError, Versions},
    media::{MediaError, Transfer},
    network::{CancellationToken, NetError},
    permissions::{Level, level_of},
    portal::{Presences, Registry},
    rate::Rates,
    readback::Readback,
    relay::Names,
    spaces::Spaces,
    store::{Store, StoreError},
    tasks::Tasks,
    user::Puppets,
};

/// Who does something on Matrix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Actor {
    /// The bridge's bot.
    Bot,
    /// The ghost of a user of the network.
    Ghost(String),
    /// The owner of a login: by their double puppet, else by the ghost of their account.
    Login(String),
}

impl Actor {
    /// How the database keeps it.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Bot => "bot".into(),
            Self::Ghost(id) => format!("ghost:{id}"),
            Self::Login(id) => format!("login:{id}"),
        }
    }
    /// Reads [`Self::to_text`] back.
    pub(crate) fn from_text(text: &str) -> Self {
        match text.split_once(':') {
            Some(("ghost", id)) => Self::Ghost(id.to_owned()),
            Some(("login", id)) => Self::Login(id.to_owned()),
            _ => Self::Bot,
        }
    }
}

/// Something of the framework's own work failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Matrix(#[from] MatrixError),
    #[error(transparent)]
    Network(#[from] NetError),
    #[error(transparent)]
    Media(#[from] MediaError),
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// Whether the same may work later.
    pub(crate) fn is_temporary(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Matrix(error) => error.is_temporary(),
            Self::Network(error) => matches!(error, NetError::Temporary { .. }),
            Self::Media(error) => error.is_temporary(),
            Self::Refused(_) => false,
        }
    }
    /// How long to wait, if somebody said so, in milliseconds.
    pub(crate) fn retry_after_ms(&self) -> Option<i64> {
        let after = match self {
            Self::Matrix(error) => error.retry_after(),
            Self::Network(NetError::Temporary { after, .. }) => *after,
            _ => None,
        };
        after.map(|after| after.as_millis() as i64)
    }
}

/// Takes messages that are for the bot: in rooms that are no portals, or with the command prefix.
#[async_trait]
pub(crate) trait CommandSink: Send + Sync {
    async fn handle(&self, room_id: &str, sender: &str, event: &Value);
    /// After a start.
    async fn resume(&self);
}

/// Gives the files of Matrix to handlers.
pub(crate) type MediaFor = Arc<dyn MediaAccess>;

/// See the module.
pub(crate) struct Engine {
    pub(crate) config: BridgeConfig,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) store: Arc<Store>,
    pub(crate) matrix: Matrix,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
    pub(crate) stop: CancellationToken,
    pub(crate) portals: Registry,
    pub(crate) logins: LoginPool,
    pub(crate) rates: Rates,
    pub(crate) ghosts: Ghosts,
    pub(crate) puppets: Puppets,
    pub(crate) names: Names,
    pub(crate) gate: Gate,
    pub(crate) decode_wake: Notify,
    pub(crate) control_wake: Notify,
    pub(crate) spaces: Spaces,
    pub(crate) disappearing: Disappearing,
    pub(crate) groups: Groups,
    pub(crate) presences: Presences,
    pub(crate) readback: Readback,
    pub(crate) media: MediaFor,
    pub(crate) transfer: Transfer,
    pub(crate) commands: OnceLock<Arc<dyn CommandSink>>,
    pub(crate) work: Semaphore,
    pub(crate) features: RwLock<Option<Arc<Versions>>>,
}

impl Engine {
    /// Now, in milliseconds since the Unix epoch.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now_ms()
    }

    /// What a Matrix user may do with this bridge.
    pub(crate) fn level(&self, mxid: &str) -> Level {
        level_of(&self.config.permissions, mxid)
    }

    /// What the homeserver can do: asked once.
    pub(crate) async fn versions(&self) -> Result<Arc<Versions>, MatrixError> {
        if let Some(versions) = self.features.read().await.as_ref() {
            return Ok(versions.clone());
        }
        let versions = Arc::new(self.matrix.bot().versions().await?);
        *self.features.write().await = Some(versions.clone());
        Ok(versions)
    }

    /// Whether the homeserver keeps what it has accepted, so that nothing need be read back.
    pub(crate) async fn homeserver_is_durable(&self) -> Result<bool, MatrixError> {
        match self.config.homeserver_is_durable {
            Some(durable) => Ok(durable),
            None => Ok(self.versions().await?.feature("org.landbridge.durable_appservice")),
        }
    }

    /// Somebody who can act on Matrix, registered and with a profile. `via` is the login to ask about them.
    pub(crate) async fn intent(&self, actor: &Actor, via: Option<&str>) -> Result<Intent, Failure> {
        match actor {
            Actor::Bot => Ok(self.matrix.bot()),
            Actor::Ghost(id) => self.ghost(id, via).await,
            Actor::Login(login) => {
                let stored = self.logins.stored(login);
                if let Some(owner) = stored.as_ref().and_then(|login| login.owner.clone())
                    && let Some(puppet) = self.puppet(&owner).await?
                {
                    return Ok(puppet);
                }
                let user = stored.and_then(|login| login.user).unwrap_or_else(|| login.clone());
                self.ghost(&user, Some(login)).await
            }
        }
    }

    /// Starts a task that ends with the bridge.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(future);
    }
}

/// Runs something of the connector's that may panic: a poison event must not take the bridge down with it.
pub(crate) fn guarded<T>(what: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(what))
        .map_err(|panic| panic_text(panic.as_ref()))
}

/// The same for what is waited for.
pub(crate) async fn guarded_async<T>(what: BoxFuture<'_, T>) -> Result<T, String> {
    use futures::FutureExt;
    std::panic::AssertUnwindSafe(what)
        .catch_unwind()
        .await
        .map_err(|panic| panic_text(panic.as_ref()))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the connector panicked: {}", text.unwrap_or_default())
}
