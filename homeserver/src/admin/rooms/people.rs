//! Who is in a room and rules it.

use std::sync::Arc;

use axum::extract::State;
use ruma::events::TimelineEventType;
use ruma::{OwnedRoomOrAliasId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::request::{Admin, account};
use crate::app::App;
use crate::client::membership::set;
use crate::client::room_access::{find, raw};
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, JsonOrEmpty, Reply};
use crate::http::router::{Route, post};
use crate::room::{CREATOR, Draft, Membership, Room};

const LEVELS: &str = "m.room.power_levels";
/// What is given where the mightiest has more than a number can say.
const ADMIN_LEVEL: i64 = 100;

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_synapse/admin/v1/join/{roomIdOrAlias}", join),
        post("/_synapse/admin/v1/rooms/{roomIdOrAlias}/make_room_admin", make_admin),
    ]
}

#[derive(Deserialize)]
struct Join {
    user_id: OwnedUserId,
}

/// The user joins by the room's rules; where those ask for an invite, by the administrator's.
async fn join(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(name): Path<OwnedRoomOrAliasId>,
    Json(body): Json<Join>,
) -> ApiResult<Reply<Value>> {
    if account(&app, &body.user_id).await?.deactivated {
        return Err(ApiError::invalid_param("The account is closed"));
    }
    let (room, user) = (find(&app, &name).await?, &body.user_id);
    if !room.snapshot().is_joined(user) {
        let invited = room.snapshot().membership(user) == Some(Membership::Invite);
        if room.snapshot().join_rule() != "public" && !invited && requester.user != *user {
            let content = app.profiles.member_content(user, "invite").await?;
            set(&room, &requester.user, user, content, None).await?;
        }
        let content = app.profiles.member_content(user, "join").await?;
        set(&room, user, user, content, None).await?;
    }
    Ok(Reply(json!({ "room_id": room.id() })))
}

#[derive(Default, Deserialize)]
struct MakeAdmin {
    user_id: Option<OwnedUserId>,
}

/// Gives a user the level of the mightiest user of this server, in that one's name.
async fn make_admin(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(name): Path<OwnedRoomOrAliasId>,
    JsonOrEmpty(body): JsonOrEmpty<MakeAdmin>,
) -> ApiResult<Reply<Empty>> {
    let user = body.user_id.unwrap_or(requester.user);
    account(&app, &user).await?;
    let room = find(&app, &name).await?;
    let (mighty, level) = mightiest(&app, &room)?;
    let snapshot = room.snapshot();
    if snapshot.power_levels().is_none_or(|levels| levels.user(&user) < level) {
        let content = raw(&levels_with(&room, &user, level)?)?;
        let draft =
            Draft::state(mighty.clone(), TimelineEventType::from(LEVELS), String::new(), content);
        room.send(draft).await?;
    }
    let membership = snapshot.membership(&user);
    if !matches!(membership, Some(Membership::Join | Membership::Invite))
        && snapshot.join_rule() != "public"
    {
        let content = app.profiles.member_content(&user, "invite").await?;
        set(&room, &mighty, &user, content, None).await?;
    }
    Ok(EMPTY)
}

/// The user of this server in the room with the most power, who may change who has power, and the level to give.
fn mightiest(app: &App, room: &Room) -> ApiResult<(OwnedUserId, i64)> {
    let snapshot = room.snapshot();
    let nobody = || ApiError::unknown("Nobody of this server in the room may give power to others");
    let levels = snapshot.power_levels().ok_or_else(nobody)?;
    let ours = format!(":{}", app.config.server_name);
    snapshot
        .state
        .members()
        .filter(|(user, entry)| entry.membership == Some(Membership::Join) && user.ends_with(&ours))
        .filter_map(|(user, _)| UserId::parse(user).ok())
        .filter(|user| levels.may_send(user, LEVELS, true))
        .map(|user| (levels.user(&user), user))
        .max()
        .map(|(level, user)| {
            // A creator of a room of version 12 stands above all numbers.
            let level =
                if level == CREATOR { ADMIN_LEVEL.max(levels.event(LEVELS, true)) } else { level };
            (user, level)
        })
        .ok_or_else(nobody)
}

/// The room's power levels with one more user in them.
fn levels_with(room: &Room, user: &UserId, level: i64) -> ApiResult<Map<String, Value>> {
    let snapshot = room.snapshot();
    let mut content: Map<String, Value> = if let Some(event) = snapshot.power_levels_event() {
        serde_json::from_str(event.pdu.content().get()).map_err(ApiError::internal)?
    } else {
        // Without the event the creator alone has power, which the event must go on saying.
        let creator = snapshot.create_event().map(|event| event.pdu.sender.to_string());
        let users: Map<String, Value> =
            creator.into_iter().map(|creator| (creator, json!(ADMIN_LEVEL))).collect();
        Map::from_iter([("users".to_owned(), Value::Object(users))])
    };
    let users = content.entry("users").or_insert_with(|| json!({}));
    match users {
        Value::Object(users) => drop(users.insert(user.to_string(), json!(level))),
        other => *other = json!({ user.as_str(): level }),
    }
    Ok(content)
}
