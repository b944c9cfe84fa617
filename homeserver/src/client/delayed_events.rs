//! Delayed events ([MSC4140](https://github.com/matrix-org/matrix-spec-proposals/pull/4140)).
//!
//! They are asked for with a query parameter of the endpoints that send. Who knows the id of one may manage it, without an access token:
//! a call's own server cancels and restarts the leaving of its members.

use std::sync::Arc;

use axum::extract::State;
use http::Uri;
use ruma::RoomId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::http::auth::{Address, Requester};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, query_one};
use crate::http::json::{EMPTY, Empty, Json, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::room::Room;
use crate::services::delayed::{Action, NewDelayed};

/// The query parameter that asks for a delay, in ms.
const DELAY: &str = "org.matrix.msc4140.delay";
/// The largest content that is taken; the same as for an event.
const MAX_BYTES: usize = 65_536;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/unstable/org.matrix.msc4140/delayed_events", list),
        post("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delayId}", update),
        post("/_matrix/client/unstable/org.matrix.msc4140/delayed_events/{delayId}/{action}", act),
    ]
}

/// The delay that a request asks for.
pub(super) fn delay(uri: &Uri) -> ApiResult<Option<i64>> {
    match query_one(uri, DELAY) {
        None => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(delay) if delay >= 0 => Ok(Some(delay)),
            _ => Err(ApiError::invalid_param(format!("{DELAY} must be a time in milliseconds"))),
        },
    }
}

/// What a request asks to send later.
pub(super) struct Later {
    pub(super) kind: String,
    pub(super) state_key: Option<String>,
    pub(super) content: Box<RawValue>,
    /// The request's path and its transaction id, where it has one.
    pub(super) request: Option<(String, String)>,
    pub(super) ts: Option<i64>,
    pub(super) delay: i64,
    /// For how long it is sticky once it is sent, in ms, if it is.
    pub(super) sticky: Option<i64>,
}

/// Takes an event to be sent later, from somebody who is in the room.
pub(super) async fn later(
    app: &App,
    requester: &Requester,
    room: &Room,
    later: Later,
) -> ApiResult<Reply<Value>> {
    if !room.snapshot().is_joined(&requester.user) {
        return Err(ApiError::forbidden("You are not in this room"));
    }
    if later.content.get().len() > MAX_BYTES {
        return Err(ApiError::too_large(format!("An event may have {MAX_BYTES} bytes")));
    }
    let id: &RoomId = room.id();
    let new = NewDelayed {
        user: requester.user.clone(),
        scope: requester.txn_scope(),
        request: later.request,
        room: id.to_string(),
        kind: later.kind,
        state_key: later.state_key,
        content: later.content,
        ts: later.ts,
        delay: later.delay,
        sticky: later.sticky,
    };
    let id = app.delayed.add(new).await?;
    Ok(Reply(json!({ "delay_id": id })))
}

async fn list(State(app): State<Arc<App>>, requester: Requester) -> ApiResult<Reply<Value>> {
    let waiting = app.delayed.of_user(&app, &requester.user).await?;
    let mut events = Vec::with_capacity(waiting.len());
    for event in waiting {
        let content: Value = serde_json::from_str(&event.content).map_err(ApiError::internal)?;
        let mut told = Map::new();
        told.insert("delay_id".to_owned(), event.id.into());
        told.insert("room_id".to_owned(), event.room.into());
        told.insert("type".to_owned(), event.kind.into());
        if let Some(key) = event.state_key {
            told.insert("state_key".to_owned(), key.into());
        }
        told.insert("delay".to_owned(), event.delay.into());
        told.insert("running_since".to_owned(), event.since.into());
        told.insert("content".to_owned(), content);
        events.push(Value::Object(told));
    }
    Ok(Reply(json!({ "delayed_events": events })))
}

#[derive(Deserialize)]
struct Update {
    action: Option<String>,
}

async fn update(
    State(app): State<Arc<App>>,
    address: Address,
    Path(id): Path<String>,
    Json(body): Json<Update>,
) -> ApiResult<Reply<Empty>> {
    limit(&app, &address)?;
    let action = body.action.ok_or_else(|| ApiError::missing("action"))?;
    let action = action_of(&action)
        .ok_or_else(|| ApiError::invalid_param("action must be cancel, restart or send"))?;
    app.delayed.act(&app, &id, action).await?;
    Ok(EMPTY)
}

async fn act(
    State(app): State<Arc<App>>,
    address: Address,
    Path((id, action)): Path<(String, String)>,
    JsonOrEmpty(_): JsonOrEmpty<Map<String, Value>>,
) -> ApiResult<Reply<Empty>> {
    limit(&app, &address)?;
    let action = action_of(&action).ok_or_else(ApiError::unrecognized)?;
    app.delayed.act(&app, &id, action).await?;
    Ok(EMPTY)
}

fn action_of(text: &str) -> Option<Action> {
    Some(match text {
        "cancel" => Action::Cancel,
        "restart" => Action::Restart,
        "send" => Action::Send,
        _ => return None,
    })
}

/// Ids can't be guessed, but nobody shall try for long.
fn limit(app: &App, address: &Address) -> ApiResult<()> {
    app.limits.check(Limit::Other, &format!("delayed|{}", address.key()))
}
