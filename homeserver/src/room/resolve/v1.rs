//! State resolution of room version 1 (Room Version 1, "State resolution").

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use ruma::{room_version_rules::RoomVersionRules, state_res::check_state_dependent_auth_rules};
use sha1::{Digest as _, Sha1};

use super::{Conflict, Known, entry_of};
use crate::{
    event::Event,
    room::{MEMBER, StateKey, StateMap},
};

/// The types that authorisation depends on, in the order in which their conflicts are resolved.
const PASSES: [&str; 3] = ["m.room.power_levels", "m.room.join_rules", MEMBER];

/// Resolves `states`; never fails, as every conflict has a winner.
pub(super) fn resolve(
    rules: &RoomVersionRules,
    states: &[StateMap],
    conflict: &Conflict,
    known: &Known,
) -> StateMap {
    let mut resolution = Resolution { rules, known, state: states[0].clone() };
    for key in &conflict.keys {
        resolution.state.remove(key.kind(), key.key());
    }
    // An order that doesn't depend on hashing, so that every server comes to the same state.
    let keys: BTreeSet<&StateKey> = conflict.keys.iter().collect();
    for pass in PASSES {
        for key in keys.iter().filter(|key| key.kind() == pass) {
            resolution.chain(key, &candidates(key, states, known));
        }
    }
    for key in keys.iter().filter(|key| !PASSES.contains(&key.kind())) {
        resolution.pick(key, &candidates(key, states, known));
    }
    resolution.state
}

/// The events under a key in any of the states: by ascending depth, then descending `sha1(event_id)`.
fn candidates(key: &StateKey, states: &[StateMap], known: &Known) -> Vec<Arc<Event>> {
    let mut events: Vec<Arc<Event>> = states
        .iter()
        .filter_map(|state| state.get(key.kind(), key.key()))
        .filter_map(|entry| known.get(entry.event_id()).cloned())
        .collect();
    events.sort_by_cached_key(|event| {
        (event.pdu.depth, Reverse(Sha1::digest(event.pdu.event_id.as_bytes()).to_vec()))
    });
    events.dedup_by_key(|event| event.nid);
    events
}

struct Resolution<'a> {
    rules: &'a RoomVersionRules,
    known: &'a Known,
    state: StateMap,
}

impl Resolution<'_> {
    /// Takes the first event, then each next one that the state so far allows, up to the first that it doesn't.
    fn chain(&mut self, key: &StateKey, events: &[Arc<Event>]) {
        for (index, event) in events.iter().enumerate() {
            if index > 0 && !self.allows(event) {
                break;
            }
            self.state.insert(key.kind(), key.key(), entry_of(event));
        }
    }

    /// Takes the deepest event that the state allows; the shallowest if it allows none.
    fn pick(&mut self, key: &StateKey, events: &[Arc<Event>]) {
        let winner =
            events.iter().rev().find(|event| self.allows(event)).or_else(|| events.first());
        if let Some(winner) = winner {
            self.state.insert(key.kind(), key.key(), entry_of(winner));
        }
    }

    fn allows(&self, event: &Event) -> bool {
        check_state_dependent_auth_rules(&self.rules.authorization, event, |kind, key| {
            let entry = self.state.get(&kind.to_string(), key)?;
            self.known.get(entry.event_id()).cloned()
        })
        .is_ok()
    }
}
