//! Other people's homeservers may lose what they have accepted: Synapse keeps events for appservices in memory and advances
//! its position first. After an outage, and at start, each portal's room is read back to where it was read before.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use quick_cache::sync::Cache;
use serde_json::Value;
use tokio::sync::Notify;

use crate::{
    engine::{Engine, Failure},
    matrix::Direction,
    portal::Portal,
    store::{Batch, PortalState},
};

mod watch;

/// How far back a room is read at most, in pages of [`PAGE`].
const PAGES: usize = 50;
const PAGE: u32 = 100;
/// How far behind the place where it was read before: events that are sent at once don't always come in the order in which
/// they stand in the room.
const OVERLAP_MS: i64 = 10_000;
/// But nothing that is older than this: what was handled may have been forgotten since.
const RECENT_MS: i64 = 3_600_000;

/// What is known about how far rooms were read back.
pub(crate) struct Readback {
    /// Held while events are taken in: they come one transaction after the other.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
    /// Counts the failures; portals that were read back since the last one are not behind.
    outages: AtomicI64,
    caught_up: Cache<i64, i64>,
    down: AtomicBool,
    /// The number of the transaction before, where they are numbered.
    last_txn: AtomicI64,
    /// Until when a missing number is taken for a lost transaction, by the bridge's clock in milliseconds.
    doubt_until: AtomicI64,
    /// There is something to read back.
    wake: Notify,
}

impl Default for Readback {
    fn default() -> Self {
        Self {
            turn: Arc::default(),
            outages: AtomicI64::new(1),
            caught_up: Cache::new(100_000),
            down: AtomicBool::new(false),
            last_txn: AtomicI64::new(0),
            doubt_until: AtomicI64::new(0),
            wake: Notify::new(),
        }
    }
}

impl Engine {
    /// Whether events may be missing in a portal, and if so reads them back first.
    pub(crate) async fn catch_up_if_behind(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
    ) -> Result<(), Failure> {
        let outages = self.readback.outages.load(Ordering::Acquire);
        if self.readback.caught_up.get(&portal.id) == Some(outages) {
            return Ok(());
        }
        if !self.homeserver_is_durable().await? {
            match self.catch_up(portal).await {
                // What can't be read now won't be later: it must not hold up what the homeserver does send.
                Err(failure) if !failure.is_temporary() => {
                    tracing::warn!(portal = portal.id, error = %failure, "a room can't be read back");
                }
                result => result?,
            }
        }
        self.readback.caught_up.insert(portal.id, outages);
        Ok(())
    }

    /// Reads a portal's room back to where it was read before; what is new goes to the inbox, in order. The caller holds
    /// the turn.
    async fn catch_up(self: &Arc<Self>, portal: &Arc<Portal>) -> Result<(), Failure> {
        let row = portal.row();
        let (Some(room), PortalState::Open) = (row.room_id, row.state) else { return Ok(()) };
        let bot = self.matrix.bot();
        let mut missed: Vec<Value> = Vec::new();
        let mut newest: Option<String> = None;
        let mut until = i64::MIN;
        let mut from: Option<String> = None;
        'pages: for _ in 0..PAGES {
            let page = bot.messages(&room, from.as_deref(), Direction::Back, PAGE).await?;
            let empty = page.chunk.is_empty();
            for event in page.chunk {
                let id = event.get("event_id").and_then(Value::as_str).unwrap_or_default();
                let ts = event.get("origin_server_ts").and_then(Value::as_i64).unwrap_or(i64::MAX);
                if row.horizon.as_deref() == Some(id) {
                    until = (ts - OVERLAP_MS).max(self.now() - RECENT_MS);
                }
                if ts < until {
                    break 'pages;
                }
                newest.get_or_insert_with(|| id.to_owned());
                missed.push(event);
            }
            from = page.end;
            if from.is_none() || empty {
                break;
            }
        }
        let Some(newest) = newest else { return Ok(()) };
        missed.reverse();
        let mut batch = Batch::new();
        let mut taken = 0;
        for mut event in missed {
            // `/messages` leaves the room out where it is clear.
            event["room_id"] = room.clone().into();
            let id = event["event_id"].as_str().unwrap_or_default().to_owned();
            // What was handled and forgotten since is known by what became of it.
            if !self.store.messages_of_event(&id).await?.is_empty()
                || self.store.reaction_of_event(&id).await?.is_some()
            {
                continue;
            }
            let raw = event.to_string();
            self.add_event(&mut batch, &event, &raw).await?;
            taken += 1;
        }
        batch.set_horizon(portal.id, &newest);
        self.store.commit(batch).await?;
        // Not before: whoever asked may go away in between, and what was read would be taken for handled.
        portal.set_horizon(&newest);
        if taken > 0 {
            tracing::debug!(room, taken, "read a room back");
            self.wake_portal_outward(portal.clone());
        }
        Ok(())
    }

    /// Reads all portals back, a few at a time, where the homeserver may have lost something.
    pub(crate) async fn catch_up_all(self: &Arc<Self>, again: bool) -> Result<(), Failure> {
        if self.homeserver_is_durable().await? {
            return Ok(());
        }
        let mut after = 0;
        loop {
            let portals = self.store.portals_after(after, 100).await?;
            let Some(last) = portals.last() else { return Ok(()) };
            after = last.id;
            for row in portals.into_iter().filter(|row| row.state == PortalState::Open) {
                let Some(portal) = self.portal(row.id).await? else { continue };
                // Taken per portal, so that transactions come through in between.
                let _turn = self.readback.turn.lock().await;
                if again {
                    self.readback.caught_up.remove(&portal.id);
                }
                match self.catch_up_if_behind(&portal).await {
                    Err(failure) if failure.is_temporary() => return Err(failure),
                    Err(failure) => {
                        tracing::warn!(error = %failure, "a portal's room can't be read back");
                    }
                    Ok(()) => {}
                }
            }
        }
    }
}
