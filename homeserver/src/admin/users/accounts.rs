//! Accounts listed, shown, made and changed.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use ruma::{OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::request::{Admin, Params, listed, local};
use super::identifiers;
use crate::app::App;
use crate::client::account::close;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Field, Json, Reply};
use crate::http::router::{Route, get, put};
use crate::services::accounts::new_user_id;
use crate::services::profiles::{AVATAR_URL, DISPLAYNAME, check_value};
use crate::services::sso::accounts::replace;
use crate::storage::accounts::{Account, Kind};
use crate::storage::admin_users::{self, Listed, ORDERS, Wanted, containing};

const USER: &str = "/_synapse/admin/v2/users/{userId}";
/// What an account may be for, besides a person's.
const TYPES: [&str; 2] = ["bot", "support"];

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v2/users", list_v2),
        get("/_synapse/admin/v3/users", list_v3),
        get(USER, show),
        put(USER, write),
    ]
}

async fn list_v2(State(app): State<Arc<App>>, _: Admin, params: Params) -> ApiResult<Reply<Value>> {
    // Closed accounts are left out, or are among the others.
    let deactivated = (!params.flag("deactivated")?.unwrap_or(false)).then_some(false);
    list(&app, &params, deactivated).await
}

async fn list_v3(State(app): State<Arc<App>>, _: Admin, params: Params) -> ApiResult<Reply<Value>> {
    list(&app, &params, params.flag("deactivated")?).await
}

async fn list(app: &App, params: &Params, deactivated: Option<bool>) -> ApiResult<Reply<Value>> {
    let (id, name) = match (params.text("name"), params.text("user_id")) {
        (Some(name), _) => {
            // The localpart alone: every ID has the server's name in it.
            let localpart = format!("@{}:{}", containing(name), app.config.server_name);
            (localpart.to_lowercase(), containing(name))
        }
        (None, Some(id)) => (containing(id), String::new()),
        (None, None) => (String::new(), String::new()),
    };
    let wanted = Wanted {
        id,
        name,
        guests: params.flag("guests")?.unwrap_or(true),
        admins: params.flag("admins")?,
        deactivated,
        not_types: params.all("not_user_type"),
        locked: params.flag("locked")?.unwrap_or(false),
    };
    let order = (params.order(&ORDERS)?.unwrap_or("name"), params.backwards()?.unwrap_or(false));
    let page = params.page()?;
    let (found, total) =
        admin_users::list(&app.db, &wanted, order, (page.from, page.limit)).await?;
    let users = found.iter().map(|account| Value::Object(shown(app, account))).collect();
    let next = page.next(total).map(|next| json!(next.to_string()));
    Ok(Reply(listed("users", users, total, next)))
}

/// A value of a profile as it is stored.
fn profile(value: Option<&String>) -> Value {
    value.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

/// What both the list and a single account's answer say.
fn shown(app: &App, account: &Listed) -> Map<String, Value> {
    let mut shown = Map::new();
    let mut say = |key: &str, value: Value| drop(shown.insert(key.to_owned(), value));
    say("name", json!(account.user_id));
    say("is_guest", json!(account.kind == Kind::Guest));
    say("admin", json!(account.admin));
    say("user_type", json!(account.user_type));
    say("deactivated", json!(account.deactivated));
    let erased = UserId::parse(&account.user_id).is_ok_and(|user| app.erasure.contains(&user));
    say("erased", json!(erased));
    // Nobody is deceived about being heard.
    say("shadow_banned", json!(false));
    say("locked", json!(account.locked));
    say("displayname", profile(account.displayname.as_ref()));
    say("avatar_url", profile(account.avatar_url.as_ref()));
    say("creation_ts", json!(account.created_ms));
    say("last_seen_ts", json!(account.seen_ms));
    shown
}

async fn show(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    local(&app, &user)?;
    details(&app, &user).await.map(Reply)
}

async fn details(app: &App, user: &UserId) -> ApiResult<Value> {
    let account = admin_users::one(&app.db, user).await?;
    let account = account.ok_or_else(|| ApiError::not_found("There is no such user"))?;
    let mut answer = shown(app, &account);
    // Seconds, other than in the list.
    answer.insert("creation_ts".to_owned(), json!(account.created_ms / 1000));
    answer.insert("appservice_id".to_owned(), json!(account.appservice));
    answer.insert("suspended".to_owned(), json!(account.suspended));
    answer.insert("threepids".to_owned(), identifiers::addresses_of(app, user).await?);
    answer.insert("external_ids".to_owned(), identifiers::identities_of(app, user).await?);
    for key in ["consent_server_notice_sent", "consent_version", "consent_ts"] {
        answer.insert(key.to_owned(), Value::Null);
    }
    Ok(Value::Object(answer))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    password: Option<String>,
    logout_devices: Option<bool>,
    displayname: Field<String>,
    avatar_url: Field<String>,
    threepids: Option<Vec<identifiers::Address>>,
    external_ids: Option<Vec<identifiers::Identity>>,
    admin: Option<bool>,
    deactivated: Option<bool>,
    locked: Option<bool>,
    user_type: Field<String>,
}

impl Change {
    /// The fields of the profile that are named, checked.
    fn profile(&self) -> ApiResult<Map<String, Value>> {
        let mut fields = Map::new();
        for (field, value) in [(DISPLAYNAME, &self.displayname), (AVATAR_URL, &self.avatar_url)] {
            if let Field::Given(value) = value {
                let value = json!(value);
                check_value(field, &value)?;
                fields.insert(field.to_owned(), value);
            }
        }
        if let Field::Given(Some(avatar)) = &self.avatar_url
            && !avatar.is_empty()
            && !avatar.starts_with("mxc://")
        {
            return Err(ApiError::invalid_param("avatar_url must be an mxc:// address"));
        }
        Ok(fields)
    }

    /// Refuses what this server can't do, before anything is written.
    fn check(&self, requester: &Requester, user: &UserId) -> ApiResult<()> {
        if self.admin == Some(false) && requester.user == user {
            return Err(ApiError::invalid_param("You can't take that right from yourself"));
        }
        if self.locked == Some(true) && requester.user == user {
            return Err(ApiError::invalid_param("You can't lock yourself out"));
        }
        if self.locked == Some(true) && self.deactivated == Some(true) {
            return Err(ApiError::invalid_param("An account is locked or closed, not both"));
        }
        if let Field::Given(Some(kind)) = &self.user_type
            && !TYPES.contains(&kind.as_str())
        {
            let text = format!("user_type must be one of {}, or null", TYPES.join(", "));
            return Err(ApiError::invalid_param(text));
        }
        Ok(())
    }
}

async fn write(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
    Json(change): Json<Change>,
) -> ApiResult<Response> {
    local(&app, &user)?;
    change.check(&requester, &user)?;
    let fields = change.profile()?;
    let password = match &change.password {
        Some(password) => Some(app.accounts.hash_password(password).await?),
        None => None,
    };
    let addresses = match &change.threepids {
        Some(given) => Some(identifiers::addresses(&app, &user, given).await?),
        None => None,
    };
    let identities = match &change.external_ids {
        Some(given) => Some(identifiers::identities(&app, &user, given).await?),
        None => None,
    };
    let named = addresses.as_ref().is_some_and(|given| !given.is_empty())
        || identities.as_ref().is_some_and(|given| !given.is_empty());
    let known = app.accounts.get(&user).await?;
    let created = known.is_none();
    let was_closed = known.as_ref().is_some_and(|account| account.deactivated);
    if created {
        create(&app, &user, password, change.admin.unwrap_or_default()).await?;
    } else {
        if change.deactivated == Some(false) && was_closed {
            app.accounts.reactivate(&user).await?;
            app.erasure.restore(&user).await?;
        } else if was_closed && (password.is_some() || named) {
            let text = "Open the account again to give it a password or an address";
            return Err(ApiError::invalid_param(text));
        }
        if let Some(password) = password {
            must_keep_accounts(&app)?;
            app.accounts.set_password(&user, password).await?;
            if change.logout_devices.unwrap_or(true) {
                app.sessions.end_all(&user, None).await?;
            }
        }
        if let Some(admin) = change.admin {
            app.accounts.set_admin(&user, admin).await?;
        }
    }
    if !fields.is_empty() {
        app.profiles.merge(&user, fields, false).await?;
    }
    if let Some(addresses) = addresses {
        app.threepids.replace(&user, addresses, false).await?;
    }
    if let Some(identities) = identities {
        replace(&app, &user, identities).await?;
    }
    if let Field::Given(kind) = change.user_type {
        app.accounts.set_user_type(&user, kind).await?;
    }
    if let Some(locked) = change.locked {
        app.accounts.set_locked(&user, locked).await?;
    }
    if change.deactivated == Some(true) && !was_closed {
        close(&app, &user, None).await?;
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Reply(details(&app, &user).await?)).into_response())
}

/// Refuses what the service does that accounts are left to.
fn must_keep_accounts(app: &App) -> ApiResult<()> {
    if app.delegation.is_none() {
        return Ok(());
    }
    Err(ApiError::forbidden("Accounts and passwords are kept by the authentication service"))
}

async fn create(app: &App, user: &UserId, password: Option<String>, admin: bool) -> ApiResult<()> {
    must_keep_accounts(app)?;
    let user_id = new_user_id(user.localpart(), &app.config.server_name)?;
    if user_id != user {
        let text = format!("New user IDs are lower case: {user_id}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_INVALID_USERNAME", text));
    }
    app.accounts.create(Account { password, admin, ..Account::new(user_id, Kind::User) }).await
}
