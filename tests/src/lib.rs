//! What the black-box suites share: real processes that are started and killed, small clients of both sides,
//! and the check that numbered messages came through once and in order.

pub mod irc;
pub mod matrix;
pub mod numbered;
pub mod playground;
pub mod process;
pub mod slack;
pub mod stack;

/// What the environment says, if it says something of that type.
pub fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// Chooses the cryptography for HTTPS clients; call it once, first.
pub fn prepare() {
    // It fails only when one was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
