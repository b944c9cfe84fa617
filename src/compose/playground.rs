//! The Playground's network as a service of this process.

use std::{fs::DirBuilder, net::SocketAddr, os::unix::fs::DirBuilderExt as _, path::Path};

use landbridge_playground::network::{Options, Playground};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{cli::Failure, config::PlaygroundService};

/// The network, serving.
pub(crate) struct Running {
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

/// Opens the network, puts the first people and the first chat on it if it is new, and serves it until `stop`.
pub(crate) async fn start(
    service: &PlaygroundService,
    data_dir: &Path,
    bot: &str,
    stop: CancellationToken,
) -> Result<Running, Failure> {
    let folder = service.data.clone().unwrap_or_else(|| data_dir.join("playground"));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(Failure::io(folder.display()))?;
    let token = service.token.as_ref().map(|token| token.expose().to_owned());
    if token.is_none() && !service.listen.ip().is_loopback() {
        return Err(Failure::Other(format!(
            "the Playground would be open to everybody who reaches {}: set playground.token, or listen on 127.0.0.1",
            service.listen
        )));
    }
    let options = Options { token, faults: service.faults, ..Options::open() };
    let network = Playground::open(&folder, options).await?;
    network.seed(bot).await?;
    let listener = TcpListener::bind(service.listen).await.map_err(Failure::io(service.listen))?;
    let address = listener.local_addr().map_err(Failure::io(service.listen))?;
    Ok(Running { address, serving: tokio::spawn(network.serve(listener, stop)) })
}

impl Running {
    /// Where it is served.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has stopped.
    pub(crate) async fn ended(self) -> Result<(), Failure> {
        match self.serving.await {
            Ok(served) => served.map_err(Failure::io(self.address)),
            Err(error) => Err(Failure::Other(format!("the Playground stopped: {error}"))),
        }
    }
}
