//! Who an OpenID token belongs to (Server-Server API, "OpenID"). Widgets' servers ask this; nobody has to sign the question.

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use serde_json::{Value, json};

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::query_one;
use crate::http::json::Reply;
use crate::http::router::{Route, get};
use crate::services::openid;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/federation/v1/openid/userinfo", userinfo)]
}

async fn userinfo(
    State(app): State<Arc<App>>,
    OriginalUri(uri): OriginalUri,
) -> ApiResult<Reply<Value>> {
    let token = query_one(&uri, "access_token").ok_or_else(ApiError::missing_token)?;
    match openid::owner(&app, &token).await? {
        Some(user) => Ok(Reply(json!({ "sub": user }))),
        None => Err(ApiError::unknown_token(false)),
    }
}
