//! History import (`com.beeper.batch_sending`), as mautrix bridges speak it: many events at once, with their own
//! senders, times and ids, at the end of a room or before its first message.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use landbridge_registration::Mask;
use ruma::events::TimelineEventType;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{BatchBody, Reply};
use crate::http::router::{Route, post};
use crate::room::{Direction, Import, ImportEvent, Room};
use crate::services::appservices::Appservice;
use crate::services::receipts::{Given, READ, give};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/unstable/com.beeper.backfill/rooms/{roomId}/batch_send", batch_send)]
}

#[derive(Deserialize)]
struct Batch {
    #[serde(default)]
    forward_if_no_messages: bool,
    #[serde(default)]
    forward: bool,
    #[serde(default)]
    send_notification: bool,
    mark_read_by: Option<OwnedUserId>,
    events: Vec<BatchEvent>,
}

#[derive(Deserialize)]
struct BatchEvent {
    #[serde(rename = "type")]
    kind: String,
    sender: OwnedUserId,
    origin_server_ts: i64,
    event_id: Option<OwnedEventId>,
    state_key: Option<String>,
    content: Box<RawValue>,
}

async fn batch_send(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    BatchBody(batch): BatchBody<Batch>,
) -> ApiResult<Reply<Value>> {
    let service = requester
        .appservice
        .clone()
        .ok_or_else(|| ApiError::forbidden("Only application services import history"))?;
    let room = app.rooms.get(&id).await?;
    if !room.snapshot().is_joined(&requester.user) {
        return Err(ApiError::forbidden(format!("{} is not in the room", requester.user)));
    }
    let senders: BTreeSet<&UserId> = batch.events.iter().map(|event| &*event.sender).collect();
    for sender in senders {
        may_speak(&app, &service, &room, sender).await?;
    }
    if let Some(reader) = &batch.mark_read_by {
        may_speak(&app, &service, &room, reader).await?;
    }
    let direction = if batch.forward {
        Direction::Forward
    } else {
        Direction::Backward { forward_if_empty: batch.forward_if_no_messages }
    };
    let events = batch.events.into_iter().map(import_event).collect::<ApiResult<Vec<_>>>()?;
    let (notify, by) = (batch.send_notification, Mask::single(service.number()));
    let ids = room.import(Import { events, direction, notify, by }).await?;
    if let (Some(reader), Some(last)) = (batch.mark_read_by, ids.last()) {
        mark_read(&app, reader, last).await?;
    }
    Ok(Reply(json!({ "event_ids": ids })))
}

/// A service imports what its own users said, and what people of this server said on the other network, who
/// therefore have to be in the room.
async fn may_speak(app: &App, service: &Appservice, room: &Room, user: &UserId) -> ApiResult<()> {
    if service.owns_user(user) {
        app.accounts.ensure_appservice_user(user, service.id()).await?;
        return Ok(());
    }
    if user.server_name() == app.config.server_name && room.snapshot().is_joined(user) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!("The application service may not speak for {user} here")))
}

fn import_event(event: BatchEvent) -> ApiResult<ImportEvent> {
    if event.state_key.is_some() {
        return Err(ApiError::invalid_param("State can't be imported"));
    }
    if event.origin_server_ts < 0 {
        return Err(ApiError::invalid_param("origin_server_ts must be a time in milliseconds"));
    }
    if !event.content.get().starts_with('{') {
        return Err(ApiError::bad_json("content must be an object"));
    }
    Ok(ImportEvent {
        event_id: event.event_id,
        sender: event.sender,
        kind: TimelineEventType::from(event.kind),
        content: event.content,
        ts: event.origin_server_ts,
    })
}

async fn mark_read(app: &App, user: OwnedUserId, event: &EventId) -> ApiResult<()> {
    if let Some(event) = app.rooms.event(event).await? {
        let given = Given { user, kind: READ, thread: None, ts: app.clock.now_ms() };
        give(&app.committer, event, given).await?;
    }
    Ok(())
}
