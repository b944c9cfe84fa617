//! A bridge: one network, its logins and its portals, running. A panic in it restarts it alone.

use std::{
    marker::PhantomData,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, response::IntoResponse};
use landbridge_database::Database;
use landbridge_registration::Registration;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, watch};
use tower::ServiceExt;

mod connect;
mod control;
mod lookup;
mod public;
mod startup;
#[cfg(test)]
mod tests;

use crate::{
    adapter::TypedConnector,
    clock::{Clock, SystemClock},
    commands::Commands,
    config::BridgeConfig,
    disappearing::Disappearing,
    engine::{CommandSink, Engine},
    ghost::Ghosts,
    handlers::MediaAccess,
    inbox::gate::Gate,
    login_pool::LoginPool,
    matrix::{Carrier, Matrix, MatrixConfig, appservice},
    media::{Files, Transfer},
    network::{CancellationToken, Network, Runtime, Shared, StartError},
    portal::{Presences, Registry},
    rate::Rates,
    readback::Readback,
    relay::Names,
    spaces::Spaces,
    store::{Store, StoreError},
    tasks::Tasks,
    user::Puppets,
};
pub(crate) use control::Groups;
use lookup::Sink;

/// How long the bridge waits before it starts again after a panic.
const RESTART: Duration = Duration::from_secs(1);

/// A bridge could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// The connector refuses its configuration.
    #[error("the connector can't start: {0}")]
    Connector(#[from] StartError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What it takes to build a bridge: [`Bridge::builder`].
pub struct BridgeBuilder<N: Network> {
    network: N::Config,
    config: BridgeConfig,
    server_name: String,
    registration: Registration,
    carrier: Arc<dyn Carrier>,
    database: Database,
    clock: Arc<dyn Clock>,
    shared: Shared,
    media: Option<Arc<dyn MediaAccess>>,
    max_media_bytes: u64,
}

impl<N: Network> Clone for BridgeBuilder<N> {
    fn clone(&self) -> Self {
        Self {
            network: self.network.clone(),
            config: self.config.clone(),
            server_name: self.server_name.clone(),
            registration: self.registration.clone(),
            carrier: self.carrier.clone(),
            database: self.database.clone(),
            clock: self.clock.clone(),
            shared: self.shared.clone(),
            media: self.media.clone(),
            max_media_bytes: self.max_media_bytes,
        }
    }
}

impl<N: Network> BridgeBuilder<N> {
    /// With another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
    /// Hands the connector something of the program's: an HTTP client, a network in the same process.
    #[must_use]
    pub fn share<T: Send + Sync + 'static>(mut self, thing: T) -> Self {
        self.shared = self.shared.with(thing);
        self
    }
    /// With a place where Matrix's files can be fetched from outside.
    #[must_use]
    pub fn media(mut self, media: Arc<dyn MediaAccess>) -> Self {
        self.media = Some(media);
        self
    }
    /// The largest file that is transferred, in bytes.
    #[must_use]
    pub fn max_media_bytes(mut self, bytes: u64) -> Self {
        self.max_media_bytes = bytes;
        self
    }

    /// Starts the bridge. It needs neither homeserver nor network to be there yet.
    pub async fn start(self) -> Result<Bridge<N>, BridgeError> {
        let slot = Arc::new(Slot::default());
        let (stop, stopping) = watch::channel(None);
        let run = self.run().await?;
        slot.set(Some(run.clone()));
        let hs_token = self.registration.hs_token.clone();
        let supervisor = tokio::spawn(supervise(self, slot.clone(), run, stopping));
        Ok(Bridge { slot, hs_token, stop, supervisor: Some(supervisor), network: PhantomData })
    }

    async fn run(&self) -> Result<Run, BridgeError> {
        let stop = CancellationToken::new();
        let runtime =
            Runtime { clock: self.clock.clone(), stop: stop.clone(), shared: self.shared.clone() };
        let connector = Arc::new(TypedConnector::<N>::start(self.network.clone(), runtime).await?);
        let store = Store::open(self.database.clone()).await?;
        let mut matrix = MatrixConfig::new(
            &self.server_name,
            &self.registration.id,
            self.registration.as_token.clone(),
            &self.config.bot_username,
        );
        matrix.max_media_bytes = self.max_media_bytes;
        let matrix = Matrix::new(matrix, self.carrier.clone(), store.clone());
        let links = public::links(&self.config, &store, &self.clock).await?;
        let files = Files::new(matrix.clone(), store.clone(), links.clone());
        let media = self.media.clone().unwrap_or_else(|| Arc::new(files));
        let tasks = Tasks::new();
        let unstarted = Unstarted(Some(tasks.clone()));
        let engine = Arc::new(Engine {
            work: Semaphore::new(self.config.concurrency.max(1) as usize),
            config: self.config.clone(),
            connector,
            store: store.clone(),
            matrix: matrix.clone(),
            clock: self.clock.clone(),
            tasks: tasks.clone(),
            stop,
            portals: Registry::default(),
            logins: LoginPool::default(),
            rates: Rates::default(),
            ghosts: Ghosts::default(),
            puppets: Puppets::default(),
            names: Names::default(),
            gate: Gate::default(),
            decode_wake: Notify::default(),
            control_wake: Notify::default(),
            spaces: Spaces::default(),
            disappearing: Disappearing::default(),
            groups: Groups::default(),
            presences: Presences::default(),
            readback: Readback::default(),
            media,
            transfer: Transfer::new(store.clone()),
            commands: OnceLock::default(),
            features: tokio::sync::RwLock::default(),
        });
        let control = Arc::new(control::Handle(Arc::downgrade(&engine)));
        let router = public::router(&self.config, control.clone(), &matrix, store.clone(), links);
        let commands = Commands::new(control, matrix, store);
        // Just made, so nobody can have been faster.
        let _ = engine.commands.set(Arc::new(Bot(commands)));
        engine.start().await?;
        unstarted.started();
        Ok(Run { engine, tasks, router })
    }
}

/// A bridge between its start and its end.
#[derive(Clone)]
struct Run {
    engine: Arc<Engine>,
    tasks: Tasks,
    router: Router,
}

/// Ends the tasks of a bridge whose start failed or was abandoned: they hold the engine, so nobody else would.
struct Unstarted(Option<Tasks>);

impl Unstarted {
    fn started(mut self) {
        self.0 = None;
    }
}

impl Drop for Unstarted {
    fn drop(&mut self) {
        if let Some(tasks) = &self.0 {
            tasks.abort();
        }
    }
}

/// Runs a bridge until it is told to stop, and starts it again when something in it panicked.
async fn supervise<N: Network>(
    builder: BridgeBuilder<N>,
    slot: Arc<Slot>,
    mut run: Run,
    mut stopping: watch::Receiver<Option<Duration>>,
) {
    loop {
        let asked = tokio::select! {
            () = run.tasks.panicked() => None,
            grace = async { stopping.wait_for(Option::is_some).await.map(|grace| *grace) } => {
                Some(grace.ok().flatten())
            }
        };
        if let Some(grace) = asked {
            run.engine.drain(grace.unwrap_or_default()).await;
            slot.end();
            return;
        }
        tracing::error!(bridge = N::ID, "the bridge panicked and is started again");
        metrics::counter!("landbridge_bridge_restarts_total", "bridge" => N::ID).increment(1);
        run.engine.stop.cancel();
        slot.end();
        run = loop {
            tokio::time::sleep(RESTART).await;
            match builder.run().await {
                Ok(run) => break run,
                Err(error) => {
                    tracing::error!(bridge = N::ID, %error, "the bridge can't be started again yet");
                }
            }
        };
        slot.set(Some(run.clone()));
    }
}

/// What runs now; nothing while the bridge is restarting.
#[derive(Default)]
pub(crate) struct Slot {
    run: RwLock<Option<Run>>,
}
impl Slot {
    pub(crate) fn get(&self) -> Option<Arc<Engine>> {
        self.now().map(|run| run.engine)
    }
    fn now(&self) -> Option<Run> {
        self.run.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn set(&self, run: Option<Run>) {
        *self.run.write().unwrap_or_else(PoisonError::into_inner) = run;
    }
    fn end(&self) {
        let run = self.run.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(run) = run {
            run.tasks.abort();
        }
    }
}

/// A running bridge. Dropping it ends it at once, wherever it stands; nothing is lost by that.
pub struct Bridge<N: Network> {
    slot: Arc<Slot>,
    hs_token: landbridge_registration::Token,
    stop: watch::Sender<Option<Duration>>,
    supervisor: Option<tokio::task::JoinHandle<()>>,
    network: PhantomData<fn() -> N>,
}

impl<N: Network> Drop for Bridge<N> {
    fn drop(&mut self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.abort();
        }
        self.slot.end();
    }
}

impl<N: Network> Bridge<N> {
    /// A bridge to be: the connector's configuration, the framework's, who it is to the homeserver, the way there, and the
    /// bridge's own database.
    pub fn builder(
        network: N::Config,
        config: BridgeConfig,
        server_name: &str,
        registration: Registration,
        carrier: Arc<dyn Carrier>,
        database: Database,
    ) -> BridgeBuilder<N> {
        BridgeBuilder {
            network,
            config,
            server_name: server_name.to_owned(),
            registration,
            carrier,
            database,
            clock: Arc::new(SystemClock),
            shared: Shared::default(),
            media: None,
            max_media_bytes: 50 * 1024 * 1024,
        }
    }
}

/// A running bridge, of whatever network.
#[async_trait]
pub trait RunningBridge: Send + Sync {
    /// The network's short name.
    fn id(&self) -> &'static str;
    /// What answers the homeserver under `/_matrix/app/v1/`.
    fn appservice_router(&self) -> Router;
    /// What answers everybody.
    fn public_router(&self) -> Router;
    /// Stops: what is under way is finished within the time, nothing new is begun.
    async fn stop(self: Box<Self>, grace: Duration);
}

#[async_trait]
impl<N: Network> RunningBridge for Bridge<N> {
    fn id(&self) -> &'static str {
        N::ID
    }
    fn appservice_router(&self) -> Router {
        Bridge::appservice_router(self)
    }
    fn public_router(&self) -> Router {
        Bridge::public_router(self)
    }
    async fn stop(self: Box<Self>, grace: Duration) {
        Bridge::stop(*self, grace).await;
    }
}

impl<N: Network> Bridge<N> {
    /// What answers the homeserver under `/_matrix/app/v1/`, and everybody else as [`Bridge::public_router`] does. It stays
    /// good over restarts of the bridge.
    pub fn appservice_router(&self) -> Router {
        let sink = Arc::new(Sink(self.slot.clone()));
        appservice::router(self.hs_token.clone(), sink).merge(self.public_router())
    }

    /// The provisioning API (`/_matrix/provision/v3`) and the links to files, for a server that everybody can reach.
    pub fn public_router(&self) -> Router {
        let slot = self.slot.clone();
        Router::new().fallback(move |request: axum::extract::Request| {
            let run = slot.now();
            async move {
                match run {
                    // A router is a service that can't fail.
                    Some(run) => run.router.oneshot(request).await.into_response(),
                    None => http::StatusCode::SERVICE_UNAVAILABLE.into_response(),
                }
            }
        })
    }

    /// What commands and APIs may ask of the bridge.
    pub fn control(&self) -> Arc<dyn crate::control::Control> {
        Arc::new(control::Handle(self.slot.clone()))
    }

    /// Stops: what is under way is finished within the time, nothing new is begun.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.send_replace(Some(grace));
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.await;
        }
    }
}

/// [`Commands`] as the engine calls them.
struct Bot(Commands);

#[async_trait]
impl CommandSink for Bot {
    async fn handle(&self, room_id: &str, sender: &str, event: &Value) {
        self.0.handle(room_id, sender, event).await;
    }
    async fn resume(&self) {
        self.0.resume().await;
    }
}
