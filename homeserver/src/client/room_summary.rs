//! What a room shows of itself before one is inside (Client-Server API, "Room previews").

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedRoomOrAliasId, UserId};
use serde::Serialize;

use crate::app::App;
use crate::client::membership::{allowed_rooms, is_in_any};
use crate::client::room_access::{content_field, find};
use crate::http::auth::MaybeRequester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::Reply;
use crate::http::router::{Route, get};
use crate::room::{Membership, Room};

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![get("/_matrix/client/v1/room_summary/{roomIdOrAlias}", summary)]
}

/// A room as it is listed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Listed {
    pub(super) room_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) canonical_alias: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) room_type: Option<String>,
    pub(super) join_rule: String,
    pub(super) num_joined_members: u32,
    pub(super) world_readable: bool,
    pub(super) guest_can_join: bool,
}

/// Describes a room.
pub(super) async fn describe(room: &Room) -> ApiResult<Listed> {
    let snapshot = room.snapshot();
    let alias = content_field(room, "m.room.canonical_alias", "alias").await?;
    Ok(Listed {
        room_id: room.id().to_string(),
        name: content_field(room, "m.room.name", "name").await?.filter(|name| !name.is_empty()),
        topic: content_field(room, "m.room.topic", "topic").await?,
        avatar_url: content_field(room, "m.room.avatar", "url").await?,
        canonical_alias: alias.filter(|alias| !alias.is_empty()),
        room_type: snapshot.create_event().and_then(|event| event.pdu.content_str("type")),
        join_rule: snapshot.join_rule(),
        num_joined_members: snapshot.joined_count(),
        world_readable: snapshot.history_visibility() == "world_readable",
        guest_can_join: content_field(room, "m.room.guest_access", "guest_access")
            .await?
            .as_deref()
            == Some("can_join"),
    })
}

/// A room as it is shown from outside (`definitions/room_summary.yaml`).
#[derive(Debug, Clone, Serialize)]
pub(super) struct Summary {
    #[serde(flatten)]
    pub(super) listed: Listed,
    pub(super) room_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encryption: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) allowed_room_ids: Vec<OwnedRoomId>,
}

/// Describes a room to those outside.
pub(super) async fn summarise(room: &Room) -> ApiResult<Summary> {
    Ok(Summary {
        listed: describe(room).await?,
        room_version: room.version().to_string(),
        encryption: content_field(room, "m.room.encryption", "algorithm").await?,
        allowed_room_ids: allowed_rooms(room),
    })
}

/// Whether a room shows itself to a user, or to anyone at all: because he is in it, may join it or ask to, or because the
/// world may read it (Client-Server API, "Spaces", `GET /hierarchy`; the same holds for summaries).
pub(super) async fn may_preview(app: &App, room: &Room, user: Option<&UserId>) -> ApiResult<bool> {
    let snapshot = room.snapshot();
    let membership = user.and_then(|user| snapshot.membership(user));
    if matches!(membership, Some(Membership::Join | Membership::Invite | Membership::Knock))
        || snapshot.history_visibility() == "world_readable"
    {
        return Ok(true);
    }
    if membership == Some(Membership::Ban) {
        return Ok(false);
    }
    let rules = &room.rules().authorization;
    Ok(match (snapshot.join_rule().as_str(), user) {
        ("public", _) => true,
        ("knock", _) => rules.knocking,
        ("knock_restricted", _) => rules.knock_restricted_join_rule,
        ("restricted", Some(user)) if rules.restricted_join_rule => {
            is_in_any(app, user, &allowed_rooms(room)).await?
        }
        _ => false,
    })
}

/// The answer: a summary, and what the user is to the room.
#[derive(Debug, Serialize)]
struct Answer {
    #[serde(flatten)]
    summary: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    membership: Option<&'static str>,
}

async fn summary(
    State(app): State<Arc<App>>,
    MaybeRequester(requester): MaybeRequester,
    Path(name): Path<OwnedRoomOrAliasId>,
) -> ApiResult<Reply<Answer>> {
    let room = find(&app, &name).await?;
    let user = requester.as_ref().map(|requester| &*requester.user);
    if !may_preview(&app, &room, user).await? {
        // The same answer as for rooms that don't exist, so that nobody can probe for private ones.
        return Err(ApiError::not_found("There is no such room"));
    }
    let membership = user.and_then(|user| room.snapshot().membership(user));
    let summary = summarise(&room).await?;
    Ok(Reply(Answer { summary, membership: membership.map(Membership::as_str) }))
}
