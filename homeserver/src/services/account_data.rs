//! Account data and tags (Client-Server API, "Client Config", "Room Tagging"), and filters.

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde_json::{Map, Value};

use crate::commit::{CommitError, CommitTx, Committer};
use crate::feed::Change;
use crate::nid::RoomNid;
use crate::services::cache::LoadCache;
use crate::storage::{StorageError, account_data, filters, rooms};

const FILTERS_CACHED: usize = 10_000;

/// The type of the account data that holds a room's tags.
pub const TAG: &str = "m.tag";

/// A room as account data needs it: its ID and its number.
#[derive(Debug, Clone)]
pub struct RoomKey {
    /// Its ID.
    pub id: OwnedRoomId,
    /// Its number.
    pub nid: RoomNid,
}

/// The account data of this server's users.
pub struct AccountData {
    db: Database,
    committer: Committer,
}

impl AccountData {
    /// The account data in a database.
    pub fn new(db: Database, committer: Committer) -> Self {
        Self { db, committer }
    }

    /// What account data needs to know of a room; `None` if the server doesn't know it.
    pub async fn room(&self, id: &RoomId) -> Result<Option<RoomKey>, StorageError> {
        let room = rooms::load(&self.db, id.as_str()).await?;
        Ok(room.map(|room| RoomKey { id: id.to_owned(), nid: room.nid }))
    }

    /// Reads account data, global without a room. What was deleted isn't there.
    pub async fn get(
        &self,
        user: &UserId,
        room: Option<&str>,
        kind: &str,
    ) -> Result<Option<String>, StorageError> {
        let entry = account_data::get(&self.db, user, room.unwrap_or_default(), kind).await?;
        Ok(entry.map(|entry| entry.content))
    }

    /// Sets account data; `content` is a JSON object.
    pub async fn set(
        &self,
        user: &UserId,
        room: Option<RoomKey>,
        kind: &str,
        content: String,
    ) -> Result<(), CommitError> {
        let (user, kind) = (user.to_owned(), kind.to_owned());
        self.committer
            .run(move |tx| {
                let (user, room, kind, content) =
                    (user.clone(), room.clone(), kind.clone(), content.clone());
                async move { write(tx, &user, room.as_ref(), &kind, &content).await }.boxed()
            })
            .await
    }

    /// The tags of a room.
    pub async fn tags(
        &self,
        user: &UserId,
        room: &str,
    ) -> Result<Map<String, Value>, StorageError> {
        let entry = account_data::get(&self.db, user, room, TAG).await?;
        Ok(entry.map(|entry| tags_in(&entry.content)).unwrap_or_default())
    }

    /// Sets a tag of a room, or removes it.
    pub async fn tag(
        &self,
        user: &UserId,
        room: RoomKey,
        tag: &str,
        value: Option<Map<String, Value>>,
    ) -> Result<(), CommitError> {
        let (user, tag) = (user.to_owned(), tag.to_owned());
        self.committer
            .run(move |tx| {
                let (user, room, tag, value) =
                    (user.clone(), room.clone(), tag.clone(), value.clone());
                async move {
                    let entry = account_data::get_in(tx, &user, room.id.as_str(), TAG).await?;
                    let mut tags = entry.map(|entry| tags_in(&entry.content)).unwrap_or_default();
                    match value {
                        Some(value) => drop(tags.insert(tag, Value::Object(value))),
                        None => drop(tags.remove(&tag)),
                    }
                    let content = serde_json::json!({ "tags": tags }).to_string();
                    write(tx, &user, Some(&room), TAG, &content).await
                }
                .boxed()
            })
            .await
    }
}

fn tags_in(content: &str) -> Map<String, Value> {
    match serde_json::from_str::<Map<String, Value>>(content)
        .ok()
        .and_then(|mut map| map.remove("tags"))
    {
        Some(Value::Object(tags)) => tags,
        _ => Map::new(),
    }
}

/// Writes account data in a commit and tells the user's clients.
pub(super) async fn write(
    tx: &mut CommitTx,
    user: &UserId,
    room: Option<&RoomKey>,
    kind: &str,
    content: &str,
) -> Result<(), StorageError> {
    let pos = tx.next_pos();
    account_data::set(tx, user, room.map_or("", |room| room.id.as_str()), kind, content, pos)
        .await?;
    let change = Change::AccountData {
        user: user.to_owned(),
        room: room.map(|room| room.nid),
        kind: kind.to_owned(),
    };
    tx.publish(pos, change);
    Ok(())
}

/// The filters that clients uploaded.
pub struct Filters {
    db: Database,
    committer: Committer,
    known: LoadCache<(OwnedUserId, i64), Arc<str>>,
}

impl Filters {
    /// The filters in a database.
    pub fn new(db: Database, committer: Committer) -> Self {
        Self { db, committer, known: LoadCache::new(FILTERS_CACHED) }
    }

    /// The definition of a filter; a warm one without I/O.
    pub async fn get(&self, user: &UserId, id: i64) -> Result<Option<Arc<str>>, StorageError> {
        let load = async { Ok(filters::get(&self.db, user, id).await?.map(Arc::from)) };
        self.known.get(&(user.to_owned(), id), load).await
    }

    /// Stores a filter and gives its ID.
    pub async fn create(&self, user: &UserId, definition: String) -> Result<i64, CommitError> {
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, definition) = (user.clone(), definition.clone());
                async move { filters::insert(tx, &user, &definition).await }.boxed()
            })
            .await
    }
}

impl std::fmt::Debug for AccountData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountData").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Filters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Filters").finish_non_exhaustive()
    }
}
