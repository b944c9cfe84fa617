//! The ways in which calls are carried ([MSC4143](https://github.com/matrix-org/matrix-spec-proposals/pull/4143)).

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::json::Reply;
use crate::http::router::{Route, get};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/unstable/org.matrix.msc4143/rtc/transports", transports)]
}

async fn transports(State(app): State<Arc<App>>, _: Requester) -> Reply<Value> {
    Reply(json!({ "rtc_transports": app.config.rtc.transports }))
}
