//! What handlers of rooms have in common: finding the room, reading its state as the requester may, and answering with it.

use std::sync::Arc;

use ruma::{OwnedRoomId, RoomAliasId, RoomId, RoomOrAliasId};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::app::App;
use crate::event::Event;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Membership, Room, StateMap};

/// Member events to go back through, for someone who left and was banned, unbanned and banned again.
const HOPS: usize = 8;

/// The room that an ID or alias names.
pub(crate) async fn find(app: &App, name: &RoomOrAliasId) -> ApiResult<Room> {
    let id = if name.is_room_id() {
        RoomId::parse(name.as_str()).map_err(|error| ApiError::invalid_param(error.to_string()))?
    } else {
        let alias = RoomAliasId::parse(name.as_str())
            .map_err(|error| ApiError::invalid_param(error.to_string()))?;
        resolve(app, &alias).await?
    };
    Ok(app.rooms.get(&id).await?)
}

/// The room of an alias. Application services are asked for aliases of theirs that don't exist yet (Application Service
/// API, "Querying").
pub(super) async fn resolve(app: &App, alias: &RoomAliasId) -> ApiResult<OwnedRoomId> {
    let unknown = || ApiError::not_found(format!("There is no room {alias}"));
    if alias.server_name() != app.config.server_name {
        return Err(unknown());
    }
    if let Some(target) = app.directory.resolve(alias).await? {
        return Ok(target.room);
    }
    if app.appservices.query_alias(alias).await
        && let Some(target) = app.directory.resolve(alias).await?
    {
        return Ok(target.room);
    }
    Err(unknown())
}

/// 403 for those who are not in a room and may not look inside.
pub(super) fn not_inside() -> ApiError {
    ApiError::forbidden("You are not in the room, and it can't be read from outside")
}

/// The state that the requester may see: today's inside a room and in one that the world may read; for who has left, the
/// state when they left (Client-Server API, "Room history visibility").
pub(super) async fn readable_state(
    app: &App,
    room: &Room,
    requester: &Requester,
) -> ApiResult<StateMap> {
    let snapshot = room.snapshot();
    let member = snapshot.member(&requester.user);
    if matches!(member, Some((Membership::Join, _)))
        || snapshot.history_visibility() == "world_readable"
    {
        return Ok(snapshot.state.clone());
    }
    let mut nid = match member {
        Some((Membership::Leave | Membership::Ban, nid)) => Some(nid),
        _ => None,
    };
    for _ in 0..HOPS {
        let Some(at) = nid else { break };
        let Some(event) = app.rooms.events(&[at]).await?.pop() else { break };
        let before = match event.state_before {
            Some(group) => room.state_of(group).await?.membership(&requester.user),
            None => None,
        };
        match (before, event.state_after) {
            (Some(Membership::Join), Some(after)) => return Ok(room.state_of(after).await?),
            (Some(Membership::Leave | Membership::Ban), _) => nid = event.replaces,
            _ => break,
        }
    }
    Err(not_inside())
}

/// The event of a type and state key in a state.
pub(super) async fn state_event(
    app: &App,
    state: &StateMap,
    kind: &str,
    key: &str,
) -> ApiResult<Option<Arc<Event>>> {
    match state.nid(kind, key) {
        Some(nid) => Ok(app.rooms.events(&[nid]).await?.pop()),
        None => Ok(None),
    }
}

/// A field of the content of a state event today.
pub(super) async fn content_field(
    room: &Room,
    kind: &str,
    field: &str,
) -> ApiResult<Option<String>> {
    Ok(room.state_event(kind, "").await?.and_then(|event| event.pdu.content_str(field)))
}

/// A map as raw JSON, for an event's content.
pub(crate) fn raw(content: &Map<String, Value>) -> ApiResult<Box<RawValue>> {
    to_raw_value(content).map_err(ApiError::internal)
}
