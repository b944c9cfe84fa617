//! Revoking tokens (RFC 7009; Client-Server API, "Token revocation").

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};

use super::error::{OAuthResult, unstored};
use super::{base, limit, needed, once};
use crate::app::App;
use crate::http::auth::Address;
use crate::http::json::EMPTY;
use crate::http::limit::Limit;
use crate::http::params::Params;

/// Ends the session of a token, with its device. Whoever has the token may do that, whatever client they say they are: so does
/// who has found a token where it shouldn't be.
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Address(address): Address,
    request: Request,
) -> OAuthResult<Response> {
    base(&app)?;
    limit(&app, "oauth revocation", address, Limit::Other)?;
    let params = Params::read(request).await?;
    once(&params)?;
    let token = needed(&params, "token")?;
    if let Some((user, device)) = app.sessions.owner(token).await? {
        if device.as_str().is_empty() {
            // An administrator acts as the user; nothing of the user's own ends.
            app.sessions.end_token(token).await?;
            return Ok(unstored(EMPTY.into_response()));
        }
        app.sessions.end(&user, std::slice::from_ref(&device)).await?;
        app.devices.forget(&user, &[device]);
    }
    Ok(unstored(EMPTY.into_response()))
}
