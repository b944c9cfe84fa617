//! Rooms that nobody may come into any more: administrators block them, also such that this server doesn't know yet.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use futures::FutureExt as _;
use landbridge_database::Database;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::room::Rooms;
use crate::storage::{StorageError, blocked_rooms};

/// The blocked rooms, all of them in memory: there are as many as administrators took the trouble to block.
pub struct BlockedRooms {
    rooms: Rooms,
    committer: Committer,
    clock: Arc<dyn Clock>,
    known: RwLock<HashMap<OwnedRoomId, OwnedUserId>>,
}

impl BlockedRooms {
    /// Reads them, and has `rooms` let nobody in.
    pub async fn open(
        db: &Database,
        rooms: &Rooms,
        committer: &Committer,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        let known: HashMap<_, _> = blocked_rooms::all(db).await?.into_iter().collect();
        for room in known.keys() {
            rooms.set_blocked(room, true);
        }
        let (rooms, committer, clock) = (rooms.clone(), committer.clone(), Arc::clone(clock));
        Ok(Self { rooms, committer, clock, known: RwLock::new(known) })
    }

    /// Who blocked a room; `None` if nobody has.
    pub fn by(&self, room: &RoomId) -> Option<OwnedUserId> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(room).cloned()
    }

    /// Blocks a room.
    pub async fn block(&self, room: &RoomId, by: &UserId) -> Result<(), CommitError> {
        let (id, user, now) = (room.to_owned(), by.to_owned(), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let (id, user) = (id.clone(), user.clone());
                async move { blocked_rooms::insert(tx, &id, &user, now).await }.boxed()
            })
            .await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.entry(room.to_owned()).or_insert_with(|| by.to_owned());
        self.rooms.set_blocked(room, true);
        Ok(())
    }

    /// Lets people come in again.
    pub async fn unblock(&self, room: &RoomId) -> Result<(), CommitError> {
        let id = room.to_owned();
        self.committer
            .run(move |tx| {
                let id = id.clone();
                async move { blocked_rooms::delete(tx, &id).await }.boxed()
            })
            .await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(room);
        self.rooms.set_blocked(room, false);
        Ok(())
    }
}

impl std::fmt::Debug for BlockedRooms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockedRooms").finish_non_exhaustive()
    }
}
