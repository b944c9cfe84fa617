//! The counter of typing and presence, which take no durable position.

use std::sync::atomic::{AtomicI64, Ordering};

/// A counter that begins anew with each start of the server; the boot id tells one start from another.
#[derive(Debug)]
pub struct Ephemeral {
    boot: u64,
    head: AtomicI64,
}

impl Ephemeral {
    pub(super) fn new() -> Self {
        Self { boot: rand::random(), head: AtomicI64::new(0) }
    }

    /// Which start of the server the counter belongs to.
    pub const fn boot(&self) -> u64 {
        self.boot
    }

    /// The newest count.
    pub fn head(&self) -> i64 {
        self.head.load(Ordering::Acquire)
    }

    /// Counts a change. Wake those concerned afterwards.
    pub fn next(&self) -> i64 {
        self.head.fetch_add(1, Ordering::AcqRel) + 1
    }
}
