//! What a matrix-authentication-service tells the homeserver about accounts and devices, as Synapse takes it: it keeps them, and we follow
//! (`/_synapse/mas`).

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{StatusCode, Uri};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::account::close;
use crate::client::register::free;
use crate::http::auth::access_token;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::router::{Route, get, post};
use crate::services::accounts::new_user_id;
use crate::services::profiles::{AVATAR_URL, DISPLAYNAME};
use crate::services::threepids::{EMAIL, MOST, canonical};
use crate::storage::accounts::{Account, Kind};

/// The longest device ID.
const MAX_DEVICE_ID: usize = 255;
/// The longest name of a device.
const MAX_NAME: usize = 1_024;
/// The most devices that an account may be given at once.
const MAX_DEVICES: usize = 10_000;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/mas/query_user", query_user),
        post("/_synapse/mas/provision_user", provision_user),
        get("/_synapse/mas/is_localpart_available", is_localpart_available),
        post("/_synapse/mas/delete_user", delete_user),
        post("/_synapse/mas/reactivate_user", reactivate_user),
        post("/_synapse/mas/set_displayname", set_displayname),
        post("/_synapse/mas/unset_displayname", unset_displayname),
        post("/_synapse/mas/allow_cross_signing_reset", allow_cross_signing_reset),
        post("/_synapse/mas/upsert_device", upsert_device),
        post("/_synapse/mas/update_device_display_name", rename_device),
        post("/_synapse/mas/delete_device", delete_device),
        post("/_synapse/mas/sync_devices", sync_devices),
    ]
}

/// A request that has shown the secret.
struct FromMas;

impl FromRequestParts<Arc<App>> for FromMas {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let delegation = app.delegation.as_ref().ok_or_else(ApiError::unrecognized)?;
        // Not from the query, which proxies log.
        let secret =
            access_token(&parts.headers, &Uri::default()).ok_or_else(ApiError::missing_token)?;
        if delegation.shares(&secret) {
            Ok(Self)
        } else {
            Err(ApiError::forbidden("Only the authentication service may do that"))
        }
    }
}

fn id(app: &App, localpart: &str) -> ApiResult<OwnedUserId> {
    UserId::parse(format!("@{localpart}:{}", app.config.server_name))
        .map_err(|_| ApiError::invalid_param("localpart is not one of a user ID"))
}

/// The user with a name, who must exist.
async fn find(app: &App, localpart: &str) -> ApiResult<Arc<Account>> {
    let account = app.accounts.get(&id(app, localpart)?).await?;
    account.ok_or_else(|| ApiError::not_found("User not found"))
}

#[derive(Deserialize)]
struct Named {
    localpart: String,
}

async fn query_user(
    State(app): State<Arc<App>>,
    _: FromMas,
    Query(query): Query<Named>,
) -> ApiResult<Reply<Value>> {
    let account = find(&app, &query.localpart).await?;
    let profile = app.profiles.get(&account.user_id).await?;
    Ok(Reply(json!({
        "user_id": account.user_id,
        "display_name": profile.get(DISPLAYNAME),
        "avatar_url": profile.get(AVATAR_URL),
        "is_suspended": account.suspended,
        "is_deactivated": account.deactivated,
    })))
}

#[derive(Deserialize)]
struct Provision {
    localpart: String,
    #[serde(default)]
    unset_displayname: bool,
    set_displayname: Option<String>,
    #[serde(default)]
    unset_avatar_url: bool,
    set_avatar_url: Option<String>,
    #[serde(default)]
    unset_emails: bool,
    set_emails: Option<Vec<String>>,
    locked: Option<bool>,
}

async fn provision_user(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Provision>,
) -> ApiResult<Response> {
    for (set, unset, what) in [
        (body.set_displayname.is_some(), body.unset_displayname, "displayname"),
        (body.set_avatar_url.is_some(), body.unset_avatar_url, "avatar_url"),
        (body.set_emails.is_some(), body.unset_emails, "emails"),
    ] {
        if set && unset {
            return Err(ApiError::invalid_param(format!("{what} can't be set and unset at once")));
        }
    }
    let user = id(&app, &body.localpart)?;
    let created = app.accounts.get(&user).await?.is_none();
    if created {
        // The service has looked whether the name is free; names of application services may be theirs by its wish.
        let user = new_user_id(&body.localpart, &app.config.server_name)?;
        match app.accounts.create(Account::new(user, Kind::User)).await {
            // It came twice at once.
            Err(error) if error.errcode == "M_USER_IN_USE" => {}
            other => other?,
        }
    }
    let mut fields = Map::new();
    for (field, set, unset) in [
        (DISPLAYNAME, body.set_displayname, body.unset_displayname),
        (AVATAR_URL, body.set_avatar_url, body.unset_avatar_url),
    ] {
        if let Some(text) = set {
            fields.insert(field.to_owned(), text.into());
        } else if unset {
            fields.insert(field.to_owned(), Value::Null);
        }
    }
    if !fields.is_empty() {
        app.profiles.merge(&user, fields, false).await?;
    }
    if body.set_emails.is_some() || body.unset_emails {
        set_emails(&app, &user, &body.set_emails.unwrap_or_default()).await?;
    }
    if let Some(locked) = body.locked {
        app.accounts.set_locked(&user, locked).await?;
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, EMPTY).into_response())
}

/// Follows the service in whose e-mail addresses are whose. Its newest word holds: what it gives to one account, another has no more. What
/// can't be followed is left out, since the service would ask for it again for ever.
async fn set_emails(app: &App, user: &UserId, emails: &[String]) -> ApiResult<()> {
    if app.accounts.get(user).await?.is_some_and(|account| account.deactivated) {
        return Ok(());
    }
    let mut addresses = Vec::new();
    for email in emails {
        match canonical(EMAIL, email) {
            Some(address) if addresses.contains(&address) => {}
            Some(address) if addresses.len() < MOST => addresses.push(address),
            Some(_) => {
                tracing::warn!(%user, most = MOST, "an account has more e-mail addresses than fit here");
                break;
            }
            None => tracing::warn!(%user, "an e-mail address of an account can't be read"),
        }
    }
    app.threepids.replace(user, addresses, true).await
}

async fn is_localpart_available(
    State(app): State<Arc<App>>,
    _: FromMas,
    Query(query): Query<Named>,
) -> ApiResult<Reply<Empty>> {
    let user = new_user_id(&query.localpart, &app.config.server_name)?;
    free(&app, &user).await?;
    Ok(EMPTY)
}

#[derive(Deserialize)]
struct Deletion {
    localpart: String,
    #[serde(default)]
    erase: bool,
}

async fn delete_user(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Deletion>,
) -> ApiResult<Reply<Empty>> {
    let account = find(&app, &body.localpart).await?;
    if body.erase {
        app.erasure.erase(&account.user_id).await?;
    }
    close(&app, &account.user_id, None).await?;
    Ok(EMPTY)
}

async fn reactivate_user(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Named>,
) -> ApiResult<Reply<Empty>> {
    let account = find(&app, &body.localpart).await?;
    app.accounts.reactivate(&account.user_id).await?;
    app.erasure.restore(&account.user_id).await?;
    Ok(EMPTY)
}

#[derive(Deserialize)]
struct DisplayName {
    localpart: String,
    displayname: String,
}

async fn set_displayname(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<DisplayName>,
) -> ApiResult<Reply<Empty>> {
    let account = find(&app, &body.localpart).await?;
    app.profiles.set(&account.user_id, DISPLAYNAME, body.displayname.into()).await?;
    Ok(EMPTY)
}

async fn unset_displayname(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Named>,
) -> ApiResult<Reply<Empty>> {
    let account = find(&app, &body.localpart).await?;
    app.profiles.remove(&account.user_id, DISPLAYNAME).await?;
    Ok(EMPTY)
}

async fn allow_cross_signing_reset(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Named>,
) -> ApiResult<Reply<Empty>> {
    let account = find(&app, &body.localpart).await?;
    app.browsers.allow_reset(&account.user_id).await?;
    Ok(EMPTY)
}

#[derive(Deserialize)]
struct Device {
    localpart: String,
    #[serde(rename = "device_id")]
    id: String,
    display_name: Option<String>,
}

impl Device {
    fn name(&self) -> ApiResult<Option<String>> {
        if self.display_name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(ApiError::too_large(format!("A device's name may have {MAX_NAME} bytes")));
        }
        Ok(self.display_name.clone())
    }
}

fn device(id: &str) -> ApiResult<OwnedDeviceId> {
    if id.is_empty() || id.len() > MAX_DEVICE_ID {
        let text = format!("device_id must have 1 to {MAX_DEVICE_ID} bytes");
        return Err(ApiError::invalid_param(text));
    }
    Ok(id.into())
}

async fn create(
    app: &App,
    user: &UserId,
    id: &OwnedDeviceId,
    name: Option<String>,
) -> ApiResult<()> {
    if app.keys.is_taken(user, id).await? {
        return Err(ApiError::forbidden("A key of the user has that name"));
    }
    Ok(app.devices.create(user, id, name).await?)
}

async fn upsert_device(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Device>,
) -> ApiResult<Response> {
    let account = find(&app, &body.localpart).await?;
    let (user, id, name) = (&account.user_id, device(&body.id)?, body.name()?);
    if app.devices.get(user, &id).await?.is_some() {
        if name.is_some() {
            app.devices.rename(user, &id, name).await?;
        }
        return Ok(EMPTY.into_response());
    }
    create(&app, user, &id, name).await?;
    Ok((StatusCode::CREATED, EMPTY).into_response())
}

async fn rename_device(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Device>,
) -> ApiResult<Reply<Empty>> {
    let account = find(&app, &body.localpart).await?;
    let name = body.name()?.ok_or_else(|| ApiError::missing("display_name"))?;
    if app.devices.rename(&account.user_id, &device(&body.id)?, Some(name)).await? {
        Ok(EMPTY)
    } else {
        Err(ApiError::not_found("The user has no such device"))
    }
}

async fn delete_device(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<Device>,
) -> ApiResult<StatusCode> {
    let account = find(&app, &body.localpart).await?;
    let ids = [device(&body.id)?];
    end(&app, &account.user_id, &ids).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends the sessions of devices that are gone.
async fn end(app: &App, user: &UserId, ids: &[OwnedDeviceId]) -> ApiResult<()> {
    app.sessions.end(user, ids).await?;
    app.devices.forget(user, ids);
    if let Some(delegation) = &app.delegation {
        for id in ids {
            delegation.forget(user, id);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
struct AllDevices {
    localpart: String,
    devices: BTreeSet<String>,
}

async fn sync_devices(
    State(app): State<Arc<App>>,
    _: FromMas,
    Json(body): Json<AllDevices>,
) -> ApiResult<Reply<Empty>> {
    if body.devices.len() > MAX_DEVICES {
        return Err(ApiError::too_large(format!("An account may have {MAX_DEVICES} devices")));
    }
    let account = find(&app, &body.localpart).await?;
    let user = &account.user_id;
    let wanted =
        body.devices.iter().map(|id| device(id)).collect::<ApiResult<BTreeSet<OwnedDeviceId>>>()?;
    let there = app.devices.list(user).await?;
    let there: BTreeSet<_> = there.into_iter().map(|device| device.device_id).collect();
    // A dehydrated device is no session, so that the service does not know it.
    let mut gone = Vec::new();
    for id in there.difference(&wanted) {
        if !app.keys.is_taken(user, id).await? {
            gone.push(id.clone());
        }
    }
    end(&app, user, &gone).await?;
    for id in wanted.difference(&there) {
        create(&app, user, id, None).await?;
    }
    Ok(EMPTY)
}
