//! The composition: homeserver, bridges and Playground in one process, started in order and stopped in the reverse order.

pub(crate) mod bridges;
pub(crate) mod playground;
mod quick_start;
pub(crate) mod registration;
#[cfg(test)]
mod tests;

use landbridge_framework::RunningBridge;
use landbridge_homeserver::Server;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{Failure, say},
    config::{Config, Loaded},
    signals,
};

/// Runs everything that the configuration names, until the process is asked to stop.
pub(crate) async fn run(loaded: Loaded) -> Result<(), Failure> {
    let mut config = loaded.config;
    let new_here = loaded.file.is_none();
    if new_here {
        quick_start::prepare(&mut config);
    }
    let stop = signals::stop_on_signals().map_err(Failure::io("signals"))?;
    let server = Server::start(config.homeserver.clone()).await?;
    signals::reload_on_hangup(server.app()).map_err(Failure::io("signals"))?;
    let mut parts = Parts::default();
    let begun = parts.begin(&server, &mut config, new_here).await;
    if begun.is_ok() {
        stop.cancelled().await;
    }
    // Also when a part did not start: what did is stopped as it should be.
    parts.end().await;
    server.stop().await;
    begun
}

/// What runs beside the homeserver.
#[derive(Default)]
struct Parts {
    playground: Option<playground::Running>,
    playground_stop: CancellationToken,
    bridges: Vec<Box<dyn RunningBridge>>,
}

impl Parts {
    async fn begin(
        &mut self,
        server: &Server,
        config: &mut Config,
        new_here: bool,
    ) -> Result<(), Failure> {
        let mut page = None;
        if config.playground.enabled {
            let bot = &config.bridges.playground.network.bot;
            let stop = self.playground_stop.clone();
            let running =
                playground::start(&config.playground, &config.homeserver.data_dir, bot, stop)
                    .await?;
            page = Some(running.address());
            self.playground = Some(running);
            if new_here {
                let network = &mut config.bridges.playground.network;
                network.url = page.map(|address| format!("http://{address}")).unwrap_or_default();
                network.token =
                    config.playground.token.as_ref().map(|token| token.expose().to_owned());
            }
        }
        self.bridges = bridges::beside(server, config).await?;
        if new_here {
            let link = quick_start::administrator(server).await?;
            return quick_start::greet(config, link.as_deref(), page);
        }
        for address in server.addresses() {
            say(format_args!("The homeserver listens on {address}"))?;
        }
        if let Some(address) = page {
            say(format_args!("The Playground is at http://{address}/"))?;
        }
        for bridge in &self.bridges {
            say(format_args!("The bridge {} is running", bridge.id()))?;
        }
        Ok(())
    }

    async fn end(self) {
        // All at once: none depends on another.
        let stopping = self.bridges.into_iter().map(|bridge| bridge.stop(bridges::GRACE));
        futures::future::join_all(stopping).await;
        self.playground_stop.cancel();
        if let Some(playground) = self.playground
            && let Err(error) = playground.ended().await
        {
            tracing::warn!(%error, "the Playground did not stop well");
        }
    }
}
