//! Bundles from the tables: two queries for a page of events, however many it has, and two more where there are threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use landbridge_database::Database;
use ruma::{EventId, OwnedEventId, UserId};

use super::is_valid_edit;
use crate::event::Event;
use crate::nid::{RoomNid, TimelineOrd};
use crate::room::{RoomError, Rooms};
use crate::storage::relations::{self as table, Child};
use crate::sync::json::Writer;
use crate::sync::lens::Lens;
use crate::sync::viewer::Ignored;

/// Edits and references that are looked through for one page of events.
const MAX_CHILDREN: usize = 5_000;

/// What is bundled with some events.
#[derive(Debug, Default)]
pub struct Bundles(HashMap<OwnedEventId, Bundle>);

#[derive(Debug, Default)]
pub(super) struct Bundle {
    pub(super) edit: Option<Arc<Event>>,
    pub(super) references: Vec<OwnedEventId>,
    pub(super) thread: Option<ThreadBundle>,
}

#[derive(Debug)]
pub(super) struct ThreadBundle {
    pub(super) latest: Arc<Event>,
    pub(super) count: i64,
    pub(super) participated: bool,
}

impl Bundles {
    pub(super) fn entry(&mut self, id: &EventId) -> &mut Bundle {
        self.0.entry(id.to_owned()).or_default()
    }

    /// Whether there is nothing to tell of any event.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of `m.relations` for an event. `event_json` writes an event that is part of it, with the value of its own `m.relations`.
    pub fn of(
        &self,
        id: &EventId,
        event_json: &dyn Fn(&Event, Option<&str>, &mut String),
    ) -> Option<String> {
        let bundle = self.0.get(id)?;
        let mut w = Writer::with_capacity(256);
        w.open();
        if let Some(edit) = &bundle.edit {
            w.key("m.replace");
            event_json(edit, None, w.value());
        }
        if !bundle.references.is_empty() {
            w.open_at("m.reference");
            w.open_list_at("chunk");
            for id in &bundle.references {
                w.open();
                w.key("event_id");
                w.text(id.as_str());
                w.close();
            }
            w.close_list();
            w.close();
        }
        if let Some(thread) = &bundle.thread {
            w.open_at("m.thread");
            w.key("latest_event");
            // The latest event can't be the root of a thread itself, so this goes no deeper.
            let inner = (*thread.latest.pdu.event_id != *id)
                .then(|| self.of(&thread.latest.pdu.event_id, event_json))
                .flatten();
            event_json(&thread.latest, inner.as_deref(), w.value());
            w.key("count");
            w.int(thread.count);
            w.key("current_user_participated");
            w.bool(thread.participated);
            w.close();
        }
        w.close();
        (w.len() > 2).then(|| w.into_string())
    }

    pub(super) fn take_edit(&mut self, original: &Event, edit: &Arc<Event>) {
        if !is_valid_edit(original, edit) {
            return;
        }
        let bundle = self.entry(&original.pdu.event_id);
        let rank = |event: &Event| (event.pdu.origin_server_ts, event.pdu.event_id.clone());
        if bundle.edit.as_ref().is_none_or(|known| rank(known) < rank(edit)) {
            bundle.edit = Some(Arc::clone(edit));
        }
    }
}

/// For whom bundles are made.
pub struct Reader<'a, 'b> {
    /// What he may see of the room.
    pub lens: &'a mut Lens<'b>,
    /// Above everything that he can see.
    pub ceiling: TimelineOrd,
    /// He himself.
    pub user: &'a UserId,
    /// Whom he ignores.
    pub ignored: &'a Ignored,
}

/// What is bundled with these events of one room, for one reader.
pub async fn bundles(
    db: &Database,
    rooms: &Rooms,
    room: RoomNid,
    events: &[Arc<Event>],
    mut reader: Reader<'_, '_>,
) -> Result<Bundles, RoomError> {
    let mut bundles = Bundles::default();
    if events.is_empty() {
        return Ok(bundles);
    }
    let ids: Vec<String> = events.iter().map(|event| event.pdu.event_id.to_string()).collect();
    // Most pages have nothing that anything relates to.
    if !table::any(db, &ids).await? {
        return Ok(bundles);
    }
    let mut originals: BTreeMap<String, Arc<Event>> =
        events.iter().map(|event| (event.pdu.event_id.to_string(), Arc::clone(event))).collect();
    add_threads(&mut bundles, db, rooms, room, &mut originals, &mut reader).await?;
    let parents: Vec<String> = originals.keys().cloned().collect();
    let children =
        table::edits_and_references(db, room, &parents, reader.ceiling, MAX_CHILDREN).await?;
    add_children(&mut bundles, rooms, &originals, children, &mut reader).await?;
    Ok(bundles)
}

/// The threads on the events; their latest events join them, because they have edits of their own.
async fn add_threads(
    bundles: &mut Bundles,
    db: &Database,
    rooms: &Rooms,
    room: RoomNid,
    originals: &mut BTreeMap<String, Arc<Event>>,
    reader: &mut Reader<'_, '_>,
) -> Result<(), RoomError> {
    let ids: Vec<String> = originals.keys().cloned().collect();
    let asked = table::ThreadsOf {
        room,
        roots: &ids,
        user: reader.user.as_str(),
        ignored: &reader.ignored.to_list(),
        below: reader.ceiling,
    };
    let threads = table::threads_of(db, &asked).await?;
    let places: Vec<_> = threads.iter().map(|thread| thread.latest).collect();
    if places.is_empty() {
        return Ok(());
    }
    let nids: Vec<_> =
        table::at_places(db, room, &places).await?.into_iter().map(|(nid, _)| nid).collect();
    let latest = rooms.events(&nids).await?;
    for thread in threads {
        let stands =
            |event: &&Arc<Event>| event.place().is_some_and(|place| place.ord == thread.latest);
        let latest = latest.iter().find(stands);
        let (Some(latest), Some(began)) = (latest, originals.get(&thread.root).cloned()) else {
            continue;
        };
        if reader.lens.see(latest).await?.is_none() {
            continue;
        }
        originals.insert(latest.pdu.event_id.to_string(), Arc::clone(latest));
        bundles.entry(&began.pdu.event_id).thread = Some(ThreadBundle {
            latest: Arc::clone(latest),
            count: thread.count,
            participated: thread.participated || began.pdu.sender == *reader.user,
        });
    }
    Ok(())
}

async fn add_children(
    bundles: &mut Bundles,
    rooms: &Rooms,
    originals: &BTreeMap<String, Arc<Event>>,
    children: Vec<Child>,
    reader: &mut Reader<'_, '_>,
) -> Result<(), RoomError> {
    let nids: Vec<_> = children.iter().map(|child| child.nid).collect();
    let events: HashMap<_, _> =
        rooms.events(&nids).await?.into_iter().map(|event| (event.nid, event)).collect();
    // They come newest first; references are told oldest first.
    for child in children.iter().rev() {
        let (Some(event), Some(original)) = (events.get(&child.nid), originals.get(&child.parent))
        else {
            continue;
        };
        if reader.ignored.contains(&child.sender) || reader.lens.see(event).await?.is_none() {
            continue;
        }
        match child.rel_type.as_str() {
            "m.replace" => bundles.take_edit(original, event),
            _ => bundles.entry(&original.pdu.event_id).references.push(event.pdu.event_id.clone()),
        }
    }
    Ok(())
}
