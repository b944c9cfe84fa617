//! Filters ([Filtering](https://spec.matrix.org/v1.19/client-server-api/#filtering)), compiled once per request into something that
//! answers quickly for each event.

mod definition;
pub mod fields;
pub(crate) mod glob;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use ruma::{RoomId, UserId};
use serde_json::value::RawValue;

use self::definition::{EventDefinition, FilterDefinition, RoomEventDefinition};
use self::fields::FieldSet;
use self::glob::Globs;

/// Events of a timeline when the filter names no limit, as the field does it.
const DEFAULT_TIMELINE_LIMIT: usize = 10;
/// No answer holds more events of one room than this, whatever the filter says.
pub const MAX_LIMIT: usize = 1000;

/// What is wrong with a filter.
#[derive(Debug, thiserror::Error)]
#[error("the filter is not valid: {0}")]
pub struct FilterError(#[from] serde_json::Error);

/// A compiled filter of `/sync`.
#[derive(Debug, Default)]
pub struct Filter {
    /// The fields of events to keep; all when absent.
    pub fields: Option<FieldSet>,
    /// Whether events are wanted as servers exchange them.
    pub federation_format: bool,
    /// Which presence events.
    pub presence: EventFilter,
    /// Which account data that belongs to no room.
    pub account_data: EventFilter,
    /// What of rooms.
    pub room: RoomFilter,
}

/// The part of a filter that speaks of rooms.
#[derive(Debug, Default)]
pub struct RoomFilter {
    rooms: RoomSet,
    /// Whether rooms left long ago are told in initial and full-state syncs.
    pub include_leave: bool,
    /// Which typing notifications and receipts.
    pub ephemeral: RoomEventFilter,
    /// Which state events.
    pub state: RoomEventFilter,
    /// Which timeline events.
    pub timeline: RoomEventFilter,
    /// Which account data of rooms.
    pub account_data: RoomEventFilter,
}

/// Which events by type and sender.
#[derive(Debug, Default)]
pub struct EventFilter {
    types: Option<Globs>,
    not_types: Globs,
    senders: Option<HashSet<Box<str>>>,
    not_senders: HashSet<Box<str>>,
    limit: Option<usize>,
}

/// Which events of rooms.
#[derive(Debug, Default)]
pub struct RoomEventFilter {
    event: EventFilter,
    rooms: RoomSet,
    contains_url: Option<bool>,
    rel_types: Option<HashSet<Box<str>>>,
    not_rel_types: HashSet<Box<str>>,
    /// Whether only those members are told that the timeline needs.
    pub lazy_load_members: bool,
    /// Whether members are told again that were told before.
    pub include_redundant_members: bool,
    /// Whether notifications are counted by thread.
    pub unread_thread_notifications: bool,
}

#[derive(Debug, Default)]
struct RoomSet {
    only: Option<HashSet<Box<str>>>,
    not: HashSet<Box<str>>,
}

impl RoomSet {
    fn admits(&self, room: &RoomId) -> bool {
        !self.not.contains(room.as_str())
            && self.only.as_ref().is_none_or(|only| only.contains(room.as_str()))
    }
}

impl Filter {
    /// Reads and compiles a filter.
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        let definition: FilterDefinition = serde_json::from_str(json)?;
        let room = definition.room.unwrap_or_default();
        Ok(Self {
            fields: definition
                .event_fields
                .map(|paths| FieldSet::new(paths.iter().map(String::as_str))),
            federation_format: definition.event_format.as_deref() == Some("federation"),
            presence: definition.presence.unwrap_or_default().into(),
            account_data: definition.account_data.unwrap_or_default().into(),
            room: RoomFilter {
                rooms: RoomSet {
                    only: room.rooms.map(set),
                    not: set(room.not_rooms.unwrap_or_default()),
                },
                include_leave: room.include_leave,
                ephemeral: room.ephemeral.unwrap_or_default().into(),
                state: room.state.unwrap_or_default().into(),
                timeline: room.timeline.unwrap_or_default().into(),
                account_data: room.account_data.unwrap_or_default().into(),
            },
        })
    }
}

impl RoomFilter {
    /// Whether no room is left out.
    pub fn admits_all(&self) -> bool {
        self.rooms.only.is_none() && self.rooms.not.is_empty()
    }

    /// Whether anything at all of this room is wanted.
    pub fn admits_room(&self, room: &RoomId) -> bool {
        self.rooms.admits(room)
    }
}

impl EventFilter {
    /// Whether an event of this type and sender passes.
    pub fn admits(&self, kind: &str, sender: &str) -> bool {
        self.admits_type(kind) && self.admits_sender(sender)
    }

    /// Whether events of this type pass, where there is no sender (account data).
    pub fn admits_type(&self, kind: &str) -> bool {
        !self.not_types.matches(kind) && self.types.as_ref().is_none_or(|types| types.matches(kind))
    }

    fn admits_sender(&self, sender: &str) -> bool {
        !self.not_senders.contains(sender)
            && self.senders.as_ref().is_none_or(|senders| senders.contains(sender))
    }

    /// Whether no event can pass, so that nothing need be looked up.
    pub fn admits_nothing(&self) -> bool {
        self.types.as_ref().is_some_and(Globs::is_empty)
            || self.senders.as_ref().is_some_and(HashSet::is_empty)
            || self.not_types.matches_all()
    }

    fn passes_everything(&self) -> bool {
        self.types.is_none()
            && self.not_types.is_empty()
            && self.senders.is_none()
            && self.not_senders.is_empty()
    }
}

impl RoomEventFilter {
    /// Reads and compiles a filter of `/messages`, `/context` or `/search`.
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        Ok(serde_json::from_str::<RoomEventDefinition>(json)?.into())
    }

    /// Whether events of this room can pass.
    pub fn admits_room(&self, room: &RoomId) -> bool {
        self.rooms.admits(room)
    }

    /// Whether an event passes, its room aside.
    pub fn admits(&self, kind: &str, sender: &UserId, content: &RawValue) -> bool {
        if !self.event.admits(kind, sender.as_str()) {
            return false;
        }
        if self.contains_url.is_none() && self.rel_types.is_none() && self.not_rel_types.is_empty()
        {
            return true;
        }
        let probe = Probe::of(content);
        let related =
            |set: &HashSet<Box<str>>| probe.rel_type.is_some_and(|rel_type| set.contains(rel_type));
        self.contains_url.is_none_or(|wanted| wanted == probe.has_url)
            && self.rel_types.as_ref().is_none_or(related)
            && !related(&self.not_rel_types)
    }

    /// The type and sender part, for what has no content to look into.
    pub fn event(&self) -> &EventFilter {
        &self.event
    }

    /// Whether no event can pass.
    pub fn admits_nothing(&self) -> bool {
        self.event.admits_nothing() || self.rooms.only.as_ref().is_some_and(HashSet::is_empty)
    }

    /// Whether every event of an admitted room passes, so that nothing need be asked of each.
    pub fn passes_everything(&self) -> bool {
        self.event.passes_everything()
            && self.contains_url.is_none()
            && self.rel_types.is_none()
            && self.not_rel_types.is_empty()
    }

    /// How many events a timeline may hold. A limit of 0, which the specification does not allow but the field sends, gives none.
    pub fn limit(&self) -> usize {
        self.event.limit.unwrap_or(DEFAULT_TIMELINE_LIMIT).min(MAX_LIMIT)
    }

    /// The limit that the filter names, if it names one.
    pub fn explicit_limit(&self) -> Option<usize> {
        self.event.limit
    }

    /// Whether the filter says nothing of rooms.
    pub fn admits_every_room(&self) -> bool {
        self.rooms.only.is_none() && self.rooms.not.is_empty()
    }
}

impl From<EventDefinition> for EventFilter {
    fn from(definition: EventDefinition) -> Self {
        Self {
            types: definition.types.map(Globs::new),
            not_types: Globs::new(definition.not_types.unwrap_or_default()),
            senders: definition.senders.map(set),
            not_senders: set(definition.not_senders.unwrap_or_default()),
            limit: definition
                .limit
                .map(|limit| usize::try_from(limit.max(0)).unwrap_or(usize::MAX)),
        }
    }
}

impl From<RoomEventDefinition> for RoomEventFilter {
    fn from(definition: RoomEventDefinition) -> Self {
        Self {
            event: definition.event.into(),
            rooms: RoomSet {
                only: definition.rooms.map(set),
                not: set(definition.not_rooms.unwrap_or_default()),
            },
            contains_url: definition.contains_url,
            rel_types: definition.rel_types.map(set),
            not_rel_types: set(definition.not_rel_types.unwrap_or_default()),
            lazy_load_members: definition.lazy_load_members,
            include_redundant_members: definition.include_redundant_members,
            unread_thread_notifications: definition.unread_thread_notifications,
        }
    }
}

fn set(names: Vec<String>) -> HashSet<Box<str>> {
    names.into_iter().map(String::into_boxed_str).collect()
}

/// The two things that filters ask of an event's content.
struct Probe<'a> {
    has_url: bool,
    rel_type: Option<&'a str>,
}

impl<'a> Probe<'a> {
    fn of(content: &'a RawValue) -> Self {
        #[derive(serde::Deserialize)]
        struct Content<'a> {
            #[serde(borrow)]
            url: Option<&'a RawValue>,
            #[serde(borrow, rename = "m.relates_to")]
            relates_to: Option<&'a RawValue>,
        }
        #[derive(serde::Deserialize)]
        struct RelatesTo<'a> {
            rel_type: Option<&'a str>,
        }
        let Ok(content) = serde_json::from_str::<Content<'a>>(content.get()) else {
            return Self { has_url: false, rel_type: None };
        };
        Self {
            has_url: content.url.is_some_and(|url| url.get().starts_with('"')),
            rel_type: content
                .relates_to
                .and_then(|relates_to| serde_json::from_str::<RelatesTo<'a>>(relates_to.get()).ok())
                .and_then(|relates_to| relates_to.rel_type),
        }
    }
}
