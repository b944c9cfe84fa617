//! Events that are durable, through a cache bounded by weight.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use landbridge_database::Database;
use quick_cache::{Weighter, sync::Cache};
use ruma::{EventId, OwnedEventId};

use crate::{
    event::{Event, Flags, Pdu, Place, TxnEcho},
    nid::EventNid,
    storage::{self, StorageError, events::StoredEvent},
};

#[derive(Clone)]
struct Bytes;

impl Weighter<EventNid, Arc<Event>> for Bytes {
    fn weight(&self, _: &EventNid, event: &Arc<Event>) -> u64 {
        event.weight() as u64
    }
}

/// The durable events. Clones share the cache.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    db: Database,
    by_nid: Cache<EventNid, Arc<Event>, Bytes>,
    by_id: Cache<OwnedEventId, EventNid>,
    /// Counts the events that were replaced by a later form, so that a read that began before doesn't bring the
    /// earlier form back.
    replaced: AtomicU64,
}

impl Events {
    /// The events of a database, with a cache of about `bytes`.
    pub fn new(db: Database, bytes: u64) -> Self {
        let items = usize::try_from(bytes / 1500).unwrap_or(usize::MAX).max(64);
        Self(Arc::new(Inner {
            db,
            by_nid: Cache::with_weighter(items, bytes.max(1 << 20), Bytes),
            by_id: Cache::new(items),
            replaced: AtomicU64::new(0),
        }))
    }

    /// Keeps an event that has just become durable.
    pub fn put(&self, event: Arc<Event>) {
        self.0.by_id.insert(event.pdu.event_id.clone(), event.nid);
        self.0.by_nid.insert(event.nid, event);
    }

    /// Puts a later form of an event (redacted, or no longer an outlier) in the place of the earlier one.
    pub fn replace(&self, event: Arc<Event>) {
        self.0.replaced.fetch_add(1, Ordering::AcqRel);
        self.put(event);
    }

    /// Drops events that were deleted.
    pub(super) fn forget(&self, nids: &[EventNid]) {
        // What is being read may be from before: it is not kept.
        self.0.replaced.fetch_add(1, Ordering::AcqRel);
        for nid in nids {
            if let Some((_, event)) = self.0.by_nid.remove(nid) {
                self.0.by_id.remove(&event.pdu.event_id);
            }
        }
    }

    /// An event that is in the cache.
    pub fn cached(&self, nid: EventNid) -> Option<Arc<Event>> {
        self.0.by_nid.get(&nid)
    }

    /// An event by its number.
    pub async fn get(&self, nid: EventNid) -> Result<Option<Arc<Event>>, StorageError> {
        if let Some(event) = self.cached(nid) {
            return Ok(Some(event));
        }
        Ok(self.many(&[nid]).await?.pop())
    }

    /// An event by its id.
    pub async fn by_id(&self, id: &EventId) -> Result<Option<Arc<Event>>, StorageError> {
        Ok(self.many_by_ids(std::slice::from_ref(&id)).await?.pop())
    }

    /// Events by their numbers, in the order asked for; unknown ones are left out. At most one query for all that
    /// aren't at hand, and one for the redactions of those.
    pub async fn many(&self, nids: &[EventNid]) -> Result<Vec<Arc<Event>>, StorageError> {
        let mut found: HashMap<EventNid, Arc<Event>> = HashMap::with_capacity(nids.len());
        let mut missing = Vec::new();
        for nid in nids {
            match self.cached(*nid) {
                Some(event) => drop(found.insert(*nid, event)),
                None => missing.push(*nid),
            }
        }
        if !missing.is_empty() {
            let mark = self.mark();
            let stored = storage::events::by_nids(&self.0.db, &missing).await?;
            for event in self.read(stored, mark).await? {
                found.insert(event.nid, event);
            }
        }
        Ok(nids.iter().filter_map(|nid| found.get(nid).cloned()).collect())
    }

    /// Events by their ids, in the order asked for; unknown ones are left out.
    pub async fn many_by_ids(
        &self,
        ids: &[impl AsRef<EventId>],
    ) -> Result<Vec<Arc<Event>>, StorageError> {
        let mut found: HashMap<OwnedEventId, Arc<Event>> = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            let id = id.as_ref();
            match self.0.by_id.get(id).and_then(|nid| self.cached(nid)) {
                Some(event) => drop(found.insert(id.to_owned(), event)),
                None => missing.push(id.to_string()),
            }
        }
        if !missing.is_empty() {
            let mark = self.mark();
            let stored = storage::events::by_ids(&self.0.db, missing).await?;
            for event in self.read(stored, mark).await? {
                found.insert(event.pdu.event_id.clone(), event);
            }
        }
        Ok(ids.iter().filter_map(|id| found.get(id.as_ref()).cloned()).collect())
    }

    /// Turns rows that another query brought (a page of a timeline) into events, in their order. `mark` is what
    /// [`Self::mark`] said before the query.
    pub async fn read(
        &self,
        stored: Vec<StoredEvent>,
        mark: u64,
    ) -> Result<Vec<Arc<Event>>, StorageError> {
        let mut because: Vec<EventNid> = stored
            .iter()
            .filter(|row| self.cached(row.nid).is_none())
            .filter_map(|row| row.redacted_by)
            .collect();
        because.sort_unstable();
        because.dedup();
        let mut redactions: HashMap<EventNid, Arc<Event>> = HashMap::new();
        let mut missing = Vec::new();
        for nid in because {
            match self.cached(nid) {
                Some(event) => drop(redactions.insert(nid, event)),
                None => missing.push(nid),
            }
        }
        if !missing.is_empty() {
            for row in storage::events::by_nids(&self.0.db, &missing).await? {
                redactions.insert(row.nid, Arc::new(event(row, None)?));
            }
        }
        let current = self.mark() == mark;
        stored
            .into_iter()
            .map(|row| {
                if let Some(known) = self.cached(row.nid) {
                    return Ok(known);
                }
                let because = row.redacted_by.and_then(|nid| redactions.get(&nid).cloned());
                let event = Arc::new(event(row, because)?);
                if current {
                    self.put(event.clone());
                }
                Ok(event)
            })
            .collect()
    }

    /// To be taken before a query whose rows go to [`Self::read`].
    pub fn mark(&self) -> u64 {
        self.0.replaced.load(Ordering::Acquire)
    }
}

/// An event from its row.
fn event(row: StoredEvent, because: Option<Arc<Event>>) -> Result<Event, StorageError> {
    let damaged = |error: &dyn std::fmt::Display| {
        StorageError::Damaged(format!("event {}: {error}", row.nid))
    };
    let id = EventId::parse(row.id.as_str()).map_err(|error| damaged(&error))?;
    let redacts = row.redacts.as_deref().and_then(|id| EventId::parse(id).ok());
    let pdu = Pdu::from_stored(row.raw.clone(), id, redacts).map_err(|error| damaged(&error))?;
    let mut event = Event::new(row.nid, row.room, pdu);
    event.flags = Flags(row.flags);
    event.state_before = row.state_before;
    event.state_after = row.state_after;
    event.replaces = row.replaces;
    event.redacted_because = because;
    event.sticky_until = row.sticky_until;
    event.txn = row.txn.map(|(scope, id)| TxnEcho { scope, id });
    if let Some(ord) = row.ord {
        event.set_place(Place { pos: row.pos.unwrap_or(0), ord });
    }
    Ok(event)
}
