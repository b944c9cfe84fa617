//! What the black-box suites share: real processes that are started and killed, small clients of both sides,
//! and the check that numbered messages came through once and in order.

pub mod irc;
pub mod matrix;
pub mod numbered;
pub mod playground;
pub mod process;
pub mod slack;

/// Chooses the cryptography for HTTPS clients; call it once, first.
pub fn prepare() {
    // It fails only when one was chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
