//! Virtual time beside real work: the clock runs much faster than ours, but never jumps while a database is working, as
//! a paused clock by itself would.

use std::future::Future;
use std::time::Duration;

/// Virtual milliseconds in one real one.
const SPEED: u64 = 40;

/// Runs `work` in a runtime of its own, in fast time.
///
/// # Panics
///
/// When `work` panics, or no runtime can be had.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime for the check");
    runtime.block_on(async {
        let clock = tokio::spawn(async {
            loop {
                // While a blocking task runs the paused clock stands still instead of jumping to the next timer.
                let _ =
                    tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)))
                        .await;
                tokio::time::advance(Duration::from_millis(SPEED)).await;
            }
        });
        let result = work.await;
        clock.abort();
        result
    })
}
