//! Ports for what is started later.

use std::{
    io::{Error, Result},
    net::TcpListener,
    ops::Range,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

/// Where they are looked for: below those that systems choose themselves (Linux from 32768 on, others from 49152 on, RFC 6335 section 6).
/// Anybody's outgoing connection may be given one of those, before the process for which it was chosen listens, or while that is down.
const RANGE: Range<u16> = 16_384..32_768;

/// How many have been tried, counted from anywhere: other processes look for ports, too.
static TRIED: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(rand::random()));

/// A free TCP port of the loopback interface, which only this call in this process was given.
///
/// # Errors
///
/// When none is free.
pub fn free_port() -> Result<u16> {
    free_ports(1)
}

/// The first of `count` such ports that follow each other.
///
/// # Errors
///
/// When there are not as many side by side.
pub fn free_ports(count: u16) -> Result<u16> {
    next_free(&TRIED, count)
}

fn next_free(tried: &AtomicU16, count: u16) -> Result<u16> {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let length = RANGE.end - RANGE.start - count;
    for _ in 0..length {
        let first = RANGE.start + tried.fetch_add(count, Ordering::Relaxed) % length;
        if (first..first + count).all(free) {
            return Ok(first);
        }
    }
    Err(Error::other(format!("no {count} ports side by side are free in {RANGE:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_given_what_another_was() {
        let tried = AtomicU16::new(0);
        let mut taken = RANGE.start;
        for count in [1, 2, 1, 3, 2] {
            let first = next_free(&tried, count).unwrap();
            assert!(taken <= first, "{first} was given already");
            taken = first + count;
        }
    }

    #[test]
    fn what_somebody_listens_at_is_not_given() {
        let port = next_free(&AtomicU16::new(1), 1).unwrap();
        let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let tried = AtomicU16::new(port - RANGE.start);
        assert_ne!(next_free(&tried, 1).unwrap(), port);
        // Nor as the second of two.
        let tried = AtomicU16::new(port - RANGE.start - 1);
        assert_ne!(next_free(&tried, 2).unwrap(), port - 1);
    }
}
