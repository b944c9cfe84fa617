//! The server's signing key (Server-Server API, "Retrieving server keys"): whoever has one of our events checks it with this.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::event::canonical_object;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::Reply;
use crate::http::router::{Route, get};

/// For how long others may keep the answer; the spec lets them use at most seven days of it.
const VALID_MS: i64 = 24 * 3600 * 1000;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/key/v2/server", server)]
}

async fn server(State(app): State<Arc<App>>) -> ApiResult<Reply<Value>> {
    let mut answer = json!({
        "server_name": app.key.server(),
        "valid_until_ts": app.clock.now_ms() + VALID_MS,
        "verify_keys": { app.key.id(): { "key": app.key.public() } },
        "old_verify_keys": {},
    });
    let canonical = canonical_object(&answer.to_string()).map_err(ApiError::internal)?;
    let text = serde_json::to_string(&canonical).map_err(ApiError::internal)?;
    answer["signatures"] =
        json!({ app.key.server().as_str(): { app.key.id(): app.key.sign(text.as_bytes()) } });
    Ok(Reply(answer))
}
