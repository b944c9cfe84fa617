//! Numbers that are good once and for a minute.

use std::sync::Arc;

use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::services::sessions::random_token;

const LIVE: usize = 1_000;
const LIFETIME_MS: i64 = 60_000;

/// Nonces that were given out and not yet used.
pub struct Nonces {
    clock: Arc<dyn Clock>,
    live: Cache<String, i64>,
}

impl Nonces {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, live: Cache::new(LIVE) }
    }

    /// A new one.
    pub fn give(&self) -> String {
        let nonce = random_token();
        self.live.insert(nonce.clone(), self.clock.now_ms() + LIFETIME_MS);
        nonce
    }

    /// Uses one up; `false` if it isn't good.
    pub fn take(&self, nonce: &str) -> bool {
        self.live.remove(nonce).is_some_and(|(_, until)| until >= self.clock.now_ms())
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn a_nonce_is_good_once() {
        let nonces = Nonces::new(Arc::new(SystemClock));
        let nonce = nonces.give();
        assert!(nonces.take(&nonce));
        assert!(!nonces.take(&nonce));
        assert!(!nonces.take("made up"));
    }
}
