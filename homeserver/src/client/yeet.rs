//! Getting rid of a portal (`com.beeper.room_yeeting`): everybody leaves and forgets the room, its aliases and its
//! places in directories go, and then, in the background, all that the database has of it.

use std::sync::Arc;

use axum::extract::State;
use futures::{StreamExt as _, stream};
use ruma::OwnedRoomId;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Reply};
use crate::http::router::{Route, post};
use crate::room::Membership;
use crate::services::room_jobs::Deletion;
use crate::services::room_jobs::shutdown::{leave, members, unlist};

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
    unlist(&app, &room, None).await?;

    // Whoever deletes the room goes last: if this breaks off, it can be asked for again.
    let inside = [Membership::Join, Membership::Invite, Membership::Knock];
    let others = members(&app, &room, &inside).into_iter().filter(|user| *user != requester.user);
    let mut leaving = stream::iter(others)
        .map(|user| {
            let (app, room) = (&app, &room);
            async move { leave(app, room, &user).await }
        })
        .buffer_unordered(AT_ONCE);
    while let Some(left) = leaving.next().await {
        left?;
    }
    leave(&app, &room, &requester.user).await?;
    let (room_name, message) = (String::new(), String::new());
    let deletion =
        Deletion { new_room_user_id: None, room_name, message, purge: true, force_purge: false };
    deletion.start(&app.jobs, &id).await?;
    Ok(EMPTY)
}
