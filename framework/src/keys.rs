//! Names that are the same every time they are computed: what makes a repeated step harmless.

use sha2::{Digest, Sha256};

/// The key of an event's content that holds the transaction id it was sent with: by it an unconfirmed send is found again,
/// also on a homeserver that forgets transaction ids. In clear text, next to any ciphertext.
pub(crate) const CONTENT_KEY: &str = "com.landbridge.key";

/// Bytes as lower-case base32 (RFC 4648 alphabet, without padding): safe in a path, shorter than hexadecimal.
pub(crate) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(ALPHABET[(held >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(ALPHABET[(held << (5 - bits)) as usize & 31]));
    }
    out
}

/// The transaction id of one event to be sent. The sender is in it, because homeservers may keep transaction ids per
/// appservice and not per user.
pub(crate) fn txn_id(
    bridge: &str,
    portal: i64,
    sender: &str,
    event_key: &str,
    part: &str,
    kind: &str,
    generation: i64,
) -> String {
    let mut hash = Sha256::new();
    for field in
        [bridge, &portal.to_string(), sender, event_key, part, kind, &generation.to_string()]
    {
        // Length-prefixed, so that no two lists of fields run together into the same bytes.
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field.as_bytes());
    }
    base32(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "my"), ("fo", "mzxq"), ("foobar", "mzxw6ytboi")] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn every_field_counts() {
        let ids = [
            txn_id("b", 1, "s", "k", "p", "event", 0),
            txn_id("c", 1, "s", "k", "p", "event", 0),
            txn_id("b", 2, "s", "k", "p", "event", 0),
            txn_id("b", 1, "t", "k", "p", "event", 0),
            txn_id("b", 1, "s", "kp", "", "event", 0),
            txn_id("b", 1, "s", "k", "p", "edit", 0),
            txn_id("b", 1, "s", "k", "p", "event", 1),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
