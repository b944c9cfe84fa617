//! The rules of transaction ids, in both directions.
//!
//! A homeserver's [`TransactionId`] counts up within one generation of its database, so that a
//! database restored from a backup never gives an id again that an application service has seen with
//! other contents. To the service the id is an opaque string: the same id means the same transaction.
//! A service derives the ids of what it sends from what it sends ([`derive_txn_id`]), so that a
//! repeat after a crash is the same request.

use std::{fmt, str::FromStr};

use sha2::{Digest, Sha256};

/// The longest transaction id that is taken, in bytes.
pub const MAX_TXN_ID_BYTES: usize = 255;

/// The id of a transaction that a homeserver sends.
///
/// ```
/// use landbridge_registration::TransactionId;
/// let id = TransactionId { generation: 3, sequence: 1042 };
/// assert_eq!(id.to_string(), "3-1042");
/// assert_eq!("3-1042".parse(), Ok(id));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId {
    /// The generation of the homeserver's database, raised by each restore.
    pub generation: u64,
    /// Counts up without end for one service.
    pub sequence: u64,
}

/// A text is not the id of a transaction of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a transaction id of the form GENERATION-SEQUENCE")]
pub struct TransactionIdError;

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.generation, self.sequence)
    }
}

impl FromStr for TransactionId {
    type Err = TransactionIdError;

    fn from_str(text: &str) -> Result<Self, TransactionIdError> {
        let (generation, sequence) = text.split_once('-').ok_or(TransactionIdError)?;
        // Only the one way of writing it, so that equal ids are equal texts.
        let number = |digits: &str| match digits.as_bytes() {
            [b'0'] => Ok(0),
            [b'1'..=b'9', ..] => digits.parse().map_err(|_| TransactionIdError),
            _ => Err(TransactionIdError),
        };
        Ok(Self { generation: number(generation)?, sequence: number(sequence)? })
    }
}

/// Whether a transaction id from outside is acceptable: not empty, not longer than
/// [`MAX_TXN_ID_BYTES`], without control characters. Otherwise it is opaque.
pub fn is_valid_txn_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_TXN_ID_BYTES && !id.chars().any(char::is_control)
}

/// A transaction id that depends on `parts` and nothing else: the same parts give the same id on any
/// day and any machine, other parts another one. 52 lower-case letters and digits.
///
/// ```
/// use landbridge_registration::derive_txn_id;
/// let id = derive_txn_id(&["irc", "#rust", "alice", "msg-17"]);
/// assert_eq!(id, derive_txn_id(&["irc", "#rust", "alice", "msg-17"]));
/// assert_ne!(id, derive_txn_id(&["irc", "#rust", "alic", "emsg-17"]));
/// ```
pub fn derive_txn_id<P: AsRef<[u8]>>(parts: &[P]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // Each part's length goes first, so that no two lists of parts run together to the same bytes.
        hash.update((part.as_ref().len() as u64).to_be_bytes());
        hash.update(part.as_ref());
    }
    base32(&hash.finalize())
}

/// RFC 4648 base32 in lower case without padding: it survives systems that fold case.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base32_is_rfc_4648() {
        for (plain, coded) in
            [("", ""), ("f", "my"), ("fo", "mzxq"), ("foo", "mzxw6"), ("foobar", "mzxw6ytboi")]
        {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn other_spellings_of_an_id_are_refused() {
        for text in ["", "1", "-1", "1-", "01-1", "1-+1", "1-1 ", "1-1-1", "99999999999999999999-1"]
        {
            assert_eq!(text.parse::<TransactionId>(), Err(TransactionIdError), "{text:?}");
        }
    }

    #[test]
    fn ids_from_outside_are_bounded() {
        assert!(is_valid_txn_id("m1700000000.0~ü"));
        assert!(
            !is_valid_txn_id("") && !is_valid_txn_id("a\nb") && !is_valid_txn_id(&"x".repeat(256))
        );
    }

    proptest! {
        #[test]
        fn ids_round_trip(generation: u64, sequence: u64) {
            let id = TransactionId { generation, sequence };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            prop_assert!(is_valid_txn_id(&id.to_string()));
        }

        #[test]
        fn derived_ids_differ_exactly_when_the_parts_do(
            a in prop::collection::vec("[ab]{0,3}", 0..4), b in prop::collection::vec("[ab]{0,3}", 0..4),
        ) {
            prop_assert_eq!(a == b, derive_txn_id(&a) == derive_txn_id(&b));
            prop_assert_eq!(derive_txn_id(&a).len(), 52);
        }
    }
}
