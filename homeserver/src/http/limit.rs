//! Rate limits (Client-Server API, "Rate limiting"), kept per user or per address.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::{Rate, RateLimits};
use crate::http::error::{ApiError, ApiResult};
use crate::storage::rate_overrides::Override;

/// Checks after which forgotten keys are swept out, so that memory doesn't grow with everyone ever seen.
const SWEEP_EVERY: u32 = 10_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Sending an event.
    Message,
    /// Joining, inviting, knocking, creating a room.
    Join,
    /// Logging in.
    Login,
    /// Creating an account.
    Registration,
    /// Asking for an e-mail.
    Email,
    /// Anything else that writes.
    Other,
}

/// The limits and how much of them is used.
#[derive(Debug)]
pub struct Limits {
    enabled: bool,
    limiters: [DefaultKeyedRateLimiter<String>; 6],
    /// Of single users, set by administrators.
    own: RwLock<HashMap<String, Own>>,
    checks: AtomicU32,
}

/// A user's own limit, for all that is limited by user but logging in.
#[derive(Debug)]
struct Own {
    limit: Override,
    /// None if nothing limits the user.
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Own {
    fn new(limit: Override) -> Self {
        let rate = NonZeroU32::new(limit.per_second);
        let limiter = rate.map(|rate| {
            let burst = NonZeroU32::new(limit.burst).unwrap_or(rate);
            RateLimiter::direct(Quota::per_second(rate).allow_burst(burst))
        });
        Self { limit, limiter }
    }
}

fn limiter(rate: Rate) -> DefaultKeyedRateLimiter<String> {
    let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
    let period =
        Duration::try_from_secs_f64(1.0 / rate.per_second).unwrap_or(Duration::from_secs(1));
    let quota = Quota::with_period(period.max(Duration::from_nanos(1)))
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
        .allow_burst(burst);
    RateLimiter::dashmap(quota)
}

impl Limits {
    /// The limits that the settings ask for.
    pub fn new(config: &RateLimits) -> Self {
        let rates = [
            config.message,
            config.join,
            config.login,
            config.registration,
            config.email,
            config.other,
        ];
        Self {
            enabled: config.enabled,
            limiters: rates.map(limiter),
            own: RwLock::default(),
            checks: AtomicU32::new(0),
        }
    }

    /// Gives a user a limit of their own, or takes it away.
    pub fn set_override(&self, user: &str, limit: Option<Override>) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        match limit {
            Some(limit) => drop(own.insert(user.to_owned(), Own::new(limit))),
            None => drop(own.remove(user)),
        }
    }

    /// The user's own limit.
    pub fn override_of(&self, user: &str) -> Option<Override> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.get(user).map(|own| own.limit)
    }

    /// Counts one request of `key` (a user or an address); 429 `M_LIMIT_EXCEEDED` when it is one too many.
    pub fn check(&self, limit: Limit, key: &str) -> ApiResult<()> {
        if !self.enabled {
            return Ok(());
        }
        let too_many = |busy: governor::NotUntil<_>| {
            ApiError::limit_exceeded(busy.wait_time_from(DefaultClock::default().now()))
        };
        // How often a password may be tried is for the account's good, not for its owner to be freed from.
        if !matches!(limit, Limit::Login | Limit::Registration) {
            let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(own) = own.get(key) {
                return own.limiter.as_ref().map_or(Ok(()), |one| one.check().map_err(too_many));
            }
        }
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            for limiter in &self.limiters {
                limiter.retain_recent();
            }
        }
        let limiter = &self.limiters[limit as usize];
        limiter.check_key(&key.to_owned()).map_err(too_many)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_each_key_has_its_own() {
        let rate = Rate { per_second: 0.001, burst: 2 };
        let limits = Limits::new(&RateLimits { login: rate, ..RateLimits::default() });
        limits.check(Limit::Login, "a").unwrap();
        limits.check(Limit::Login, "a").unwrap();
        let error = limits.check(Limit::Login, "a").unwrap_err();
        assert_eq!(error.errcode, "M_LIMIT_EXCEEDED");
        assert!(error.extra["retry_after_ms"].as_u64().unwrap() > 0);
        limits.check(Limit::Login, "b").unwrap();
        limits.check(Limit::Message, "a").unwrap();
    }

    #[test]
    fn a_user_may_have_a_limit_of_their_own() {
        let rate = Rate { per_second: 0.001, burst: 1 };
        let config = RateLimits { message: rate, login: rate, ..RateLimits::default() };
        let limits = Limits::new(&config);
        limits.set_override("a", Some(Override { per_second: 0, burst: 0 }));
        limits.set_override("b", Some(Override { per_second: 1, burst: 3 }));
        for _ in 0..10 {
            limits.check(Limit::Message, "a").unwrap();
        }
        let passed = (0..10).filter(|_| limits.check(Limit::Message, "b").is_ok()).count();
        assert!((3..10).contains(&passed), "{passed}");
        limits.check(Limit::Login, "a").unwrap();
        limits.check(Limit::Login, "a").unwrap_err();
        limits.set_override("a", None);
        limits.check(Limit::Message, "a").unwrap();
        limits.check(Limit::Message, "a").unwrap_err();
    }

    #[test]
    fn limits_can_be_off() {
        let rate = Rate { per_second: 0.001, burst: 1 };
        let limits =
            Limits::new(&RateLimits { enabled: false, login: rate, ..RateLimits::default() });
        for _ in 0..10 {
            limits.check(Limit::Login, "a").unwrap();
        }
    }
}
