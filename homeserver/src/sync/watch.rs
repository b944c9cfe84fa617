//! Handles to wait with.

use ruma::UserId;

use crate::app::App;
use crate::feed::UserWatch;
use crate::nid::RoomNid;
use crate::room::{Membership, RoomError};

/// A handle that wakes when something happens from here on that concerns the user. It is to be had before the first look at what there
/// is, and only by who may wait: the feed is told of all of the user's rooms.
pub async fn watch(app: &App, user: &UserId) -> Result<UserWatch, RoomError> {
    let rooms = app.rooms.memberships(user).await?;
    // What became durable meanwhile is published before the feed follows the user: it has to be asked for again then.
    let joined = || -> Vec<RoomNid> {
        let rooms = app.rooms.memberships_kept(user).unwrap_or(rooms);
        let joined = rooms.iter().filter(|(_, room)| room.membership == Membership::Join);
        joined.map(|(nid, _)| *nid).collect()
    };
    Ok(app.feed.user(user, joined))
}
