//! The settings of the bridge to the Playground.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The bridge to the Playground: a small chat network of Landbridge's own, to try bridging with.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the network is reached.
    pub url: String,
    /// The network's own token, if it has one. Needed for the relay to speak.
    #[serde(skip_serializing)]
    pub token: Option<String>,
    /// The account on the network that relays: it speaks for Matrix users who have no account of their own there. It must exist. Two
    /// bridges on one network need two of them.
    pub bot: String,
    /// How long to wait for news before asking again, in seconds.
    pub poll_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8009".into(),
            token: None,
            bot: "landbridge".into(),
            poll_seconds: 25,
        }
    }
}

// By hand, so that the token never reaches a log.
impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("bot", &self.bot)
            .finish_non_exhaustive()
    }
}
