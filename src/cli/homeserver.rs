//! `landbridge homeserver`: the homeserver alone, for any client and any bridge.

use landbridge_homeserver::Server;

use super::{Failure, say};
use crate::{config::Config, signals};

pub(super) async fn run(config: Config) -> Result<(), Failure> {
    let stop = signals::stop_on_signals().map_err(Failure::io("signals"))?;
    let server = Server::start(config.homeserver).await?;
    signals::reload_on_hangup(server.app()).map_err(Failure::io("signals"))?;
    for address in server.addresses() {
        say(format_args!("The homeserver listens on {address}"))?;
    }
    stop.cancelled().await;
    server.stop().await;
    Ok(())
}
