//! Who in a room may be notified: its members that are people of this server. Ghosts never are, so that a message costs as much as
//! there are people, however many are bridged.

use std::sync::Arc;

use imbl::OrdSet;
use quick_cache::{Weighter, sync::Cache};
use ruma::{OwnedServerName, OwnedUserId, UserId};

use crate::nid::RoomNid;
use crate::room::{InterestSource as _, MEMBER, Membership, RoomSnapshot, StateMap};
use crate::services::appservices::Appservices;

/// How many rooms are kept, and how many entries their states may have in all; a forgotten room is walked through anew.
const MAX_ROOMS: usize = 20_000;
const MAX_ENTRIES: u64 = 1_000_000;

/// The people of each room. A room's members are walked through once; from then on only what changed is looked at.
pub(super) struct Audience {
    appservices: Appservices,
    server: OwnedServerName,
    known: Cache<RoomNid, Arc<Known>, Entries>,
}

struct Known {
    state: StateMap,
    /// Of the registrations, which say who is a ghost.
    generation: u64,
    people: OrdSet<OwnedUserId>,
}

#[derive(Clone)]
struct Entries;

impl Weighter<RoomNid, Arc<Known>> for Entries {
    fn weight(&self, _: &RoomNid, known: &Arc<Known>) -> u64 {
        known.state.len() as u64 + 1
    }
}

impl Audience {
    pub(super) fn new(appservices: Appservices, server: OwnedServerName) -> Self {
        let known = Cache::with_weighter(MAX_ROOMS, MAX_ENTRIES, Entries);
        Self { appservices, server, known }
    }

    /// Whether a user is of flesh and blood, and ours.
    pub(super) fn is_person(&self, user: &UserId) -> bool {
        user.server_name() == self.server && !self.appservices.is_ghost(user)
    }

    /// The people in a room.
    pub(super) fn of(&self, snapshot: &RoomSnapshot) -> OrdSet<OwnedUserId> {
        let generation = self.appservices.generation();
        let known = self.known.get(&snapshot.info.nid);
        let people = match known.filter(|known| known.generation == generation) {
            Some(known) if known.state.hash() == snapshot.state.hash() => {
                return known.people.clone();
            }
            Some(known) => self.follow(&known, &snapshot.state),
            None => self.count(&snapshot.state),
        };
        let known = Known { state: snapshot.state.clone(), generation, people: people.clone() };
        self.known.insert(snapshot.info.nid, Arc::new(known));
        people
    }

    fn count(&self, state: &StateMap) -> OrdSet<OwnedUserId> {
        let joined =
            state.members().filter(|(_, entry)| entry.membership == Some(Membership::Join));
        joined.filter_map(|(user, _)| self.person(user)).collect()
    }

    fn follow(&self, known: &Known, state: &StateMap) -> OrdSet<OwnedUserId> {
        let mut people = known.people.clone();
        let changes = known.state.changes(state);
        for (key, entry) in changes.added.iter().filter(|(key, _)| key.kind() == MEMBER) {
            let Some(user) = self.person(key.key()) else { continue };
            if entry.membership == Some(Membership::Join) {
                people.insert(user);
            } else {
                people.remove(&user);
            }
        }
        for key in changes.gone.iter().filter(|key| key.kind() == MEMBER) {
            if let Some(user) = self.person(key.key()) {
                people.remove(&user);
            }
        }
        people
    }

    fn person(&self, user: &str) -> Option<OwnedUserId> {
        let user = <&UserId>::try_from(user).ok()?;
        self.is_person(user).then(|| user.to_owned())
    }
}
