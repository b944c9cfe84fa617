//! Rate limits (Client-Server API, "Rate limiting"), kept per user or per address.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::config::{Rate, RateLimits};
use crate::http::error::{ApiError, ApiResult};

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
    /// Anything else that writes.
    Other,
}

/// The limits and how much of them is used.
#[derive(Debug)]
pub struct Limits {
    enabled: bool,
    limiters: [DefaultKeyedRateLimiter<String>; 5],
    checks: AtomicU32,
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
        let rates = [config.message, config.join, config.login, config.registration, config.other];
        Self { enabled: config.enabled, limiters: rates.map(limiter), checks: AtomicU32::new(0) }
    }

    /// Counts one request of `key` (a user or an address); 429 `M_LIMIT_EXCEEDED` when it is one too many.
    pub fn check(&self, limit: Limit, key: &str) -> ApiResult<()> {
        if !self.enabled {
            return Ok(());
        }
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            for limiter in &self.limiters {
                limiter.retain_recent();
            }
        }
        let limiter = &self.limiters[limit as usize];
        limiter.check_key(&key.to_owned()).map_err(|busy| {
            ApiError::limit_exceeded(busy.wait_time_from(DefaultClock::default().now()))
        })
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
    fn limits_can_be_off() {
        let rate = Rate { per_second: 0.001, burst: 1 };
        let limits =
            Limits::new(&RateLimits { enabled: false, login: rate, ..RateLimits::default() });
        for _ in 0..10 {
            limits.check(Limit::Login, "a").unwrap();
        }
    }
}
