//! Which events are sticky now ([MSC4354](https://github.com/matrix-org/matrix-spec-proposals/pull/4354)).
//!
//! There are few of them and each for an hour at most, so all are kept in memory: a sync that has none to tell reads no table. The events
//! themselves say until when they are sticky; what was redacted is told apart when it is read.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};

use crate::clock::Clock;
use crate::feed::{Change, FeedObserver, Published};
use crate::http::error::{ApiError, ApiResult};
use crate::nid::{EventNid, Pos, RoomNid};
use crate::storage::{StorageError, sticky as table};

/// Sticky events of one user in one room at a time. All members are told all of them, whatever their clients ask for.
const MAX_PER_USER: usize = 1_000;
/// How often those that aren't sticky any more are forgotten, in ms.
const SWEEP_MS: i64 = 60_000;

/// A sticky event.
#[derive(Debug, Clone)]
pub struct Sticky {
    /// Its position.
    pub pos: Pos,
    /// Its number.
    pub event: EventNid,
    sender: OwnedUserId,
    until: i64,
}

/// The events that are sticky.
pub struct StickyEvents {
    clock: Arc<dyn Clock>,
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    /// By room, in the order of their positions.
    rooms: HashMap<RoomNid, Vec<Sticky>>,
    swept: i64,
}

impl StickyEvents {
    /// Those that are in the database. To be called, and made an observer of the feed, before anything new is written.
    pub async fn load(db: &Database, clock: Arc<dyn Clock>) -> Result<Self, StorageError> {
        let mut inner = Inner::default();
        for row in table::live(db, clock.now_ms()).await? {
            let Ok(sender) = UserId::parse(row.sender) else { continue };
            let sticky = Sticky { pos: row.pos, event: row.event, sender, until: row.until };
            inner.rooms.entry(row.room).or_default().push(sticky);
        }
        Ok(Self { clock, inner: RwLock::new(inner) })
    }

    /// Refuses those who have too many sticky events in a room.
    pub fn may_send(&self, room: RoomNid, user: &UserId) -> ApiResult<()> {
        let now = self.clock.now_ms();
        let inner = self.read();
        let of_user = inner.rooms.get(&room).into_iter().flatten();
        let of_user = of_user.filter(|sticky| sticky.until > now && sticky.sender == *user);
        let (count, first) = of_user
            .fold((0, i64::MAX), |(count, first), sticky| (count + 1, sticky.until.min(first)));
        if count < MAX_PER_USER {
            return Ok(());
        }
        let wait = Duration::from_millis(first.saturating_sub(now).max(1).unsigned_abs());
        Err(ApiError::limit_exceeded(wait))
    }

    /// Whether a room may have sticky events after `from` and not after `upto`.
    pub fn any(&self, room: RoomNid, from: Pos, upto: Pos) -> bool {
        let inner = self.read();
        inner.rooms.get(&room).is_some_and(|known| !range(known, from, upto).is_empty())
    }

    /// The events of some rooms that are sticky at `now` and stand after `from` and not after `upto`, in the order of their positions.
    pub fn between(
        &self,
        from: Pos,
        upto: Pos,
        now: i64,
        wanted: impl Fn(RoomNid) -> bool,
    ) -> Vec<(RoomNid, Sticky)> {
        let inner = self.read();
        let mut found = Vec::new();
        for (room, known) in inner.rooms.iter().filter(|(room, _)| wanted(**room)) {
            let live = range(known, from, upto).iter().filter(|sticky| sticky.until > now);
            found.extend(live.map(|sticky| (*room, sticky.clone())));
        }
        found.sort_unstable_by_key(|(_, sticky)| sticky.pos);
        found
    }

    /// The rooms that have any.
    pub fn rooms(&self) -> Vec<RoomNid> {
        self.read().rooms.keys().copied().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn range(known: &[Sticky], from: Pos, upto: Pos) -> &[Sticky] {
    let begin = known.partition_point(|sticky| sticky.pos <= from);
    let end = known.partition_point(|sticky| sticky.pos <= upto);
    known.get(begin..end).unwrap_or_default()
}

impl FeedObserver for StickyEvents {
    fn published(&self, batch: &[Published]) {
        let sticky = |published: &Published| match &published.change {
            Change::Event(event, _) => {
                let until = event.sticky_until?;
                let sender = event.pdu.sender.clone();
                Some((event.room, Sticky { pos: published.pos, event: event.nid, sender, until }))
            }
            _ => None,
        };
        let mut new = batch.iter().filter_map(sticky).peekable();
        if new.peek().is_none() {
            return;
        }
        let now = self.clock.now_ms();
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        for (room, sticky) in new.filter(|(_, sticky)| sticky.until > now) {
            inner.rooms.entry(room).or_default().push(sticky);
        }
        if now - inner.swept >= SWEEP_MS {
            inner.swept = now;
            inner.rooms.retain(|_, known| {
                known.retain(|sticky| sticky.until > now);
                !known.is_empty()
            });
        }
    }
}

impl std::fmt::Debug for StickyEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StickyEvents").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;

    use super::*;
    use crate::clock::SystemClock;

    fn known(count: usize, until: i64) -> StickyEvents {
        let sticky = |n: usize| Sticky {
            pos: n as Pos,
            event: EventNid(n as i64),
            sender: owned_user_id!("@a:h"),
            until,
        };
        let rooms = HashMap::from([(RoomNid(1), (1..=count).map(sticky).collect())]);
        let inner = RwLock::new(Inner { rooms, swept: 0 });
        StickyEvents { clock: Arc::new(SystemClock), inner }
    }

    #[test]
    fn a_user_may_have_so_many_in_a_room() {
        let (alice, bob) = (owned_user_id!("@a:h"), owned_user_id!("@b:h"));
        let full = known(MAX_PER_USER, i64::MAX);
        assert_eq!(full.may_send(RoomNid(1), &alice).unwrap_err().errcode, "M_LIMIT_EXCEEDED");
        full.may_send(RoomNid(1), &bob).unwrap();
        full.may_send(RoomNid(2), &alice).unwrap();
        known(MAX_PER_USER - 1, i64::MAX).may_send(RoomNid(1), &alice).unwrap();
        known(MAX_PER_USER, 5).may_send(RoomNid(1), &alice).unwrap();
    }

    #[test]
    fn those_of_a_span_are_found_while_they_are_sticky() {
        let sticky = known(5, 10);
        let found = |from, upto, now| {
            let found = sticky.between(from, upto, now, |room| room == RoomNid(1));
            found.iter().map(|(_, sticky)| sticky.pos).collect::<Vec<_>>()
        };
        assert_eq!(found(0, 9, 9), [1, 2, 3, 4, 5]);
        assert_eq!(found(2, 4, 9), [3, 4]);
        assert_eq!(found(0, 9, 10), Vec::<Pos>::new());
        assert!(sticky.any(RoomNid(1), 4, 5) && !sticky.any(RoomNid(1), 5, 9));
        assert!(!sticky.any(RoomNid(2), 0, 9));
    }
}
