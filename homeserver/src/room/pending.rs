//! Events of a room that are decided but not yet durable.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use ruma::{EventId, OwnedEventId};

use crate::{event::Event, nid::EventNid};

#[derive(Default)]
struct Maps {
    by_nid: HashMap<EventNid, Arc<Event>>,
    by_id: HashMap<OwnedEventId, EventNid>,
}

/// The undurable events of one room, which the next ones may rest on.
#[derive(Default)]
pub(super) struct Pending(Mutex<Maps>);

impl Pending {
    pub(super) fn insert(&self, event: &Arc<Event>) {
        let mut maps = self.maps();
        maps.by_id.insert(event.pdu.event_id.clone(), event.nid);
        maps.by_nid.insert(event.nid, event.clone());
    }

    pub(super) fn remove(&self, event: &Event) {
        let mut maps = self.maps();
        maps.by_nid.remove(&event.nid);
        maps.by_id.remove(&event.pdu.event_id);
    }

    pub(super) fn remove_id(&self, id: &EventId) {
        let mut maps = self.maps();
        if let Some(nid) = maps.by_id.remove(id) {
            maps.by_nid.remove(&nid);
        }
    }

    pub(super) fn clear(&self) {
        *self.maps() = Maps::default();
    }

    pub(super) fn get(&self, nid: EventNid) -> Option<Arc<Event>> {
        self.maps().by_nid.get(&nid).cloned()
    }

    pub(super) fn by_id(&self, id: &EventId) -> Option<Arc<Event>> {
        let maps = self.maps();
        maps.by_id.get(id).and_then(|nid| maps.by_nid.get(nid)).cloned()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<Event>> {
        self.maps().by_nid.values().cloned().collect()
    }

    fn maps(&self) -> MutexGuard<'_, Maps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
