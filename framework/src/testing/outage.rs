//! The homeserver is down for long while the network talks on: nothing is lost, and memory doesn't grow with what waits.

use std::time::Duration;

use tokio::time::Instant;

use super::check::{Plan, World};
use super::faults::Rates;
use super::homeserver::Kind;
use super::pump;
use super::report::Report;
use crate::network::Network;

/// How long it is down, in virtual time.
const DOWN: Duration = Duration::from_mins(10);
/// How much the process may grow in the second half of it, in KiB: what the simulated network itself keeps of what is said,
/// and the allocator's slack.
const GROWTH_KIB: u64 = 8 * 1024;

/// Takes the homeserver away for ten (virtual) minutes while five messages a second come from the network, and panics
/// unless memory stays flat and everything arrives once, in order, afterwards.
///
/// # Panics
///
/// When the promise was broken, memory grew, or the bridge can't start.
pub fn check_outage<N: Network>(config: N::Config, seed: u64) -> Report {
    let plan =
        Plan { seed, crashes: 0, homeserver: Kind::Ours, rates: Rates::NONE, chats: 1, changes: 0 };
    let report = pump::run(async move {
        let mut world = World::<N>::new(config, plan).await;
        world.open_rooms().await;
        let bridge = world.start().await;
        world.faults.set_homeserver_up(false);
        let start = Instant::now();
        let mut half = None;
        while start.elapsed() < DOWN {
            world.say_on_network();
            tokio::time::sleep(Duration::from_millis(200)).await;
            if half.is_none() && start.elapsed() > DOWN / 2 {
                half = resident_kib();
            }
        }
        if let (Some(before), Some(after)) = (half, resident_kib()) {
            let grown = after.saturating_sub(before);
            assert!(
                grown <= GROWTH_KIB,
                "memory grew by {grown} KiB in the second half of the outage"
            );
        }
        world.faults.set_homeserver_up(true);
        world.wait_for_all().await;
        drop(bridge);
        world.report((0, 0))
    });
    assert!(report.is_clean(), "the promise was broken\n{report}");
    report
}

/// Memory of this process; `None` where the system doesn't say.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
