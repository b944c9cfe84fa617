//! Tokens by which widgets and integration managers learn who somebody is (Client-Server API, "OpenID").

use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedUserId;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::http::extract::Path;
use crate::http::json::{JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::services::openid;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/v3/user/{userId}/openid/request_token", request_token)]
}

async fn request_token(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    JsonOrEmpty(_): JsonOrEmpty<Map<String, Value>>,
) -> ApiResult<Reply<Value>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    let token = openid::token(&app, &user).await?;
    Ok(Reply(json!({
        "access_token": token,
        "token_type": "Bearer",
        "matrix_server_name": app.config.server_name,
        "expires_in": openid::LIFETIME_MS / 1000,
    })))
}
