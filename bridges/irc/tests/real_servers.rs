//! The bridge against real servers: ngircd (no IRCv3 to speak of: every line needs its PING barrier) and inspircd (IRCv3: labels
//! or echoes). Where a server isn't installed its part says so and is skipped; `tests/run` installs both.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing test may panic, and says on its output what it skips"
)]

#[path = "real_servers/client.rs"]
mod client;
#[path = "real_servers/puppets.rs"]
mod puppets;
#[path = "real_servers/servers.rs"]
mod servers;
