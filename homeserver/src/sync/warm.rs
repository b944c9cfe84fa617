//! After a start everybody's clients come back at once. The rooms of those who were here last are read before they ask, so that their
//! first answer does not wait for as many reads as they have rooms.

use std::sync::Arc;
use std::time::Duration;

use ruma::UserId;

use super::order::Known;
use super::ranking::Ranking;
use crate::app::App;
use crate::nid::RoomNid;
use crate::room::RoomError;
use crate::storage::devices;

/// Whose devices were heard of so recently.
const LATELY: Duration = Duration::from_hours(24);
/// Users whose rooms are read at most.
const USERS: i64 = 1_000;
/// Rooms that are read at most; a part of what [`Order`](super::order::Order) keeps.
const ROOMS: usize = 100_000;
/// As many rooms as clients look at first are read whole, of each of so many users.
const WINDOW: usize = 20;
const WINDOWS: usize = 200;

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
    for (place, user) in
        devices::users_seen_since(&app.db, since, USERS).await?.into_iter().enumerate()
    {
        if rooms >= ROOMS || app.background.stop.is_cancelled() {
            break;
        }
        let whole = if place < WINDOWS { WINDOW } else { 0 };
        rooms += read_rooms(app, &user, whole).await?;
    }
    tracing::debug!(rooms, "read the rooms of those who were here last");
    Ok(())
}

/// Reads a user's rooms, the first ones `whole`; gives how many there are.
async fn read_rooms(app: &App, user: &UserId, whole: usize) -> Result<usize, RoomError> {
    let rooms = app.rooms.memberships(user).await?;
    let first = |ranking: &Ranking, _: Known<'_>| -> Vec<RoomNid> {
        ranking.shown().take(whole).map(|(_, nid)| nid).collect()
    };
    let first = app.sync.order.ranked(&app.db, user, &rooms, first).await?;
    app.rooms.load_many(&first).await?;
    Ok(rooms.len())
}
