//! Logging in, refreshing and logging out (Client-Server API, "Login", "Refreshing access tokens", "Logout").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use http::{HeaderMap, StatusCode};
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::devices::MAX_NAME as MAX_DEVICE_NAME;
use crate::client::oauth::must_be_legacy;
use crate::client::register::{APPLICATION_SERVICE, appservice, may_log_in};
use crate::client::uia;
use crate::http::auth::{Address, Requester, access_token};
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, Json, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::services::sessions::{NewSession, SessionRequest, granted};
use crate::services::sso;
use crate::services::threepids::{EMAIL, canonical};
use crate::services::uia::{Auth, login_user, named};

const TOKEN: &str = "m.login.token";
/// The longest device ID that a client may choose.
const MAX_DEVICE_ID: usize = 255;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/login", flows),
        post("/_matrix/client/v3/login", login),
        post("/_matrix/client/v1/login/get_token", get_token),
        post("/_matrix/client/v3/refresh", refresh),
        post("/_matrix/client/v3/logout", logout),
        post("/_matrix/client/v3/logout/all", logout_all),
    ]
}

#[derive(Deserialize)]
struct Login {
    #[serde(rename = "type")]
    kind: String,
    identifier: Option<Map<String, Value>>,
    user: Option<String>,
    medium: Option<String>,
    address: Option<String>,
    password: Option<String>,
    token: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    refresh_token: bool,
}

impl Login {
    /// The address by which somebody logs in, if by one.
    fn third_party(&self) -> Option<&str> {
        match (&self.identifier, &self.user) {
            (Some(identifier), _) => identifier.get("address").and_then(Value::as_str),
            (None, Some(_)) => None,
            (None, None) => self.address.as_deref(),
        }
    }

    /// Who logs in, if anybody has that name or address. Without an identifier in the form that it had before there were
    /// identifiers.
    async fn named(&self, app: &App) -> ApiResult<Option<OwnedUserId>> {
        match (&self.identifier, &self.user, &self.medium, &self.address) {
            (Some(identifier), ..) => {
                named(&app.threepids, identifier, &app.config.server_name).await
            }
            (None, Some(user), ..) => login_user(user, &app.config.server_name).map(Some),
            (None, None, Some(medium), Some(address)) => app.threepids.owner(medium, address).await,
            _ => Err(ApiError::missing("identifier")),
        }
    }
}

fn wrong() -> ApiError {
    ApiError::forbidden("The user name or the password is not right")
}

async fn flows(State(app): State<Arc<App>>) -> ApiResult<Reply<Value>> {
    must_be_legacy(&app)?;
    let mut flows = vec![
        json!({ "type": "m.login.password" }),
        json!({ "type": "m.login.token", "get_login_token": true }),
        json!({ "type": "m.login.application_service" }),
    ];
    flows.extend(app.sso.flow());
    Ok(Reply(json!({ "flows": flows })))
}

/// Refuses devices with ids and names that are too long.
pub(super) fn check_device(id: Option<&DeviceId>, name: Option<&str>) -> ApiResult<()> {
    if id.is_some_and(|id| id.as_str().is_empty() || id.as_str().len() > MAX_DEVICE_ID) {
        let text = format!("device_id must have 1 to {MAX_DEVICE_ID} bytes");
        return Err(ApiError::invalid_param(text));
    }
    if name.is_some_and(|name| name.len() > MAX_DEVICE_NAME) {
        let text = format!("A device's name may have {MAX_DEVICE_NAME} bytes");
        return Err(ApiError::too_large(text));
    }
    Ok(())
}

/// Starts a session and makes the answer that `/login` and `/register` share.
pub(crate) async fn session(
    app: &App,
    user: &UserId,
    request: SessionRequest,
) -> ApiResult<Map<String, Value>> {
    check_device(request.device_id.as_deref(), request.display_name.as_deref())?;
    if let Some(id) = &request.device_id
        && app.keys.is_taken(user, id).await?
    {
        let text = "A cross-signing key or a dehydrated device of yours has that name";
        return Err(ApiError::forbidden(text));
    }
    let session = app.sessions.start(user, request).await?;
    let mut answer = tokens(&session);
    answer.insert("user_id".to_owned(), Value::from(user.as_str()));
    answer.insert("device_id".to_owned(), Value::from(session.device_id.as_str()));
    answer.insert("home_server".to_owned(), Value::from(app.config.server_name.as_str()));
    Ok(answer)
}

fn tokens(session: &NewSession) -> Map<String, Value> {
    let mut answer = Map::new();
    answer.insert("access_token".to_owned(), Value::from(session.access_token.as_str()));
    if let Some(token) = &session.refresh_token {
        answer.insert("refresh_token".to_owned(), Value::from(token.as_str()));
    }
    if let Some(lifetime) = session.expires_in {
        answer.insert("expires_in_ms".to_owned(), Value::from(lifetime.as_millis() as u64));
    }
    answer
}

/// Who logs in with a password.
async fn by_password(app: &App, mut user: OwnedUserId, password: &str) -> ApiResult<OwnedUserId> {
    // Names are made lower case when they are registered, so people may type them as they like.
    if app.accounts.get(&user).await?.is_none() {
        user = login_user(&user.as_str().to_lowercase(), &app.config.server_name)?;
    }
    app.limits.check(Limit::Login, user.as_str())?;
    if app.accounts.get(&user).await?.is_some_and(|account| account.deactivated) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "M_USER_DEACTIVATED",
            "This account is deactivated",
        ));
    }
    if !app.accounts.password_fits(&user, password).await? {
        return Err(wrong());
    }
    Ok(user)
}

/// The same for what people type: a user name, a user ID, or an e-mail address.
pub(crate) async fn by_name(app: &App, name: &str, password: &str) -> ApiResult<OwnedUserId> {
    let user = if name.contains('@') && !name.starts_with('@') {
        limit_address(app, name)?;
        app.threepids.owner(EMAIL, name).await?
    } else {
        Some(login_user(name, &app.config.server_name)?)
    };
    by_password_of(app, user, password).await
}

/// Counts an attempt with an address whether or not it is an account's, so that limits don't tell which.
fn limit_address(app: &App, address: &str) -> ApiResult<()> {
    // Forms of one address are one; what is no address is nobody's.
    let address = canonical(EMAIL, address).unwrap_or_default();
    app.limits.check(Limit::Login, &format!("address {address}"))
}

async fn by_password_of(
    app: &App,
    user: Option<OwnedUserId>,
    password: &str,
) -> ApiResult<OwnedUserId> {
    let Some(user) = user else {
        app.accounts.compare_with_nobody(password).await?;
        return Err(wrong());
    };
    by_password(app, user, password).await
}

async fn login(
    State(app): State<Arc<App>>,
    Address(address): Address,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
    Json(login): Json<Login>,
) -> ApiResult<Reply<Map<String, Value>>> {
    let from = Address(address).key();
    if login.kind != APPLICATION_SERVICE {
        must_be_legacy(&app)?;
        app.limits.check(Limit::Login, &from)?;
    }
    let user = match login.kind.as_str() {
        "m.login.password" => {
            let password =
                login.password.as_deref().ok_or_else(|| ApiError::missing("password"))?;
            if let Some(address) = login.third_party() {
                limit_address(&app, address)?;
            }
            by_password_of(&app, login.named(&app).await?, password).await?
        }
        TOKEN => {
            let token = login.token.as_deref().ok_or_else(|| ApiError::missing("token"))?;
            match app.sessions.take_login_token(token).await? {
                Some(user) if app.accounts.active(&user).await? => user,
                _ => return Err(ApiError::forbidden("That log-in token is not valid")),
            }
        }
        APPLICATION_SERVICE => {
            let service = appservice(&app, &headers, &uri)?;
            may_log_in(&service)?;
            let user = login.named(&app).await?;
            let user = user.ok_or_else(|| ApiError::forbidden("There is no such user"))?;
            if user != service.sender() && !service.owns_user(&user) {
                let text = format!("{user} is not in the namespaces of the application service");
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_EXCLUSIVE", text));
            }
            if user == service.sender() {
                app.accounts.ensure_appservice_user(&user, service.id()).await?;
            }
            if !app.accounts.active(&user).await? {
                return Err(ApiError::forbidden(format!("{user} is not registered")));
            }
            user
        }
        other => return Err(ApiError::unknown(format!("Log-ins of type {other:?} are not known"))),
    };
    app.accounts.must_not_be_locked(&user).await?;
    if let Some(device) = &login.device_id
        && app.devices.is_key(&user, device).await?
    {
        return Err(ApiError::forbidden("A device can't have the ID of a cross-signing key"));
    }
    let request = SessionRequest {
        device_id: login.device_id,
        display_name: login.initial_device_display_name,
        refresh: login.refresh_token,
    };
    let token = login.token.filter(|_| login.kind == TOKEN);
    let answer = session(&app, &user, request).await?;
    if let (Some(token), Some(Value::String(device))) = (token, answer.get("device_id")) {
        sso::logout::bind(&app, &token, &user, device.as_str().into()).await?;
    }
    Ok(Reply(answer))
}

#[derive(Default, Deserialize)]
struct Authed {
    auth: Option<Auth>,
}

async fn get_token(
    State(app): State<Arc<App>>,
    requester: Requester,
    JsonOrEmpty(body): JsonOrEmpty<Authed>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Login)?;
    uia::confirm(&app, &requester, "login/get_token", body.auth.as_ref()).await?;
    let (token, lifetime) = app.sessions.login_token(&requester.user).await?;
    Ok(Reply(json!({ "login_token": token, "expires_in_ms": lifetime.as_millis() as u64 })))
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: String,
}

async fn refresh(
    State(app): State<Arc<App>>,
    Address(address): Address,
    Json(body): Json<Refresh>,
) -> ApiResult<Reply<Map<String, Value>>> {
    app.limits.check(Limit::Login, &Address(address).key())?;
    must_be_legacy(&app)?;
    // Those of OAuth 2.0 say which client they are for, which can't be said here.
    if granted::is_granted(&body.refresh_token) {
        return Err(ApiError::unknown_token(false));
    }
    if let Some(user) = app.sessions.refreshes(&body.refresh_token).await? {
        app.accounts.must_not_be_locked(&user).await?;
    }
    let session = app.sessions.refresh(&body.refresh_token).await?;
    Ok(Reply(tokens(&session)))
}

/// Who was let in by an authorisation server revokes their token there, which then tells us.
fn must_revoke(app: &App, requester: &Requester) -> ApiResult<()> {
    if requester.oauth { must_be_legacy(app) } else { Ok(()) }
}

async fn logout(
    State(app): State<Arc<App>>,
    requester: Requester,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
) -> ApiResult<Reply<Empty>> {
    must_revoke(&app, &requester)?;
    if requester.device.is_none() && requester.appservice.is_none() {
        // An administrator acts as the user; nothing of the user's own ends.
        if let Some(token) = access_token(&headers, &uri) {
            app.sessions.end_token(&token).await?;
        }
        return Ok(EMPTY);
    }
    let device = requester.device()?.to_owned();
    app.sessions.end(&requester.user, std::slice::from_ref(&device)).await?;
    app.devices.forget(&requester.user, &[device]);
    Ok(EMPTY)
}

async fn logout_all(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Empty>> {
    must_revoke(&app, &requester)?;
    let ids: Vec<_> = app
        .devices
        .list(&requester.user)
        .await?
        .into_iter()
        .map(|device| device.device_id)
        .collect();
    app.sessions.end_all(&requester.user, None).await?;
    app.devices.forget(&requester.user, &ids);
    Ok(EMPTY)
}
