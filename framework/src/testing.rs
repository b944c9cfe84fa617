//! The kit for connector authors: a homeserver and a network that live in memory, faults on every way between them and
//! the bridge, and one call that checks the promise: everything once, in order, whatever breaks when. [`TestHomeserver`] is for a
//! connector's tests from end to end, which run with real homeservers, too.

mod carrier;
mod check;
mod chosen;
mod contents;
mod faults;
mod fetch;
mod homeserver;
mod network;
mod outage;
mod ports;
pub(crate) mod pump;
mod real;
mod report;
mod wait;

#[cfg(test)]
mod tests;

pub use carrier::FaultyCarrier;
pub use check::{Plan, check_guarantee};
pub use chosen::{TestHomeserver, TestUser};
pub use faults::{CrashPoint, Fate, Faults, Rates};
pub use fetch::fetch_link;
pub use homeserver::{Kind, SimHomeserver, SimUser};
pub use network::{SimError, SimEvent, SimMessage, SimNetwork, SimSession};
pub use outage::check_outage;
pub use ports::{free_port, free_ports};
pub use report::{Report, Tally};
pub use wait::{eventually, login_becomes, own_logins};
