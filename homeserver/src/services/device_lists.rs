//! Whose devices changed between two positions, and whose no longer matter (Client-Server API, "Tracking the device list for
//! a user").

use std::collections::{BTreeSet, HashSet};

use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};

use crate::http::error::ApiResult;
use crate::nid::{EventNid, Pos, RoomNid};
use crate::room::{Membership, RoomError, Rooms, StateMap};
use crate::storage::devices;

/// The difference between two positions for one user.
#[derive(Debug, Default, serde::Serialize)]
pub struct Changes {
    /// Users whose keys must be asked for again.
    pub changed: BTreeSet<OwnedUserId>,
    /// Users with whom no room is shared any more.
    pub left: BTreeSet<OwnedUserId>,
}

/// The users who are in a room by its state.
pub fn joined(state: &StateMap) -> impl Iterator<Item = OwnedUserId> + '_ {
    state
        .members()
        .filter(|(_, entry)| entry.membership == Some(Membership::Join))
        .filter_map(|(user, _)| UserId::parse(user).ok())
}

/// The end of a user's last stay in a room.
#[derive(Debug)]
pub struct Stay {
    /// When the user left.
    pub end: Pos,
    /// Whom the user left behind.
    pub members: Vec<OwnedUserId>,
}

/// Where a user's last stay in a room ended, for one who is in the room no more. `newest` is the user's newest member event;
/// none for who was never in the room.
pub async fn last_stay(rooms: &Rooms, newest: EventNid) -> Result<Option<Stay>, RoomError> {
    let mut next = Some(newest);
    let mut later = None;
    while let Some(nid) = next {
        let Some(event) = rooms.events(&[nid]).await?.pop() else { return Ok(None) };
        if event.pdu.membership() == Some(Membership::Join) {
            break;
        }
        next = event.replaces;
        later = Some(event);
    }
    let (Some(_), Some(leave)) = (next, later) else { return Ok(None) };
    let Some(place) = leave.place() else { return Ok(None) };
    let state = match leave.state_after {
        Some(group) => rooms.state_of(group).await?,
        None => match rooms.find(leave.room).await? {
            Some(room) => room.snapshot().state.clone(),
            None => return Ok(None),
        },
    };
    Ok(Some(Stay { end: place.pos, members: joined(&state).collect() }))
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
    let mut updated: BTreeSet<OwnedUserId> =
        devices::changed_between(db, from, to).await?.into_iter().collect();
    let own = updated.remove(viewer);
    // A signature concerns the signer's devices whether or not a room is shared.
    let signed = devices::signed_between(db, viewer, from, to).await?;
    let all: Vec<RoomNid> = mine.iter().copied().collect();
    let mut moved: BTreeSet<OwnedUserId> =
        devices::members_changed(db, &all, from, to).await?.into_iter().collect();
    for (nid, room) in memberships.iter().filter(|(_, room)| room.pos > from && room.pos <= to) {
        match room.membership {
            Membership::Join => {
                let Some(room) = rooms.find(*nid).await? else { continue };
                moved.extend(joined(&room.snapshot().state));
            }
            // Of a room that the viewer is not in, nothing is told but up to the leaving.
            Membership::Leave | Membership::Ban | Membership::Invite | Membership::Knock => {
                let Some(stay) = last_stay(rooms, room.event).await? else { continue };
                if stay.end > from {
                    moved.extend(stay.members);
                    moved.extend(devices::members_changed(db, &[*nid], from, stay.end).await?);
                }
            }
        }
    }
    let mut changes = Changes::default();
    changes.changed.extend(signed);
    if own {
        changes.changed.insert(viewer.to_owned());
    }
    for user in updated.union(&moved).filter(|user| *user != viewer) {
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
