//! The composition: homeserver, bridges and Playground in one process, started in order and stopped in the reverse order.

pub(crate) mod playground;

use landbridge_homeserver::Server;

use crate::{
    cli::{Failure, say},
    config::Loaded,
    signals,
};

/// Runs everything that the configuration names, until the process is asked to stop.
pub(crate) async fn run(loaded: Loaded) -> Result<(), Failure> {
    let config = loaded.config;
    let stop = signals::stop_on_signals().map_err(Failure::io("signals"))?;
    let server = Server::start(config.homeserver.clone()).await?;
    let bot = &config.bridges.playground.network.bot;
    let playground = if config.playground.enabled {
        let started = playground::start(
            &config.playground,
            &config.homeserver.data_dir,
            bot,
            stop.child_token(),
        )
        .await?;
        say(format_args!("The Playground is at http://{}/", started.address()))?;
        Some(started)
    } else {
        None
    };
    stop.cancelled().await;
    if let Some(playground) = playground {
        playground.ended().await?;
    }
    server.stop().await;
    Ok(())
}
