//! Which state a client wants of a room (`required_state`).

use std::collections::{BTreeMap, BTreeSet};

use ruma::UserId;
use serde::{Deserialize, Serialize};

use crate::nid::EventNid;
use crate::room::{MEMBER, StateMap};

/// Any type, or any state key.
const ANY: &str = "*";
/// The user's own id as a state key.
const ME: &str = "$ME";
/// Members as the timeline needs them.
const LAZY: &str = "$LAZY";

/// Which state is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Required {
    /// All of it. With `lazy`, all but the members.
    all: bool,
    /// Members as the timeline needs them.
    pub(super) lazy: bool,
    /// Types of which all state keys are wanted.
    kinds: BTreeSet<String>,
    /// State keys that are wanted of all types.
    keys: BTreeSet<String>,
    /// State keys by type.
    pairs: BTreeMap<String, BTreeSet<String>>,
}

impl Required {
    /// Reads pairs of a type and a state key.
    pub(super) fn of(pairs: impl IntoIterator<Item = (String, String)>, user: &UserId) -> Self {
        let mut required = Self::default();
        for (kind, key) in pairs {
            let key = if key == ME { user.to_string() } else { key };
            match (kind.as_str(), key.as_str()) {
                (ANY, ANY) => required.all = true,
                (ANY, _) => drop(required.keys.insert(key)),
                (_, ANY) => drop(required.kinds.insert(kind)),
                (MEMBER, LAZY) => required.lazy = true,
                _ => drop(required.pairs.entry(kind).or_default().insert(key)),
            }
        }
        required
    }

    /// Takes in what another one wants.
    pub(super) fn merge(&mut self, other: &Self) {
        // Whoever wants all members and not lazily, wants them all.
        let everyone = |required: &Self| required.all && !required.lazy;
        if everyone(self) || everyone(other) {
            self.kinds.insert(MEMBER.to_owned());
        }
        self.all |= other.all;
        self.lazy |= other.lazy;
        self.kinds.extend(other.kinds.iter().cloned());
        self.keys.extend(other.keys.iter().cloned());
        for (kind, keys) in &other.pairs {
            self.pairs.entry(kind.clone()).or_default().extend(keys.iter().cloned());
        }
    }

    /// Whether an entry is wanted, whatever the timeline.
    pub(super) fn admits(&self, kind: &str, key: &str) -> bool {
        (self.all && !(self.lazy && kind == MEMBER))
            || self.kinds.contains(kind)
            || self.keys.contains(key)
            || self.pairs.get(kind).is_some_and(|keys| keys.contains(key))
    }

    /// What is wanted of a state. Mostly that is a few look-ups, however many members there are.
    pub(super) fn select(&self, state: &StateMap) -> Vec<EventNid> {
        if self.all || !self.keys.is_empty() {
            let wanted = state.iter().filter(|(key, _)| self.admits(key.kind(), key.key()));
            return wanted.map(|(_, entry)| entry.nid).collect();
        }
        let mut nids: Vec<EventNid> = Vec::new();
        for kind in &self.kinds {
            nids.extend(state.of_kind(kind).map(|(_, entry)| entry.nid));
        }
        for (kind, keys) in self.pairs.iter().filter(|(kind, _)| !self.kinds.contains(*kind)) {
            nids.extend(keys.iter().filter_map(|key| state.nid(kind, key)));
        }
        nids
    }

    /// What is wanted of a state that another one did not want.
    pub(super) fn select_beyond(&self, other: &Self, state: &StateMap) -> Vec<EventNid> {
        if self == other {
            return Vec::new();
        }
        let known: BTreeSet<EventNid> = other.select(state).into_iter().collect();
        self.select(state).into_iter().filter(|nid| !known.contains(nid)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ruma::{EventId, user_id};

    use super::*;
    use crate::room::StateEntry;

    fn required(pairs: &[(&str, &str)]) -> Required {
        let pairs = pairs.iter().map(|(kind, key)| ((*kind).to_owned(), (*key).to_owned()));
        Required::of(pairs, user_id!("@me:h"))
    }

    fn state() -> StateMap {
        let mut state = StateMap::new(Arc::new([0; 32]));
        let entries = [
            ("m.room.create", ""),
            (MEMBER, "@me:h"),
            (MEMBER, "@you:h"),
            ("m.space.child", "!a"),
            ("m.space.child", "!b"),
        ];
        for (n, (kind, key)) in entries.into_iter().enumerate() {
            let id = EventId::parse(format!("$e{n}")).expect("an id");
            state.insert(kind, key, StateEntry::new(EventNid(n as i64), &id, None));
        }
        state
    }

    fn selected(pairs: &[(&str, &str)]) -> Vec<i64> {
        let mut nids: Vec<i64> = required(pairs).select(&state()).iter().map(|nid| nid.0).collect();
        nids.sort_unstable();
        nids
    }

    #[test]
    fn wildcards_and_the_user_himself() {
        assert_eq!(selected(&[]), Vec::<i64>::new());
        assert_eq!(selected(&[("m.room.create", ""), ("m.room.name", "")]), [0]);
        assert_eq!(selected(&[(MEMBER, "$ME")]), [1]);
        assert_eq!(selected(&[("m.space.child", "*"), ("m.space.child", "!a")]), [3, 4]);
        assert_eq!(selected(&[("*", "")]), [0]);
        assert_eq!(selected(&[("*", "*")]), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn lazy_members_are_left_out_of_everything() {
        assert_eq!(selected(&[(MEMBER, "$LAZY")]), Vec::<i64>::new());
        assert_eq!(selected(&[("*", "*"), (MEMBER, "$LAZY")]), [0, 3, 4]);
        assert_eq!(selected(&[("*", "*"), (MEMBER, "$LAZY"), (MEMBER, "$ME")]), [0, 1, 3, 4]);
    }

    #[test]
    fn what_one_wants_beyond_another() {
        let (little, much) =
            (required(&[("m.room.create", "")]), required(&[("m.room.create", ""), (MEMBER, "*")]));
        let beyond: Vec<i64> =
            much.select_beyond(&little, &state()).iter().map(|nid| nid.0).collect();
        assert_eq!(beyond, [1, 2]);
        assert!(little.select_beyond(&much, &state()).is_empty());
    }

    #[test]
    fn merging_lazy_and_all_members_gives_all() {
        let mut merged = required(&[("*", "*")]);
        merged.merge(&required(&[(MEMBER, "$LAZY")]));
        assert!(merged.admits(MEMBER, "@you:h"));
        let mut merged = required(&[("*", "*"), (MEMBER, "$LAZY")]);
        merged.merge(&required(&[("m.room.name", "")]));
        assert!(!merged.admits(MEMBER, "@you:h"));
    }
}
