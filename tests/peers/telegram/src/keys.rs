//! The keys that clients and this server make of a seed (`landbridge_telegram::client::test_key`): a client takes the slot that its
//! session's name falls into, the server knows all slots.

use std::collections::HashMap;

use sha1::Digest as _;
use sha2::Sha512;

/// How many slots there are.
pub(crate) const SLOTS: u16 = 16_384;

/// All keys, by the id that a connection's packets begin with.
pub(crate) struct Keys(HashMap<[u8; 8], [u8; 256]>);

impl Keys {
    pub(crate) fn of(seed: &str) -> Self {
        Self((0..=SLOTS).map(|slot| key(seed, slot)).map(|key| (id(&key), key)).collect())
    }

    pub(crate) fn get(&self, id: [u8; 8]) -> Option<[u8; 256]> {
        self.0.get(&id).copied()
    }
}

/// The key of a session that another program has made: in a slot that no client's name falls into.
pub(crate) fn foreign(seed: &str) -> [u8; 256] {
    key(seed, SLOTS)
}

fn key(seed: &str, slot: u16) -> [u8; 256] {
    let mut key = [0; 256];
    for (at, chunk) in key.chunks_exact_mut(64).enumerate() {
        let mut hash = Sha512::new();
        hash.update((seed.len() as u64).to_be_bytes());
        hash.update(seed.as_bytes());
        hash.update(slot.to_be_bytes());
        hash.update([at as u8]);
        chunk.copy_from_slice(&hash.finalize());
    }
    key
}

/// The lower 64 bits of the key's SHA-1 (core.telegram.org/mtproto/description).
pub(crate) fn id(key: &[u8; 256]) -> [u8; 8] {
    let hash = sha1::Sha1::digest(key);
    let mut id = [0; 8];
    id.copy_from_slice(&hash[12..20]);
    id
}
