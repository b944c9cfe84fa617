//! Pauses between connection attempts: doubling, with jitter, so that a hundred puppets don't come back in the same second.

use std::time::Duration;

use super::settings::Random;

/// Counts failures in a row.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0 }
    }

    /// After a connection that held.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one failure more: between half and the whole of the doubled time.
    pub(crate) fn next(&mut self, random: &Random) -> Duration {
        let full = self
            .min
            .saturating_mul(1_u32.checked_shl(self.failures.min(20)).unwrap_or(u32::MAX))
            .min(self.max);
        self.failures = self.failures.saturating_add(1);
        let half = full / 2;
        half + half.mul_f64((random.next() % 1_000) as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_starts_again() {
        let random = Random::new(|| 999);
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        let pauses: Vec<u64> = (0..6).map(|_| backoff.next(&random).as_millis() as u64).collect();
        assert_eq!(pauses, [999, 1_999, 3_998, 7_996, 9_995, 9_995]);
        backoff.reset();
        assert_eq!(backoff.next(&Random::new(|| 0)), Duration::from_millis(500));
    }
}
