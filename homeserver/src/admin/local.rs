//! Accounts, administered by whoever owns the data folder: `landbridge user` speaks to these, with the token in `admin.token` there. The
//! file's owner could as well change the database; so no account's password or session is asked for.

use std::{io::ErrorKind, sync::Arc};

use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    app::App,
    client::account::close,
    http::{
        auth::access_token,
        error::{ApiError, ApiResult},
        extract::{Path, Query},
        json::{EMPTY, Empty, JsonOrEmpty, Reply},
        router::{Route, get, post, put},
    },
    services::{accounts::new_user_id, welcome},
    storage::{
        accounts::{Account, Kind},
        tokens::TokenHash,
    },
};

/// The file with the token, in the data folder.
pub const TOKEN_FILE: &str = "admin.token";

const USERS: &str = "/_landbridge/admin/v1/users";
const USER: &str = "/_landbridge/admin/v1/users/{userId}";
const LINK: &str = "/_landbridge/admin/v1/users/{userId}/link";
const DEACTIVATE: &str = "/_landbridge/admin/v1/users/{userId}/deactivate";
const MOST: usize = 1_000;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get(USERS, list), put(USER, change), post(LINK, link), post(DEACTIVATE, deactivate)]
}

/// Somebody who can read the data folder.
struct Owner;

impl FromRequestParts<Arc<App>> for Owner {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> ApiResult<Self> {
        let given = access_token(&parts.headers, &parts.uri).ok_or_else(ApiError::missing_token)?;
        if is_owner(app, &given).await? { Ok(Self) } else { Err(ApiError::unknown_token(false)) }
    }
}

/// Whether a token is the one in the data folder.
pub(super) async fn is_owner(app: &App, given: &str) -> ApiResult<bool> {
    let token = match tokio::fs::read_to_string(app.config.data_dir.join(TOKEN_FILE)).await {
        Ok(token) => token,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(ApiError::internal(error)),
    };
    let token = token.trim();
    // The hashes are compared: how long that takes says nothing of the token.
    Ok(token.len() >= 32 && TokenHash::of(token) == TokenHash::of(given))
}

#[derive(Deserialize)]
struct Search {
    #[serde(default)]
    search: String,
}

async fn list(
    State(app): State<Arc<App>>,
    _: Owner,
    Query(query): Query<Search>,
) -> ApiResult<Reply<Value>> {
    let mut users = Vec::new();
    for found in app.accounts.search(&query.search, None, false, MOST).await? {
        let Some(account) = app.accounts.get(&found.user_id).await? else { continue };
        users.push(json!({
            "user_id": found.user_id,
            "displayname": found.displayname,
            "admin": account.admin,
            "deactivated": account.deactivated,
            "has_password": account.password.is_some(),
            "appservice": account.appservice,
        }));
    }
    Ok(Reply(json!({ "users": users })))
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    password: Option<String>,
    admin: Option<bool>,
}

/// Makes the account where it is missing, and sets what is given.
async fn change(
    State(app): State<Arc<App>>,
    _: Owner,
    Path(user): Path<OwnedUserId>,
    JsonOrEmpty(change): JsonOrEmpty<Change>,
) -> ApiResult<Reply<Value>> {
    let password = match &change.password {
        Some(password) => Some(app.accounts.hash_password(password).await?),
        None => None,
    };
    let created = app.accounts.get(&user).await?.is_none();
    if created {
        create(&app, &user, password, change.admin.unwrap_or_default()).await?;
    } else {
        if let Some(password) = password {
            app.accounts.set_password(&user, password).await?;
            app.sessions.end_all(&user, None).await?;
        }
        if let Some(admin) = change.admin {
            app.accounts.set_admin(&user, admin).await?;
        }
    }
    Ok(Reply(json!({ "user_id": user, "created": created })))
}

async fn create(app: &App, user: &UserId, password: Option<String>, admin: bool) -> ApiResult<()> {
    if user.server_name() != app.config.server_name {
        return Err(ApiError::invalid_param(format!(
            "This server's users end in :{}",
            app.config.server_name
        )));
    }
    let user_id = new_user_id(user.localpart(), &app.config.server_name)?;
    app.accounts.create(Account { password, admin, ..Account::new(user_id, Kind::User) }).await
}

/// Makes a one-time link by which the account's password is set.
async fn link(
    State(app): State<Arc<App>>,
    _: Owner,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    must_be_active(&app, &user).await?;
    let path = welcome::link(&app, &user).await?;
    Ok(Reply(json!({ "path": path, "expires_in_ms": welcome::LIFETIME_MS })))
}

async fn deactivate(
    State(app): State<Arc<App>>,
    _: Owner,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Empty>> {
    must_be_active(&app, &user).await?;
    close(&app, &user, None).await?;
    Ok(EMPTY)
}

async fn must_be_active(app: &App, user: &UserId) -> ApiResult<()> {
    if app.accounts.active(user).await? {
        Ok(())
    } else {
        Err(ApiError::not_found("There is no such user"))
    }
}
