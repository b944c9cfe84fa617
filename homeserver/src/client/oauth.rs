//! The OAuth 2.0 API as clients speak it (Client-Server API, "OAuth 2.0 API"). What people see of it is in
//! [`pages`](crate::pages).

mod device;
mod error;
mod metadata;
mod register;
mod revoke;
mod token;

use std::net::IpAddr;
use std::sync::Arc;

use crate::app::App;
use crate::client::oauth::error::{OAuthError, OAuthResult};
use crate::http::auth::Address;
use crate::http::error::ApiError;
use crate::http::limit::Limit;
use crate::http::params::Params;
use crate::http::router::{Route, get, post};
use crate::services::oauth::client::Client;

/// Where clients register (RFC 7591).
pub const REGISTER: &str = "/_landbridge/oauth/register";
/// Where codes and refresh tokens become access tokens.
pub const TOKEN: &str = "/_landbridge/oauth/token";
/// Where tokens are revoked (RFC 7009).
pub const REVOKE: &str = "/_landbridge/oauth/revoke";
/// Where device codes are made (RFC 8628).
pub const DEVICE: &str = "/_landbridge/oauth/device";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v1/auth_metadata", metadata::metadata),
        get("/_matrix/client/unstable/org.matrix.msc2965/auth_metadata", metadata::unstable),
        get("/.well-known/oauth-authorization-server", metadata::well_known),
        post(REGISTER, register::register),
        post(TOKEN, token::token),
        post(REVOKE, revoke::revoke),
        post(DEVICE, device::device),
    ]
}

/// The address below which OAuth 2.0 is offered; 404 `M_UNRECOGNIZED` where it isn't.
fn base(app: &App) -> Result<&str, ApiError> {
    app.config.oauth_base().ok_or_else(|| {
        let text = "Legacy authentication is in use on this homeserver.";
        ApiError { error: text.into(), ..ApiError::unrecognized() }
    })
}

/// Refuses what an authorisation server does in our stead (Client-Server API, "Authentication API discovery").
pub(crate) fn must_be_legacy(app: &App) -> Result<(), ApiError> {
    if app.delegation.is_none() {
        return Ok(());
    }
    let text = "OAuth 2.0 authentication is in use on this homeserver.";
    Err(ApiError { error: text.into(), ..ApiError::unrecognized() })
}

/// Counts a request against the limit of an address, apart from what else the address does.
fn limit(app: &App, what: &str, address: Option<IpAddr>, limit: Limit) -> OAuthResult<()> {
    let from = Address(address).key();
    Ok(app.limits.check(limit, &format!("{what} {from}"))?)
}

/// A parameter that must be there.
fn needed<'a>(params: &'a Params, name: &'static str) -> OAuthResult<&'a str> {
    params.get(name).ok_or_else(|| OAuthError::invalid_request(format!("{name} is missing")))
}

/// Refuses a form with a parameter twice.
fn once(params: &Params) -> OAuthResult<()> {
    match params.repeated() {
        Some(name) => Err(OAuthError::invalid_request(format!("{name:?} is there more than once"))),
        None => Ok(()),
    }
}

/// The client that a form names, which must be allowed a grant.
async fn client(app: &App, params: &Params, grant: &str) -> OAuthResult<Client> {
    let client = app.oauth.client(needed(params, "client_id")?).await?;
    let client = client.ok_or_else(OAuthError::invalid_client)?;
    if client.may(grant) {
        Ok(client)
    } else {
        Err(OAuthError::new("unauthorized_client", "the client did not register for that grant"))
    }
}
