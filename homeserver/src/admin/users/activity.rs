//! What users have and do: rooms, pushers, account data, counts, and their rate limits.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::request::{Admin, Params, account, local};
use crate::app::App;
use crate::client::register;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, Reply};
use crate::http::router::{Route, delete, get, post};
use crate::storage::admin_users;
use crate::storage::rate_overrides::Override;

const LIMIT: &str = "/_synapse/admin/v1/users/{userId}/override_ratelimit";
const SHADOW_BAN: &str = "/_synapse/admin/v1/users/{userId}/shadow_ban";

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/users/{userId}/joined_rooms", joined_rooms),
        get("/_synapse/admin/v1/users/{userId}/memberships", memberships),
        get("/_synapse/admin/v1/users/{userId}/pushers", pushers),
        get("/_synapse/admin/v1/users/{userId}/accountdata", account_data),
        get("/_synapse/admin/v1/users/{userId}/sent_invite_count", invites_sent),
        get("/_synapse/admin/v1/users/{userId}/cumulative_joined_room_count", rooms_joined),
        get("/_synapse/admin/v1/username_available", username_available),
        get(LIMIT, limit),
        post(LIMIT, set_limit),
        delete(LIMIT, unset_limit),
        post(SHADOW_BAN, shadow_ban),
        delete(SHADOW_BAN, shadow_ban),
    ]
}

async fn joined_rooms(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    let nids = app.rooms.joined(&user).await?;
    if nids.is_empty() {
        // Users of other servers are known by their rooms alone.
        account(&app, &user).await?;
    }
    let mut rooms = app.directory.ids(&nids).await?;
    rooms.sort();
    Ok(Reply(json!({ "total": rooms.len(), "joined_rooms": rooms })))
}

async fn memberships(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    let rooms = app.rooms.memberships(&user).await?;
    if rooms.is_empty() {
        account(&app, &user).await?;
    }
    let nids: Vec<_> = rooms.keys().copied().collect();
    let ids = crate::storage::rooms::ids(&app.db, &nids).await?;
    let memberships: BTreeMap<_, _> = ids
        .into_iter()
        .filter_map(|(nid, id)| Some((id, rooms.get(&nid)?.membership.as_str())))
        .collect();
    Ok(Reply(json!({ "memberships": memberships })))
}

async fn pushers(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let pushers = app.pushers.list(&user).await?;
    let pushers: Vec<Value> =
        pushers.iter().filter_map(|pusher| serde_json::from_str(&pusher.definition).ok()).collect();
    Ok(Reply(json!({ "total": pushers.len(), "pushers": pushers })))
}

async fn account_data(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let (mut global, mut rooms) = (Map::new(), BTreeMap::<String, Map<String, Value>>::new());
    for (room, kind, content) in admin_users::account_data(&app.db, &user).await? {
        let content = serde_json::from_str(&content).map_err(ApiError::internal)?;
        if room.is_empty() {
            global.insert(kind, content);
        } else {
            rooms.entry(room).or_default().insert(kind, content);
        }
    }
    Ok(Reply(json!({ "account_data": { "global": global, "rooms": rooms } })))
}

async fn invites_sent(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let since = params.required("from_ts")?;
    let count = admin_users::invites_sent(&app.db, &user, since).await?;
    Ok(Reply(json!({ "invite_count": count })))
}

async fn rooms_joined(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let since = params.required("from_ts")?;
    let count = admin_users::rooms_joined(&app.db, &user, since).await?;
    Ok(Reply(json!({ "cumulative_joined_room_count": count })))
}

/// Whether a name is free; other than the Client-Server API's endpoint, whether or not people may register.
async fn username_available(
    State(app): State<Arc<App>>,
    _: Admin,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let name = params.text("username").ok_or_else(|| ApiError::missing("username"))?;
    register::must_be_free(&app, name).await?;
    Ok(Reply(json!({ "available": true })))
}

fn told(limit: Override) -> Value {
    json!({ "messages_per_second": limit.per_second, "burst_count": limit.burst })
}

async fn limit(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    Ok(Reply(app.limits.override_of(user.as_str()).map_or_else(|| json!({}), told)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NewLimit {
    messages_per_second: i64,
    burst_count: i64,
}

async fn set_limit(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    JsonOrEmpty(body): JsonOrEmpty<NewLimit>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    let number = |name: &str, value: i64| {
        u32::try_from(value).map_err(|_| {
            ApiError::invalid_param(format!("{name} must be a number, and not below 0"))
        })
    };
    let limit = Override {
        per_second: number("messages_per_second", body.messages_per_second)?,
        burst: number("burst_count", body.burst_count)?,
    };
    app.accounts.set_rate_override(&user, Some(limit)).await?;
    app.limits.set_override(user.as_str(), Some(limit));
    Ok(Reply(told(limit)))
}

async fn unset_limit(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Empty>> {
    account(&app, &user).await?;
    app.accounts.set_rate_override(&user, None).await?;
    app.limits.set_override(user.as_str(), None);
    Ok(EMPTY)
}

/// This server answers a request when what it asked for is durable; to answer and throw it away is what shadow-banning means.
async fn shadow_ban(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Empty>> {
    local(&app, &user)?;
    let text = "This server never says that it has done what it has not: nobody can be shadow-banned here. \
        Close the account, or ban it from its rooms";
    Err(ApiError::new(StatusCode::BAD_REQUEST, "M_UNRECOGNIZED", text))
}
