//! The rooms of each user, kept in memory for the users that somebody asks about.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};

use super::Membership;
use crate::{
    nid::{EventNid, Pos, RoomNid},
    storage::{StorageError, memberships},
};

/// What a user is to one room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserRoom {
    /// The membership.
    pub membership: Membership,
    /// The event that says so.
    pub event: EventNid,
    /// That event's position.
    pub pos: Pos,
    /// Whether the user has forgotten the room.
    pub forgotten: bool,
}

/// A user's rooms. Cheap to clone.
pub type UserRooms = imbl::OrdMap<RoomNid, UserRoom>;

/// How many users are kept at most; one beyond makes room by forgetting another.
const KEPT: usize = 20_000;

enum Slot {
    /// Being read; what was committed meanwhile is laid over what is read.
    Loading {
        readers: usize,
        changes: Vec<(RoomNid, UserRoom)>,
    },
    Known(UserRooms),
}

/// The rooms of users.
pub(super) struct Users {
    db: Database,
    slots: Mutex<HashMap<OwnedUserId, Slot>>,
}

impl Users {
    /// Nobody known yet.
    pub(super) fn new(db: Database) -> Self {
        Self { db, slots: Mutex::default() }
    }

    /// A user's rooms, as they are durable now.
    pub(super) async fn rooms(&self, user: &UserId) -> Result<UserRooms, StorageError> {
        {
            let mut slots = self.slots();
            match slots.get_mut(user) {
                Some(Slot::Known(rooms)) => return Ok(rooms.clone()),
                Some(Slot::Loading { readers, .. }) => *readers += 1,
                None => {
                    if slots.len() >= KEPT {
                        let victim = slots
                            .iter()
                            .find(|(_, slot)| matches!(slot, Slot::Known(_)))
                            .map(|(user, _)| user.clone());
                        victim.map(|user| slots.remove(&user));
                    }
                    slots
                        .insert(user.to_owned(), Slot::Loading { readers: 1, changes: Vec::new() });
                }
            }
        }
        let mut guard = LoadGuard { users: self, user, done: false };
        let stored = memberships::of_user(&self.db, user.as_str()).await?;
        guard.done = true;
        let mut rooms: UserRooms = stored
            .into_iter()
            .filter_map(|row| {
                let membership = Membership::parse(&row.membership)?;
                let (event, pos, forgotten) = (row.event, row.pos, row.forgotten);
                Some((row.room, UserRoom { membership, event, pos, forgotten }))
            })
            .collect();
        let mut slots = self.slots();
        match slots.get(user) {
            Some(Slot::Known(known)) => return Ok(known.clone()),
            Some(Slot::Loading { changes, .. }) => {
                for (room, change) in changes {
                    if rooms.get(room).is_none_or(|known| known.pos <= change.pos) {
                        rooms.insert(*room, *change);
                    }
                }
            }
            None => return Ok(rooms),
        }
        slots.insert(user.to_owned(), Slot::Known(rooms.clone()));
        Ok(rooms)
    }

    /// A user's rooms, as they are durable now, if they are in memory.
    pub(super) fn kept(&self, user: &UserId) -> Option<UserRooms> {
        match self.slots().get(user) {
            Some(Slot::Known(rooms)) => Some(rooms.clone()),
            Some(Slot::Loading { .. }) | None => None,
        }
    }

    /// A membership that has just become durable.
    pub(super) fn changed(&self, user: &UserId, room: RoomNid, change: UserRoom) {
        match self.slots().get_mut(user) {
            Some(Slot::Known(rooms)) => drop(rooms.insert(room, change)),
            Some(Slot::Loading { changes, .. }) => changes.push((room, change)),
            None => {}
        }
    }

    /// That a user has forgotten a room has just become durable.
    pub(super) fn forgot(&self, user: &UserId, room: RoomNid) {
        let mut slots = self.slots();
        match slots.get_mut(user) {
            Some(Slot::Known(rooms)) => {
                if let Some(known) = rooms.get_mut(&room) {
                    known.forgotten = true;
                }
            }
            // What is being read may be from before or after: read again.
            Some(Slot::Loading { .. }) => drop(slots.remove(user)),
            None => {}
        }
    }

    /// A room was deleted, with what these users were to it.
    pub(super) fn lost(&self, users: &[String], room: RoomNid) {
        let mut slots = self.slots();
        for user in users.iter().filter_map(|user| <&UserId>::try_from(user.as_str()).ok()) {
            match slots.get_mut(user) {
                Some(Slot::Known(rooms)) => drop(rooms.remove(&room)),
                // What is being read may be from before: read again.
                Some(Slot::Loading { .. }) => drop(slots.remove(user)),
                None => {}
            }
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<OwnedUserId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the loading slot away if its read fails or is given up, so that it doesn't gather changes for ever.
struct LoadGuard<'a> {
    users: &'a Users,
    user: &'a UserId,
    done: bool,
}

impl Drop for LoadGuard<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut slots = self.users.slots();
        if let Some(Slot::Loading { readers, .. }) = slots.get_mut(self.user) {
            *readers -= 1;
            if *readers == 0 {
                slots.remove(self.user);
            }
        }
    }
}
