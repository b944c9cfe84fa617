//! Creating accounts (Client-Server API, "Account registration").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use http::{HeaderMap, StatusCode, Uri};
use ruma::{OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::login::{check_device, session};
use crate::client::oauth::must_be_legacy;
use crate::http::auth::{Address, access_token};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Query;
use crate::http::json::{Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::services::accounts::{appservice_user_id, new_user_id, user_in_use};
use crate::services::appservices::Appservice;
use crate::services::guests::PREFIX;
use crate::services::sessions::{Lookup, SessionRequest};
use crate::services::uia::{Auth, DUMMY, EMAIL_IDENTITY, Flow, Operation, REGISTRATION_TOKEN};
use crate::storage::accounts::{Account, Kind};

/// The type of registrations and log-ins by application services.
pub(super) const APPLICATION_SERVICE: &str = "m.login.application_service";
const OPEN: &[Flow] = &[&[DUMMY]];
const BY_TOKEN: &[Flow] = &[&[REGISTRATION_TOKEN]];
// Clients with an address take the flow that asks for one; it begins with it, lest the rest complete another flow first.
const OPEN_OR_EMAIL: &[Flow] = &[&[DUMMY], &[EMAIL_IDENTITY]];
const EMAIL: &[Flow] = &[&[EMAIL_IDENTITY]];
const TOKEN_OR_EMAIL: &[Flow] = &[&[REGISTRATION_TOKEN], &[EMAIL_IDENTITY, REGISTRATION_TOKEN]];
const TOKEN_AND_EMAIL: &[Flow] = &[&[EMAIL_IDENTITY, REGISTRATION_TOKEN]];

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/register", register),
        get("/_matrix/client/v3/register/available", available),
        get("/_matrix/client/v1/register/m.login.registration_token/validity", token_validity),
    ]
}

#[derive(Deserialize)]
struct KindQuery {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Register {
    #[serde(rename = "type")]
    kind: Option<String>,
    auth: Option<Auth>,
    username: Option<String>,
    guest_access_token: Option<String>,
    password: Option<String>,
    device_id: Option<OwnedDeviceId>,
    initial_device_display_name: Option<String>,
    #[serde(default)]
    inhibit_login: bool,
    #[serde(default)]
    refresh_token: bool,
}

impl Register {
    fn session(self) -> SessionRequest {
        SessionRequest {
            device_id: self.device_id,
            display_name: self.initial_device_display_name,
            refresh: self.refresh_token,
        }
    }
}

async fn register(
    State(app): State<Arc<App>>,
    Address(address): Address,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
    Query(query): Query<KindQuery>,
    Json(body): Json<Register>,
) -> ApiResult<Reply<Map<String, Value>>> {
    // Before there is an account that the client then doesn't know of.
    check_device(body.device_id.as_deref(), body.initial_device_display_name.as_deref())?;
    let from = Address(address).key();
    let answer = match query.kind.as_deref() {
        None | Some("user") if body.kind.as_deref() == Some(APPLICATION_SERVICE) => {
            let service = appservice(&app, &headers, &uri)?;
            ghost(&app, &service, body).await?
        }
        None | Some("user") => user(&app, &from, body).await?,
        Some("guest") => guest(&app, &from, body).await?,
        Some(other) => {
            return Err(ApiError::invalid_param(format!("{other:?} is no kind of account")));
        }
    };
    Ok(Reply(answer))
}

/// The application service whose token a request carries.
pub(super) fn appservice(app: &App, headers: &HeaderMap, uri: &Uri) -> ApiResult<Arc<Appservice>> {
    let token = access_token(headers, uri).ok_or_else(ApiError::missing_token)?;
    app.appservices.by_token(&token).ok_or_else(|| ApiError::unknown_token(false))
}

/// A service that manages devices itself gets none by way of a log-in (MSC4190).
pub(super) fn may_log_in(service: &Appservice) -> ApiResult<()> {
    if service.device_management() {
        let text = "This application service creates devices with PUT /devices; register with inhibit_login";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_APPSERVICE_LOGIN_UNSUPPORTED", text));
    }
    Ok(())
}

/// Creates a user of an application service (Application Service API, "Server admin style permissions").
async fn ghost(app: &App, service: &Appservice, body: Register) -> ApiResult<Map<String, Value>> {
    let name = body.username.as_deref().ok_or_else(|| ApiError::missing("username"))?;
    let user_id = appservice_user_id(name, &app.config.server_name)?;
    if !service.owns_user(&user_id) {
        let text = format!("{user_id} is not in the namespaces of the application service");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_EXCLUSIVE", text));
    }
    if !body.inhibit_login {
        may_log_in(service)?;
    }
    if !app.accounts.ensure_appservice_user(&user_id, service.id()).await? {
        return Err(user_in_use());
    }
    finish(app, &user_id, body).await
}

/// Whether people need a token to register; refuses where nobody may.
pub(crate) async fn needs_token(app: &App) -> ApiResult<bool> {
    // Where everybody may register, a token that an administrator makes must not shut them out.
    let by_token = !app.config.registration.open || app.registration_tokens.are_required();
    if by_token && !app.registration_tokens.any_is_good().await? {
        return Err(ApiError::forbidden("Registration is closed on this server"));
    }
    Ok(by_token)
}

/// The ways to register that the settings leave open.
pub(super) async fn flows(app: &App) -> ApiResult<&'static [Flow]> {
    let by_token = needs_token(app).await?;
    Ok(match (by_token, app.mailer.is_on(), app.config.email.required_to_register) {
        (false, false, _) => OPEN,
        (false, true, false) => OPEN_OR_EMAIL,
        (false, true, true) => EMAIL,
        (true, false, _) => BY_TOKEN,
        (true, true, false) => TOKEN_OR_EMAIL,
        (true, true, true) => TOKEN_AND_EMAIL,
    })
}

async fn user(app: &App, from: &str, body: Register) -> ApiResult<Map<String, Value>> {
    must_be_legacy(app)?;
    let flows = flows(app).await?;
    let guest = guest_of(app, &body).await?;
    let user_id = match (&guest, &body.username) {
        (Some(guest), _) => guest.clone(),
        (None, Some(name)) => {
            let user_id = new_user_id(name, &app.config.server_name)?;
            free(app, &user_id).await?;
            user_id
        }
        (None, None) => {
            new_user_id(&format!("{:012x}", rand::random::<u64>() >> 16), &app.config.server_name)?
        }
    };
    let operation = Operation { name: "register", user: None, flows };
    let passed = app
        .uia
        .authorise(&app.accounts, &app.config.server_name, operation, body.auth.as_ref())
        .await?;
    let password = body.password.as_deref().ok_or_else(|| ApiError::missing("password"))?;
    app.limits.check(Limit::Registration, from)?;
    let hash = app.accounts.hash_password(password).await?;
    if guest.is_some() {
        app.accounts.upgrade(&user_id, hash, passed).await?;
        // What the guest's token could do, and what it couldn't, ends with the guest.
        app.sessions.end_all(&user_id, None).await?;
    } else {
        let account = Account { password: Some(hash), ..Account::new(user_id.clone(), Kind::User) };
        app.accounts.create_with(account, passed).await?;
    }
    finish(app, &user_id, body).await
}

/// The guest who registers to become a user: whose token it is, and who says that name.
async fn guest_of(app: &App, body: &Register) -> ApiResult<Option<OwnedUserId>> {
    let Some(token) = &body.guest_access_token else { return Ok(None) };
    let name = body.username.as_deref().ok_or_else(|| ApiError::missing("username"))?;
    match app.sessions.find(token).await? {
        Lookup::Live(session) if session.guest && session.user.localpart() == name => {
            Ok(Some(session.user.clone()))
        }
        _ => Err(ApiError::forbidden("guest_access_token is no token of that guest")),
    }
}

async fn guest(app: &App, from: &str, body: Register) -> ApiResult<Map<String, Value>> {
    must_be_legacy(app)?;
    if !app.config.registration.guests {
        let text = "Guests are not let in on this server";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN", text));
    }
    app.limits.check(Limit::Registration, from)?;
    let user_id = new_user_id(
        &format!("{PREFIX}{:012x}", rand::random::<u64>() >> 16),
        &app.config.server_name,
    )?;
    app.accounts.create(Account::new(user_id.clone(), Kind::Guest)).await?;
    // A guest's device ID is the server's choice (Client-Server API, "Guest Access").
    finish(app, &user_id, Register { device_id: None, inhibit_login: false, ..body }).await
}

async fn finish(app: &App, user_id: &UserId, body: Register) -> ApiResult<Map<String, Value>> {
    if body.inhibit_login {
        let mut answer = Map::new();
        answer.insert("user_id".to_owned(), Value::from(user_id.as_str()));
        answer.insert("home_server".to_owned(), Value::from(app.config.server_name.as_str()));
        return Ok(answer);
    }
    session(app, user_id, body.session()).await
}

/// Refuses names that are taken or reserved.
pub(crate) async fn free(app: &App, user_id: &UserId) -> ApiResult<()> {
    if app.appservices.exclusive_user(user_id, None) {
        let text = "That user name is reserved for an application service";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_EXCLUSIVE", text));
    }
    if app.accounts.get(user_id).await?.is_some() { Err(user_in_use()) } else { Ok(()) }
}

#[derive(Deserialize)]
struct UsernameQuery {
    username: String,
}

async fn available(
    State(app): State<Arc<App>>,
    Query(query): Query<UsernameQuery>,
) -> ApiResult<Reply<Value>> {
    must_be_legacy(&app)?;
    must_be_free(&app, &query.username).await?;
    Ok(Reply(json!({ "available": true })))
}

/// Refuses names that nobody can register.
pub(crate) async fn must_be_free(app: &App, name: &str) -> ApiResult<()> {
    let user_id = new_user_id(name, &app.config.server_name)?;
    free(app, &user_id).await
}

#[derive(Deserialize)]
struct TokenQuery {
    token: String,
}

async fn token_validity(
    State(app): State<Arc<App>>,
    Address(address): Address,
    Query(query): Query<TokenQuery>,
) -> ApiResult<Reply<Value>> {
    must_be_legacy(&app)?;
    app.limits.check(Limit::Registration, &Address(address).key())?;
    // Where nobody may register, no token is good for anything.
    flows(&app).await?;
    Ok(Reply(json!({ "valid": app.uia.token_is_good(&query.token).await? })))
}
