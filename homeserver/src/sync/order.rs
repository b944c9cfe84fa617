//! What lists of rooms are ordered and filtered by, in memory: none of a user's rooms is loaded to find the few that are shown.
//!
//! A room is known from the first time that somebody's list has it; from then on the feed keeps it true.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use landbridge_database::Database;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId, UserId, events::TimelineEventType};

use super::ranking::Ranking;
use crate::feed::{Change, FeedObserver, Published};
use crate::nid::{Pos, RoomNid};
use crate::room::{UserRooms, bumps};
use crate::storage::StorageError;
use crate::storage::sliding::{RoomFacts, facts};

/// Rooms that are known at once. Beyond it all are forgotten, and read again where they are needed.
const MAX_ROOMS: usize = 300_000;
/// Rooms that are read at once.
const CHUNK: usize = 5_000;
/// Moves of rooms that are kept. A ranking that is older than all of them is made anew.
const MAX_MOVES: usize = 65_536;
/// Rooms in all rankings that are kept.
const MAX_RANKED: u64 = 300_000;

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

/// What is known of rooms, and in which order they are for those who looked lately.
pub struct Order {
    inner: RwLock<Inner>,
    rankings: Cache<OwnedUserId, Kept, ByRooms>,
}

/// A ranking that is kept.
#[derive(Clone)]
struct Kept {
    ranked: Arc<Mutex<Ranked>>,
    /// The rooms that it was kept for. The cache counts on this never to change: a ranking that has grown is kept anew.
    rooms: usize,
}

/// A ranking, and the position up to which it knows what moved.
#[derive(Default)]
struct Ranked {
    ranking: Ranking,
    at: Pos,
}

#[derive(Clone)]
struct ByRooms;

impl Weighter<OwnedUserId, Kept> for ByRooms {
    fn weight(&self, _: &OwnedUserId, kept: &Kept) -> u64 {
        // What a ranking takes beside its rooms is worth some more.
        kept.rooms as u64 + 8
    }
}

/// What is known of a user's rooms while they are looked at in their order.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    rooms: &'a HashMap<RoomNid, Facts>,
    loaded: &'a HashMap<RoomNid, Facts>,
}

impl Known<'_> {
    /// What is known of a room.
    pub fn get(&self, room: RoomNid) -> Option<&Facts> {
        self.rooms.get(&room).or_else(|| self.loaded.get(&room))
    }
}

#[derive(Debug, Default)]
struct Inner {
    rooms: HashMap<RoomNid, Facts>,
    /// What moved rooms up after `floor`, in order.
    moves: VecDeque<(Pos, RoomNid)>,
    floor: Pos,
    /// The newest position that was published.
    newest: Pos,
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

impl Inner {
    fn moved(&mut self, pos: Pos, room: RoomNid) {
        self.moves.push_back((pos, room));
        if self.moves.len() > MAX_MOVES
            && let Some((oldest, _)) = self.moves.pop_front()
        {
            self.floor = self.floor.max(oldest);
        }
    }

    fn moves_after(&self, pos: Pos) -> impl ExactSizeIterator<Item = (Pos, RoomNid)> {
        let first = self.moves.partition_point(|(at, _)| *at <= pos);
        self.moves.range(first..).copied()
    }
}

impl Order {
    /// Knows nothing yet of what came up to the stream's head when the server starts.
    pub fn new(head: Pos) -> Self {
        Self {
            inner: RwLock::new(Inner { floor: head, newest: head, ..Inner::default() }),
            rankings: Cache::with_weighter(1_000, MAX_RANKED, ByRooms),
        }
    }

    /// Calls `look` with the rooms of a user in their order, as they are by his memberships, and with what is known of all that are
    /// shown. It must be quick: it holds up whoever else looks.
    ///
    /// It costs as much as has changed since the user's last look, and at most as much as the user has rooms.
    pub async fn ranked<R>(
        &self,
        db: &Database,
        user: &UserId,
        memberships: &UserRooms,
        look: impl FnOnce(&Ranking, Known<'_>) -> R,
    ) -> Result<R, StorageError> {
        let kept = self.kept(user, memberships.len());
        let mut loaded: HashMap<RoomNid, Facts> = HashMap::new();
        let mut began = self.read().newest;
        loop {
            let unknown = {
                let inner = self.read();
                let mut ranked = lock(&kept);
                if began < inner.floor {
                    // What was loaded may have moved since, and nobody knows any more.
                    loaded.clear();
                    began = inner.newest;
                }
                // More moves than rooms cost more than to begin anew.
                let moves = inner.moves_after(ranked.at).len();
                if ranked.at < inner.floor || moves > memberships.len() {
                    ranked.ranking = Ranking::default();
                    ranked.at = inner.newest;
                }
                let known = Known { rooms: &inner.rooms, loaded: &loaded };
                match ranked.ranking.follow(memberships, |nid| Some(known.get(nid)?.bump)) {
                    Ok(()) => {
                        // What comes out of `loaded` doesn't have what came after it was begun to be read.
                        let since =
                            if loaded.is_empty() { ranked.at } else { ranked.at.min(began) };
                        for (pos, nid) in inner.moves_after(since) {
                            ranked.ranking.raise(nid, pos);
                        }
                        ranked.at = inner.newest;
                        return Ok(look(&ranked.ranking, known));
                    }
                    Err(unknown) => unknown,
                }
            };
            for chunk in unknown.chunks(CHUNK) {
                loaded.extend(self.load(db, chunk).await?);
            }
        }
    }

    /// A user's ranking as it was kept, or a new one.
    fn kept(&self, user: &UserId, rooms: usize) -> Arc<Mutex<Ranked>> {
        let known = self.rankings.get(user);
        if let Some(known) = known.as_ref().filter(|known| rooms <= known.rooms.saturating_mul(2)) {
            return Arc::clone(&known.ranked);
        }
        let ranked = known.map(|known| known.ranked).unwrap_or_default();
        let kept = Kept { ranked: Arc::clone(&ranked), rooms: rooms.max(1) };
        self.rankings.insert(user.to_owned(), kept);
        ranked
    }

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
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(ranked: &Mutex<Ranked>) -> MutexGuard<'_, Ranked> {
    ranked.lock().unwrap_or_else(PoisonError::into_inner)
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
        let Some(newest) = batch.iter().map(|published| published.pos).max() else { return };
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
        let mut inner = self.write();
        inner.newest = inner.newest.max(newest);
        for (room, news) in news {
            if let Some(bump) = news.bump {
                inner.moved(bump, room);
            }
            if let Some(facts) = inner.rooms.get_mut(&room) {
                facts.learn(news);
            }
            if inner.reads > 0 {
                inner.late.push((room, news));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_that_has_grown_is_kept_as_what_it_is_now() {
        let order = Order::new(0);
        let user = ruma::user_id!("@a:h");
        let first = order.kept(user, 1);
        assert!(Arc::ptr_eq(&first, &order.kept(user, 2)));
        assert_eq!(order.rankings.weight(), 1 + 8);
        assert!(Arc::ptr_eq(&first, &order.kept(user, 5)), "grown, and the same");
        assert_eq!(order.rankings.weight(), 5 + 8);
        for n in 0..1_000 {
            let user = UserId::parse(format!("@u{n}:h")).expect("an id");
            order.kept(&user, 1_000);
            order.kept(&user, 3_000);
        }
        assert!(order.rankings.weight() <= MAX_RANKED);
    }
}
