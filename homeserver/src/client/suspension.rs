//! What suspended users may still do in rooms (Client-Server API, "Account suspension"): leave them, and take back what they said.

use ruma::events::TimelineEventType;
use ruma::{EventId, RoomId};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::services::server_notices;

#[derive(Default, Deserialize)]
struct Content {
    redacts: Option<String>,
    membership: Option<String>,
}

fn read(content: &RawValue) -> Content {
    serde_json::from_str(content.get()).unwrap_or_default()
}

/// Refuses what a suspended user sends, but for redactions of their own events.
pub(super) async fn may_send(
    app: &App,
    requester: &Requester,
    room: &RoomId,
    kind: &TimelineEventType,
    content: &RawValue,
) -> ApiResult<()> {
    if !requester.suspended {
        return Ok(());
    }
    let target = match kind {
        TimelineEventType::RoomRedaction => read(content).redacts,
        _ => None,
    };
    match target.and_then(|target| EventId::parse(target).ok()) {
        Some(target) => may_redact(app, requester, room, &target).await,
        None => may_speak(app, requester, room).await,
    }
}

/// Refuses a suspended user's redaction of what somebody else said.
pub(super) async fn may_redact(
    app: &App,
    requester: &Requester,
    room: &RoomId,
    target: &EventId,
) -> ApiResult<()> {
    if !requester.suspended {
        return Ok(());
    }
    match app.rooms.event(target).await? {
        Some(event) if event.pdu.sender == requester.user => Ok(()),
        _ => may_speak(app, requester, room).await,
    }
}

/// Refuses state that a suspended user sets, but for leaving by that way.
pub(super) async fn may_set(
    app: &App,
    requester: &Requester,
    room: &RoomId,
    kind: &TimelineEventType,
    key: &str,
    content: &RawValue,
) -> ApiResult<()> {
    let leaves = || {
        *kind == TimelineEventType::RoomMember
            && key == requester.user
            && read(content).membership.as_deref() == Some("leave")
    };
    if !requester.suspended || leaves() {
        return Ok(());
    }
    may_speak(app, requester, room).await
}

/// Refuses a suspended user who speaks in a room, or joins it.
pub(super) async fn may_speak(app: &App, requester: &Requester, room: &RoomId) -> ApiResult<()> {
    // What administrators have to say they hear, and may answer where they are let.
    if requester.suspended && !server_notices::is_room_of(app, &requester.user, room).await? {
        return Err(ApiError::user_suspended());
    }
    Ok(())
}
