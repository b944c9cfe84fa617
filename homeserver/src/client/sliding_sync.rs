//! Simplified sliding sync ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186)).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use ruma::presence::PresenceState;
use serde::Deserialize;

use crate::app::App;
use crate::client::sync::presence;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::http::extract::Query;
use crate::http::json::{JsonOrEmpty, RawReply};
use crate::http::router::{Route, post};
use crate::sync::sliding::{self, Body, Manner, Request};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", sync)]
}

#[derive(Deserialize)]
struct Params {
    pos: Option<String>,
    #[serde(default)]
    timeout: u64,
    set_presence: Option<String>,
}

async fn sync(
    State(app): State<Arc<App>>,
    requester: Requester,
    Query(params): Query<Params>,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<RawReply> {
    let presence: PresenceState = presence(params.set_presence.as_deref())?;
    let request = Request::of(body, &requester.user)?;
    let manner = Manner {
        pos: params.pos.filter(|pos| !pos.is_empty()),
        timeout: Duration::from_millis(params.timeout),
        presence,
    };
    let body = sliding::sync(&app, &requester, request, manner).await?;
    Ok(RawReply(body.into()))
}
