//! Sending and redacting (Client-Server API, "Sending events to a room", "Redactions").

use std::sync::Arc;

use axum::extract::{OriginalUri, State};
use http::Uri;
use ruma::events::TimelineEventType;
use ruma::{OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::delayed_events::{Later, delay, later};
use crate::client::room_access::raw;
use crate::client::suspension;
use crate::event::MAX_STICKY_MS;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{Path, query_one};
use crate::http::json::{JsonObject, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, put};
use crate::room::{Draft, Room, TxnKey};

/// The query parameter that makes an event sticky, in ms.
const STICKY: &str = "org.matrix.msc4354.sticky_duration_ms";
/// The longest transaction ID that is taken.
const MAX_TXN: usize = 512;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        put("/_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}", send),
        put("/_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}", redact),
    ]
}

/// The `ts` of a request (Application Service API, "Timestamp massaging"): only services may say when an event was sent.
pub(super) fn timestamp(requester: &Requester, uri: &Uri) -> ApiResult<Option<i64>> {
    if requester.appservice.is_none() {
        return Ok(None);
    }
    match query_one(uri, "ts") {
        None => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(ts) if ts >= 0 => Ok(Some(ts)),
            _ => Err(ApiError::invalid_param("ts must be a time in milliseconds")),
        },
    }
}

fn txn(requester: &Requester, uri: &Uri, id: String) -> ApiResult<TxnKey> {
    if id.len() > MAX_TXN {
        return Err(ApiError::invalid_param(format!("A transaction ID may have {MAX_TXN} bytes")));
    }
    Ok(TxnKey { scope: requester.txn_scope(), path: format!("PUT {}", uri.path()), id })
}

/// For how long a request wants its event to be sticky
/// ([MSC4354](https://github.com/matrix-org/matrix-spec-proposals/pull/4354)), if the user may have another one.
pub(super) fn sticky(
    app: &App,
    requester: &Requester,
    room: &Room,
    uri: &Uri,
) -> ApiResult<Option<i64>> {
    let Some(text) = query_one(uri, STICKY) else { return Ok(None) };
    let ms = text.parse::<i64>().ok().filter(|ms| (0..=MAX_STICKY_MS).contains(ms));
    let ms = ms.ok_or_else(|| {
        ApiError::invalid_param(format!("{STICKY} must be a time of 0 to {MAX_STICKY_MS} ms"))
    })?;
    app.sticky.may_send(room.nid(), &requester.user)?;
    Ok(Some(ms))
}

async fn send(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
    Path((id, kind, txn_id)): Path<(OwnedRoomId, String, String)>,
    JsonObject(content): JsonObject,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Message)?;
    let room = app.rooms.get(&id).await?;
    let typed = TimelineEventType::from(kind.as_str());
    suspension::may_send(&app, &requester, &id, &typed, &content).await?;
    let sticky = sticky(&app, &requester, &room, &uri)?;
    if let Some(delay) = delay(&uri)? {
        let ts = timestamp(&requester, &uri)?;
        let key = txn(&requester, &uri, txn_id)?;
        let request = Some((key.path, key.id));
        let new = Later { kind, state_key: None, content, request, ts, delay, sticky };
        return later(&app, &requester, &room, new).await;
    }
    let draft = Draft {
        ts: timestamp(&requester, &uri)?,
        txn: Some(txn(&requester, &uri, txn_id)?),
        sticky,
        ..Draft::message(requester.user.clone(), typed, content)
    };
    let sent = room.send(draft).await?;
    Ok(Reply(json!({ "event_id": sent.event_id })))
}

#[derive(Default, Deserialize)]
struct Redact {
    reason: Option<String>,
}

async fn redact(
    State(app): State<Arc<App>>,
    requester: Requester,
    OriginalUri(uri): OriginalUri,
    Path((id, target, txn_id)): Path<(OwnedRoomId, OwnedEventId, String)>,
    JsonOrEmpty(body): JsonOrEmpty<Redact>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Message)?;
    let room = app.rooms.get(&id).await?;
    let known = app.rooms.event(&target).await?;
    if known.is_none_or(|event| event.room != room.nid()) {
        return Err(ApiError::not_found("The room has no such event"));
    }
    suspension::may_redact(&app, &requester, &id, &target).await?;
    let mut content = Map::new();
    if let Some(reason) = body.reason {
        content.insert("reason".to_owned(), Value::from(reason));
    }
    let draft = Draft {
        ts: timestamp(&requester, &uri)?,
        txn: Some(txn(&requester, &uri, txn_id)?),
        redacts: Some(target),
        ..Draft::message(requester.user.clone(), TimelineEventType::RoomRedaction, raw(&content)?)
    };
    let sent = room.send(draft).await?;
    Ok(Reply(json!({ "event_id": sent.event_id })))
}
