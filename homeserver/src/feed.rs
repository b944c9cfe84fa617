//! The one feed of changes that every reader follows: sync, appservices, federation, push, search.
//!
//! The committer publishes each group once it is durable. First the observers learn of it (what memory
//! tells must never be older than the head), then the head moves, then those who wait are woken: one
//! handle per user, and only users that are in the changed room.

mod change;
mod ephemeral;
mod live;
mod reader;

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock, Weak,
        atomic::{AtomicI64, Ordering},
    },
};

use ruma::UserId;
use tokio::sync::broadcast;

use self::live::Live;
pub use self::{
    change::{Change, Published},
    ephemeral::Ephemeral,
    live::UserWatch,
    reader::{FeedReader, Next},
};
use crate::nid::{Pos, RoomNid};

/// Groups that a reader may be behind before it has to read the tables.
const READER_GROUPS: usize = 1024;

/// Learns of every published group before anyone can see its positions.
pub trait FeedObserver: Send + Sync + 'static {
    /// `batch` is durable. Must not block.
    fn published(&self, batch: &[Published]);

    /// What isn't durable has changed in a room: who types. Must not block.
    fn ephemeral(&self, _room: RoomNid) {}
}

/// A handle on the feed. Clones share it.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    generation: i64,
    head: AtomicI64,
    ephemeral: Ephemeral,
    rooms: RwLock<HashMap<RoomNid, Pos>>,
    live: Live,
    observers: RwLock<Vec<Weak<dyn FeedObserver>>>,
    groups: broadcast::Sender<Arc<[Published]>>,
}

impl Feed {
    /// A feed that stands at `head` of the database's `generation`; `rooms` are the positions of each room's
    /// newest change.
    pub fn new(
        generation: i64,
        head: Pos,
        rooms: impl IntoIterator<Item = (RoomNid, Pos)>,
    ) -> Self {
        let mut heads = HashMap::new();
        for (room, pos) in rooms {
            let newest: &mut Pos = heads.entry(room).or_default();
            *newest = pos.max(*newest);
        }
        Self(Arc::new(Inner {
            generation,
            head: AtomicI64::new(head),
            ephemeral: Ephemeral::new(),
            rooms: RwLock::new(heads),
            live: Live::default(),
            observers: RwLock::default(),
            groups: broadcast::Sender::new(READER_GROUPS),
        }))
    }

    /// The database's generation: a restored backup begins another, and positions of different generations
    /// can't be compared.
    pub fn generation(&self) -> i64 {
        self.0.generation
    }

    /// The newest position that is durable.
    pub fn head(&self) -> Pos {
        self.0.head.load(Ordering::Acquire)
    }

    /// The counter of what isn't durable: typing and presence.
    pub fn ephemeral(&self) -> &Ephemeral {
        &self.0.ephemeral
    }

    /// The position of the newest durable change in a room; 0 for a room without any.
    pub fn room_head(&self, room: RoomNid) -> Pos {
        read(&self.0.rooms).get(&room).copied().unwrap_or(0)
    }

    /// A handle that wakes when something changes for a user. `rooms` gives the rooms that the user is in; it
    /// is asked only when the user had no handle lately, the feed follows the changes from then on.
    pub fn user<I>(&self, user: &UserId, rooms: impl FnOnce() -> I) -> UserWatch
    where
        I: IntoIterator<Item = RoomNid>,
    {
        self.0.live.watch(user, rooms)
    }

    /// Wakes the users with a handle that are in a room, for changes that aren't durable.
    pub fn wake_room(&self, room: RoomNid) {
        self.wake_rooms(&[room]);
    }

    /// The same for several rooms.
    pub fn wake_rooms(&self, rooms: &[RoomNid]) {
        for observer in read(&self.0.observers).iter().filter_map(Weak::upgrade) {
            for room in rooms {
                observer.ephemeral(*room);
            }
        }
        self.0.live.wake_rooms(rooms);
    }

    /// Wakes a user's handles.
    pub fn wake_user(&self, user: &UserId) {
        self.0.live.wake_user(user);
    }

    /// Adds an observer. It sees what is published from now on, for as long as somebody else holds it: observers hold the feed and
    /// the database, and if it held them too, none of that would ever be let go of.
    pub fn observe(&self, observer: &Arc<impl FeedObserver>) {
        let observer = Arc::downgrade(observer);
        self.0.observers.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(observer);
    }

    /// A reader that gets every group from now on.
    pub fn reader(&self) -> FeedReader {
        FeedReader(self.0.groups.subscribe())
    }

    /// Makes a durable group visible. The committer alone calls it.
    pub(crate) fn publish(&self, head: Pos, batch: Vec<Published>) {
        for observer in read(&self.0.observers).iter().filter_map(Weak::upgrade) {
            observer.published(&batch);
        }
        {
            let mut rooms = self.0.rooms.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            for published in &batch {
                if let Some(room) = published.change.room() {
                    rooms.insert(room, published.pos);
                }
            }
        }
        self.0.head.store(head, Ordering::Release);
        if batch.is_empty() {
            return;
        }
        for published in &batch {
            self.0.live.changed(&published.change);
        }
        // An error only says that nobody reads.
        let _ = self.0.groups.send(batch.into());
    }
}

/// Nothing panics while it holds one of our locks; if it did, what they guard would still be sound.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
