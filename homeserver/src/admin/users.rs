//! Whether users are administrators, in Synapse's form: bridges ask for themselves.

use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::router::{Route, get, put};

const PATH: &str = "/_synapse/admin/v1/users/{userId}/admin";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get(PATH, read), put(PATH, write)]
}

async fn read(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    requester.must_be_admin(&app).await?;
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
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    Json(rights): Json<Rights>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be_admin(&app).await?;
    if app.accounts.get(&user).await?.is_none() {
        return Err(ApiError::not_found("There is no such user"));
    }
    if user == requester.user && !rights.admin {
        return Err(ApiError::invalid_param("You can't take that right from yourself"));
    }
    app.accounts.set_admin(&user, rights.admin).await?;
    Ok(EMPTY)
}
