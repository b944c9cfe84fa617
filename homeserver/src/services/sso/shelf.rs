//! Things that are kept for a while, each for the browser that it was made for.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::services::sessions::random_token;
use crate::storage::tokens::TokenHash;

/// How many are kept at most.
const KEPT: usize = 10_000;

/// Things by random keys.
pub(super) struct Shelf<T> {
    clock: Arc<dyn Clock>,
    lifetime_ms: i64,
    things: Cache<String, Thing<T>>,
}

#[derive(Clone)]
struct Thing<T> {
    value: T,
    browser: TokenHash,
    until_ms: i64,
}

impl<T: Clone> Shelf<T> {
    pub(super) fn new(clock: Arc<dyn Clock>, lifetime_ms: i64) -> Self {
        Self { clock, lifetime_ms, things: Cache::new(KEPT) }
    }

    /// Keeps a thing and gives its key.
    pub(super) fn put(&self, value: T, browser: TokenHash) -> String {
        let key = random_token();
        self.put_as(key.clone(), value, browser);
        key
    }

    /// Keeps a thing under a key that nobody else can have.
    pub(super) fn put_as(&self, key: String, value: T, browser: TokenHash) {
        let until_ms = self.clock.now_ms() + self.lifetime_ms;
        self.things.insert(key, Thing { value, browser, until_ms });
    }

    /// The thing, which stays.
    pub(super) fn peek(&self, key: &str, browser: TokenHash) -> Option<T> {
        self.good(self.things.get(key)?, browser)
    }

    /// The thing, which is gone then.
    pub(super) fn take(&self, key: &str, browser: TokenHash) -> Option<T> {
        self.good(self.things.remove(key)?.1, browser)
    }

    /// Throws a thing away.
    pub(super) fn forget(&self, key: &str) {
        self.things.remove(key);
    }

    fn good(&self, thing: Thing<T>, browser: TokenHash) -> Option<T> {
        let good = thing.browser == browser && thing.until_ms > self.clock.now_ms();
        good.then_some(thing.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TestClock;

    #[test]
    fn a_thing_is_taken_once_in_time_and_by_its_browser() {
        let clock = Arc::new(TestClock::default());
        let shelf = Shelf::new(clock.clone(), 10);
        let (mine, other) = (TokenHash::of("mine"), TokenHash::of("other"));
        let key = shelf.put(1, mine);
        assert_eq!(shelf.peek(&key, other), None);
        assert_eq!(shelf.peek(&key, mine), Some(1));
        assert_eq!(shelf.take(&key, mine), Some(1));
        assert_eq!(shelf.take(&key, mine), None);
        let key = shelf.put(2, mine);
        assert_eq!(shelf.take(&key, other), None);
        assert_eq!(shelf.take(&key, mine), None, "whoever tried it has used it up");
        let key = shelf.put(3, mine);
        clock.pass(10);
        assert_eq!(shelf.take(&key, mine), None);
    }
}
