//! `GET /sync` (Client-Server API, "Syncing").

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use ruma::UserId;
use ruma::presence::PresenceState;
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::RawReply;
use crate::http::router::{Route, get};
use crate::sync::filter::Filter;
use crate::sync::v3;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v3/sync", sync)]
}

#[derive(Deserialize)]
struct Params {
    filter: Option<String>,
    since: Option<String>,
    #[serde(default)]
    full_state: bool,
    set_presence: Option<String>,
    #[serde(default)]
    timeout: u64,
    #[serde(default)]
    use_state_after: bool,
    /// The name that [`Params::use_state_after`] had before it was part of the specification; the section then has its old name, too.
    #[serde(default, rename = "org.matrix.msc4222.use_state_after")]
    unstable_use_state_after: bool,
}

async fn sync(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
) -> ApiResult<RawReply> {
    let since = match params.since.as_deref().filter(|since| !since.is_empty()) {
        Some(text) => {
            Some(text.parse().map_err(|error| ApiError::invalid_param(format!("since: {error}")))?)
        }
        None => None,
    };
    let presence = presence(params.set_presence.as_deref())?;
    let request = v3::Request {
        since,
        filter: filter(&app, &requester.user, params.filter.as_deref()).await?,
        full_state: params.full_state,
        timeout: Duration::from_millis(params.timeout),
        presence,
        state_after: match (params.use_state_after, params.unstable_use_state_after) {
            (true, _) => Some("state_after"),
            (false, true) => Some("org.matrix.msc4222.state_after"),
            (false, false) => None,
        },
    };
    let body = v3::sync(&app, &requester, request).await?;
    Ok(RawReply(body.into()))
}

/// How a user who syncs wants to be shown.
pub(super) fn presence(given: Option<&str>) -> ApiResult<PresenceState> {
    match given {
        None | Some("online") => Ok(PresenceState::Online),
        Some("unavailable") => Ok(PresenceState::Unavailable),
        Some("offline") => Ok(PresenceState::Offline),
        Some(_) => {
            Err(ApiError::invalid_param("set_presence must be online, unavailable or offline"))
        }
    }
}

/// A filter given as JSON, or by the id of one that was uploaded.
async fn filter(app: &App, user: &UserId, given: Option<&str>) -> ApiResult<Filter> {
    let given = given.unwrap_or_default();
    if given.is_empty() {
        return Ok(Filter::default());
    }
    let bad = |error: crate::sync::filter::FilterError| ApiError::bad_json(error.to_string());
    if given.starts_with('{') {
        return Filter::parse(given).map_err(bad);
    }
    let unknown = || ApiError::invalid_param("There is no such filter");
    let id = given.parse().map_err(|_| unknown())?;
    let definition = app.filters.get(user, id).await?.ok_or_else(unknown)?;
    Filter::parse(&definition).map_err(bad)
}
