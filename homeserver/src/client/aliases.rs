//! Room aliases (Client-Server API, "Room Aliases").

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use ruma::events::TimelineEventType;
use ruma::{OwnedRoomAliasId, OwnedRoomId, RoomAliasId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::room_access::{not_inside, raw, resolve};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, delete, get, put};
use crate::room::{Draft, Room};

const CANONICAL: &str = "m.room.canonical_alias";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/directory/room/{roomAlias}", read),
        put("/_matrix/client/v3/directory/room/{roomAlias}", create),
        delete("/_matrix/client/v3/directory/room/{roomAlias}", remove),
        get("/_matrix/client/v3/rooms/{roomId}/aliases", of_room),
    ]
}

async fn read(
    State(app): State<Arc<App>>,
    Path(alias): Path<OwnedRoomAliasId>,
) -> ApiResult<Reply<Value>> {
    let room = resolve(&app, &alias).await?;
    Ok(Reply(json!({ "room_id": room, "servers": [app.config.server_name] })))
}

/// Refuses aliases of other servers and of application services.
pub(super) fn may_have(app: &App, requester: &Requester, alias: &RoomAliasId) -> ApiResult<()> {
    if alias.server_name() != app.config.server_name {
        return Err(ApiError::invalid_param(format!("{alias} is not an alias of this server")));
    }
    if alias.as_str().len() > 255 {
        return Err(ApiError::invalid_param("An alias may have 255 bytes"));
    }
    let own = requester.appservice.as_ref().map(|service| service.id());
    let outside = requester.appservice.as_ref().is_some_and(|service| !service.owns_alias(alias));
    if outside || app.appservices.exclusive_alias(alias, own) {
        let text = format!("{alias} is reserved for an application service");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "M_EXCLUSIVE", text));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Create {
    room_id: OwnedRoomId,
}

async fn create(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(alias): Path<OwnedRoomAliasId>,
    Json(body): Json<Create>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    may_have(&app, &requester, &alias)?;
    let room = app.rooms.get(&body.room_id).await?;
    if !room.snapshot().is_joined(&requester.user) && !requester.is_admin(&app).await? {
        return Err(ApiError::forbidden("You are not in the room"));
    }
    if app.directory.add(&alias, room.nid(), &requester.user).await? {
        room.aliases_changed();
        Ok(EMPTY)
    } else {
        Err(ApiError::unknown(format!("{alias} exists already")).status(StatusCode::CONFLICT))
    }
}

async fn remove(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(alias): Path<OwnedRoomAliasId>,
) -> ApiResult<Reply<Empty>> {
    let target = app.directory.resolve(&alias).await?;
    let target = target.ok_or_else(|| ApiError::not_found(format!("There is no alias {alias}")))?;
    let room = app.rooms.get(&target.room).await?;
    let owns = target.creator == requester.user
        || requester.appservice.as_ref().is_some_and(|service| service.owns_alias(&alias));
    if !owns && !may_tidy(&room, &requester) && !requester.is_admin(&app).await? {
        return Err(ApiError::forbidden("You may not delete that alias"));
    }
    app.directory.remove(&alias).await?;
    room.aliases_changed();
    drop_from_canonical(&requester, &room, &alias).await?;
    Ok(EMPTY)
}

/// Whether someone has the power to change the canonical alias.
fn may_tidy(room: &Room, requester: &Requester) -> bool {
    let snapshot = room.snapshot();
    snapshot.is_joined(&requester.user)
        && snapshot
            .power_levels()
            .is_some_and(|power| power.may_send(&requester.user, CANONICAL, true))
}

/// Takes a deleted alias out of the room's canonical aliases, if whoever deleted it may.
async fn drop_from_canonical(
    requester: &Requester,
    room: &Room,
    alias: &RoomAliasId,
) -> ApiResult<()> {
    let Some(event) = room.state_event(CANONICAL, "").await? else { return Ok(()) };
    let mut content: Map<String, Value> =
        serde_json::from_str(event.pdu.content().get()).unwrap_or_default();
    let before = content.clone();
    if content.get("alias").and_then(Value::as_str) == Some(alias.as_str()) {
        content.remove("alias");
    }
    if let Some(Value::Array(others)) = content.get_mut("alt_aliases") {
        others.retain(|other| other.as_str() != Some(alias.as_str()));
        if others.is_empty() {
            content.remove("alt_aliases");
        }
    }
    if content == before || !may_tidy(room, requester) {
        return Ok(());
    }
    let kind = TimelineEventType::RoomCanonicalAlias;
    room.send(Draft::state(requester.user.clone(), kind, "", raw(&content)?)).await?;
    Ok(())
}

async fn of_room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let room = app.rooms.get(&id).await?;
    let snapshot = room.snapshot();
    if !snapshot.is_joined(&requester.user) && snapshot.history_visibility() != "world_readable" {
        return Err(not_inside());
    }
    Ok(Reply(json!({ "aliases": app.directory.aliases(room.nid()).await? })))
}
