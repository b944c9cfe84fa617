//! Joining rooms that let in the members of other rooms (Client-Server API, "Restricted rooms").

use std::cmp::Reverse;

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{CREATOR, Membership, Room, RoomError, creators};

#[derive(Deserialize)]
struct Rules {
    #[serde(default)]
    allow: Vec<Value>,
}

/// The user in whose name a join is authorised; none where the join needs nobody's.
pub(in crate::client) async fn authoriser(
    app: &App,
    room: &Room,
    user: &UserId,
) -> ApiResult<Option<OwnedUserId>> {
    let snapshot = room.snapshot();
    if !matches!(snapshot.join_rule().as_str(), "restricted" | "knock_restricted")
        || matches!(
            snapshot.membership(user),
            Some(Membership::Join | Membership::Invite | Membership::Ban)
        )
    {
        return Ok(None);
    }
    if !is_in_any(app, user, &allowed_rooms(room)).await? {
        return Err(ApiError::forbidden("You are in none of the rooms whose members may join"));
    }
    let Some(power) = snapshot.power_levels() else { return Ok(None) };
    let here = |id: &UserId| id.server_name() == app.config.server_name && snapshot.is_joined(id);
    let mut named: Vec<(i64, OwnedUserId)> =
        power.named_users().map(|(id, level)| (level, id.to_owned())).collect();
    if let Some(create) = snapshot.create_event() {
        let creators = creators(create, &room.rules().authorization);
        named.extend(
            creators.into_iter().filter(|id| power.user(id) == CREATOR).map(|id| (CREATOR, id)),
        );
    }
    named.sort_by_key(|(level, _)| Reverse(*level));
    if let Some((_, id)) = named.into_iter().find(|(level, id)| *level >= power.invite && here(id))
    {
        return Ok(Some(id));
    }
    if power.users_default >= power.invite {
        let anyone = snapshot
            .state
            .members()
            .filter_map(|(id, _)| UserId::parse(id).ok())
            .find(|id| here(id));
        if anyone.is_some() {
            return Ok(anyone);
        }
    }
    Err(ApiError::forbidden("Nobody on this server may let you in"))
}

/// The rooms whose members a room lets in; none where its join rule isn't about other rooms.
pub(in crate::client) fn allowed_rooms(room: &Room) -> Vec<OwnedRoomId> {
    let snapshot = room.snapshot();
    if !matches!(snapshot.join_rule().as_str(), "restricted" | "knock_restricted") {
        return Vec::new();
    }
    let rules = snapshot
        .join_rules_event()
        .and_then(|event| serde_json::from_str::<Rules>(event.pdu.content().get()).ok());
    rules
        .map_or_else(Vec::new, |rules| rules.allow)
        .iter()
        .filter(|condition| condition["type"] == "m.room_membership")
        .filter_map(|condition| RoomId::parse(condition["room_id"].as_str()?).ok())
        .collect()
}

/// Whether a user is in one of these rooms. Those that this server doesn't know let nobody in.
pub(in crate::client) async fn is_in_any(
    app: &App,
    user: &UserId,
    rooms: &[OwnedRoomId],
) -> ApiResult<bool> {
    for id in rooms {
        match app.rooms.get(id).await {
            Ok(room) if room.snapshot().is_joined(user) => return Ok(true),
            Ok(_) | Err(RoomError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(false)
}
