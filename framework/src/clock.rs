//! The time of day, passed in so that tests decide it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of day. Waiting goes through `tokio::time`, which tests can pause.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        millis(SystemTime::now())
    }
}

/// A clock that runs with `tokio::time`, and so stands still while that is paused.
#[derive(Clone, Debug)]
pub struct TokioClock {
    start: tokio::time::Instant,
    epoch_ms: i64,
}

impl TokioClock {
    /// Starts at the given time of day, in milliseconds since the Unix epoch.
    pub fn starting_at(epoch_ms: i64) -> Self {
        Self { start: tokio::time::Instant::now(), epoch_ms }
    }
}

impl Clock for TokioClock {
    fn now_ms(&self) -> i64 {
        self.epoch_ms + self.start.elapsed().as_millis() as i64
    }
}

/// A time of day as milliseconds since the Unix epoch; times before it count as the epoch.
pub fn millis(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Milliseconds since the Unix epoch as a time of day.
pub fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms.max(0).unsigned_abs())
}
