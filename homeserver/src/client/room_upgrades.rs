//! Replacing a room by one of another version (Client-Server API, "Room Upgrades").

mod finish;

use std::sync::Arc;

use axum::extract::State;
use ruma::events::TimelineEventType;
use ruma::{CanonicalJsonObject, OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::client::create_room::{invitee, version};
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::room::{CREATOR, CreateRoom, Preset, Room};
use crate::storage::upgrades::Upgrade;

use self::finish::finish;
pub use self::finish::{Upgrades, run};

/// State that the new room takes over.
const KEPT: [&str; 12] = [
    "m.room.server_acl",
    "m.room.encryption",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.join_rules",
    "m.room.power_levels",
    "m.room.related_groups",
    "m.room.policy",
    "m.room.pinned_events",
];
const TOMBSTONE: &str = "m.room.tombstone";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/v3/rooms/{roomId}/upgrade", upgrade)]
}

#[derive(Deserialize)]
struct Body {
    new_version: String,
    #[serde(default)]
    additional_creators: Vec<OwnedUserId>,
}

async fn upgrade(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Value>> {
    requester.limit(&app, Limit::Join)?;
    let version = version(&app, Some(&body.new_version))?;
    let old = app.rooms.get(&id).await?;
    let snapshot = old.snapshot();
    let may = snapshot.is_joined(&requester.user)
        && snapshot
            .power_levels()
            .is_some_and(|power| power.may_send(&requester.user, TOMBSTONE, true));
    if !may {
        return Err(ApiError::forbidden("You have not the power to replace the room"));
    }
    let rules =
        version.rules().ok_or_else(|| ApiError::internal("a room version lost its rules"))?;
    let creators = rules.authorization.explicitly_privilege_room_creators;
    if !creators && !body.additional_creators.is_empty() {
        return Err(ApiError::invalid_param("Rooms of that version have no additional creators"));
    }
    let creator = invitee(&app, &requester.user).await?;
    let request = CreateRoom {
        creation_content: creation_content(&old, &body.additional_creators)?,
        initial_state: kept_state(&old).await?,
        power_level_content_override: power_levels(
            &old,
            &requester,
            creators,
            &body.additional_creators,
        )
        .await?,
        replaces: Some(old.nid()),
        ..CreateRoom::new(creator, version, Preset::PrivateChat)
    };
    let new = app.rooms.create(request).await?;
    let user = requester.user.clone();
    finish(&app, &Upgrade { new: new.nid(), old: old.nid(), user }).await?;
    Ok(Reply(json!({ "replacement_room": new.id() })))
}

fn creation_content(old: &Room, additional: &[OwnedUserId]) -> ApiResult<CanonicalJsonObject> {
    let snapshot = old.snapshot();
    let create =
        snapshot.create_event().ok_or_else(|| ApiError::internal("a room has no create event"))?;
    let mut content: Map<String, Value> =
        serde_json::from_str(create.pdu.content().get()).unwrap_or_default();
    content.retain(|key, _| matches!(key.as_str(), "m.federate" | "type"));
    let mut predecessor = json!({ "room_id": old.id() });
    if let Some(last) = snapshot.recent().last() {
        predecessor["event_id"] = json!(last.pdu.event_id);
    }
    content.insert("predecessor".to_owned(), predecessor);
    if !additional.is_empty() {
        content.insert("additional_creators".to_owned(), json!(additional));
    }
    ruma::canonical_json::try_from_json_map(content).map_err(ApiError::internal)
}

async fn kept_state(old: &Room) -> ApiResult<Vec<(TimelineEventType, String, Box<RawValue>)>> {
    let mut kept = Vec::new();
    for kind in KEPT {
        if kind != "m.room.power_levels"
            && let Some(event) = old.state_event(kind, "").await?
        {
            kept.push((
                TimelineEventType::from(kind),
                String::new(),
                event.pdu.content().to_owned(),
            ));
        }
    }
    // Bans go over, so that nobody comes back by way of an upgrade.
    let snapshot = old.snapshot();
    for (user, entry) in snapshot.state.members() {
        if entry.membership == Some(crate::room::Membership::Ban) {
            let content = RawValue::from_string(r#"{"membership":"ban"}"#.to_owned())
                .map_err(ApiError::internal)?;
            kept.push((TimelineEventType::RoomMember, user.to_owned(), content));
        }
    }
    Ok(kept)
}

/// The old room's power levels for the new room. Creators of rooms of version 12 must not stand in them.
async fn power_levels(
    old: &Room,
    requester: &Requester,
    creators: bool,
    additional: &[OwnedUserId],
) -> ApiResult<Option<CanonicalJsonObject>> {
    let Some(event) = old.state_event("m.room.power_levels", "").await? else { return Ok(None) };
    let mut content: Map<String, Value> =
        serde_json::from_str(event.pdu.content().get()).unwrap_or_default();
    if let Some(Value::Object(users)) = content.get_mut("users") {
        if creators {
            users.retain(|user, _| {
                user != requester.user.as_str() && !additional.iter().any(|other| other == user)
            });
        } else if old
            .snapshot()
            .power_levels()
            .is_some_and(|power| power.user(&requester.user) == CREATOR)
        {
            users.insert(requester.user.to_string(), json!(100));
        }
    }
    ruma::canonical_json::try_from_json_map(content).map(Some).map_err(ApiError::internal)
}
