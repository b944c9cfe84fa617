//! Workspaces that the app is installed in, by tokens of the configuration or by the bridge's own link.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Hub, Undelivered};
use crate::{
    client::{ApiError, Session, lookup::Lookup},
    config::Secret,
    ids::Account,
    raw::Own,
};

/// Under which name the installations are kept, beside how far the channels have got.
const INSTALLS: &str = "installs";

/// A workspace that the app is installed in.
pub struct Workspace {
    /// Its identifier.
    pub team: String,
    /// Its name.
    pub name: String,
    /// The Web API as the bot may call it.
    pub session: Session,
    /// Who the bridge is there.
    pub own: Own,
    /// Its people, channels and emoji.
    pub lookup: Arc<Lookup>,
    /// The token, where it came by the bridge's link: then the bridge has to keep it.
    kept: Option<Secret>,
}

/// What is kept of the installations.
#[derive(Default, Serialize, Deserialize)]
struct Installs {
    #[serde(default)]
    tokens: BTreeMap<String, Secret>,
}

impl Hub {
    /// Finds out which workspace a bot's token is of, and adds it.
    pub(crate) async fn open_workspace(
        &self,
        token: &Secret,
        keep: bool,
    ) -> Result<Arc<Workspace>, ApiError> {
        let identity = self.api.session(token, "new").identity().await?;
        if identity.bot.is_none() {
            return Err(ApiError::Refused("not_allowed_token_type".into()));
        }
        // Named by its workspace from here on, so that the limits of one don't stop another.
        let session = self.api.session(token, &format!("{}/bot", identity.team));
        let lookup = Arc::new(Lookup::new(session.clone()));
        let own = Own { user: Some(identity.user), bot: identity.bot, app: None };
        let workspace = Workspace {
            team: identity.team,
            name: identity.team_name,
            session,
            own,
            lookup,
            kept: keep.then(|| token.clone()),
        };
        tracing::info!(team = workspace.team, name = workspace.name, "a workspace is connected");
        Ok(self.add_workspace(workspace))
    }

    /// Keeps the tokens of the installations that came by the bridge's link; durable when it returns.
    pub(crate) async fn keep_installs(&self) -> Result<(), Undelivered> {
        let listener = self.listener(&Account::App).ok_or(Undelivered::NobodyThere)?;
        let tokens = self
            .workspaces()
            .iter()
            .filter_map(|workspace| Some((workspace.team.clone(), workspace.kept.clone()?)))
            .collect();
        let kept = serde_json::to_string(&Installs { tokens })
            .map_err(|error| landbridge_framework::Closed::Store(error.to_string()))?;
        listener.inbox.put_all(Vec::new(), Some((INSTALLS, &kept))).await?;
        Ok(())
    }

    /// Opens the workspaces that were installed by the bridge's link before.
    pub(crate) async fn open_kept_installs(&self) -> Result<(), Undelivered> {
        let listener = self.listener(&Account::App).ok_or(Undelivered::NobodyThere)?;
        let Some(kept) = listener.inbox.cursor_of(INSTALLS).await? else { return Ok(()) };
        let installs: Installs = serde_json::from_str(&kept).unwrap_or_default();
        for (team, token) in installs.tokens {
            match self.open_workspace(&token, true).await {
                Ok(_) => {}
                Err(error) if error.is_logged_out() => {
                    tracing::warn!(team, %error, "a workspace no longer takes its token; install the app there again");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
