//! `landbridge playground`: the Playground's network as a process of its own.

use super::{Failure, PlaygroundArguments, say};
use crate::{compose::playground, config::Config, signals};

pub(super) async fn run(config: Config, arguments: PlaygroundArguments) -> Result<(), Failure> {
    let mut service = config.playground;
    if let Some(listen) = arguments.listen {
        service.listen = listen;
    }
    if let Some(token) = arguments.token {
        service.token = Some(landbridge_homeserver::config::Secret::new(token));
    }
    service.faults |= arguments.faults;
    service.data = arguments.data.or(service.data);
    let stop = signals::stop_on_signals().map_err(Failure::io("signals"))?;
    let bot = config.bridges.playground.network.bot;
    let running = playground::start(&service, &config.homeserver.data_dir, &bot, stop).await?;
    say(format_args!("The Playground is at http://{}/", running.address()))?;
    running.ended().await
}
