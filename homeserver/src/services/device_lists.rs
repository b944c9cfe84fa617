//! Whose devices changed between two positions, and whose no longer matter (Client-Server API, "Tracking the device list for
//! a user").

use std::collections::{BTreeSet, HashSet};

use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};

use crate::http::error::ApiResult;
use crate::nid::{Pos, RoomNid};
use crate::room::{Membership, Rooms};
use crate::storage::devices;

/// The difference between two positions for one user.
#[derive(Debug, Default, serde::Serialize)]
pub struct Changes {
    /// Users whose keys must be asked for again.
    pub changed: BTreeSet<OwnedUserId>,
    /// Users with whom no room is shared any more.
    pub left: BTreeSet<OwnedUserId>,
}

/// What changed for `viewer` after `from` and not after `to`.
pub async fn between(
    db: &Database,
    rooms: &Rooms,
    viewer: &UserId,
    from: Pos,
    to: Pos,
) -> ApiResult<Changes> {
    let memberships = rooms.memberships(viewer).await?;
    let mine: HashSet<RoomNid> = memberships
        .iter()
        .filter(|(_, room)| room.membership == Membership::Join)
        .map(|(nid, _)| *nid)
        .collect();
    let mut candidates: BTreeSet<OwnedUserId> =
        devices::changed_between(db, from, to).await?.into_iter().collect();
    let own = candidates.remove(viewer);
    let all: Vec<RoomNid> = memberships.iter().map(|(nid, _)| *nid).collect();
    let mut moved: BTreeSet<OwnedUserId> =
        devices::members_changed(db, &all, from, to).await?.into_iter().collect();
    for (nid, room) in memberships.iter().filter(|(_, room)| room.pos > from && room.pos <= to) {
        if matches!(room.membership, Membership::Join | Membership::Leave | Membership::Ban) {
            let snapshot = rooms.handle(*nid).await?.snapshot();
            let members = snapshot
                .state
                .members()
                .filter(|(_, entry)| entry.membership == Some(Membership::Join));
            moved.extend(members.filter_map(|(user, _)| UserId::parse(user).ok()));
        }
    }
    let mut changes = Changes::default();
    if own {
        changes.changed.insert(viewer.to_owned());
    }
    for user in candidates.union(&moved).filter(|user| *user != viewer) {
        let theirs = rooms.memberships(user).await?;
        let shared = theirs
            .iter()
            .any(|(nid, room)| room.membership == Membership::Join && mine.contains(nid));
        match (shared, moved.contains(user)) {
            (true, _) => drop(changes.changed.insert(user.clone())),
            (false, true) => drop(changes.left.insert(user.clone())),
            (false, false) => {}
        }
    }
    Ok(changes)
}
