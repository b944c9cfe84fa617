//! Stored states: packing differences, and the way back from a stored state to a map.
//!
//! A state is a row with the difference from its parent, or whole; whole ones come every [`MAX_HOPS`] so that loading
//! one never reads more rows than that. The packed form holds event numbers only: what an event is in the state
//! (its type and key) stands in its own row.

use std::sync::Arc;

use landbridge_database::Database;
use quick_cache::{Weighter, sync::Cache};
use ruma::EventId;

use super::{Membership, SetKey, StateEntry, StateMap};
use crate::{
    nid::{EventNid, Numbers, RoomNid, StateGroup},
    storage::{self, StorageError, state_groups::GroupRow},
};

/// How many differences are laid over a whole state at most.
pub(super) const MAX_HOPS: i64 = 64;

/// A state that is, or is about to be, stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its number.
    pub nid: StateGroup,
    /// How many parents are above it.
    pub hops: i64,
}

/// Makes the row of the state that follows on `parent`, where `removed` and `added` lead from there to `state`.
pub(super) fn next(
    numbers: &Numbers,
    room: RoomNid,
    parent: Option<Group>,
    removed: &[EventNid],
    added: &[EventNid],
    state: &StateMap,
) -> (Group, GroupRow) {
    let nid = numbers.group();
    let parent = parent.filter(|parent| parent.hops < MAX_HOPS);
    let (hops, delta) = match parent {
        Some(parent) => (parent.hops + 1, pack(removed, added)),
        None => (0, pack(&[], &state.iter().map(|(_, entry)| entry.nid).collect::<Vec<_>>())),
    };
    let row = GroupRow {
        nid,
        room,
        parent: parent.map(|parent| parent.nid),
        hops,
        hash: state.hash().to_bytes(),
        delta,
    };
    (Group { nid, hops }, row)
}

/// Packs a difference: how many are removed, those, then those added; ascending, each as the step from the one before.
pub(super) fn pack(removed: &[EventNid], added: &[EventNid]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + (removed.len() + added.len()) * 4);
    push_varint(&mut out, removed.len() as u64);
    for list in [removed, added] {
        let mut sorted: Vec<i64> = list.iter().map(|nid| nid.0).collect();
        sorted.sort_unstable();
        let mut last = 0;
        for nid in sorted {
            push_varint(&mut out, (nid - last).cast_unsigned());
            last = nid;
        }
    }
    out
}

/// Reads what [`pack`] wrote: those removed and those added. `None` if the bytes are damaged.
pub(super) fn unpack(bytes: &[u8]) -> Option<(Vec<EventNid>, Vec<EventNid>)> {
    let mut rest = bytes;
    let removed_count = read_varint(&mut rest)?;
    let mut removed = Vec::new();
    let mut last = 0_i64;
    for _ in 0..removed_count {
        last = last.checked_add_unsigned(read_varint(&mut rest)?)?;
        removed.push(EventNid(last));
    }
    let mut added = Vec::new();
    last = 0;
    while !rest.is_empty() {
        last = last.checked_add_unsigned(read_varint(&mut rest)?)?;
        added.push(EventNid(last));
    }
    Some((removed, added))
}

fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Weighs a state by its entries; what two states share is counted twice, which errs on the side of less memory.
#[derive(Clone)]
struct Entries;

impl Weighter<StateGroup, Arc<(StateMap, i64)>> for Entries {
    fn weight(&self, _: &StateGroup, value: &Arc<(StateMap, i64)>) -> u64 {
        16 + value.0.len() as u64
    }
}

/// Loads stored states, and keeps the ones used last.
pub(super) struct Groups {
    db: Database,
    key: SetKey,
    cache: Cache<StateGroup, Arc<(StateMap, i64)>, Entries>,
}

impl Groups {
    /// A loader that keeps states of up to `entries` entries together.
    pub(super) fn new(db: Database, key: SetKey, entries: u64) -> Self {
        Self { db, key, cache: Cache::with_weighter(256, entries, Entries) }
    }

    /// The key of the set hashes.
    pub(super) const fn key(&self) -> &SetKey {
        &self.key
    }

    /// Keeps a state that was just made.
    pub(super) fn remember(&self, group: Group, state: &StateMap) {
        self.cache.insert(group.nid, Arc::new((state.clone(), group.hops)));
    }

    /// A stored state.
    pub(super) async fn get(&self, group: StateGroup) -> Result<(StateMap, Group), StorageError> {
        if let Some(known) = self.cache.get(&group) {
            return Ok((known.0.clone(), Group { nid: group, hops: known.1 }));
        }
        let chain = storage::state_groups::chain(&self.db, group).await?;
        let hops =
            chain.first().map(|row| row.hops).ok_or_else(|| damaged("a state is missing"))?;
        // The oldest ancestor that is at hand saves reading the entries it holds.
        let near = chain.iter().enumerate().skip(1).find_map(|(index, row)| {
            self.cache.get(&row.nid).map(|known| (index, known.0.clone()))
        });
        let (end, mut state) =
            near.unwrap_or_else(|| (chain.len(), StateMap::new(self.key.clone())));
        let mut nids: Vec<EventNid> = Vec::new();
        let mut removed_all = std::collections::HashSet::new();
        for row in chain[..end].iter().rev() {
            let (removed, added) =
                unpack(&row.delta).ok_or_else(|| damaged("a state's difference"))?;
            removed_all.extend(removed);
            for nid in added {
                removed_all.remove(&nid);
                nids.push(nid);
            }
        }
        nids.retain(|nid| !removed_all.contains(nid));
        let gone: Vec<_> = state
            .iter()
            .filter(|(_, entry)| removed_all.contains(&entry.nid))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            state.remove(key.kind(), key.key());
        }
        for key in storage::events::keys(&self.db, &nids).await? {
            let id = <&EventId>::try_from(key.id.as_str()).map_err(|_| damaged("an event id"))?;
            let membership = key.membership.as_deref().and_then(Membership::parse);
            let entry = StateEntry::new(key.nid, id, membership);
            state.insert(&key.kind, key.state_key.as_deref().unwrap_or_default(), entry);
        }
        if chain[0].hash != state.hash().to_bytes() {
            tracing::error!(
                group = group.0,
                "a stored state doesn't have the hash it was stored with"
            );
        }
        self.cache.insert(group, Arc::new((state.clone(), hops)));
        Ok((state, Group { nid: group, hops }))
    }
}

fn damaged(what: &str) -> StorageError {
    StorageError::Damaged(what.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_difference_is_unpacked_as_it_was_packed(
            removed in prop::collection::btree_set(1_i64..=i64::MAX, 0..40),
            added in prop::collection::btree_set(1_i64..100_000, 0..40),
        ) {
            let removed: Vec<_> = removed.into_iter().map(EventNid).collect();
            let added: Vec<_> = added.into_iter().map(EventNid).collect();
            prop_assert_eq!(unpack(&pack(&removed, &added)), Some((removed, added)));
        }

        #[test]
        fn no_bytes_make_unpacking_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = unpack(&bytes);
        }
    }
}
