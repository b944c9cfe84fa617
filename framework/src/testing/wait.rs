//! Waiting for what must come.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long something may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);
/// How often it is looked: at first, and when it takes long.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(100));

/// Waits until something holds.
///
/// # Panics
///
/// When it does not within two minutes; `what` says what was waited for.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    let mut pause = PAUSES.0;
    while !holds() {
        assert!(Instant::now() < until, "it never came: {what}");
        sleep(pause).await;
        pause = (pause * 5 / 4).min(PAUSES.1);
    }
}
