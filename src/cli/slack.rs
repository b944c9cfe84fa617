//! `landbridge slack manifest`: what Slack wants to know to make the app.

use super::{Failure, say};
use crate::config::Config;

/// Prints the manifest for the configuration.
pub(super) fn manifest(config: &Config) -> Result<(), Failure> {
    let manifest = landbridge_slack::manifest::manifest(&config.bridges.slack.network);
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|error| Failure::Other(error.to_string()))?;
    say(text)
}
