//! Places where two devices of somebody meet, when one signs the other in by a QR code: a text that either reads and writes (MSC4108 of 2024,
//! and MSC4388). They are short-lived by their nature, and so in memory. What the devices say is encrypted between them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::services::sessions::random_token;

/// The longest text, in bytes (both proposals).
pub const MAX_BYTES: usize = 4_096;
/// For how long a place is there, in milliseconds: between the two minutes that people need and the five that are safe.
const LIFETIME_MS: i64 = 4 * 60 * 1000;
/// How many places there are at most. The one that would end first makes room.
const PLACES: usize = 1_000;
/// How many writes one place takes: each is remembered. Signing in takes less than ten.
const WRITES: usize = 200;

/// A place as somebody finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is written there.
    pub text: Arc<str>,
    /// Which writing it is, counted from one.
    pub version: u64,
    /// When it was written, in milliseconds since 1970.
    pub written_ms: i64,
    /// When the place will be gone.
    pub until_ms: i64,
}

/// Why nothing was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotWritten {
    /// There is no such place, or no longer.
    NoPlace,
    /// Somebody else wrote before.
    Outdated(Found),
    /// So much was written there that nobody is signing in.
    Full,
}

/// What became of a write, remembered for when it is tried again.
type Outcome = Result<u64, ()>;

struct Place {
    now: Found,
    writes: usize,
    outcomes: BTreeMap<String, Outcome>,
    /// The version that the last write replaced.
    replaced: Option<u64>,
}

#[derive(Default)]
struct Places {
    by_id: BTreeMap<String, Place>,
    /// The ids in the order in which the places end.
    ends: BTreeMap<(i64, u64), String>,
    made: u64,
}

/// The places.
pub struct Rendezvous {
    clock: Arc<dyn Clock>,
    places: Mutex<Places>,
}

impl Places {
    /// Throws out what is over, and what is too much.
    fn tidy(&mut self, now_ms: i64, room: usize) {
        while let Some(first) = self.ends.first_entry() {
            if first.key().0 > now_ms && self.by_id.len() + room <= PLACES {
                return;
            }
            self.by_id.remove(&first.remove());
        }
    }

    fn live(&mut self, id: &str, now_ms: i64) -> Option<&mut Place> {
        self.by_id.get_mut(id).filter(|place| place.now.until_ms > now_ms)
    }
}

impl Place {
    fn write(&mut self, version: u64, text: &str, now_ms: i64) -> Result<u64, NotWritten> {
        if self.writes >= WRITES {
            return Err(NotWritten::Full);
        }
        self.writes += 1;
        if self.now.version != version {
            return Err(NotWritten::Outdated(self.now.clone()));
        }
        self.replaced = Some(version);
        self.now.version += 1;
        self.now.text = text.into();
        self.now.written_ms = now_ms;
        Ok(self.now.version)
    }
}

impl Rendezvous {
    /// No places yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, places: Mutex::default() }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Places, i64) -> T) -> T {
        let now = self.clock.now_ms();
        act(&mut self.places.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Makes a place with a text, which is no longer than [`MAX_BYTES`], and gives its id.
    pub fn make(&self, text: &str) -> (String, Found) {
        let id = random_token();
        let found = self.with(|places, now| {
            places.tidy(now, 1);
            let until_ms = now + LIFETIME_MS;
            let now = Found { text: text.into(), version: 1, written_ms: now, until_ms };
            let found = now.clone();
            places.made += 1;
            let order = (until_ms, places.made);
            places.ends.insert(order, id.clone());
            let place = Place { now, writes: 0, outcomes: BTreeMap::new(), replaced: None };
            places.by_id.insert(id.clone(), place);
            found
        });
        (id, found)
    }

    /// What is written at a place.
    pub fn read(&self, id: &str) -> Option<Found> {
        self.with(|places, now| places.live(id, now).map(|place| place.now.clone()))
    }

    /// Writes a text in place of a version.
    pub fn write(&self, id: &str, version: u64, text: &str) -> Result<Found, NotWritten> {
        self.with(|places, now| {
            let place = places.live(id, now).ok_or(NotWritten::NoPlace)?;
            place.write(version, text, now)?;
            Ok(place.now.clone())
        })
    }

    /// The same, and the same once more is no other write: it was meant to replace what the last write replaced, with the same text.
    pub fn write_again(&self, id: &str, version: u64, text: &str) -> Result<u64, NotWritten> {
        self.with(|places, now| {
            let place = places.live(id, now).ok_or(NotWritten::NoPlace)?;
            if place.replaced == Some(version) && *place.now.text == *text {
                return Ok(place.now.version);
            }
            place.write(version, text, now)
        })
    }

    /// The same by transaction: what became of it stays the same, whatever is tried with its id again.
    pub fn write_once(
        &self,
        id: &str,
        transaction: &str,
        version: u64,
        text: &str,
    ) -> Result<u64, NotWritten> {
        self.with(|places, now| {
            let place = places.live(id, now).ok_or(NotWritten::NoPlace)?;
            match place.outcomes.get(transaction) {
                Some(Ok(version)) => return Ok(*version),
                Some(Err(())) => return Err(NotWritten::Outdated(place.now.clone())),
                None => {}
            }
            let written = place.write(version, text, now);
            let outcome = match &written {
                Ok(version) => Ok(*version),
                Err(NotWritten::Outdated(_)) => Err(()),
                Err(_) => return written,
            };
            place.outcomes.insert(transaction.to_owned(), outcome);
            written
        })
    }

    /// Ends a place; `false` when there is none.
    pub fn end(&self, id: &str) -> bool {
        self.with(|places, now| {
            // Its entry among the ends goes when its time comes.
            places.live(id, now).is_some() && places.by_id.remove(id).is_some()
        })
    }

    /// For how long a place will be there, in milliseconds.
    pub fn remaining_ms(&self, found: &Found) -> i64 {
        found.until_ms.saturating_sub(self.clock.now_ms()).max(0)
    }
}

impl std::fmt::Debug for Rendezvous {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rendezvous").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    fn places() -> (Arc<TestClock>, Rendezvous) {
        let clock = Arc::new(TestClock::default());
        (Arc::clone(&clock), Rendezvous::new(clock))
    }

    #[test]
    fn the_oldest_places_make_room_and_all_end() {
        let (clock, places) = places();
        let (first, _) = places.make("first");
        let ids: Vec<String> = (1..PLACES).map(|_| places.make("x").0).collect();
        assert!(places.read(&first).is_some());
        let (last, found) = places.make("last");
        assert_eq!(places.read(&first), None);
        assert!(places.read(&ids[0]).is_some() && places.read(&last).is_some());
        assert_eq!(places.remaining_ms(&found), LIFETIME_MS);
        clock.pass(LIFETIME_MS);
        assert_eq!(places.read(&last), None);
        assert_eq!(places.write(&last, 1, "y"), Err(NotWritten::NoPlace));
        assert!(!places.end(&last));
        places.make("next");
        let kept = places.places.lock().unwrap();
        assert_eq!((kept.by_id.len(), kept.ends.len()), (1, 1));
    }

    #[test]
    fn whoever_is_late_does_not_write() {
        let (_, places) = places();
        let (id, _) = places.make("a");
        assert_eq!(places.write(&id, 1, "b").unwrap().version, 2);
        let Err(NotWritten::Outdated(found)) = places.write(&id, 1, "c") else { panic!() };
        assert_eq!((found.version, &*found.text), (2, "b"));
        assert_eq!(places.write_again(&id, 1, "b"), Ok(2));
        assert!(places.write_again(&id, 1, "c").is_err());
        assert!(places.end(&id));
        assert!(!places.end(&id));
    }

    #[test]
    fn a_transaction_has_one_outcome() {
        let (_, places) = places();
        let (id, _) = places.make("a");
        assert_eq!(places.write_once(&id, "t1", 1, "b"), Ok(2));
        assert_eq!(places.write_once(&id, "t2", 2, "c"), Ok(3));
        assert_eq!(places.write_once(&id, "t1", 3, "d"), Ok(2));
        assert_eq!(&*places.read(&id).unwrap().text, "c");
        assert!(places.write_once(&id, "t3", 2, "e").is_err());
        assert!(places.write_once(&id, "t3", 3, "e").is_err());
        assert_eq!(places.read(&id).unwrap().version, 3);
    }

    #[test]
    fn a_place_takes_so_many_writes() {
        let (_, places) = places();
        let (id, _) = places.make("a");
        for n in 0..WRITES as u64 {
            assert!(places.write_once(&id, &n.to_string(), n + 1, "b").is_ok());
        }
        let last = WRITES as u64 + 1;
        assert_eq!(places.write(&id, last, "b"), Err(NotWritten::Full));
        assert_eq!(places.write_once(&id, "0", 1, "b"), Ok(2));
    }
}
