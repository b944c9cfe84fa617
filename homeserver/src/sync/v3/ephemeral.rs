//! What passes: who types, who has read what; and with whom the user shares rooms, on which it depends who is told of whom.

use std::collections::HashMap;

use ruma::UserId;

use super::build::Build;
use crate::app::App;
use crate::nid::{Pos, RoomNid};
use crate::room::{Membership, RoomError, UserRooms};
use crate::services::receipts;
use crate::storage::receipts::{self as table, Receipt};
use crate::sync::json::Writer;

/// The rooms that a user is in.
pub(super) struct Joined(UserRooms);

impl Joined {
    pub(super) async fn of(app: &App, user: &UserId) -> Result<Self, RoomError> {
        Ok(Self(app.rooms.memberships(user).await?))
    }

    /// Whether another user is in one of the rooms.
    pub(super) async fn shares_with(&self, app: &App, other: &UserId) -> Result<bool, RoomError> {
        let others = app.rooms.memberships(other).await?;
        let (few, many) =
            if others.len() < self.0.len() { (&others, &self.0) } else { (&self.0, &others) };
        let is_in = |rooms: &UserRooms, nid: &RoomNid| {
            rooms.get(nid).is_some_and(|room| room.membership == Membership::Join)
        };
        Ok(few.iter().any(|(nid, room)| room.membership == Membership::Join && is_in(many, nid)))
    }
}

/// The receipts to tell, by room. Rooms that the client has nothing of get all of them.
pub(super) async fn receipts(
    build: &Build<'_>,
    whole: &[RoomNid],
    changed: &[RoomNid],
    upto: Pos,
) -> Result<HashMap<RoomNid, Vec<Receipt>>, RoomError> {
    let mut by_room: HashMap<RoomNid, Vec<Receipt>> = HashMap::new();
    if !build.request.filter.room.ephemeral.event().admits_type("m.receipt") {
        return Ok(by_room);
    }
    let db = &build.app.db;
    let since = build.since.unwrap_or(0);
    for (rooms, from) in [(whole, 0), (changed, since)] {
        if rooms.is_empty() {
            continue;
        }
        for receipt in table::since(db, rooms, from, upto).await? {
            by_room.entry(receipt.room).or_default().push(receipt);
        }
    }
    Ok(by_room)
}

/// Whether there is something to tell of who types in a room.
pub(super) fn typing_changed(build: &Build<'_>, room: RoomNid) -> bool {
    build.request.filter.room.ephemeral.event().admits_type("m.typing")
        && (build.fresh_boot || build.app.typing.since(room, build.ephemeral_since).is_some())
}

/// Appends the `ephemeral` section of a room, if it has anything in it.
pub(super) fn write(
    build: &Build<'_>,
    out: &mut Writer,
    room: RoomNid,
    receipts: Option<&Vec<Receipt>>,
) {
    let filter = build.request.filter.room.ephemeral.event();
    let section = out.open_events("ephemeral");
    if let Some(receipts) = receipts {
        receipts::write(out, receipts, build.viewer.user.as_str());
    }
    if filter.admits_type("m.typing") {
        let typing = build.app.typing.since(room, build.ephemeral_since);
        // A restart has stopped everyone, and nobody else will tell the client.
        let typing = typing.or_else(|| build.fresh_boot.then(Vec::new));
        if let Some(users) = typing {
            out.open();
            out.key("type");
            out.text("m.typing");
            out.open_at("content");
            out.open_list_at("user_ids");
            users
                .iter()
                .filter(|user| !build.viewer.ignored.contains(user.as_str()))
                .for_each(|user| out.text(user.as_str()));
            out.close_list();
            out.close();
            out.close();
        }
    }
    out.close_events(section);
}
