//! Send-to-device messaging (Client-Server API, "Send-to-Device messaging").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, put};
use crate::services::to_device::Messages;

/// Messages that one request may carry.
const MAX_MESSAGES: usize = 10_000;

/// Bytes of one message: as many as an event may have.
const MAX_CONTENT: usize = 65_536;

/// Bytes of a message's type.
const MAX_KIND: usize = 255;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![put("/_matrix/client/v3/sendToDevice/{eventType}/{txnId}", send)]
}

#[derive(Deserialize)]
struct Body {
    messages: Messages,
}

async fn send(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
    Path((kind, _)): Path<(String, String)>,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Message)?;
    if body.messages.values().map(std::collections::BTreeMap::len).sum::<usize>() > MAX_MESSAGES {
        return Err(ApiError::too_large(format!(
            "At most {MAX_MESSAGES} messages can be sent at once"
        )));
    }
    if kind.len() > MAX_KIND {
        return Err(ApiError::invalid_param(format!("A type may have {MAX_KIND} bytes")));
    }
    for content in body.messages.values().flat_map(std::collections::BTreeMap::values) {
        if !content.get().starts_with('{') {
            return Err(ApiError::bad_json("A message must be an object"));
        }
        if content.get().len() > MAX_CONTENT {
            return Err(ApiError::too_large(format!("A message may have {MAX_CONTENT} bytes")));
        }
    }
    let request = format!("PUT {}", uri.path());
    app.to_device
        .send(&requester.user, &kind, body.messages, requester.txn_scope(), request)
        .await?;
    Ok(EMPTY)
}
