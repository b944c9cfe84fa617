//! The key that makes sending the same thing twice harmless.

use std::fmt;

use sha2::{Digest, Sha256};

/// Names one thing to be done on the network: the same Matrix event always gives the same key, also after restarts.
/// Pass it on in whatever form the network takes (`random_id`, `nonce`, `client_msg_id`).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(pub(crate) [u8; 32]);

impl IdempotencyKey {
    /// Of an operation for an event of a bridge.
    pub fn derive(bridge: &str, event_id: &str, op: &str) -> Self {
        let mut hash = Sha256::new();
        for field in [bridge, event_id, op] {
            // Length-prefixed, so that no two triples run together into the same bytes.
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        Self(hash.finalize().into())
    }

    /// As a number that may be negative and is never zero in practice (Telegram's `random_id`).
    pub fn as_i64(&self) -> i64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        i64::from_be_bytes(bytes)
    }

    /// As at most `max` lower-case hexadecimal digits. Take 16 or more, or unrelated messages may share it.
    pub fn as_nonce(&self, max: usize) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text.truncate(max);
        text
    }

    /// The whole key in hexadecimal digits: how the database keeps it.
    pub fn to_hex(&self) -> String {
        self.as_nonce(64)
    }

    /// Reads [`Self::to_hex`] back.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
        let mut key = [0; 32];
        if digits.len() != 64 {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (pair[0] << 4 | pair[1]) as u8;
        }
        Some(Self(key))
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_nonce(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EchoOf;

    #[test]
    fn fields_do_not_run_together() {
        assert_ne!(IdempotencyKey::derive("a", "bc", "d"), IdempotencyKey::derive("ab", "c", "d"));
        assert_eq!(IdempotencyKey::derive("a", "b", "c"), IdempotencyKey::derive("a", "b", "c"));
    }

    #[test]
    fn every_form_given_back_is_a_prefix_of_the_stored_one() {
        let key = IdempotencyKey::derive("irc", "$e", "text");
        let stored = key.to_hex();
        for echo in
            [EchoOf::nonce(key.as_nonce(25)), EchoOf::int(key.as_i64()), EchoOf::from(key.clone())]
        {
            assert!(stored.starts_with(&echo.0), "{echo:?} is not a prefix of {stored}");
        }
        assert_eq!(IdempotencyKey::from_hex(&stored), Some(key));
    }
}
