//! What lists of rooms are ordered and filtered by, in memory: none of a user's rooms is loaded to find the few that are shown.
//!
//! A room is known from the first time that somebody's list has it; from then on the feed keeps it true.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use landbridge_database::Database;
use ruma::{OwnedRoomId, events::TimelineEventType};

use crate::feed::{Change, FeedObserver, Published};
use crate::nid::{Pos, RoomNid};
use crate::room::bumps;
use crate::storage::StorageError;
use crate::storage::sliding::{RoomFacts, facts};

/// Rooms that are known at once. Beyond it all are forgotten, and read again where they are needed.
const MAX_ROOMS: usize = 300_000;
/// Rooms that are read at once.
const CHUNK: usize = 5_000;

/// What is known of a room.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Its id.
    pub id: OwnedRoomId,
    /// Position of the newest event that moves it up.
    pub bump: Pos,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Its type, empty without one; `None` while nobody has looked.
    pub kind: Option<Arc<str>>,
}

/// What is known of rooms.
#[derive(Debug, Default)]
pub struct Order(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    rooms: HashMap<RoomNid, Facts>,
    /// Reads that are under way.
    reads: usize,
    /// What was published since the first of them began, to be laid over what they bring.
    late: Vec<(RoomNid, News)>,
}

#[derive(Debug, Clone, Copy)]
struct News {
    bump: Option<Pos>,
    encrypted: bool,
}

impl Facts {
    fn learn(&mut self, news: News) {
        if let Some(bump) = news.bump {
            self.bump = self.bump.max(bump);
        }
        self.encrypted |= news.encrypted;
    }
}

impl From<RoomFacts> for Facts {
    fn from(facts: RoomFacts) -> Self {
        let RoomFacts { id, bump, encrypted, kind, .. } = facts;
        Self { id, bump, encrypted, kind: kind.map(Arc::from) }
    }
}

impl Order {
    /// Calls `visit` with each of the rooms that is known, after those that were not have been read.
    pub async fn visit(
        &self,
        db: &Database,
        rooms: &[RoomNid],
        mut visit: impl FnMut(RoomNid, &Facts),
    ) -> Result<(), StorageError> {
        let mut missing = Vec::new();
        {
            let inner = self.read();
            for room in rooms {
                match inner.rooms.get(room) {
                    Some(facts) => visit(*room, facts),
                    None => missing.push(*room),
                }
            }
        }
        for chunk in missing.chunks(CHUNK) {
            for (room, facts) in self.load(db, chunk).await? {
                visit(room, &facts);
            }
        }
        Ok(())
    }

    /// The type of a room was looked up.
    pub fn learn_kind(&self, room: RoomNid, kind: &str) {
        if let Some(facts) = self.write().rooms.get_mut(&room) {
            facts.kind = Some(Arc::from(kind));
        }
    }

    async fn load(
        &self,
        db: &Database,
        rooms: &[RoomNid],
    ) -> Result<Vec<(RoomNid, Facts)>, StorageError> {
        self.write().reads += 1;
        let reading = Reading(self);
        let stored = facts(db, rooms).await?;
        let mut inner = self.write();
        if inner.rooms.len() + stored.len() > MAX_ROOMS {
            inner.rooms.clear();
        }
        let mut loaded: HashMap<RoomNid, Facts> =
            stored.into_iter().map(|facts| (facts.nid, facts.into())).collect();
        for (room, news) in &inner.late {
            if let Some(facts) = loaded.get_mut(room) {
                facts.learn(*news);
            }
        }
        let loaded: Vec<_> = loaded.into_iter().collect();
        inner.rooms.extend(loaded.iter().cloned());
        drop(inner);
        drop(reading);
        Ok(loaded)
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read that is under way; its end is noted even if it fails or is given up.
struct Reading<'a>(&'a Order);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.write();
        inner.reads -= 1;
        if inner.reads == 0 {
            inner.late.clear();
        }
    }
}

impl FeedObserver for Order {
    fn published(&self, batch: &[Published]) {
        let news = batch.iter().filter_map(|published| {
            let Change::Event(event, _) = &published.change else { return None };
            let news = News {
                bump: bumps(event.kind()).then_some(published.pos),
                encrypted: event.pdu.state_key() == Some("")
                    && *event.kind() == TimelineEventType::RoomEncryption,
            };
            (news.bump.is_some() || news.encrypted).then_some((event.room, news))
        });
        let news: Vec<_> = news.collect();
        if news.is_empty() {
            return;
        }
        let mut inner = self.write();
        for (room, news) in news {
            if let Some(facts) = inner.rooms.get_mut(&room) {
                facts.learn(news);
            }
            if inner.reads > 0 {
                inner.late.push((room, news));
            }
        }
    }
}
