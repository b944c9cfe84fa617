//! A room's state: a persistent map, with a hash of the set that is kept as entries come and go.
//!
//! Cloning shares everything, and a change costs the change, not the room. The hash is a sum of keyed hashes of the
//! entries, so two states with the same entries have the same hash however they came about.

use std::{borrow::Borrow, cmp::Ordering, sync::Arc};

use imbl::{OrdMap, ordmap::DiffItem};
use ruma::{EventId, UserId};
use sha2::{Digest as _, Sha256};

use super::Membership;
use crate::nid::EventNid;

/// The type of member events, most entries of most states.
pub const MEMBER: &str = "m.room.member";

/// The type and state key that an entry stands under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateKey {
    kind: Arc<str>,
    key: Arc<str>,
}

impl StateKey {
    /// The event type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The state key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Lets a map of [`StateKey`]s be asked with two borrowed strings.
trait Pair {
    fn pair(&self) -> (&str, &str);
}

impl Pair for StateKey {
    fn pair(&self) -> (&str, &str) {
        (&self.kind, &self.key)
    }
}

impl Pair for (&str, &str) {
    fn pair(&self) -> (&str, &str) {
        *self
    }
}

impl<'a> Borrow<dyn Pair + 'a> for StateKey {
    fn borrow(&self) -> &(dyn Pair + 'a) {
        self
    }
}

impl PartialEq for dyn Pair + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.pair() == other.pair()
    }
}

impl Eq for dyn Pair + '_ {}

impl PartialOrd for dyn Pair + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Pair + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pair().cmp(&other.pair())
    }
}

/// The event that an entry of the state is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateEntry {
    /// Its number.
    pub nid: EventNid,
    id: Arc<str>,
    /// What it makes of the user in its state key, if it is a member event.
    pub membership: Option<Membership>,
}

impl StateEntry {
    /// An entry.
    pub fn new(nid: EventNid, id: &EventId, membership: Option<Membership>) -> Self {
        Self { nid, id: Arc::from(id.as_str()), membership }
    }

    /// Its id.
    ///
    /// # Panics
    /// Never: it was made from an event id.
    pub fn event_id(&self) -> &EventId {
        <&EventId>::try_from(&*self.id).expect("it was made from an event id")
    }
}

/// The secret that keys the hashes of entries, so that nobody outside can choose colliding sets.
pub type SetKey = Arc<[u8; 32]>;

/// A 256-bit sum, lowest limb first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SetHash([u64; 4]);

impl SetHash {
    /// Its bytes, for storing.
    pub fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }

    fn of(key: &[u8; 32], nid: EventNid) -> Self {
        let bytes = Sha256::new().chain_update(key).chain_update(nid.0.to_le_bytes()).finalize();
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().zip(bytes.chunks_exact(8)) {
            *limb = u64::from_le_bytes(chunk.try_into().expect("chunks of eight bytes"));
        }
        Self(limbs)
    }

    fn add(&mut self, other: Self) {
        let mut carry = false;
        for (limb, more) in self.0.iter_mut().zip(other.0) {
            let (sum, first) = limb.overflowing_add(more);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            *limb = sum;
            carry = first || second;
        }
    }

    fn subtract(&mut self, other: Self) {
        let mut borrow = false;
        for (limb, less) in self.0.iter_mut().zip(other.0) {
            let (rest, first) = limb.overflowing_sub(less);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            *limb = rest;
            borrow = first || second;
        }
    }
}

/// A room's state at one point.
#[derive(Clone, Debug)]
pub struct StateMap {
    entries: OrdMap<StateKey, StateEntry>,
    hash: SetHash,
    members: [u32; Membership::ALL.len()],
    key: SetKey,
}

impl StateMap {
    /// The state before the first event.
    pub fn new(key: SetKey) -> Self {
        Self {
            entries: OrdMap::new(),
            hash: SetHash::default(),
            members: [0; Membership::ALL.len()],
            key,
        }
    }

    /// The entry of a type and state key.
    pub fn get(&self, kind: &str, key: &str) -> Option<&StateEntry> {
        self.entries.get(&(kind, key) as &dyn Pair)
    }

    /// The number of the event of a type and state key.
    pub fn nid(&self, kind: &str, key: &str) -> Option<EventNid> {
        self.get(kind, key).map(|entry| entry.nid)
    }

    /// What a user is to the room; `None` if no event ever said.
    pub fn membership(&self, user: &UserId) -> Option<Membership> {
        self.get(MEMBER, user.as_str())?.membership
    }

    /// How many users have a membership. Costs nothing.
    pub const fn count(&self, membership: Membership) -> u32 {
        self.members[membership as usize]
    }

    /// Puts an entry in the place of the one before it, which is returned.
    pub fn insert(&mut self, kind: &str, key: &str, entry: StateEntry) -> Option<StateEntry> {
        self.hash.add(SetHash::of(&self.key, entry.nid));
        if let Some(membership) = entry.membership {
            self.members[membership as usize] += 1;
        }
        let old = if let Some(slot) = self.entries.get_mut(&(kind, key) as &dyn Pair) {
            Some(std::mem::replace(slot, entry))
        } else {
            let kind = self.shared_kind(kind);
            self.entries.insert(StateKey { kind, key: Arc::from(key) }, entry)
        };
        self.forget(old.as_ref());
        old
    }

    /// Takes an entry away. Only state resolution does: no event can.
    pub fn remove(&mut self, kind: &str, key: &str) -> Option<StateEntry> {
        let old = self.entries.remove(&(kind, key) as &dyn Pair);
        self.forget(old.as_ref());
        old
    }

    fn forget(&mut self, old: Option<&StateEntry>) {
        if let Some(old) = old {
            self.hash.subtract(SetHash::of(&self.key, old.nid));
            if let Some(membership) = old.membership {
                self.members[membership as usize] -= 1;
            }
        }
    }

    /// One allocation for a type, however many entries have it.
    fn shared_kind(&self, kind: &str) -> Arc<str> {
        match self.entries.get_next(&(kind, "") as &dyn Pair) {
            Some((near, _)) if &*near.kind == kind => near.kind.clone(),
            _ => Arc::from(kind),
        }
    }

    /// The entries of one type, by state key.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a str, &'a StateEntry)> {
        let from: &dyn Pair = &(kind, "");
        self.entries
            .range::<_, dyn Pair>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded))
            .take_while(move |(key, _)| &*key.kind == kind)
            .map(|(key, entry)| (&*key.key, entry))
    }

    /// All member entries, by user id. A walk over the room: not for the way of a message.
    pub fn members(&self) -> impl Iterator<Item = (&str, &StateEntry)> {
        self.of_kind(MEMBER)
    }

    /// All entries, by type and state key.
    pub fn iter(&self) -> impl Iterator<Item = (&StateKey, &StateEntry)> {
        self.entries.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was ever set.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The hash of the set of entries.
    pub const fn hash(&self) -> SetHash {
        self.hash
    }

    /// What changed from this state to `newer`: events that are no longer in it, and events that now are.
    /// Costs the difference, where both share their history.
    pub fn changes(&self, newer: &Self) -> StateChanges {
        let mut changes = StateChanges::default();
        for item in self.entries.diff(&newer.entries) {
            match item {
                DiffItem::Add(key, entry) => changes.added.push((key.clone(), entry.clone())),
                DiffItem::Update { old: (_, old), new: (key, new) } => {
                    changes.removed.push(old.nid);
                    changes.added.push((key.clone(), new.clone()));
                }
                DiffItem::Remove(key, entry) => {
                    changes.removed.push(entry.nid);
                    if newer.get(&key.kind, &key.key).is_none() {
                        changes.gone.push(key.clone());
                    }
                }
            }
        }
        changes
    }
}

impl PartialEq for StateMap {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.entries == other.entries
    }
}

/// A difference between two states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Events that are no longer in the state, replaced or gone.
    pub removed: Vec<EventNid>,
    /// Entries that are new, or in the place of another one.
    pub added: Vec<(StateKey, StateEntry)>,
    /// Keys that have no entry any more.
    pub gone: Vec<StateKey>,
}
