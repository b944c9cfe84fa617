//! Where one service stands: what is closed, what waits, what it has taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Notify;

use super::ephemeral::Pending;
use super::lock;
use crate::nid::Pos;
use crate::services::appservices::Appservice;
use crate::storage::appservice_outbox::{Standing, TxnRow};

/// How many transactions are closed ahead: the one on its way, and the next, so that a busy service need not
/// wait for a commit between two.
const CLOSED_AHEAD: usize = 2;

/// A to-device message in a transaction: user, device, position.
pub(super) type DeviceRef = (String, String, Pos);

/// A transaction whose bytes are durable.
#[derive(Clone, Debug)]
pub(super) struct Closed {
    pub(super) number: i64,
    pub(super) body: Bytes,
    pub(super) to_device: Vec<DeviceRef>,
}

/// One service's transactions.
pub(super) struct Queue {
    id: String,
    state: Mutex<State>,
    /// Typing, receipts, presence and key counts, newest only.
    pub(super) pending: Mutex<Pending>,
    /// Wakes the delivery.
    pub(super) news: Notify,
    ended: AtomicBool,
}

struct State {
    closed: VecDeque<Closed>,
    /// Items in the queue table.
    queued: i64,
    last_number: i64,
    /// Taken by the service, not yet deleted here.
    taken: Vec<Closed>,
    /// What the running commit makes of it.
    next: Option<Next>,
}

/// What changes when the running commit is durable.
#[derive(Default)]
struct Next {
    closed: Vec<Closed>,
    queued: i64,
    last_number: i64,
    /// How many of the taken ones it deletes.
    deleted: usize,
}

/// The state that a commit starts from.
pub(super) struct Start {
    pub(super) queued: i64,
    pub(super) last_number: i64,
    pub(super) taken: Vec<Closed>,
    /// How many more transactions may be closed.
    pub(super) room: usize,
}

impl Queue {
    pub(super) fn new(service: &Appservice, standing: Standing) -> Self {
        let closed = standing.txns.into_iter().map(Closed::from).collect();
        Self {
            id: service.id().to_owned(),
            state: Mutex::new(State {
                closed,
                queued: standing.queued,
                last_number: standing.last_txn,
                taken: Vec::new(),
                next: None,
            }),
            pending: Mutex::default(),
            news: Notify::new(),
            ended: AtomicBool::new(false),
        }
    }

    /// The service's id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Whether a commit has something to do here though it brings nothing new: delete what was taken, or close
    /// what waits.
    pub(super) fn has_work(&self) -> bool {
        let state = lock(&self.state);
        !state.taken.is_empty() || state.wants_closing()
    }

    /// Whether something waits that could be closed now.
    pub(super) fn wants_closing(&self) -> bool {
        lock(&self.state).wants_closing()
    }

    /// Whether transactions were taken that are still in the database.
    pub(super) fn has_taken(&self) -> bool {
        !lock(&self.state).taken.is_empty()
    }

    /// What a commit starts from.
    pub(super) fn begin(&self) -> Start {
        let state = lock(&self.state);
        Start {
            queued: state.queued,
            last_number: state.last_number,
            taken: state.taken.clone(),
            room: CLOSED_AHEAD.saturating_sub(state.closed.len()),
        }
    }

    /// What the running commit has written.
    pub(super) fn prepare(&self, start: &Start, closed: Vec<Closed>, queued: i64) {
        let last_number = closed.last().map_or(start.last_number, |closed| closed.number);
        lock(&self.state).next =
            Some(Next { closed, queued, last_number, deleted: start.taken.len() });
    }

    /// The commit is durable.
    pub(super) fn committed(&self) {
        let mut state = lock(&self.state);
        if let Some(next) = state.next.take() {
            state.taken.drain(..next.deleted);
            state.queued = next.queued;
            state.last_number = next.last_number;
            state.closed.extend(next.closed);
        }
        let news = !state.closed.is_empty();
        drop(state);
        if news {
            self.news.notify_one();
        }
    }

    /// The commit was undone.
    pub(super) fn rolled_back(&self) {
        lock(&self.state).next = None;
    }

    /// The transaction to be sent now.
    pub(super) fn front(&self) -> Option<Closed> {
        lock(&self.state).closed.front().cloned()
    }

    /// The service has taken the first transaction.
    pub(super) fn taken(&self) {
        let mut state = lock(&self.state);
        if let Some(closed) = state.closed.pop_front() {
            // Its bytes are needed no more.
            state.taken.push(Closed { body: Bytes::new(), ..closed });
        }
    }

    /// How many items wait in the database.
    pub(super) fn queued(&self) -> i64 {
        lock(&self.state).queued
    }

    /// Delivery ends: the service is gone.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.news.notify_one();
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

impl State {
    fn wants_closing(&self) -> bool {
        self.queued > 0 && self.closed.len() < CLOSED_AHEAD
    }
}

impl From<TxnRow> for Closed {
    fn from(row: TxnRow) -> Self {
        let to_device = serde_json::from_str(&row.to_device).unwrap_or_default();
        Self { number: row.number, body: Bytes::from(row.body), to_device }
    }
}

/// A handle that is told apart by its queue.
pub(super) type Handle = Arc<Queue>;
