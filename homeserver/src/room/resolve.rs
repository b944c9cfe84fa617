//! State resolution: one state from the states of several branches (room versions, "State resolution").
//!
//! Version 2 and 2.1 of the algorithm are ruma's, given only what it reads: the conflicted entries, and of the others
//! those that authorise an event of the full conflicted set. Version 1, for room version 1, is in [`v1`].

mod v1;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use ruma::{
    EventId, OwnedEventId,
    events::StateEventType,
    room_version_rules::{RoomVersionRules, StateResolutionVersion},
    state_res::{StateMap as RumaMap, utils::event_id_set::EventIdSet},
};

use super::{Membership, RoomError, StateEntry, StateKey, StateMap, check};
use crate::event::Event;

/// Events by id, as far as the resolution reads them.
pub(super) type Known = HashMap<OwnedEventId, Arc<Event>>;

/// What the states don't agree on.
pub(super) struct Conflict {
    /// The keys with different events, or with none in some of the states.
    pub keys: HashSet<StateKey>,
}

impl Conflict {
    /// Compares the states. Costs the differences, where they share their history.
    pub(super) fn of(states: &[StateMap]) -> Self {
        let mut keys = HashSet::new();
        if let Some((first, others)) = states.split_first() {
            for other in others {
                let there = first.changes(other);
                keys.extend(there.added.into_iter().map(|(key, _)| key));
                keys.extend(there.gone);
            }
        }
        Self { keys }
    }

    /// The ids of all events that stand under a conflicted key in one of the states.
    pub(super) fn events(&self, states: &[StateMap]) -> HashSet<OwnedEventId> {
        let entries = states
            .iter()
            .flat_map(|state| self.keys.iter().filter_map(|key| state.get(key.kind(), key.key())));
        entries.map(|entry| entry.event_id().to_owned()).collect()
    }
}

/// Resolves `states`, which have a `conflict`. `known` must hold every event of the states and their full auth chains.
pub(super) fn resolve(
    rules: &RoomVersionRules,
    states: &[StateMap],
    conflict: &Conflict,
    known: &Known,
) -> Result<StateMap, RoomError> {
    let StateResolutionVersion::V2(v2) = &rules.state_res else {
        return Ok(v1::resolve(rules, states, conflict, known));
    };
    let chains: Vec<EventIdSet<OwnedEventId>> =
        states.iter().map(|state| chain_of_state(state, known)).collect();
    let needed = needed_keys(rules, states, conflict, known, &chains);
    let maps: Vec<RumaMap<OwnedEventId>> = states
        .iter()
        .map(|state| {
            let entry = |key: &(StateEventType, String)| {
                let entry = state.get(&key.0.to_string(), &key.1)?;
                Some((key.clone(), entry.event_id().to_owned()))
            };
            needed.iter().filter_map(entry).collect()
        })
        .collect();
    let resolved = ruma::state_res::resolve(
        &rules.authorization,
        v2,
        &maps,
        chains,
        |id| known.get(id).cloned(),
        |conflicted| Some(subgraph(conflicted.values().flatten().cloned().collect(), known)),
    )
    .map_err(|error| RoomError::Storage(format!("state resolution failed: {error}")))?;

    let mut state = states[0].clone();
    for key in &conflict.keys {
        state.remove(key.kind(), key.key());
    }
    for ((kind, key), id) in resolved {
        let kind = kind.to_string();
        if state.get(&kind, &key).is_none_or(|entry| *entry.event_id() != *id)
            && let Some(event) = known.get(&id)
        {
            state.insert(&kind, &key, entry_of(event));
        }
    }
    Ok(state)
}

/// The entry that a state event makes.
pub(super) fn entry_of(event: &Event) -> StateEntry {
    StateEntry::new(event.nid, &event.pdu.event_id, membership_of(event))
}

#[derive(serde::Deserialize)]
struct MemberContent<'a> {
    #[serde(borrow)]
    membership: std::borrow::Cow<'a, str>,
}

/// The membership that a member event gives to the user in its state key.
pub(super) fn membership_of(event: &Event) -> Option<Membership> {
    if *event.kind() != ruma::events::TimelineEventType::RoomMember || event.pdu.state_key.is_none()
    {
        return None;
    }
    let content: MemberContent<'_> = serde_json::from_str(event.pdu.content().get()).ok()?;
    Membership::parse(&content.membership)
}

/// All events that the events of a state rest on.
fn chain_of_state(state: &StateMap, known: &Known) -> EventIdSet<OwnedEventId> {
    let start = state.iter().filter_map(|(_, entry)| known.get(entry.event_id()));
    let mut chain = EventIdSet::new();
    let mut open: Vec<&OwnedEventId> =
        start.flat_map(|event| event.pdu.auth_events.iter()).collect();
    while let Some(id) = open.pop() {
        if chain.insert(id.clone())
            && let Some(event) = known.get(id)
        {
            open.extend(event.pdu.auth_events.iter());
        }
    }
    chain
}

/// The keys that the resolution reads: the conflicted ones, and those that authorise an event of the full conflicted set.
fn needed_keys(
    rules: &RoomVersionRules,
    states: &[StateMap],
    conflict: &Conflict,
    known: &Known,
    chains: &[EventIdSet<OwnedEventId>],
) -> HashSet<(StateEventType, String)> {
    let conflicted = conflict.events(states);
    let mut full: HashSet<OwnedEventId> =
        subgraph(conflicted.clone(), known).iter().cloned().collect();
    full.extend(conflicted);
    for chain in chains {
        full.extend(
            chain.iter().filter(|id| !chains.iter().all(|other| other.contains(id))).cloned(),
        );
    }
    let mut keys: HashSet<(StateEventType, String)> = conflict
        .keys
        .iter()
        .map(|key| (StateEventType::from(key.kind()), key.key().to_owned()))
        .collect();
    keys.insert((StateEventType::RoomCreate, String::new()));
    for event in full.iter().filter_map(|id| known.get(id)) {
        let own = check::auth_keys(
            event.kind(),
            &event.pdu.sender,
            event.pdu.state_key(),
            event.pdu.content(),
            &rules.authorization,
        );
        keys.extend(own.unwrap_or_default());
        if let Some(key) = event.pdu.state_key() {
            keys.insert((StateEventType::from(event.kind().to_string()), key.to_owned()));
        }
    }
    keys
}

/// The conflicted events, and all that lie on a path of auth events from one of them to another (room version 12,
/// "conflicted state subgraph").
fn subgraph(conflicted: HashSet<OwnedEventId>, known: &Known) -> EventIdSet<OwnedEventId> {
    // An event is on such a path if it is reached from a conflicted event and itself reaches one.
    let mut reaches: HashMap<&EventId, bool> = HashMap::new();
    let mut result = EventIdSet::new();
    for start in &conflicted {
        // Depth first without recursion: an event is decided when all its auth events are.
        let mut stack: Vec<(&EventId, bool)> = vec![(start, false)];
        while let Some((id, expanded)) = stack.pop() {
            let Some(event) = known.get(id) else { continue };
            if expanded {
                let below = event.pdu.auth_events.iter().any(|auth| {
                    conflicted.contains(auth) || reaches.get(&**auth).copied().unwrap_or(false)
                });
                reaches.insert(id, below);
                if below || conflicted.contains(id) {
                    result.insert(id.to_owned());
                }
            } else if !reaches.contains_key(id) {
                reaches.insert(id, false);
                stack.push((id, true));
                stack.extend(event.pdu.auth_events.iter().map(|auth| (&**auth, false)));
            }
        }
    }
    for id in conflicted {
        result.insert(id);
    }
    result
}
