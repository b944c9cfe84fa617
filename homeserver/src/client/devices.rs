//! One's devices (Client-Server API, "Device Management").

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ruma::OwnedDeviceId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::uia;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, post, put};
use crate::services::uia::Auth;
use crate::storage::devices::Device;

/// Longer names than this are refused.
pub(super) const MAX_NAME: usize = 1_024;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/devices", list),
        get("/_matrix/client/v3/devices/{deviceId}", one),
        put("/_matrix/client/v3/devices/{deviceId}", rename),
        delete("/_matrix/client/v3/devices/{deviceId}", remove),
        post("/_matrix/client/v3/delete_devices", remove_many),
    ]
}

fn shown(device: &Device) -> Value {
    let mut shown = Map::new();
    shown.insert("device_id".to_owned(), json!(device.device_id));
    for (key, value) in
        [("display_name", &device.display_name), ("last_seen_ip", &device.last_seen_ip)]
    {
        if let Some(value) = value {
            shown.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(ts) = device.last_seen_ms {
        shown.insert("last_seen_ts".to_owned(), json!(ts));
    }
    Value::Object(shown)
}

async fn list(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    let devices = app.devices.list(&requester.user).await?;
    let devices: Vec<_> = devices.iter().map(shown).collect();
    Ok(Reply(json!({ "devices": devices })))
}

fn no_device() -> ApiError {
    ApiError::not_found("You have no such device")
}

async fn one(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedDeviceId>,
) -> ApiResult<Reply<Value>> {
    let device = app.devices.get(&requester.user, &id).await?.ok_or_else(no_device)?;
    Ok(Reply(shown(&device)))
}

#[derive(Default, Deserialize)]
struct Rename {
    display_name: Option<String>,
}

async fn rename(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedDeviceId>,
    JsonOrEmpty(body): JsonOrEmpty<Rename>,
) -> ApiResult<Response> {
    requester.limit(&app, Limit::Other)?;
    if body.display_name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
        return Err(ApiError::too_large(format!("A device's name may have {MAX_NAME} bytes")));
    }
    let manages = requester.appservice.as_ref().is_some_and(|service| service.device_management());
    if manages && app.devices.get(&requester.user, &id).await?.is_none() {
        if app.keys.is_taken(&requester.user, &id).await? {
            return Err(ApiError::forbidden("A cross-signing key has that name"));
        }
        // A device without a login (MSC4190).
        app.devices.create(&requester.user, &id, body.display_name).await?;
        return Ok((StatusCode::CREATED, EMPTY).into_response());
    }
    let exists = match body.display_name {
        Some(name) => app.devices.rename(&requester.user, &id, Some(name)).await?,
        None => app.devices.get(&requester.user, &id).await?.is_some(),
    };
    if exists { Ok(EMPTY.into_response()) } else { Err(no_device()) }
}

#[derive(Default, Deserialize)]
struct Authed {
    auth: Option<Auth>,
}

async fn remove(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedDeviceId>,
    JsonOrEmpty(body): JsonOrEmpty<Authed>,
) -> ApiResult<Reply<Empty>> {
    delete_all(&app, &requester, vec![id], body.auth.as_ref()).await
}

#[derive(Deserialize)]
struct RemoveMany {
    devices: Vec<OwnedDeviceId>,
    auth: Option<Auth>,
}

async fn remove_many(
    State(app): State<Arc<App>>,
    requester: Requester,
    crate::http::json::Json(body): crate::http::json::Json<RemoveMany>,
) -> ApiResult<Reply<Empty>> {
    delete_all(&app, &requester, body.devices, body.auth.as_ref()).await
}

async fn delete_all(
    app: &App,
    requester: &Requester,
    ids: Vec<OwnedDeviceId>,
    auth: Option<&Auth>,
) -> ApiResult<Reply<Empty>> {
    uia::confirm(app, requester, "delete_devices", auth).await?;
    app.sessions.end(&requester.user, &ids).await?;
    app.devices.forget(&requester.user, &ids);
    Ok(EMPTY)
}
