//! What administrators ask about accounts and do to them (Client-Server API, "Server Administration", "Account moderation").

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Json, Reply};
use crate::http::router::{Route, get, put};
use crate::storage::accounts::Account;
use crate::storage::devices::Device;

const LOCK: &str = "/_matrix/client/v1/admin/lock/{userId}";
const SUSPEND: &str = "/_matrix/client/v1/admin/suspend/{userId}";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/admin/whois/{userId}", whois),
        get(LOCK, locked),
        put(LOCK, lock),
        get(SUSPEND, suspended),
        put(SUSPEND, suspend),
    ]
}

/// Where a user is logged in; users may ask for themselves.
pub(crate) async fn whois(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    if requester.user != user {
        requester.must_be_admin(&app).await?;
    }
    must_be_ours(&app, &user)?;
    if app.accounts.get(&user).await?.is_none() {
        return Err(no_user());
    }
    let devices: Map<String, Value> = app.devices.list(&user).await?.iter().map(sessions).collect();
    Ok(Reply(json!({ "user_id": user, "devices": devices })))
}

/// A device's sessions: it has one, of which the newest connection is known.
fn sessions(device: &Device) -> (String, Value) {
    let mut connection = Map::new();
    let texts = [("ip", &device.last_seen_ip), ("user_agent", &device.user_agent)];
    for (key, value) in texts {
        if let Some(value) = value {
            connection.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(at) = device.last_seen_ms {
        connection.insert("last_seen".to_owned(), json!(at));
    }
    (device.device_id.to_string(), json!({ "sessions": [{ "connections": [connection] }] }))
}

/// The account that an administrator asks about. Who asks is checked first, so that others learn nothing of who exists.
async fn target(app: &App, requester: &Requester, user: &UserId) -> ApiResult<Arc<Account>> {
    requester.must_be_admin(app).await?;
    must_be_ours(app, user)?;
    let account = app.accounts.get(user).await?.filter(|account| !account.deactivated);
    let account = account.ok_or_else(no_user)?;
    if account.admin && requester.user != user {
        return Err(ApiError::forbidden("That user is an administrator, too"));
    }
    Ok(account)
}

/// The same for what is done to the account: nobody shuts themselves out.
async fn other(app: &App, requester: &Requester, user: &UserId) -> ApiResult<()> {
    target(app, requester, user).await?;
    if requester.user == user {
        return Err(ApiError::forbidden("You can't do that to your own account"));
    }
    Ok(())
}

fn must_be_ours(app: &App, user: &UserId) -> ApiResult<()> {
    if user.server_name() == app.config.server_name {
        Ok(())
    } else {
        Err(ApiError::invalid_param("That user is not a user of this server"))
    }
}

fn no_user() -> ApiError {
    ApiError::not_found("There is no such user")
}

async fn locked(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    let account = target(&app, &requester, &user).await?;
    Ok(Reply(json!({ "locked": account.locked })))
}

#[derive(Deserialize)]
struct Lock {
    locked: bool,
}

async fn lock(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Lock>,
) -> ApiResult<Reply<Value>> {
    other(&app, &requester, &user).await?;
    app.accounts.set_locked(&user, body.locked).await?;
    Ok(Reply(json!({ "locked": body.locked })))
}

async fn suspended(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    let account = target(&app, &requester, &user).await?;
    Ok(Reply(json!({ "suspended": account.suspended })))
}

#[derive(Deserialize)]
struct Suspend {
    suspended: bool,
}

async fn suspend(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Suspend>,
) -> ApiResult<Reply<Value>> {
    other(&app, &requester, &user).await?;
    app.accounts.set_suspended(&user, body.suspended).await?;
    Ok(Reply(json!({ "suspended": body.suspended })))
}
