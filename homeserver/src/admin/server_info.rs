//! What the server is and does, in the form of Synapse's admin API. Much of what that asks about isn't here, which is said as it is.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::OwnedUserId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::request::{Admin, Params, account, listed};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Json, Reply};
use crate::http::router::{Route, get, post, put};
use crate::storage::admin_users::containing;
use crate::storage::media_usage::{self, ORDERS, Wanted};
use crate::storage::{room_sizes, rooms};

const FEATURES: &str = "/_synapse/admin/v1/experimental_features/{userId}";
const DESTINATION: &str = "/_synapse/admin/v1/federation/destinations/{destination}";
/// The largest rooms that are told, and the rooms with most events that are looked at for them.
const LARGEST: usize = 10;
const LOOKED_AT: i64 = 50;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_synapse/admin/v1/server_version", version),
        get(FEATURES, features),
        put(FEATURES, set_features),
        get("/_synapse/admin/v1/federation/destinations", destinations),
        get(DESTINATION, destination),
        get("/_synapse/admin/v1/federation/destinations/{destination}/rooms", destination),
        post(
            "/_synapse/admin/v1/federation/destinations/{destination}/reset_connection",
            destination,
        ),
        get("/_synapse/admin/v1/statistics/users/media", media_by_user),
        get("/_synapse/admin/v1/statistics/database/rooms", largest_rooms),
    ]
}

async fn version(_: Admin) -> Reply<Value> {
    Reply(json!({ "server_version": concat!("Landbridge ", env!("CARGO_PKG_VERSION")) }))
}

/// Everything experimental is for everybody.
async fn features(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    Ok(Reply(json!({ "features": {} })))
}

#[derive(Deserialize)]
struct Features {
    features: Map<String, Value>,
}

async fn set_features(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Features>,
) -> ApiResult<Reply<Value>> {
    account(&app, &user).await?;
    match body.features.keys().next() {
        None => Ok(Reply(json!({}))),
        Some(name) => {
            let text = format!("{name:?} can't be switched for single users here");
            Err(ApiError::new(StatusCode::BAD_REQUEST, "M_UNRECOGNIZED", text))
        }
    }
}

/// This server speaks to no other.
async fn destinations(_: Admin, params: Params) -> ApiResult<Reply<Value>> {
    params.page()?;
    Ok(Reply(listed("destinations", Vec::new(), 0, None)))
}

async fn destination(_: Admin, Path(name): Path<String>) -> ApiResult<Reply<Value>> {
    Err(ApiError::not_found(format!("This server has never spoken to {name}")))
}

/// By what their events take up, estimated.
async fn largest_rooms(State(app): State<Arc<App>>, _: Admin) -> ApiResult<Reply<Value>> {
    let mut sizes = room_sizes::largest(&app.db, LOOKED_AT).await?;
    sizes.truncate(LARGEST);
    let nids: Vec<_> = sizes.iter().map(|(nid, _)| *nid).collect();
    let ids: HashMap<_, _> = rooms::ids(&app.db, &nids).await?.into_iter().collect();
    let rooms: Vec<Value> = sizes
        .iter()
        .filter_map(|(nid, bytes)| {
            Some(json!({ "room_id": ids.get(nid)?, "estimated_size": bytes }))
        })
        .collect();
    Ok(Reply(json!({ "rooms": rooms })))
}

async fn media_by_user(
    State(app): State<Arc<App>>,
    _: Admin,
    params: Params,
) -> ApiResult<Reply<Value>> {
    let (localpart, name) = match params.text("search_term") {
        Some(term) => {
            let localpart = format!("@{}:{}", containing(term), app.config.server_name);
            (localpart.to_lowercase(), containing(term))
        }
        None => (String::new(), String::new()),
    };
    let wanted = Wanted {
        id: localpart,
        name,
        from_ms: params.number("from_ts")?.unwrap_or(0),
        until_ms: params.number("until_ts")?.unwrap_or(i64::MAX),
    };
    let order = (params.order(&ORDERS)?.unwrap_or("user_id"), params.backwards()?.unwrap_or(false));
    let page = params.page()?;
    let (found, total) =
        media_usage::by_user(&app.db, &wanted, order, (page.from, page.limit)).await?;
    let users = found
        .into_iter()
        .map(|user| {
            let name = user.displayname.and_then(|json| serde_json::from_str::<Value>(&json).ok());
            json!({
                "user_id": user.user_id,
                "displayname": name,
                "media_count": user.count,
                "media_length": user.bytes,
            })
        })
        .collect();
    Ok(Reply(listed("users", users, total, page.next(total).map(Value::from))))
}
