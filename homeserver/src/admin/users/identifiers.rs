//! The addresses of accounts, and who their owners are at identity providers, as administrators see and set them.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::request::Admin;
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::Reply;
use crate::http::router::{Route, get};
use crate::services::sso::accounts::{of_user, owner};
use crate::services::threepids::{EMAIL, MOST, canonical, in_use, shown};
use crate::storage::external_ids::ExternalId;

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/threepid/{medium}/users/{address}", by_threepid),
        get("/_synapse/admin/v1/auth_providers/{provider}/users/{externalId}", by_external_id),
    ]
}

/// An address as administrators give it.
#[derive(Deserialize)]
pub(super) struct Address {
    medium: String,
    address: String,
}

/// Who somebody is at an identity provider, as administrators give it.
#[derive(Deserialize)]
pub(super) struct Identity {
    auth_provider: String,
    external_id: String,
}

/// Whose an address is.
async fn by_threepid(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((medium, address)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    let owner = app.threepids.owner(&medium, &address).await?;
    let owner = owner.ok_or_else(|| ApiError::not_found("No account has that address"))?;
    Ok(Reply(json!({ "user_id": owner })))
}

/// Who somebody at an identity provider is here.
async fn by_external_id(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((provider, subject)): Path<(String, String)>,
) -> ApiResult<Reply<Value>> {
    let owner = owner(&app, &ExternalId { provider, subject }).await?;
    let owner = owner.ok_or_else(|| ApiError::not_found("No account belongs to that identity"))?;
    Ok(Reply(json!({ "user_id": owner })))
}

/// The addresses of an account, as the answers have them.
pub(super) async fn addresses_of(app: &App, user: &UserId) -> ApiResult<Value> {
    let known = app.threepids.list(user).await?;
    Ok(known.iter().map(shown).collect())
}

/// Who a user is at identity providers, as the answers have it.
pub(super) async fn identities_of(app: &App, user: &UserId) -> ApiResult<Value> {
    let known = of_user(app, user).await?;
    let shown =
        |id: &ExternalId| json!({ "auth_provider": id.provider, "external_id": id.subject });
    Ok(known.iter().map(shown).collect())
}

/// Checks the addresses that an account is to have, and gives them in their canonical form.
pub(super) async fn addresses(
    app: &App,
    user: &UserId,
    given: &[Address],
) -> ApiResult<Vec<String>> {
    if given.len() > MOST {
        return Err(ApiError::invalid_param(format!("An account may have {MOST} addresses")));
    }
    let mut addresses = Vec::with_capacity(given.len());
    for Address { medium, address } in given {
        let address = canonical(medium, address).ok_or_else(|| {
            ApiError::invalid_param("Only e-mail addresses can be given to accounts here")
        })?;
        if app.threepids.owner(EMAIL, &address).await?.is_some_and(|owner| owner != user) {
            return Err(in_use());
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// Checks who the owner of an account is to be at identity providers.
pub(super) async fn identities(
    app: &App,
    user: &UserId,
    given: &[Identity],
) -> ApiResult<Vec<ExternalId>> {
    let known = of_user(app, user).await?;
    let mut ids = Vec::with_capacity(given.len());
    for Identity { auth_provider, external_id } in given {
        let id = ExternalId { provider: auth_provider.clone(), subject: external_id.clone() };
        // One from a provider that the settings name no more may stay: tools send back what they read.
        if app.sso.provider(&id.provider).is_none() && !known.contains(&id) {
            let text = format!("The settings name no identity provider {auth_provider:?}");
            return Err(ApiError::invalid_param(text));
        }
        if owner(app, &id).await?.is_some_and(|owner| owner != user) {
            let text = "That identity belongs to another account";
            return Err(ApiError::new(StatusCode::CONFLICT, "M_UNKNOWN", text));
        }
        ids.push(id);
    }
    Ok(ids)
}
