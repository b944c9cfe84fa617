//! One's own account (Client-Server API, "Account management").

use std::sync::Arc;

use axum::extract::State;
use ruma::UserId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::oauth::must_be_legacy;
use crate::client::threepids::unbind_result;
use crate::client::uia;
use crate::http::auth::{Address, MaybeRequester, Requester};
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::services::departures;
use crate::services::threepids::{Proven, unproven};
use crate::services::uia::{Auth, EMAIL_IDENTITY, Flow, Operation};

const BY_EMAIL: &[Flow] = &[&[EMAIL_IDENTITY]];

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/account/whoami", whoami),
        post("/_matrix/client/v3/account/password", password),
        post("/_matrix/client/v3/account/deactivate", deactivate),
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

impl Change {
    fn new_password(&self) -> ApiResult<&str> {
        let new = self.new_password.as_deref();
        new.ok_or_else(|| ApiError::missing("new_password"))
    }
}

async fn password(
    State(app): State<Arc<App>>,
    MaybeRequester(requester): MaybeRequester,
    Address(from): Address,
    JsonOrEmpty(body): JsonOrEmpty<Change>,
) -> ApiResult<Reply<Empty>> {
    let Some(requester) = requester else { return reset(&app, Address(from), body).await };
    requester.limit(&app, Limit::Login)?;
    uia::confirm(&app, &requester, "account/password", body.auth.as_ref()).await?;
    let hash = app.accounts.hash_password(body.new_password()?).await?;
    app.accounts.set_password(&requester.user, hash).await?;
    if body.logout_devices.unwrap_or(true) {
        app.sessions.end_all(&requester.user, requester.device.as_deref()).await?;
    }
    Ok(EMPTY)
}

/// Sets a forgotten password: who asks has no session, but can read the account's e-mail.
async fn reset(app: &Arc<App>, Address(from): Address, body: Change) -> ApiResult<Reply<Empty>> {
    if !app.mailer.is_on() {
        return Err(ApiError::missing_token());
    }
    must_be_legacy(app)?;
    let operation = Operation { name: "account/password", user: None, flows: BY_EMAIL };
    let passed = app
        .uia
        .authorise(&app.accounts, &app.config.server_name, operation, body.auth.as_ref())
        .await?;
    // Only now: clients ask again and again until the link was followed, and what they show can't be guessed.
    app.limits.check(Limit::Login, &Address(from).key())?;
    let hash = app.accounts.hash_password(body.new_password()?).await?;
    let proven = passed.email.ok_or_else(unproven)?;
    set_forgotten(app, proven, hash, body.logout_devices.unwrap_or(true)).await?;
    Ok(EMPTY)
}

/// Sets a forgotten password of the account that a proven address belongs to; the page for it shares this.
pub(crate) async fn set_forgotten(
    app: &Arc<App>,
    proven: Proven,
    hash: String,
    end_sessions: bool,
) -> ApiResult<()> {
    let (medium, address) = proven.threepid();
    if let Some(user) = app.threepids.owner(medium, address).await? {
        app.accounts.must_not_be_locked(&user).await?;
    }
    let user = app.threepids.reset_password(proven, hash).await?;
    // Nobody else tells them.
    crate::services::threepids::tell::password_set(app, &user).await;
    app.accounts.forget(&user);
    if end_sessions {
        app.sessions.end_all(&user, None).await?;
    }
    Ok(())
}

#[derive(Default, Deserialize)]
struct Deactivate {
    auth: Option<Auth>,
    #[serde(default)]
    erase: bool,
    id_server: Option<String>,
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
    let unbound = close(&app, &requester.user, body.id_server.as_deref()).await?;
    Ok(Reply(json!({ "id_server_unbind_result": unbind_result(unbound) })))
}

/// Closes an account for good, and everything that belongs to it; then identity servers are asked to forget the user's addresses: those that
/// have them, and the one that is named. Whether all did, as far as is known after a while. They are asked again until they do, or for two
/// weeks.
pub(crate) async fn close(
    app: &Arc<App>,
    user: &UserId,
    id_server: Option<&str>,
) -> ApiResult<bool> {
    departures::close(app, user).await?;
    crate::services::threepids::unbinding::of_closed(app, user, id_server).await
}
