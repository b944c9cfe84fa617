//! One's own account (Client-Server API, "Account management").

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::uia;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::services::departures;
use crate::services::uia::Auth;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/account/whoami", whoami),
        post("/_matrix/client/v3/account/password", password),
        post("/_matrix/client/v3/account/deactivate", deactivate),
        get("/_matrix/client/v3/account/3pid", third_party_ids),
    ]
}

async fn whoami(requester: Requester) -> Reply<Value> {
    let mut answer = json!({ "user_id": requester.user, "is_guest": requester.guest });
    if let Some(device) = &requester.device {
        answer["device_id"] = json!(device);
    }
    Reply(answer)
}

#[derive(Default, Deserialize)]
struct Change {
    auth: Option<Auth>,
    new_password: Option<String>,
    logout_devices: Option<bool>,
}

async fn password(
    State(app): State<Arc<App>>,
    requester: Requester,
    JsonOrEmpty(body): JsonOrEmpty<Change>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Login)?;
    uia::confirm(&app, &requester, "account/password", body.auth.as_ref()).await?;
    let new = body
        .new_password
        .as_deref()
        .ok_or_else(|| ApiError::missing_param("new_password is missing"))?;
    let hash = app.accounts.hash_password(new).await?;
    app.accounts.set_password(&requester.user, hash).await?;
    if body.logout_devices.unwrap_or(true) {
        app.sessions.end_all(&requester.user, requester.device.as_deref()).await?;
    }
    Ok(EMPTY)
}

#[derive(Default, Deserialize)]
struct Deactivate {
    auth: Option<Auth>,
    #[serde(default)]
    erase: bool,
}

async fn deactivate(
    State(app): State<Arc<App>>,
    requester: Requester,
    JsonOrEmpty(body): JsonOrEmpty<Deactivate>,
) -> ApiResult<Reply<Value>> {
    uia::confirm(&app, &requester, "account/deactivate", body.auth.as_ref()).await?;
    if body.erase {
        app.erasure.erase(&requester.user).await?;
    }
    departures::close(&app, &requester.user).await?;
    // No identifier was ever bound on an identity server from here, so there is none to unbind.
    Ok(Reply(json!({ "id_server_unbind_result": "success" })))
}

/// Identifiers such as e-mail addresses can't be added on this server (`m.3pid_changes`), so nobody has one.
async fn third_party_ids(_: Requester) -> Reply<Value> {
    Reply(json!({ "threepids": [] }))
}
