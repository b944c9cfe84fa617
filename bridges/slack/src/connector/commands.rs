//! The bridge bot's commands for Slack.

use std::fmt::Write as _;

use landbridge_framework::handlers::{SendError, Via};

use super::Slack;
use crate::hub::Wanted;

/// A link to install the app in a workspace.
pub(super) async fn install(Via(client): Via<Slack>) -> Result<String, SendError> {
    let config = &client.hub.config;
    let (Some(base), Some(_), Some(_)) = (&config.public_url, &config.listen, &config.client_id)
    else {
        return Ok("Browsers can't reach this bridge: set `slack.listen`, `slack.public_url`, `slack.client_id` and \
                   `slack.client_secret`. Or install the app on Slack's own page, and put its token into `slack.bot_tokens`."
            .into());
    };
    let ticket = client.hub.consent.ask(Wanted::Install);
    let base = base.trim_end_matches('/');
    Ok(format!(
        "Open {base}/slack/install?ticket={ticket} within 15 minutes, and choose the workspace."
    ))
}

/// The workspaces that the app is in.
pub(super) async fn workspaces(Via(client): Via<Slack>) -> Result<String, SendError> {
    let all = client.hub.workspaces();
    if all.is_empty() {
        return Ok("The app is in no workspace. `install` gives a link.".into());
    }
    let mut out = String::from("The app is in");
    for workspace in all {
        let _ = write!(out, "\n- {} (`{}`)", workspace.name, workspace.team);
    }
    Ok(out)
}
