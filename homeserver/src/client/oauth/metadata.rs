//! What this authorisation server can do (RFC 8414; Client-Server API, "Server metadata discovery").

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde_json::json;

use super::{DEVICE, REGISTER, REVOKE, TOKEN, base};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::Reply;
use crate::pages::{account, authorize, sign_up};
use crate::services::oauth::client::GRANTS;

/// For how long clients may keep the answer.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=600");

pub(super) async fn metadata(State(app): State<Arc<App>>) -> ApiResult<Response> {
    answer(&app, &account::ACTIONS).await
}

/// The same as MSC2965 had it, with the names that the actions about an account had in its time: the specification's list has no others.
pub(super) async fn unstable(State(app): State<Arc<App>>) -> ApiResult<Response> {
    answer(&app, &account::actions_with_old_names()).await
}

/// The same where RFC 8414 has it, for this server's own name only: a client that asks here for another's metadata would not
/// believe them (RFC 8414, 3.3).
pub(super) async fn well_known(State(app): State<Arc<App>>) -> ApiResult<Response> {
    if app.delegation.is_some() {
        return Err(ApiError::unrecognized());
    }
    answer(&app, &account::ACTIONS).await
}

async fn answer(app: &App, actions: &[&str]) -> ApiResult<Response> {
    if let Some(delegation) = &app.delegation {
        let told = delegation.metadata().await?;
        return Ok(cached(Reply(told)));
    }
    let base = base(app)?;
    let at = |path: &str| format!("{base}{path}");
    let mut told = json!({
        "issuer": authorize::issuer(base),
        "authorization_endpoint": at(authorize::PATH),
        "token_endpoint": at(TOKEN),
        "registration_endpoint": at(REGISTER),
        "revocation_endpoint": at(REVOKE),
        "device_authorization_endpoint": at(DEVICE),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment"],
        "grant_types_supported": GRANTS,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "revocation_endpoint_auth_methods_supported": ["none"],
        "authorization_response_iss_parameter_supported": true,
        "account_management_uri": at(account::PATH),
        "account_management_actions_supported": actions,
    });
    if sign_up::is_open(app).await? {
        told["prompt_values_supported"] = json!(["create"]);
    }
    Ok(cached(Reply(told)))
}

fn cached(answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, CACHED);
    response
}
