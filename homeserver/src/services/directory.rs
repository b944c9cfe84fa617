//! Room aliases, and the public directory of rooms (Client-Server API, "Room Aliases", "Listing rooms").

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{OwnedRoomId, OwnedUserId, RoomAliasId, RoomId, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::nid::RoomNid;
use crate::storage::accounts::parse_user;
use crate::storage::{StorageError, aliases, published, rooms};

/// What an alias stands for.
#[derive(Debug, Clone)]
pub struct AliasTarget {
    /// The room.
    pub room: OwnedRoomId,
    /// Who made the alias.
    pub creator: OwnedUserId,
}

/// The aliases of this server and its public directory.
pub struct Directory {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
}

fn parse_room(text: &str) -> Result<OwnedRoomId, StorageError> {
    RoomId::parse(text).map_err(|_| StorageError::Damaged(format!("{text:?} is not a room ID")))
}

impl Directory {
    /// The directory in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        Self { db, committer, clock }
    }

    /// What an alias stands for.
    pub async fn resolve(&self, alias: &RoomAliasId) -> Result<Option<AliasTarget>, StorageError> {
        let Some((nid, creator)) = aliases::get(&self.db, alias.as_str()).await? else {
            return Ok(None);
        };
        let Some((_, room)) = rooms::ids(&self.db, &[nid]).await?.pop() else { return Ok(None) };
        Ok(Some(AliasTarget { room: parse_room(&room)?, creator: parse_user(&creator)? }))
    }

    /// The IDs of rooms, in no order.
    pub async fn ids(&self, nids: &[RoomNid]) -> Result<Vec<OwnedRoomId>, StorageError> {
        rooms::ids(&self.db, nids).await?.iter().map(|(_, id)| parse_room(id)).collect()
    }

    /// The aliases of a room, sorted.
    pub async fn aliases(&self, room: RoomNid) -> Result<Vec<String>, StorageError> {
        aliases::of_room(&self.db, room).await
    }

    /// Makes an alias; `false` when it is taken.
    pub async fn add(
        &self,
        alias: &RoomAliasId,
        room: RoomNid,
        creator: &UserId,
    ) -> Result<bool, CommitError> {
        let (alias, creator, now) = (alias.to_owned(), creator.to_owned(), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let (alias, creator) = (alias.clone(), creator.clone());
                async move { aliases::insert(tx, alias.as_str(), room, creator.as_str(), now).await }.boxed()
            })
            .await
    }

    /// Removes an alias; `false` when there was none.
    pub async fn remove(&self, alias: &RoomAliasId) -> Result<bool, CommitError> {
        let alias = alias.to_owned();
        self.committer
            .run(move |tx| {
                let alias = alias.clone();
                async move { aliases::delete(tx, alias.as_str()).await }.boxed()
            })
            .await
    }

    /// Moves all aliases, and the place in the directory, from a room to the one that replaces it.
    pub async fn replace(
        &self,
        old: (RoomNid, &RoomId),
        new: (RoomNid, &RoomId),
    ) -> Result<(), CommitError> {
        let listed = published::contains(&self.db, old.1).await.map_err(Arc::new)?;
        let (from, to, now) =
            ((old.0, old.1.to_owned()), (new.0, new.1.to_owned()), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let (from, to) = (from.clone(), to.clone());
                async move {
                    aliases::move_all(tx, from.0, to.0).await?;
                    if listed {
                        published::delete(tx, &from.1).await?;
                        published::insert(tx, &to.1, now).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await
    }

    /// Whether a room stands in the public directory.
    pub async fn is_public(&self, room: &RoomId) -> Result<bool, StorageError> {
        published::contains(&self.db, room).await
    }

    /// Puts a room into the public directory, or takes it out.
    pub async fn publish(&self, room: &RoomId, public: bool) -> Result<(), CommitError> {
        let (room, now) = (room.to_owned(), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let room = room.clone();
                async move {
                    if public {
                        published::insert(tx, &room, now).await
                    } else {
                        published::delete(tx, &room).await
                    }
                }
                .boxed()
            })
            .await
    }

    /// All rooms in the public directory.
    pub async fn public(&self) -> Result<Vec<OwnedRoomId>, StorageError> {
        published::all(&self.db).await
    }
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").finish_non_exhaustive()
    }
}
