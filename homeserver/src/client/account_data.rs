//! Account data and tags (Client-Server API, "Client Config", "Room Tagging").

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::{OwnedRoomId, OwnedUserId, RoomId};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Number, Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, JsonObject, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, put};
use crate::services::account_data::RoomKey;
use crate::services::push_rules::{PUSH_RULES, to_json};

/// Account data that only its own endpoints may change.
const MANAGED: [&str; 2] = ["m.fully_read", PUSH_RULES];
/// The largest account data that is taken; the same as for an event.
const MAX_BYTES: usize = 65_536;
/// The longest type of account data.
const MAX_KIND: usize = 255;
const MAX_TAG: usize = 255;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/user/{userId}/account_data/{type}", read),
        put("/_matrix/client/v3/user/{userId}/account_data/{type}", write),
        get("/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}", read_in_room),
        put("/_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}", write_in_room),
        get("/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags", tags),
        put("/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}", set_tag),
        delete("/_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}", remove_tag),
    ]
}

fn raw(content: Option<String>) -> ApiResult<Reply<Box<RawValue>>> {
    let content = content.ok_or_else(|| ApiError::not_found("There is no such account data"))?;
    RawValue::from_string(content).map(Reply).map_err(ApiError::internal)
}

fn check(kind: &str, content: &RawValue) -> ApiResult<()> {
    if MANAGED.contains(&kind) {
        let text = format!("{kind} is changed through endpoints of its own");
        return Err(ApiError::bad_json(text).status(StatusCode::METHOD_NOT_ALLOWED));
    }
    if kind.len() > MAX_KIND {
        let text = format!("The type of account data may have {MAX_KIND} bytes");
        return Err(ApiError::invalid_param(text));
    }
    if content.get().len() > MAX_BYTES {
        return Err(ApiError::too_large(format!("Account data may have {MAX_BYTES} bytes")));
    }
    Ok(())
}

async fn room(app: &App, id: &RoomId) -> ApiResult<RoomKey> {
    app.account_data.room(id).await?.ok_or_else(|| ApiError::not_found("There is no such room"))
}

async fn read(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, kind)): Path<(OwnedUserId, String)>,
) -> ApiResult<Reply<Box<RawValue>>> {
    requester.must_be(&user)?;
    if kind == PUSH_RULES {
        let rules = to_json(&*app.push_rules.of(&user).await?)?;
        return to_raw_value(&json!({ "global": rules })).map(Reply).map_err(ApiError::internal);
    }
    raw(app.account_data.get(&user, None, &kind).await?)
}

async fn write(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, kind)): Path<(OwnedUserId, String)>,
    JsonObject(content): JsonObject,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    check(&kind, &content)?;
    app.account_data.set(&user, None, &kind, content.get().to_owned()).await?;
    Ok(EMPTY)
}

async fn read_in_room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, room, kind)): Path<(OwnedUserId, OwnedRoomId, String)>,
) -> ApiResult<Reply<Box<RawValue>>> {
    requester.must_be(&user)?;
    raw(app.account_data.get(&user, Some(room.as_str()), &kind).await?)
}

async fn write_in_room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, id, kind)): Path<(OwnedUserId, OwnedRoomId, String)>,
    JsonObject(content): JsonObject,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    check(&kind, &content)?;
    let room = room(&app, &id).await?;
    app.account_data.set(&user, Some(room), &kind, content.get().to_owned()).await?;
    Ok(EMPTY)
}

async fn tags(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, room)): Path<(OwnedUserId, OwnedRoomId)>,
) -> ApiResult<Reply<Value>> {
    requester.must_be(&user)?;
    Ok(Reply(json!({ "tags": app.account_data.tags(&user, room.as_str()).await? })))
}

async fn set_tag(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
    JsonOrEmpty(mut value): JsonOrEmpty<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    if let Some(order) = value.get_mut("order") {
        *order = number(order)?;
    }
    if tag.len() > MAX_TAG {
        return Err(ApiError::invalid_param(format!("A tag may have {MAX_TAG} bytes")));
    }
    let room = room(&app, &id).await?;
    app.account_data.tag(&user, room, &tag, Some(value)).await?;
    Ok(EMPTY)
}

/// The place of a tag. Other clients sort by it, so it has to be a number; old clients send it as a text.
fn number(order: &Value) -> ApiResult<Value> {
    let read = order.as_str().and_then(|order| order.parse().ok());
    match read.and_then(Number::from_f64) {
        Some(order) => Ok(Value::Number(order)),
        None if order.is_number() => Ok(order.clone()),
        None => Err(ApiError::bad_json("order must be a number")),
    }
}

async fn remove_tag(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((user, id, tag)): Path<(OwnedUserId, OwnedRoomId, String)>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    let room = room(&app, &id).await?;
    app.account_data.tag(&user, room, &tag, None).await?;
    Ok(EMPTY)
}
