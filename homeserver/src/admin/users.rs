//! Users, in the form of Synapse's admin API. Whether they are administrators stands here: bridges ask that for themselves.

mod accounts;
mod activity;
mod identifiers;
mod redaction;
mod sessions;

use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::request::Admin;
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::router::{Route, get, put};

const PATH: &str = "/_synapse/admin/v1/users/{userId}/admin";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    let mut routes = vec![get(PATH, read), put(PATH, write)];
    routes.extend(accounts::routes());
    routes.extend(activity::routes());
    routes.extend(identifiers::routes());
    routes.extend(redaction::routes());
    routes.extend(sessions::routes());
    routes
}

async fn read(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    if app.accounts.get(&user).await?.is_none() {
        return Err(ApiError::not_found("There is no such user"));
    }
    Ok(Reply(json!({ "admin": app.accounts.is_admin(&user).await? })))
}

#[derive(Deserialize)]
struct Rights {
    admin: bool,
}

async fn write(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
    Json(rights): Json<Rights>,
) -> ApiResult<Reply<Empty>> {
    if app.accounts.get(&user).await?.is_none() {
        return Err(ApiError::not_found("There is no such user"));
    }
    if user == requester.user && !rights.admin {
        return Err(ApiError::invalid_param("You can't take that right from yourself"));
    }
    app.accounts.set_admin(&user, rights.admin).await?;
    Ok(EMPTY)
}
