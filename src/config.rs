//! The program's one configuration: the homeserver's, the bridges', and what belongs to the process.

mod annotate;
mod load;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use landbridge_framework::{BridgeConfig, Network};
use landbridge_homeserver::config::Secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use annotate::annotated_default;
pub(crate) use load::{ConfigError, Loaded, load};

/// Everything that can be set. Each key can also be set by the environment: `LANDBRIDGE_`, then the key's path with two underscores
/// between its parts, as in `LANDBRIDGE_HOMESERVER__SERVER_NAME`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// What the program says about itself.
    pub(crate) log: Log,
    /// The homeserver.
    pub(crate) homeserver: landbridge_homeserver::Config,
    /// The Playground's network, as a service of this process: a small chat network to try bridging with.
    pub(crate) playground: PlaygroundService,
    /// The bridges.
    pub(crate) bridges: Bridges,
}

/// What the program says about itself while it runs, on standard error.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// What to log: `error`, `warn`, `info`, `debug` or `trace`, also per module, as in `info,landbridge_framework=debug`. The
    /// environment's `RUST_LOG` goes before it.
    pub(crate) filter: String,
    /// `text` for people, `json` for programs.
    pub(crate) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info,ruma_state_res=warn".into(), format: LogFormat::Text }
    }
}

/// How log messages are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The Playground's network as a service of this process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PlaygroundService {
    /// Whether it runs.
    pub(crate) enabled: bool,
    /// Where its page and its API are served.
    pub(crate) listen: SocketAddr,
    /// Its own token. Without one, everybody who reaches its address may do everything: leave it out on localhost only.
    pub(crate) token: Option<Secret>,
    /// The folder for what it keeps. Unset: `playground` in the homeserver's data folder.
    pub(crate) data: Option<PathBuf>,
    /// Whether it can be told to misbehave (`PUT /api/faults`), for tests.
    pub(crate) faults: bool,
}

impl Default for PlaygroundService {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8009)),
            token: None,
            data: None,
            faults: false,
        }
    }
}

/// The bridges.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Bridges {
    /// The bridge to Discord.
    pub(crate) discord: Bridge<landbridge_discord::DiscordConfig>,
    /// The bridge to IRC.
    pub(crate) irc: Bridge<landbridge_irc::IrcConfig>,
    /// The bridge to the Playground.
    pub(crate) playground: Bridge<landbridge_playground::Config>,
    /// The bridge to Slack.
    pub(crate) slack: Bridge<landbridge_slack::SlackConfig>,
    /// The bridge to Telegram.
    pub(crate) telegram: Bridge<landbridge_telegram::Config>,
}

impl Default for Bridges {
    fn default() -> Self {
        Self {
            discord: Bridge::of::<landbridge_discord::Discord>(),
            irc: Bridge::of::<landbridge_irc::Irc>(),
            playground: Bridge::of::<landbridge_playground::Playground>(),
            slack: Bridge::of::<landbridge_slack::Slack>(),
            telegram: Bridge::of::<landbridge_telegram::Telegram>(),
        }
    }
}

/// One bridge.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, bound(deserialize = "C: Default + Deserialize<'de>"))]
#[schemars(bound = "C: Default + Serialize + JsonSchema")]
#[allow(clippy::struct_field_names, reason = "fields are keys of the configuration file")]
pub(crate) struct Bridge<C> {
    /// Whether it runs with the homeserver in this process. `landbridge bridge NAME` runs it alone in any case.
    pub(crate) enabled: bool,
    /// How the bridge behaves towards Matrix.
    pub(crate) bridge: BridgeConfig,
    /// The network's own settings.
    pub(crate) network: C,
    /// Where the bridge keeps what it knows: `sqlite:PATH`, or `postgres://user:password@host/name`, where its tables get a schema of
    /// their own. Unset: a SQLite file in the data folder.
    pub(crate) database: Option<Secret>,
    /// What `landbridge bridge NAME` needs besides: the homeserver that the bridge serves, and how it is reached. Nothing of this is
    /// used when homeserver and bridge run in one process.
    pub(crate) standalone: Standalone,
}

impl<C: Default> Bridge<C> {
    /// The defaults of a network's bridge, with that network's name in the names of its users and rooms.
    fn of<N: Network<Config = C>>() -> Self {
        Self { bridge: BridgeConfig::for_network(N::ID), ..Self::default() }
    }
}

/// A bridge alone, as an application service of any homeserver.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Standalone {
    /// The address of the homeserver's Client-Server API.
    pub(crate) homeserver: String,
    /// The homeserver's name: what stands after the colon in user IDs.
    pub(crate) server_name: String,
    /// Where the bridge listens for the homeserver.
    pub(crate) listen: SocketAddr,
    /// The address under which the homeserver reaches the bridge. Unset: `http://` and `listen`.
    pub(crate) url: Option<String>,
    /// The registration file, which the homeserver must have too. `landbridge registration generate NAME` writes it. Unset:
    /// `NAME-registration.yaml` in the working folder.
    pub(crate) registration: Option<PathBuf>,
    /// The folder for what the bridge keeps. Unset: `bridge-NAME` in the working folder.
    pub(crate) data: Option<PathBuf>,
    /// The largest file that is transferred.
    pub(crate) max_media_bytes: u64,
}

impl Default for Standalone {
    fn default() -> Self {
        Self {
            homeserver: "http://127.0.0.1:8008".into(),
            server_name: "localhost".into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 29_318)),
            url: None,
            registration: None,
            data: None,
            max_media_bytes: 50 << 20,
        }
    }
}
