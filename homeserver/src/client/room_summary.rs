//! What a room shows of itself before one is inside (Client-Server API, "Room previews").

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use ruma::{OwnedRoomOrAliasId, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::room_access::{content_field, find};
use crate::http::auth::{Requester, access_token};
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

/// Whoever asks, if they say who they are.
struct MaybeRequester(Option<Requester>);

impl FromRequestParts<Arc<App>> for MaybeRequester {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        if access_token(&parts.headers, &parts.uri).is_none() {
            return Ok(Self(None));
        }
        Requester::from_request_parts(parts, app).await.map(|requester| Self(Some(requester)))
    }
}

fn may_see(room: &Room, listed: &Listed, user: Option<&UserId>) -> bool {
    let membership = user.and_then(|user| room.snapshot().membership(user));
    matches!(membership, Some(Membership::Join | Membership::Invite | Membership::Knock))
        || listed.world_readable
        || listed.guest_can_join
        || matches!(
            listed.join_rule.as_str(),
            "public" | "knock" | "knock_restricted" | "restricted"
        )
}

async fn summary(
    State(app): State<Arc<App>>,
    MaybeRequester(requester): MaybeRequester,
    Path(name): Path<OwnedRoomOrAliasId>,
) -> ApiResult<Reply<Value>> {
    let room = find(&app, &name).await?;
    let listed = describe(&room).await?;
    let user = requester.as_ref().map(|requester| &*requester.user);
    if !may_see(&room, &listed, user) {
        // The same answer as for rooms that don't exist, so that nobody can probe for private ones.
        return Err(ApiError::not_found("There is no such room"));
    }
    let mut answer = serde_json::to_value(&listed).map_err(ApiError::internal)?;
    let snapshot = room.snapshot();
    answer["room_version"] = json!(room.version());
    if let Some(membership) = user.and_then(|user| snapshot.membership(user)) {
        answer["membership"] = json!(membership.as_str());
    }
    if let Some(encryption) = content_field(&room, "m.room.encryption", "algorithm").await? {
        answer["encryption"] = json!(encryption);
    }
    if matches!(listed.join_rule.as_str(), "restricted" | "knock_restricted")
        && let Some(event) = snapshot.join_rules_event()
    {
        let rules: Value = serde_json::from_str(event.pdu.content().get()).unwrap_or_default();
        let rooms = rules["allow"].as_array().into_iter().flatten().map(|allow| &allow["room_id"]);
        answer["allowed_room_ids"] = json!(rooms.filter(|id| id.is_string()).collect::<Vec<_>>());
    }
    Ok(Reply(answer))
}
