//! Rate limits that the network has told: what they stop waits, everything else goes on.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::handlers::LimitScope;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Bucket {
    Chat(i64),
    Login(String),
    Global,
}

/// Until when what has to wait.
#[derive(Default)]
pub(crate) struct Rates {
    paused: Mutex<HashMap<Bucket, i64>>,
}

impl Rates {
    /// Pauses a chat, a login or everything until a time.
    pub(crate) fn pause(&self, scope: LimitScope, portal: i64, login: &str, until: i64, now: i64) {
        let bucket = match scope {
            LimitScope::Chat => Bucket::Chat(portal),
            LimitScope::Login => Bucket::Login(login.to_owned()),
            LimitScope::Global => Bucket::Global,
        };
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.retain(|_, end| *end > now);
        let end = paused.entry(bucket).or_insert(until);
        *end = (*end).max(until);
    }

    /// When something may be sent: a time in the future, or `None` for now.
    pub(crate) fn wait_until(&self, portal: i64, login: &str, now: i64) -> Option<i64> {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        [Bucket::Chat(portal), Bucket::Login(login.to_owned()), Bucket::Global]
            .iter()
            .filter_map(|bucket| paused.get(bucket).copied())
            .filter(|until| *until > now)
            .max()
    }
}

/// How long to wait before the next attempt: doubles from a second to a minute. The scatter, from the number of what
/// waits, keeps many from trying at the same moment.
pub(crate) fn backoff_ms(attempts: i64, scatter: i64) -> i64 {
    let base = 1000_i64 << attempts.clamp(0, 6);
    (base + scatter.rem_euclid(base / 4)).min(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_stops_only_its_scope() {
        let rates = Rates::default();
        rates.pause(LimitScope::Chat, 1, "a", 100, 0);
        rates.pause(LimitScope::Login, 2, "b", 200, 0);
        assert_eq!(rates.wait_until(1, "a", 50), Some(100));
        assert_eq!(rates.wait_until(1, "a", 100), None);
        assert_eq!(rates.wait_until(3, "a", 50), None);
        assert_eq!(rates.wait_until(3, "b", 50), Some(200));
        rates.pause(LimitScope::Global, 9, "z", 150, 0);
        assert_eq!(rates.wait_until(3, "a", 50), Some(150));
        assert_eq!(rates.wait_until(3, "b", 50), Some(200));
    }

    #[test]
    fn waiting_grows_and_is_bounded() {
        for attempts in 0..20 {
            let (this, next) = (backoff_ms(attempts, 0), backoff_ms(attempts + 1, 0));
            assert!(this <= next && (1000..=60_000).contains(&this));
        }
    }
}
