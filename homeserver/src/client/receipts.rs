//! Receipts and read markers (Client-Server API, "Receipts", "Fully read markers").

use std::sync::Arc;

use axum::extract::State;
use ruma::{EventId, OwnedEventId, OwnedRoomId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::services::receipts::{Given, READ, READ_PRIVATE, give};
use crate::sync::access::Access;

/// The read marker's type; it is account data of the room.
const FULLY_READ: &str = "m.fully_read";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}", receipt),
        post("/_matrix/client/v3/rooms/{roomId}/read_markers", read_markers),
    ]
}

#[derive(Default, Deserialize)]
struct ReceiptBody {
    #[serde(default)]
    thread_id: Option<Value>,
}

async fn receipt(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, kind, event)): Path<(OwnedRoomId, String, OwnedEventId)>,
    JsonOrEmpty(body): JsonOrEmpty<ReceiptBody>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let thread = thread(body.thread_id)?;
    let access = Access::joined(&app, &requester.user, &room).await?;
    match kind.as_str() {
        READ => set(&app, &requester, &access, READ, &event, thread).await?,
        READ_PRIVATE => set(&app, &requester, &access, READ_PRIVATE, &event, thread).await?,
        FULLY_READ if thread.is_some() => {
            return Err(ApiError::invalid_param("thread_id is not for m.fully_read"));
        }
        FULLY_READ => fully_read(&app, &requester, &access, &event).await?,
        _ => return Err(ApiError::invalid_param("There is no such receipt type")),
    }
    Ok(EMPTY)
}

/// A thread is `main` or an event's id.
fn thread(given: Option<Value>) -> ApiResult<Option<String>> {
    match given {
        None => Ok(None),
        Some(Value::String(thread)) if thread == "main" || EventId::parse(&thread).is_ok() => {
            Ok(Some(thread))
        }
        Some(_) => Err(ApiError::invalid_param("thread_id must be main or an event ID")),
    }
}

#[derive(Deserialize)]
struct Markers {
    #[serde(rename = "m.fully_read")]
    fully_read: Option<OwnedEventId>,
    #[serde(rename = "m.read")]
    read: Option<OwnedEventId>,
    #[serde(rename = "m.read.private")]
    read_private: Option<OwnedEventId>,
}

async fn read_markers(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    Json(markers): Json<Markers>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let access = Access::joined(&app, &requester.user, &room).await?;
    if let Some(event) = &markers.fully_read {
        fully_read(&app, &requester, &access, event).await?;
    }
    for (kind, event) in [(READ, &markers.read), (READ_PRIVATE, &markers.read_private)] {
        if let Some(event) = event {
            set(&app, &requester, &access, kind, event, None).await?;
        }
    }
    Ok(EMPTY)
}

async fn set(
    app: &App,
    requester: &Requester,
    access: &Access,
    kind: &'static str,
    event: &EventId,
    thread: Option<String>,
) -> ApiResult<()> {
    let (event, _) = access.event(app, &requester.user, event).await?;
    let given = Given { user: requester.user.clone(), kind, thread, ts: app.clock.now_ms() };
    give(&app.committer, event, given).await?;
    Ok(())
}

async fn fully_read(
    app: &App,
    requester: &Requester,
    access: &Access,
    event: &EventId,
) -> ApiResult<()> {
    let (event, _) = access.event(app, &requester.user, event).await?;
    let room = app.account_data.room(access.room.id()).await?;
    let room = room.ok_or_else(|| ApiError::not_found("There is no such room"))?;
    let content = json!({ "event_id": event.pdu.event_id }).to_string();
    app.account_data.set(&requester.user, Some(room), FULLY_READ, content).await?;
    Ok(())
}
