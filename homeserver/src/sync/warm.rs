//! After a start everybody's clients come back at once. The rooms of those who were here last are read before they ask, so that their
//! first answer does not wait for as many reads as they have rooms.

use std::sync::Arc;
use std::time::Duration;

use ruma::UserId;

use crate::app::App;
use crate::room::RoomError;
use crate::storage::devices;

/// Whose devices were heard of so recently.
const LATELY: Duration = Duration::from_hours(24);
/// Users whose rooms are read at most.
const USERS: i64 = 1_000;
/// Rooms that are read at most; a part of what [`Order`](super::order::Order) keeps.
const ROOMS: usize = 100_000;

/// Reads what the lists of those who were here last are ordered by, the last ones first.
pub async fn run(app: Arc<App>) {
    if let Err(error) = read(&app).await {
        // They are read when they are asked for.
        tracing::warn!(%error, "the rooms of those who were here last could not be read");
    }
}

async fn read(app: &App) -> Result<(), RoomError> {
    let lately = i64::try_from(LATELY.as_millis()).unwrap_or(i64::MAX);
    let since = app.clock.now_ms().saturating_sub(lately);
    let mut rooms = 0;
    for user in devices::users_seen_since(&app.db, since, USERS).await? {
        if rooms >= ROOMS || app.background.stop.is_cancelled() {
            break;
        }
        rooms += read_rooms(app, &user).await?;
    }
    tracing::debug!(rooms, "read the rooms of those who were here last");
    Ok(())
}

/// Gives how many rooms a user has.
async fn read_rooms(app: &App, user: &UserId) -> Result<usize, RoomError> {
    let rooms = app.rooms.memberships(user).await?;
    app.sync.order.ranked(&app.db, user, &rooms, |_, _| ()).await?;
    Ok(rooms.len())
}
