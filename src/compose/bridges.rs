//! Bridges, started: with the homeserver in this process, or alone as an application service of any homeserver.

use std::{
    fs::DirBuilder,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::{Router, routing::get};
use landbridge_database::{Database, Options};
use landbridge_framework::{
    Bridge as Running, Network, RunningBridge,
    matrix::{Carrier, HttpCarrier, RouterCarrier},
};
use landbridge_homeserver::Server;
use landbridge_registration::Registration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::registration;
use crate::{
    cli::Failure,
    config::{Bridge, Config, Standalone},
};

/// How long what a bridge has begun may take when it is stopped.
pub(crate) const GRACE: Duration = Duration::from_secs(8);

/// Something started, or a failure.
pub(crate) type Started = Result<Box<dyn RunningBridge>, Failure>;

/// Starts every bridge that is switched on, beside the homeserver and without sockets between.
pub(crate) async fn beside(
    server: &Server,
    config: &Config,
) -> Result<Vec<Box<dyn RunningBridge>>, Failure> {
    let mut running = Vec::new();
    let bridges = &config.bridges;
    if bridges.discord.enabled {
        running.push(
            one_beside::<landbridge_discord::Discord>(server, config, &bridges.discord).await?,
        );
    }
    if bridges.irc.enabled {
        running.push(one_beside::<landbridge_irc::Irc>(server, config, &bridges.irc).await?);
    }
    if bridges.playground.enabled {
        running.push(
            one_beside::<landbridge_playground::Playground>(server, config, &bridges.playground)
                .await?,
        );
    }
    if bridges.slack.enabled {
        running.push(one_beside::<landbridge_slack::Slack>(server, config, &bridges.slack).await?);
    }
    if bridges.telegram.enabled {
        running.push(
            one_beside::<landbridge_telegram::Telegram>(server, config, &bridges.telegram).await?,
        );
    }
    Ok(running)
}

async fn one_beside<N: Network>(
    server: &Server,
    config: &Config,
    bridge: &Bridge<N::Config>,
) -> Started {
    let name = N::ID;
    let folder = folder(config.homeserver.data_dir.join("bridges").join(name))?;
    let server_name = config.homeserver.server_name.as_str();
    let registration = registration::kept(&folder, name, &bridge.bridge, server_name)?;
    let id = registration.id.clone();
    let appservices = &server.app().appservices;
    // First, so that the bridge's token is good when it begins to ask.
    appservices.register(registration.clone()).map_err(|error| failed(name, &error))?;
    let carrier = Arc::new(RouterCarrier::new(server.router()));
    let limit = config.homeserver.media.max_upload_bytes;
    let mut bridge = bridge.clone();
    // Ours stores transactions before it sends them, and keeps transaction ids: nothing need be read back.
    bridge.bridge.homeserver_is_durable.get_or_insert(true);
    let running = start::<N>(&bridge, server_name, registration, carrier, &folder, limit).await?;
    appservices.attach(&id, running.appservice_router()).map_err(|error| failed(name, &error))?;
    Ok(running)
}

async fn start<N: Network>(
    bridge: &Bridge<N::Config>,
    server_name: &str,
    registration: Registration,
    carrier: Arc<dyn Carrier>,
    folder: &Path,
    max_media_bytes: u64,
) -> Started {
    let name = N::ID;
    let own = || format!("sqlite:{}", folder.join("bridge.db").display());
    let url = bridge.database.as_ref().map_or_else(own, |url| url.expose().to_owned());
    // Several bridges may share one Postgres database with each other and with the homeserver.
    let options = Options { schema: Some(format!("bridge_{name}")), ..Options::default() };
    let database = Database::open(&url, &options).await.map_err(|error| failed(name, &error))?;
    let builder = Running::<N>::builder(
        bridge.network.clone(),
        bridge.bridge.clone(),
        server_name,
        registration,
        carrier,
        database,
    );
    let running = builder
        .max_media_bytes(max_media_bytes)
        .start()
        .await
        .map_err(|error| failed(name, &error))?;
    Ok(Box::new(running))
}

/// A bridge alone, and where it listens for its homeserver.
pub(crate) struct Alone {
    bridge: Box<dyn RunningBridge>,
    listener: TcpListener,
    address: SocketAddr,
}

/// Starts one bridge as an application service of the homeserver that its `standalone` section names.
pub(crate) async fn alone<N: Network>(bridge: &Bridge<N::Config>) -> Result<Alone, Failure> {
    let (name, at) = (N::ID, &bridge.standalone);
    let registration = registration::read(&at.registration_file(name))?;
    if registration.url.is_none() {
        return Err(Failure::Other(format!(
            "the registration of {name} has no url: the homeserver would send it nothing"
        )));
    }
    let folder = folder(at.data_folder(name))?;
    let client =
        HttpCarrier::client(Duration::from_secs(10)).map_err(|error| failed(name, &error))?;
    let base = at
        .homeserver
        .parse()
        .map_err(|error| failed(name, &format!("{:?}: {error}", at.homeserver)))?;
    let carrier = Arc::new(HttpCarrier::new(client, base));
    // Before the bridge starts: what it listens on may be taken.
    let listener = TcpListener::bind(at.listen).await.map_err(Failure::io(at.listen))?;
    let address = listener.local_addr().map_err(Failure::io(at.listen))?;
    let running =
        start::<N>(bridge, &at.server_name, registration, carrier, &folder, at.max_media_bytes)
            .await?;
    Ok(Alone { bridge: running, listener, address })
}

impl Alone {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers the homeserver until `stop`, then finishes what it has begun.
    pub(crate) async fn serve(self, stop: CancellationToken) -> Result<(), Failure> {
        let router: Router = self.bridge.appservice_router().route("/health", get(async || "ok\n"));
        let ended = stop.clone().cancelled_owned();
        let mut served = tokio::spawn(async move {
            axum::serve(self.listener, router).with_graceful_shutdown(ended).await
        });
        tokio::select! {
            () = stop.cancelled() => {}
            early = &mut served => {
                self.bridge.stop(GRACE).await;
                return match early {
                    Ok(served) => served.map_err(Failure::io(self.address)),
                    Err(error) => Err(Failure::Other(error.to_string())),
                };
            }
        }
        self.bridge.stop(GRACE).await;
        // A homeserver may keep its connection open for ever; every transaction it was answered is stored.
        if tokio::time::timeout(GRACE, &mut served).await.is_err() {
            served.abort();
        }
        Ok(())
    }
}

impl Standalone {
    /// Where the registration file is.
    pub(crate) fn registration_file(&self, name: &str) -> PathBuf {
        self.registration
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("{name}-registration.yaml")))
    }

    fn data_folder(&self, name: &str) -> PathBuf {
        self.data.clone().unwrap_or_else(|| PathBuf::from(format!("bridge-{name}")))
    }

    /// The address under which the homeserver reaches the bridge.
    pub(crate) fn public_url(&self) -> String {
        self.url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }
}

fn folder(path: PathBuf) -> Result<PathBuf, Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)
        .map_err(Failure::io(path.display()))?;
    Ok(path)
}

fn failed(name: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::Other(format!("the bridge {name} did not start: {error}"))
}
