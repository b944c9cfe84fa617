//! The command line: what can be asked for, and which module does it.

mod backup;
mod bridge;
mod config;
mod doctor;
mod homeserver;
mod playground;
mod room;
mod slack;
pub(crate) mod user;

use std::{fmt::Display, io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::config::{ConfigError, Loaded, load};

/// A Matrix homeserver and its bridges in one program.
///
/// Without a command: everything that the configuration names. Without a configuration as well: a quick start on this machine, with
/// the Playground to try bridging with.
#[derive(Parser)]
#[command(name = "landbridge", version, about, long_about)]
pub(crate) struct Arguments {
    /// The configuration file [default: landbridge.toml, if it is there]
    #[arg(long, short, global = true, env = "LANDBRIDGE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the homeserver alone
    Homeserver,
    /// Run one bridge alone, as an application service of any homeserver
    Bridge {
        /// Which
        name: bridge::Name,
    },
    /// Registration files for bridges that run alone
    #[command(subcommand)]
    Registration(RegistrationCommand),
    /// What Slack wants to know
    #[command(subcommand)]
    Slack(SlackCommand),
    /// Run the Playground's network alone
    Playground(PlaygroundArguments),
    /// Print the default configuration, each key explained
    Config,
    /// Check configuration, data, addresses and registrations, and say what to do about what is wrong
    Doctor,
    /// Administer accounts
    #[command(subcommand)]
    User(user::User),
    /// Administer rooms
    #[command(subcommand)]
    Room(room::Room),
    /// Administer uploaded files
    #[command(subcommand)]
    Media(room::Media),
    /// Copy everything that is kept into a new folder, also while the program runs
    Backup {
        /// The folder, which must not exist yet
        folder: PathBuf,
    },
    /// Put a backup in the place of an empty data folder
    Restore {
        /// The folder that `backup` made
        folder: PathBuf,
    },
}

#[derive(Subcommand)]
enum SlackCommand {
    /// Print the manifest of the app that the bridge needs, to be pasted at <https://api.slack.com/apps>
    Manifest,
}

#[derive(Subcommand)]
enum RegistrationCommand {
    /// Write a bridge's registration file, with new tokens
    Generate {
        /// Of which bridge
        name: bridge::Name,
        /// Where to; - prints it [default: bridges.NAME.standalone.registration]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// What `landbridge playground` can be told besides the configuration.
#[derive(clap::Args)]
pub(crate) struct PlaygroundArguments {
    /// Where its page and its API are served [default: playground.listen]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// The folder for what it keeps [default: playground.data]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Its own token [default: playground.token; without one it is open]
    #[arg(long, env = "LANDBRIDGE_PLAYGROUND_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Let tests make it misbehave by PUT /api/faults
    #[arg(long)]
    faults: bool,
}

/// Why the program ends with a failure, in words for the person who started it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log filter.
    #[error(transparent)]
    Log(#[from] crate::logging::FilterError),
    /// The homeserver did not start.
    #[error("the homeserver did not start: {0}")]
    Homeserver(#[from] landbridge_homeserver::server::StartError),
    /// The Playground's network did not start.
    #[error("the Playground did not start: {0}")]
    Playground(#[from] landbridge_playground::network::NetworkError),
    /// A file, a folder or an address.
    #[error("{what}: {source}")]
    Io {
        /// Which.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Anything else that a sentence says.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Names what could not be used.
    pub(crate) fn io(what: impl Display) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.to_string();
        move |source| Self::Io { what, source }
    }
}

/// Does what was asked for.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let loaded = || load(arguments.config.as_deref());
    match arguments.command {
        Some(Command::Config) => config::print(),
        Some(Command::Doctor) => doctor::run(loaded()).await,
        Some(Command::Bridge { name }) => bridge::run(logged(loaded()?)?.config, name).await,
        Some(Command::Registration(RegistrationCommand::Generate { name, output })) => {
            bridge::generate(&loaded()?.config, name, output)
        }
        Some(Command::Slack(SlackCommand::Manifest)) => slack::manifest(&loaded()?.config),
        Some(Command::User(command)) => user::run(&loaded()?.config, command).await,
        Some(Command::Room(command)) => room::run(&loaded()?.config, command).await,
        Some(Command::Media(command)) => room::run_media(&loaded()?.config, command).await,
        Some(Command::Backup { folder }) => backup::backup(&loaded()?.config, &folder).await,
        Some(Command::Restore { folder }) => backup::restore(&loaded()?.config, &folder).await,
        Some(Command::Homeserver) => homeserver::run(logged(loaded()?)?.config).await,
        Some(Command::Playground(options)) => {
            playground::run(logged(loaded()?)?.config, options).await
        }
        None => Box::pin(crate::compose::run(logged(loaded()?)?)).await,
    }
}

/// Starts logging as the configuration says.
fn logged(loaded: Loaded) -> Result<Loaded, Failure> {
    crate::logging::start(&loaded.config.log)?;
    if let Some(file) = &loaded.file {
        tracing::info!(file = %file.display(), "read the configuration");
    }
    Ok(loaded)
}

/// Says something to the person who asked: on standard output, apart from the log.
pub(crate) fn say(text: impl Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::io("standard output"))
}

/// Says why the program ends, and how.
pub(crate) fn failed(error: &dyn Display) -> ExitCode {
    // Nothing is left to be done if even this can't be written.
    let _ = writeln!(std::io::stderr(), "landbridge: {error}");
    ExitCode::FAILURE
}
