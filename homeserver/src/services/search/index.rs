//! Keeps the index of words up with the events: behind them, in batches, so that a send pays nothing for it.
//!
//! Every commit names the events that matter here before anyone can see them; a moment later their words are written
//! together, and how far that is. Whoever searches waits for what was said before. After a crash the events behind the
//! cursor are read from the tables, and so are those that never were news: imported history, and what was there before there
//! was an index.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use landbridge_database::Database;
use ruma::{OwnedEventId, events::TimelineEventType};
use tokio::sync::{Notify, watch};

use super::document::{KINDS, REDACTION, document, edited, is_found, newest_edit};
use crate::app::Background;
use crate::commit::Committer;
use crate::event::{Event, Flags};
use crate::feed::{Change, Feed, FeedObserver, Published};
use crate::nid::{EventNid, Pos};
use crate::room::{RoomError, Rooms};
use crate::storage::relations;
use crate::storage::search::{self as table, Backlog, Document};

/// For how long events gather unless somebody waits for them.
const GATHER: Duration = Duration::from_secs(1);
/// Events whose words are written together.
const BATCH: usize = 500;
/// Events that may wait in memory; beyond that they are read from the tables.
const MAX_PENDING: usize = 50_000;
/// How often it is looked whether history was imported.
const LOOK: Duration = Duration::from_secs(15);
const RETRY: Duration = Duration::from_secs(5);
/// For how long a search waits for what was said before it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The index of words. Clones share it.
#[derive(Clone)]
pub struct SearchIndex(Arc<Inner>);

struct Inner {
    db: Database,
    rooms: Rooms,
    committer: Committer,
    pending: Mutex<Pending>,
    work: Notify,
    hurry: Notify,
    /// How many of the events that were ever named are written; `None` before those of the time before the start are.
    done: watch::Sender<Option<u64>>,
    /// Whether the tables are to be read.
    behind: AtomicBool,
}

#[derive(Default)]
struct Pending {
    events: Vec<EventNid>,
    /// Of the events ever named, how many.
    named: u64,
    /// The position of the last.
    upto: Pos,
}

/// What is to be written: the events, and what they are found by.
type Writes = Vec<(EventNid, Option<Document>)>;

impl FeedObserver for Inner {
    fn published(&self, batch: &[Published]) {
        let mut pending = self.pending();
        let before = pending.named;
        for published in batch {
            if let Change::Event(event, _) = &published.change
                && (is_found(event) || *event.kind() == TimelineEventType::RoomRedaction)
            {
                pending.named += 1;
                pending.events.push(event.nid);
            }
            pending.upto = published.pos;
        }
        if pending.named == before {
            return;
        }
        if pending.events.len() > MAX_PENDING {
            pending.events.clear();
            self.behind.store(true, Ordering::Release);
        }
        drop(pending);
        self.work.notify_one();
    }
}

impl Inner {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SearchIndex {
    /// The index in a database, following the feed.
    pub fn start(
        db: &Database,
        rooms: &Rooms,
        committer: &Committer,
        feed: &Feed,
        background: &Background,
    ) -> Self {
        let index = Self(Arc::new(Inner {
            db: db.clone(),
            rooms: rooms.clone(),
            committer: committer.clone(),
            pending: Mutex::default(),
            work: Notify::new(),
            hurry: Notify::new(),
            done: watch::Sender::new(None),
            behind: AtomicBool::new(true),
        }));
        feed.observe(&index.0);
        background.spawn(index.clone().run());
        index
    }

    /// Waits until what was said before can be found, or for as long as a client should.
    pub async fn reach(&self) {
        let named = Some(self.0.pending().named);
        let mut done = self.0.done.subscribe();
        if *done.borrow_and_update() >= named {
            return;
        }
        self.0.hurry.notify_one();
        let caught_up =
            async { while *done.borrow_and_update() < named && done.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(PATIENCE, caught_up).await;
    }

    /// Works until the server stops.
    async fn run(self) {
        loop {
            match self.round().await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        () = self.0.work.notified() => {
                            // What else is said in the next moment goes along.
                            let _ = tokio::time::timeout(GATHER, self.0.hurry.notified()).await;
                        }
                        () = self.0.hurry.notified() => {}
                        () = tokio::time::sleep(LOOK) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "words could not be written, trying again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Writes some of what there is to write; whether there may be more.
    async fn round(&self) -> Result<bool, RoomError> {
        if self.0.behind.load(Ordering::Acquire) {
            self.catch_up().await?;
        }
        let (events, upto, named, all) = {
            let mut pending = self.0.pending();
            if self.0.behind.load(Ordering::Acquire) {
                // What was dropped meanwhile lies before what is here.
                return Ok(true);
            }
            let count = pending.events.len().min(BATCH);
            let events: Vec<EventNid> = pending.events.drain(..count).collect();
            let all = pending.events.is_empty();
            (events, pending.upto, pending.named - pending.events.len() as u64, all)
        };
        if !events.is_empty() {
            // The cursor moves only when nothing below it waits.
            let cursor = all.then_some(upto);
            if let Err(error) = self.write(&events, cursor, None).await {
                // The tables have them.
                self.0.behind.store(true, Ordering::Release);
                return Err(error);
            }
        }
        self.0.done.send_replace(Some(named));
        if !all {
            return Ok(true);
        }
        let Some(backlog) = table::backlog(&self.0.db).await? else { return Ok(false) };
        let events = table::range(&self.0.db, backlog, &KINDS, BATCH).await?;
        let lowest = if events.len() < BATCH { None } else { events.last().copied() };
        let done = lowest.unwrap_or(backlog.lowest);
        self.write(&events, None, Some((backlog, done))).await?;
        Ok(true)
    }

    /// Writes what lies between the cursor and the newest event, from the tables.
    async fn catch_up(&self) -> Result<(), RoomError> {
        self.0.behind.store(false, Ordering::Release);
        let result = self.read_behind().await;
        if result.is_err() {
            self.0.behind.store(true, Ordering::Release);
        }
        result
    }

    async fn read_behind(&self) -> Result<(), RoomError> {
        let kinds: Vec<&str> = KINDS.into_iter().chain([REDACTION]).collect();
        let mut at = table::cursor(&self.0.db).await?;
        loop {
            let found = table::since(&self.0.db, at, Pos::MAX, &kinds, BATCH).await?;
            let Some((_, last)) = found.last() else { return Ok(()) };
            at = *last;
            let events: Vec<EventNid> = found.iter().map(|(nid, _)| *nid).collect();
            self.write(&events, Some(at), None).await?;
        }
    }

    async fn write(
        &self,
        events: &[EventNid],
        cursor: Option<Pos>,
        backlog: Option<(Backlog, EventNid)>,
    ) -> Result<(), RoomError> {
        let writes = Arc::new(self.writes(events).await?);
        self.0
            .committer
            .run(move |tx| {
                let writes = Arc::clone(&writes);
                async move {
                    table::put(tx, &writes).await?;
                    if let Some(pos) = cursor {
                        table::set_cursor(tx, pos).await?;
                    }
                    if let Some((backlog, done)) = backlog {
                        table::shrink_backlog(tx, backlog, done).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(())
    }

    /// What these events change in the index.
    async fn writes(&self, events: &[EventNid]) -> Result<Writes, RoomError> {
        let events = self.0.rooms.events(events).await?;
        let mut touched: BTreeMap<EventNid, Arc<Event>> = BTreeMap::new();
        let mut others: BTreeSet<OwnedEventId> = BTreeSet::new();
        let mut gone: Vec<EventNid> = Vec::new();
        for event in &events {
            if let Some(target) = &event.pdu.redacts {
                others.insert(target.clone());
            } else if let Some(original) = edited(event) {
                others.extend(OwnedEventId::try_from(original).ok());
            }
            touched.insert(event.nid, Arc::clone(event));
        }
        for id in others {
            let Some(event) = self.0.rooms.event(&id).await? else { continue };
            if event.flags.has(Flags::REDACTED) {
                gone.push(event.nid);
            }
            touched.insert(event.nid, event);
        }
        if !gone.is_empty() {
            // Events whose newest edit is no more are found by what they say now.
            let orphans = table::of_sources(&self.0.db, &gone).await?;
            for event in self.0.rooms.events(&orphans).await? {
                touched.insert(event.nid, event);
            }
        }
        touched.retain(|_, event| is_found(event));
        let ids = touched.values().map(|event| event.pdu.event_id.to_string()).collect();
        let edited = relations::edited(&self.0.db, ids).await?;
        let mut writes = Writes::with_capacity(touched.len());
        for (nid, event) in touched {
            let edit = if edited.contains(event.pdu.event_id.as_str()) {
                newest_edit(&self.0.db, &self.0.rooms, &event).await?
            } else {
                None
            };
            writes.push((nid, document(&event, edit.as_deref())));
        }
        Ok(writes)
    }
}
