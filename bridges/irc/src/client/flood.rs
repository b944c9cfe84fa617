//! The limiter that keeps a connection below the speed for which its server would slow or cut it off.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::FloodLimits;

/// A token bucket. Urgent lines (answers to PING) may overdraw it.
#[derive(Debug)]
pub(crate) struct Bucket {
    limits: FloodLimits,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(limits: FloodLimits, now: Instant) -> Self {
        let limits =
            FloodLimits { burst: limits.burst.max(1.0), per_second: limits.per_second.max(0.01) };
        Self { limits, tokens: limits.burst, at: now }
    }

    /// Changes the limits, once the server's software is known.
    pub(crate) fn set_limits(&mut self, limits: FloodLimits, now: Instant) {
        *self = Self { tokens: self.tokens.min(limits.burst), ..Self::new(limits, now) };
    }

    fn refill(&mut self, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.limits.per_second;
        self.tokens = (self.tokens + gained).min(self.limits.burst);
        self.at = now;
    }

    /// Takes `cost` tokens if they are there, else says how long to wait. A cost above the burst passes when the bucket is full.
    pub(crate) fn take(&mut self, cost: f64, now: Instant) -> Result<(), Duration> {
        self.refill(now);
        let needed = cost.min(self.limits.burst);
        if self.tokens + 1e-9 >= needed {
            self.tokens -= cost;
            return Ok(());
        }
        Err(Duration::from_secs_f64((needed - self.tokens) / self.limits.per_second))
    }

    /// Takes tokens whether they are there or not.
    pub(crate) fn overdraw(&mut self, cost: f64, now: Instant) {
        self.refill(now);
        self.tokens -= cost;
    }
}

/// The limits for a server's software, by the version it names in numeric 004 (`RPL_MYINFO`). They are the defaults these
/// servers ship; an operator who allows more says so in the configuration.
pub(crate) fn preset(version: &str) -> FloodLimits {
    let version = version.to_ascii_lowercase();
    let (burst, per_second) = if version.contains("ngircd") {
        (3.0, 3.0) // reads three commands a second and leaves the rest in its buffer
    } else if version.contains("inspircd") {
        (10.0, 1.0) // <connect threshold="10" commandrate="1000">
    } else if version.contains("ergo") || version.contains("oragono") {
        (5.0, 2.0) // fakelag: burst-limit 5, messages-per-window 2
    } else if version.contains("unrealircd") {
        (10.0, 1.0)
    } else {
        (5.0, 0.5) // RFC 1459 section 8.10: two seconds each, ten ahead
    };
    FloodLimits { burst, per_second }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_a_burst_through_then_keeps_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(FloodLimits { burst: 2.0, per_second: 4.0 }, start);
        assert_eq!(bucket.take(1.0, start), Ok(()));
        assert_eq!(bucket.take(1.0, start), Ok(()));
        let wait = bucket.take(1.0, start).unwrap_err();
        assert!(wait > Duration::from_millis(240) && wait < Duration::from_millis(260), "{wait:?}");
        assert_eq!(bucket.take(1.0, start + wait), Ok(()));
        bucket.overdraw(2.0, start + wait);
        assert!(bucket.take(1.0, start + wait).unwrap_err() > Duration::from_millis(700));
        // Dearer than the bucket is deep: passes once it is full, and is paid for afterwards.
        assert_eq!(bucket.take(3.0, start + Duration::from_mins(1)), Ok(()));
        assert!(bucket.take(1.0, start + Duration::from_mins(1)).is_err());
    }

    #[test]
    fn knows_servers_by_their_version() {
        assert!(preset("InspIRCd-3").burst > preset("something-1.0").burst);
        assert!(preset("ngircd-26.1").per_second > preset("solanum-1.0").per_second);
    }
}
