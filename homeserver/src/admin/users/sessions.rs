//! How users get in: passwords, devices, acting as them, and closing their accounts.

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::request::{Admin, account};
use crate::app::App;
use crate::client::account::close;
use crate::client::server_admin::whois;
use crate::client::threepids::unbind_result;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, JsonOrEmpty, Reply};
use crate::http::router::{Route, delete, get, post, put};
use crate::storage::devices::Device;

const DEVICES: &str = "/_synapse/admin/v2/users/{userId}/devices";
const DEVICE: &str = "/_synapse/admin/v2/users/{userId}/devices/{deviceId}";
const REPLACE_KEYS: &str =
    "/_synapse/admin/v1/users/{userId}/_allow_cross_signing_replacement_without_uia";
/// For how long keys may be replaced then.
const REPLACE_MS: i64 = 10 * 60 * 1000;
/// The longest name and ID of a device.
const MAX_NAME: usize = 1_024;
const MAX_ID: usize = 255;

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_synapse/admin/v1/deactivate/{userId}", deactivate),
        post("/_synapse/admin/v1/reset_password/{userId}", reset_password),
        put("/_synapse/admin/v1/suspend/{userId}", suspend),
        post("/_synapse/admin/v1/users/{userId}/login", act_as),
        get("/_synapse/admin/v1/whois/{userId}", whois),
        post(REPLACE_KEYS, let_replace_keys),
        get(DEVICES, list),
        post(DEVICES, create),
        get(DEVICE, one),
        put(DEVICE, rename),
        delete(DEVICE, remove),
        post("/_synapse/admin/v2/users/{userId}/delete_devices", remove_many),
    ]
}

#[derive(Default, Deserialize)]
struct Deactivate {
    /// Whether what the user said is shown redacted to those who were not there.
    #[serde(default)]
    erase: bool,
}

async fn deactivate(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    JsonOrEmpty(body): JsonOrEmpty<Deactivate>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    if body.erase {
        app.erasure.erase(&user).await?;
    }
    let unbound = close(&app, &user, None).await?;
    Ok(Reply(json!({ "id_server_unbind_result": unbind_result(unbound) })))
}

#[derive(Deserialize)]
struct Suspend {
    suspend: bool,
}

async fn suspend(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Suspend>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    if user == requester.user {
        return Err(ApiError::invalid_param("You can't suspend yourself"));
    }
    app.accounts.set_suspended(&user, body.suspend).await?;
    let key = format!("user_{user}_suspended");
    Ok(Reply(Value::Object(serde_json::Map::from_iter([(key, json!(body.suspend))]))))
}

#[derive(Deserialize)]
struct ResetPassword {
    new_password: String,
    logout_devices: Option<bool>,
}

async fn reset_password(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<ResetPassword>,
) -> ApiResult<Reply<Empty>> {
    if account(&app, &user).await?.deactivated {
        return Err(ApiError::invalid_param("The account is closed"));
    }
    let hash = app.accounts.hash_password(&body.new_password).await?;
    app.accounts.set_password(&user, hash).await?;
    if body.logout_devices.unwrap_or(true) {
        app.sessions.end_all(&user, None).await?;
    }
    Ok(EMPTY)
}

#[derive(Default, Deserialize)]
struct ActAs {
    valid_until_ms: Option<i64>,
}

async fn act_as(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
    JsonOrEmpty(body): JsonOrEmpty<ActAs>,
) -> ApiResult<Reply<Value>> {
    if account(&app, &user).await?.deactivated {
        return Err(ApiError::invalid_param("The account is closed"));
    }
    if user == requester.user {
        return Err(ApiError::invalid_param("You can't log in as yourself this way"));
    }
    tracing::info!(admin = %requester.user, %user, "an administrator gets a token to act as a user");
    let token = app.sessions.act_as(&user, &requester.user, body.valid_until_ms).await?;
    Ok(Reply(json!({ "access_token": token })))
}

/// Lets a user who can't confirm it, having no password, replace the cross-signing keys.
async fn let_replace_keys(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let until = app.clock.now_ms() + REPLACE_MS;
    if !app.keys.allow_replacement(&user, until).await? {
        return Err(ApiError::not_found("The user has no cross-signing keys"));
    }
    tracing::info!(admin = %requester.user, %user, "cross-signing keys may be replaced for a while");
    Ok(Reply(json!({ "updatable_without_uia_before_ms": until })))
}

async fn shown(app: &App, user: &UserId, device: &Device) -> ApiResult<Value> {
    let dehydrated = app.keys.is_dehydrated(user, &device.device_id).await?;
    Ok(json!({
        "device_id": device.device_id,
        "display_name": device.display_name,
        "last_seen_ip": device.last_seen_ip,
        "last_seen_ts": device.last_seen_ms,
        "last_seen_user_agent": device.user_agent,
        "user_id": user,
        "dehydrated": dehydrated,
    }))
}

async fn list(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let mut devices = Vec::new();
    for device in app.devices.list(&user).await? {
        devices.push(shown(&app, &user, &device).await?);
    }
    Ok(Reply(json!({ "total": devices.len(), "devices": devices })))
}

#[derive(Deserialize)]
struct Create {
    device_id: OwnedDeviceId,
}

async fn create(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Create>,
) -> ApiResult<Reply<Empty>> {
    if account(&app, &user).await?.deactivated {
        return Err(ApiError::invalid_param("The account is closed"));
    }
    if !(1..=MAX_ID).contains(&body.device_id.as_str().len()) {
        return Err(ApiError::invalid_param(format!("device_id must have 1 to {MAX_ID} bytes")));
    }
    if app.devices.get(&user, &body.device_id).await?.is_none() {
        if app.keys.is_taken(&user, &body.device_id).await? {
            return Err(ApiError::invalid_param("A cross-signing key has that name"));
        }
        app.devices.create(&user, &body.device_id, None).await?;
    }
    Ok(EMPTY)
}

fn no_device() -> ApiError {
    ApiError::not_found("The user has no such device")
}

async fn one(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((user, id)): Path<(OwnedUserId, OwnedDeviceId)>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let device = app.devices.get(&user, &id).await?.ok_or_else(no_device)?;
    Ok(Reply(shown(&app, &user, &device).await?))
}

#[derive(Default, Deserialize)]
struct Rename {
    display_name: Option<String>,
}

async fn rename(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((user, id)): Path<(OwnedUserId, OwnedDeviceId)>,
    JsonOrEmpty(body): JsonOrEmpty<Rename>,
) -> ApiResult<Reply<Empty>> {
    account(&app, &user).await?;
    if body.display_name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
        return Err(ApiError::too_large(format!("A device's name may have {MAX_NAME} bytes")));
    }
    app.devices.get(&user, &id).await?.ok_or_else(no_device)?;
    if let Some(name) = body.display_name {
        app.devices.rename(&user, &id, Some(name)).await?;
    }
    Ok(EMPTY)
}

async fn remove(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((user, id)): Path<(OwnedUserId, OwnedDeviceId)>,
) -> ApiResult<Reply<Empty>> {
    account(&app, &user).await?;
    app.devices.get(&user, &id).await?.ok_or_else(no_device)?;
    end(&app, &user, vec![id]).await
}

#[derive(Deserialize)]
struct RemoveMany {
    devices: Vec<OwnedDeviceId>,
}

async fn remove_many(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<RemoveMany>,
) -> ApiResult<Reply<Empty>> {
    account(&app, &user).await?;
    end(&app, &user, body.devices).await
}

async fn end(app: &App, user: &UserId, ids: Vec<OwnedDeviceId>) -> ApiResult<Reply<Empty>> {
    app.sessions.end(user, &ids).await?;
    app.devices.forget(user, &ids);
    Ok(EMPTY)
}
