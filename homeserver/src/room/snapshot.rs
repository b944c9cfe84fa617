//! What a room is at one moment: what readers see without waiting, and what the next event is built on.

use std::sync::{Arc, OnceLock};

use imbl::Vector;
use ruma::{
    OwnedRoomId, RoomVersionId, UserId, events::TimelineEventType,
    room_version_rules::RoomVersionRules,
};

use super::{
    Interest, InterestSource, Membership, PowerLevels, StateMap, groups::Group,
    interest::InterestCounts,
};
use crate::{
    event::{Event, Place, Reference},
    nid::{EventNid, RoomNid, StateGroup},
};

/// How many of a room's newest events a snapshot holds.
pub const RECENT: usize = 32;

/// What never changes about a room.
#[derive(Debug)]
pub struct RoomInfo {
    /// Its number.
    pub nid: RoomNid,
    /// Its id.
    pub id: OwnedRoomId,
    /// Its version.
    pub version: RoomVersionId,
    /// The rules of its version.
    pub rules: RoomVersionRules,
}

/// A forward extremity: an event that no other one refers to yet.
#[derive(Clone, Debug)]
pub(super) struct Extremity {
    pub(super) nid: EventNid,
    pub(super) depth: i64,
    pub(super) reference: Reference,
    /// The state after it.
    pub(super) group: Option<StateGroup>,
}

/// The state events that are asked for all the time.
#[derive(Clone, Debug, Default)]
pub(super) struct Core {
    pub(super) create: Option<Arc<Event>>,
    pub(super) power_levels: Option<Arc<Event>>,
    pub(super) join_rules: Option<Arc<Event>>,
    pub(super) history_visibility: Option<Arc<Event>>,
}

impl Core {
    pub(super) const KINDS: [&'static str; 4] =
        ["m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.history_visibility"];

    fn slot(&mut self, kind: &str) -> Option<&mut Option<Arc<Event>>> {
        Some(match kind {
            "m.room.create" => &mut self.create,
            "m.room.power_levels" => &mut self.power_levels,
            "m.room.join_rules" => &mut self.join_rules,
            "m.room.history_visibility" => &mut self.history_visibility,
            _ => return None,
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Event>> {
        [&self.create, &self.power_levels, &self.join_rules, &self.history_visibility]
            .into_iter()
            .flatten()
    }
}

/// A room at one moment. Cheap to clone: clones share nearly everything.
#[derive(Clone, Debug)]
pub struct RoomSnapshot {
    /// What never changes about it.
    pub info: Arc<RoomInfo>,
    /// Its current state.
    pub state: StateMap,
    pub(super) group: Option<Group>,
    pub(super) extremities: Arc<Vec<Extremity>>,
    pub(super) depth: i64,
    pub(super) core: Core,
    pub(super) power: Option<Arc<PowerLevels>>,
    pub(super) recent: Vector<Arc<Event>>,
    pub(super) interest: InterestCounts,
    head: OnceLock<Place>,
}

impl RoomSnapshot {
    /// A room without events.
    pub(super) fn empty(info: Arc<RoomInfo>, state: StateMap, source: &dyn InterestSource) -> Self {
        Self {
            interest: InterestCounts::new(source, &info.id),
            info,
            state,
            group: None,
            extremities: Arc::default(),
            depth: 0,
            core: Core::default(),
            power: None,
            recent: Vector::new(),
            head: OnceLock::new(),
        }
    }

    /// The newest shown event's place; `None` only for a room that isn't durable yet.
    pub fn head(&self) -> Option<Place> {
        self.head.get().copied()
    }

    /// Told once, by the commit that makes the snapshot durable.
    pub(super) fn set_head(&self, place: Place) {
        let _ = self.head.set(place);
    }

    /// The same, before anything is known of the commit that will make it durable.
    pub(super) fn without_head(&self) -> Self {
        Self { head: OnceLock::new(), ..self.clone() }
    }

    /// The events that no other one refers to yet: each with its depth and the state after it.
    pub fn forward_extremities(&self) -> impl Iterator<Item = (EventNid, i64, Option<StateGroup>)> {
        self.extremities.iter().map(|end| (end.nid, end.depth, end.group))
    }

    /// The number of the stored form of the current state.
    pub fn state_group(&self) -> Option<StateGroup> {
        self.group.map(|group| group.nid)
    }

    /// What a user is to the room; `None` if no event ever said.
    pub fn membership(&self, user: &UserId) -> Option<Membership> {
        self.state.membership(user)
    }

    /// What a user is to the room, and the event that says so.
    pub fn member(&self, user: &UserId) -> Option<(Membership, EventNid)> {
        let entry = self.state.get(super::MEMBER, user.as_str())?;
        Some((entry.membership?, entry.nid))
    }

    /// Whether a user is in the room.
    pub fn is_joined(&self, user: &UserId) -> bool {
        self.membership(user) == Some(Membership::Join)
    }

    /// How many users are in the room.
    pub const fn joined_count(&self) -> u32 {
        self.state.count(Membership::Join)
    }

    /// How many users are invited.
    pub const fn invited_count(&self) -> u32 {
        self.state.count(Membership::Invite)
    }

    /// The number of the event of a type and state key in the current state.
    pub fn state_nid(&self, kind: &str, key: &str) -> Option<EventNid> {
        self.state.nid(kind, key)
    }

    /// The newest shown live events, oldest first; at most [`RECENT`].
    pub const fn recent(&self) -> &Vector<Arc<Event>> {
        &self.recent
    }

    /// The create event; `None` only while the room is being made.
    pub const fn create_event(&self) -> Option<&Arc<Event>> {
        self.core.create.as_ref()
    }

    /// The power levels; `None` only while the room is being made.
    pub const fn power_levels(&self) -> Option<&Arc<PowerLevels>> {
        self.power.as_ref()
    }

    /// The power levels event.
    pub const fn power_levels_event(&self) -> Option<&Arc<Event>> {
        self.core.power_levels.as_ref()
    }

    /// The join rule; `invite` if none is set (Client-Server API, `m.room.join_rules`).
    pub fn join_rule(&self) -> String {
        let event = self.core.join_rules.as_ref();
        event
            .and_then(|event| event.pdu.content_str("join_rule"))
            .unwrap_or_else(|| "invite".to_owned())
    }

    /// The join rules event.
    pub const fn join_rules_event(&self) -> Option<&Arc<Event>> {
        self.core.join_rules.as_ref()
    }

    /// The history visibility; `shared` if none is set (Client-Server API, "Room history visibility").
    pub fn history_visibility(&self) -> String {
        let event = self.core.history_visibility.as_ref();
        event
            .and_then(|event| event.pdu.content_str("history_visibility"))
            .unwrap_or_else(|| "shared".to_owned())
    }

    /// Whether anyone may see who is in it: all may join, or the world may read it (Client-Server API, "User Directory").
    pub fn is_open(&self) -> bool {
        self.join_rule() == "public" || self.history_visibility() == "world_readable"
    }

    /// The appservices that the room interests, whatever the event.
    pub fn interest(&self) -> Interest {
        self.interest.mask()
    }

    /// Takes a state event into the state that is being built; the core and the power levels follow.
    pub(super) fn set_core(&mut self, event: &Arc<Event>) {
        if event.pdu.state_key() != Some("") {
            return;
        }
        let kind = event.kind().to_string();
        if let Some(slot) = self.core.slot(&kind) {
            *slot = Some(event.clone());
            if matches!(
                event.kind(),
                TimelineEventType::RoomCreate | TimelineEventType::RoomPowerLevels
            ) {
                self.read_power();
            }
        }
    }

    /// Forgets a core event that resolution took out of the state.
    pub(super) fn clear_core(&mut self, kind: &str) {
        if let Some(slot) = self.core.slot(kind) {
            *slot = None;
            self.read_power();
        }
    }

    fn read_power(&mut self) {
        if let Some(create) = &self.core.create {
            let levels = self.core.power_levels.as_deref();
            self.power =
                Some(Arc::new(PowerLevels::of(create, levels, &self.info.rules.authorization)));
        }
    }

    /// Adds a shown event to the newest ones.
    pub(super) fn push_recent(&mut self, event: Arc<Event>) {
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
    }

    /// Puts what redaction left of an event in its place, wherever the snapshot holds it.
    pub(super) fn replace(&mut self, event: &Arc<Event>) {
        if let Some(index) = self.recent.iter().position(|known| known.nid == event.nid) {
            self.recent.set(index, event.clone());
        }
        if self.core.all().any(|known| known.nid == event.nid) {
            self.set_core(event);
        }
    }
}
