//! Device codes for clients without a browser (RFC 8628; Client-Server API, "Device authorisation flow").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use super::error::{OAuthError, OAuthResult, unstored};
use super::{base, client, limit, needed, once};
use crate::app::App;
use crate::http::auth::Address;
use crate::http::error::ApiError;
use crate::http::json::Reply;
use crate::http::limit::Limit;
use crate::http::params::Params;
use crate::pages::link;
use crate::services::oauth::client::DEVICE_CODE;
use crate::services::oauth::scope::Scope;
use crate::services::oauth::{DEVICE_CODE_MS, INTERVAL_MS};

pub(super) async fn device(
    State(app): State<Arc<App>>,
    Address(address): Address,
    request: Request,
) -> OAuthResult<Response> {
    let base = base(&app)?;
    limit(&app, "oauth device", address, Limit::Login)?;
    let params = Params::read(request).await?;
    once(&params)?;
    let client = client(&app, &params, DEVICE_CODE).await?;
    let scope = Scope::parse(needed(&params, "scope")?).ok_or_else(|| {
        OAuthError::new("invalid_scope", "ask for urn:matrix:client:api:* and one device")
    })?;
    let new = app.oauth.device_code(&client, &scope, &Address(address).key()).await?.ok_or_else(
        || {
            let text = "Too many wait for a decision already";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", text)
        },
    )?;
    let page = format!("{base}{}", link::PATH);
    let answer = json!({
        "device_code": new.device_code,
        "user_code": new.user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={}", new.user_code),
        "expires_in": DEVICE_CODE_MS / 1000,
        "interval": INTERVAL_MS / 1000,
    });
    Ok(unstored(Reply(answer).into_response()))
}
