//! Joining, inviting, leaving and the rest of membership (Client-Server API, "Room membership").

mod restricted;
mod succession;

use std::sync::Arc;

use axum::extract::State;
use ruma::events::TimelineEventType;
use ruma::{OwnedRoomId, OwnedRoomOrAliasId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::room_access::{find, raw};
use crate::client::suspension;
use crate::client::third_party_invites::{ByAddress, keep, look_up, may_invite};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, post};
use crate::room::{Draft, Membership, Room};
use crate::services::identity::redeem;
use crate::services::invitations::may_be_invited;
use crate::services::{guests, server_notices};

pub(super) use restricted::{allowed_rooms, authoriser, is_in_any};
pub(super) use succession::carry_over;

/// The longest reason that is taken.
const MAX_REASON: usize = 4_096;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/joined_rooms", joined_rooms),
        post("/_matrix/client/v3/join/{roomIdOrAlias}", join),
        post("/_matrix/client/v3/rooms/{roomId}/join", join),
        post("/_matrix/client/v3/knock/{roomIdOrAlias}", knock),
        post("/_matrix/client/v3/rooms/{roomId}/invite", invite),
        post("/_matrix/client/v3/rooms/{roomId}/leave", leave),
        post("/_matrix/client/v3/rooms/{roomId}/kick", kick),
        post("/_matrix/client/v3/rooms/{roomId}/ban", ban),
        post("/_matrix/client/v3/rooms/{roomId}/unban", unban),
        post("/_matrix/client/v3/rooms/{roomId}/forget", forget),
    ]
}

#[derive(Default, Deserialize)]
struct Reason {
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Target {
    user_id: OwnedUserId,
    reason: Option<String>,
}

/// Sends a member event.
pub(crate) async fn set(
    room: &Room,
    sender: &UserId,
    target: &UserId,
    mut content: Map<String, Value>,
    reason: Option<String>,
) -> ApiResult<()> {
    if let Some(reason) = reason {
        if reason.len() > MAX_REASON {
            return Err(ApiError::too_large(format!("A reason may have {MAX_REASON} bytes")));
        }
        content.insert("reason".to_owned(), Value::from(reason));
    }
    let draft = Draft::state(
        sender.to_owned(),
        TimelineEventType::RoomMember,
        target.as_str(),
        raw(&content)?,
    );
    room.send(draft).await?;
    Ok(())
}

fn content(membership: Membership) -> Map<String, Value> {
    Map::from_iter([("membership".to_owned(), Value::from(membership.as_str()))])
}

async fn joined_rooms(
    State(app): State<Arc<App>>,
    requester: Requester,
) -> ApiResult<Reply<Value>> {
    let nids = app.rooms.joined(&requester.user).await?;
    Ok(Reply(json!({ "joined_rooms": app.directory.ids(&nids).await? })))
}

async fn join(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(name): Path<OwnedRoomOrAliasId>,
    JsonOrEmpty(mut body): JsonOrEmpty<Map<String, Value>>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Join)?;
    let room = find(&app, &name).await?;
    suspension::may_speak(&app, &requester, room.id()).await?;
    if !room.snapshot().is_joined(&requester.user) {
        if requester.guest {
            guests::must_let_in(&room).await?;
        }
        if let Some(signed) = body.remove("third_party_signed") {
            let Value::Object(signed) = signed else {
                return Err(ApiError::bad_json("third_party_signed must be an object"));
            };
            redeem(&app, &room, &requester.user, &signed).await?;
        }
        // What else a client puts into the request goes into the event, as clients have come to expect.
        let reason = match body.remove("reason") {
            Some(Value::String(reason)) => Some(reason),
            _ => None,
        };
        let mut content = body;
        content.extend(app.profiles.member_content(&requester.user, "join").await?);
        if let Some(user) = authoriser(&app, &room, &requester.user).await? {
            content.insert("join_authorised_via_users_server".to_owned(), json!(user));
        }
        set(&room, &requester.user, &requester.user, content, reason).await?;
        carry_over(&app, &room, &requester.user).await?;
    }
    Ok(Reply(json!({ "room_id": room.id() })))
}

async fn knock(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(name): Path<OwnedRoomOrAliasId>,
    JsonOrEmpty(body): JsonOrEmpty<Reason>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Join)?;
    let room = find(&app, &name).await?;
    let content = app.profiles.member_content(&requester.user, "knock").await?;
    set(&room, &requester.user, &requester.user, content, body.reason).await?;
    Ok(Reply(json!({ "room_id": room.id() })))
}

#[derive(Deserialize)]
struct Invite {
    user_id: Option<OwnedUserId>,
    #[serde(flatten)]
    by_address: ByAddress,
    reason: Option<String>,
}

async fn invite(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Invite>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Join)?;
    let room = app.rooms.get(&id).await?;
    let target = match body.user_id {
        Some(user) => user,
        None if body.by_address.is_empty() => {
            return Err(ApiError::missing("user_id"));
        }
        None => {
            let invited = body.by_address.check()?;
            // Before the identity server is asked: it writes to whoever is invited.
            may_invite(&requester, &room)?;
            let Some(user) = look_up(&app, &invited).await? else {
                keep(&app, &requester, &room, &invited).await?;
                return Ok(EMPTY);
            };
            user
        }
    };
    may_be_invited(&app, &requester.user, &target).await?;
    let content = app.profiles.member_content(&target, "invite").await?;
    set(&room, &requester.user, &target, content, body.reason).await?;
    Ok(EMPTY)
}

async fn leave(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    JsonOrEmpty(body): JsonOrEmpty<Reason>,
) -> ApiResult<Reply<Empty>> {
    let room = app.rooms.get(&id).await?;
    match room.snapshot().membership(&requester.user) {
        Some(Membership::Leave) => {}
        None => return Err(ApiError::forbidden("You are not in the room")),
        Some(_) => {
            server_notices::may_leave(&app, &requester.user, &room).await?;
            set(&room, &requester.user, &requester.user, content(Membership::Leave), body.reason)
                .await?;
        }
    }
    Ok(EMPTY)
}

async fn kick(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Target>,
) -> ApiResult<Reply<Empty>> {
    let room = app.rooms.get(&id).await?;
    // The same event would lift a ban, which is not what was asked for.
    match room.snapshot().membership(&body.user_id) {
        Some(Membership::Join | Membership::Invite | Membership::Knock) => {}
        _ => return Err(ApiError::forbidden("That user is not in the room")),
    }
    set(&room, &requester.user, &body.user_id, content(Membership::Leave), body.reason).await?;
    Ok(EMPTY)
}

async fn ban(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Target>,
) -> ApiResult<Reply<Empty>> {
    let room = app.rooms.get(&id).await?;
    set(&room, &requester.user, &body.user_id, content(Membership::Ban), body.reason).await?;
    Ok(EMPTY)
}

async fn unban(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Target>,
) -> ApiResult<Reply<Empty>> {
    let room = app.rooms.get(&id).await?;
    if room.snapshot().membership(&body.user_id) != Some(Membership::Ban) {
        return Err(ApiError::forbidden("That user is not banned"));
    }
    set(&room, &requester.user, &body.user_id, content(Membership::Leave), body.reason).await?;
    Ok(EMPTY)
}

async fn forget(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Empty>> {
    let room = app.rooms.get(&id).await?;
    match room.snapshot().membership(&requester.user) {
        Some(Membership::Leave | Membership::Ban) => {
            app.rooms.forget(&requester.user, &room).await?;
        }
        None => return Err(ApiError::not_found("You were never in the room")),
        Some(_) => return Err(ApiError::unknown("Leave the room before you forget it")),
    }
    Ok(EMPTY)
}
