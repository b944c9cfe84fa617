//! Getting rid of a portal (`com.beeper.room_yeeting`): everybody leaves and forgets the room, its aliases and its
//! places in directories go. What was said stays in the database until retention takes it.

use std::sync::Arc;

use axum::extract::State;
use futures::{FutureExt as _, StreamExt as _, stream};
use ruma::events::TimelineEventType;
use ruma::{OwnedRoomId, OwnedUserId, RoomAliasId, UserId};
use serde_json::value::RawValue;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Reply};
use crate::http::router::{Route, post};
use crate::room::{Draft, Membership, Room, RoomError};
use crate::storage::appservice_directory;

/// The power that deleting a room takes: that of who made it.
const POWER: i64 = 100;
/// How many leave at once.
const AT_ONCE: usize = 64;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![post("/_matrix/client/unstable/com.beeper.yeet/rooms/{roomId}/delete", delete)]
}

async fn delete(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Empty>> {
    if requester.appservice.is_none() {
        return Err(ApiError::forbidden("Only application services delete rooms"));
    }
    let room = app.rooms.get(&id).await?;
    let snapshot = room.snapshot();
    let power = snapshot.power_levels().map_or(0, |levels| levels.user(&requester.user));
    if !snapshot.is_joined(&requester.user) || power < POWER {
        return Err(ApiError::forbidden(format!("{} may not delete the room", requester.user)));
    }
    for alias in app.directory.aliases(room.nid()).await? {
        if let Ok(alias) = RoomAliasId::parse(&alias) {
            app.directory.remove(&alias).await?;
        }
    }
    app.directory.publish(room.id(), false).await?;
    let nid = room.nid();
    app.committer.run(move |tx| appservice_directory::forget(tx, nid).boxed()).await?;

    // Whoever deletes the room goes last: if this breaks off, it can be asked for again.
    let members: Vec<OwnedUserId> = snapshot
        .state
        .members()
        .filter(|(_, entry)| {
            matches!(
                entry.membership,
                Some(Membership::Join | Membership::Invite | Membership::Knock)
            )
        })
        .filter_map(|(user, _)| UserId::parse(user).ok())
        .filter(|user| user.server_name() == app.config.server_name && *user != requester.user)
        .collect();
    let mut leaving = stream::iter(members)
        .map(|user| {
            let (app, room) = (&app, &room);
            async move { leave(app, room, user).await }
        })
        .buffer_unordered(AT_ONCE);
    while let Some(left) = leaving.next().await {
        left?;
    }
    leave(&app, &room, requester.user.clone()).await?;
    Ok(EMPTY)
}

async fn leave(app: &App, room: &Room, user: OwnedUserId) -> Result<(), RoomError> {
    let content = RawValue::from_string(r#"{"membership":"leave"}"#.to_owned())
        .map_err(|error| RoomError::BadJson(error.to_string()))?;
    let draft = Draft::state(user.clone(), TimelineEventType::RoomMember, user.as_str(), content);
    room.send(draft).await?;
    app.rooms.forget(&user, room).await
}
