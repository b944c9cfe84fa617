//! `landbridge bridge NAME` and `landbridge registration generate NAME`: one bridge as an ordinary application service of any homeserver.

use std::path::PathBuf;

use clap::ValueEnum;
use landbridge_discord::Discord;
use landbridge_framework::Network;
use landbridge_irc::Irc;
use landbridge_playground::Playground;
use landbridge_slack::Slack;
use landbridge_telegram::Telegram;

use super::{Failure, say};
use crate::{
    compose::{bridges, registration},
    config::{Bridge, Config},
    signals,
};

/// The bridges there are.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Name {
    /// Discord
    Discord,
    /// IRC
    Irc,
    /// The Playground
    Playground,
    /// Slack
    Slack,
    /// Telegram
    Telegram,
}

/// Runs a bridge until the process is asked to stop.
pub(super) async fn run(config: Config, name: Name) -> Result<(), Failure> {
    let stop = signals::stop_on_signals().map_err(Failure::io("signals"))?;
    let alone = match name {
        Name::Discord => bridges::alone::<Discord>(&config.bridges.discord).await?,
        Name::Irc => bridges::alone::<Irc>(&config.bridges.irc).await?,
        Name::Playground => bridges::alone::<Playground>(&config.bridges.playground).await?,
        Name::Slack => bridges::alone::<Slack>(&config.bridges.slack).await?,
        Name::Telegram => bridges::alone::<Telegram>(&config.bridges.telegram).await?,
    };
    say(format_args!("The bridge listens for its homeserver on {}", alone.address()))?;
    alone.serve(stop).await
}

/// Writes a bridge's registration file, or prints it with `-`. A file that is there is not written over.
pub(super) fn generate(
    config: &Config,
    name: Name,
    output: Option<PathBuf>,
) -> Result<(), Failure> {
    match name {
        Name::Discord => generate_of::<Discord>(&config.bridges.discord, output),
        Name::Irc => generate_of::<Irc>(&config.bridges.irc, output),
        Name::Playground => generate_of::<Playground>(&config.bridges.playground, output),
        Name::Slack => generate_of::<Slack>(&config.bridges.slack, output),
        Name::Telegram => generate_of::<Telegram>(&config.bridges.telegram, output),
    }
}

fn generate_of<N: Network>(
    bridge: &Bridge<N::Config>,
    output: Option<PathBuf>,
) -> Result<(), Failure> {
    let (name, at) = (N::ID, &bridge.standalone);
    let registration =
        registration::generate(name, &bridge.bridge, &at.server_name, Some(&at.public_url()))?;
    let path = output.unwrap_or_else(|| at.registration_file(name));
    if path.as_os_str() == "-" {
        return say(registration.to_yaml().trim_end());
    }
    if path.exists() {
        return Err(Failure::Other(format!(
            "{} is there already: move it away for a new one",
            path.display()
        )));
    }
    registration::write(&path, &registration)?;
    say(format_args!(
        "Wrote {}. Give a copy to the homeserver (Synapse: app_service_config_files; Landbridge: homeserver.appservices.directory) and \
         restart it, then: landbridge bridge {name}",
        path.display()
    ))
}
