//! Where raw events become durable, and where their number is bounded: a full inbox stops reading from the network.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Entry, InboxPort, Put, Unbridged, decode::Queued};
use crate::{
    engine::Engine,
    event::ChatKind,
    network::{Closed, LoginState, NetError, PortalKey, Scope},
    plain::Plain,
    portal::Commits,
    store::{Batch, StoreError},
};

/// How often a full inbox is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Counts what came in since the queues were last measured, and knows whether something waits to be decoded.
pub(crate) struct Gate {
    depth: AtomicI64,
    /// Counts what was left to the decoder. It may find something from before the start.
    added: AtomicU64,
    /// Up to where it has decoded that.
    decoded: AtomicU64,
}

impl Default for Gate {
    fn default() -> Self {
        Self { depth: AtomicI64::new(0), added: AtomicU64::new(1), decoded: AtomicU64::new(0) }
    }
}

impl Gate {
    /// What was left to the decoder so far.
    pub(super) fn added(&self) -> u64 {
        self.added.load(Ordering::Acquire)
    }
    /// The decoder has found nothing, after so much had been left to it.
    pub(super) fn nothing_waits_of(&self, added: u64) {
        self.decoded.store(added, Ordering::Release);
    }
    /// Whether what comes now has nothing before it that waits to be decoded.
    fn nothing_waits(&self) -> bool {
        self.decoded.load(Ordering::Acquire) == self.added()
    }
}

/// A raw event that was put.
struct Added {
    /// Its statement's place in the batch.
    at: usize,
    seq: i64,
    /// Where it was decoded at once, the tasks of what it says, in order.
    queued: Vec<Queued>,
}

impl Engine {
    /// Waits until the queues have room. Measured only when they may be full, so that a put costs no count.
    async fn room_in_inbox(&self) -> Result<(), StoreError> {
        let limit = i64::from(self.config.inbox_limit.max(1));
        while self.gate.depth.load(Ordering::Relaxed) >= limit {
            let depth = self.store.inbox_depth().await?;
            self.gate.depth.store(depth, Ordering::Relaxed);
            metrics::gauge!("landbridge_bridge_inbox_depth", "bridge" => self.connector.id())
                .set(depth as f64);
            if depth >= limit {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
        Ok(())
    }

    /// There is something for the decoder, committed. Whatever the same login puts later waits behind it.
    pub(crate) fn wake_decoder(&self) {
        self.gate.added.fetch_add(1, Ordering::AcqRel);
        self.decode_wake.notify_one();
    }

    /// Hands the task of a message that comes alone to its portal's worker, ahead of the commit.
    async fn hand_if_alone(self: &Arc<Self>, added: &[Added]) -> Option<Commits> {
        let [Added { queued, .. }] = added else { return None };
        let [Queued { portal, task, message: true }] = queued.as_slice() else { return None };
        self.hand_task(portal, task.clone()).await
    }

    /// Makes raw events durable, in order, with their stream's cursor. With them go their tasks where that is simple: one commit
    /// then does for two.
    pub(crate) async fn put(
        self: &Arc<Self>,
        login: &str,
        entries: Vec<Entry>,
        cursor: Option<(&str, &str)>,
    ) -> Result<Vec<Put>, StoreError> {
        self.room_in_inbox().await?;
        let now = self.now();
        let mut batch = Batch::new();
        let simple = if self.gate.nothing_waits() {
            self.decode_at_once(login, &entries).await?
        } else {
            None
        };
        let decoded = simple.is_some();
        let mut simple = simple.unwrap_or_default().into_iter();
        let mut added = Vec::with_capacity(entries.len());
        for Entry { key, raw } in entries {
            let seq = self.store.next_id();
            let (at, queued) = match simple.next() {
                Some(events) => {
                    let at = batch.add_decoded(seq, login, &key, raw, now);
                    (at, self.queue_simple(&mut batch, login, seq, events))
                }
                None => (batch.add_inbox(seq, login, &key, raw, now), Vec::new()),
            };
            added.push(Added { at, seq, queued });
        }
        if let Some((stream, cursor)) = cursor {
            batch.save_cursor(login, stream, cursor);
        }
        let commits = self.hand_if_alone(&added).await;
        let handed = commits.is_some();
        let touched = self.store.commit(batch).await?;
        if let Some(commits) = commits {
            // Whoever waits for it may be gone: the bridge is stopping.
            let _ = commits.send(());
        }
        let is_new = |added: &Added| touched.get(added.at).is_some_and(|rows| *rows > 0);
        let puts = added.iter().map(|added| if is_new(added) { Put::New } else { Put::Seen });
        let puts: Vec<Put> = puts.collect();
        let new = puts.iter().filter(|put| **put == Put::New).count();
        if new > 0 {
            self.gate.depth.fetch_add(new as i64, Ordering::Relaxed);
            metrics::counter!("landbridge_bridge_events_total", "bridge" => self.connector.id(), "from" => "network")
                .increment(new as u64);
            if !decoded {
                self.wake_decoder();
            }
        }
        for added in added {
            if handed {
                // Its portal's worker has it.
            } else if is_new(&added) {
                added.queued.into_iter().for_each(|queued| self.wake_for_tasks(queued.portal));
            } else {
                // Nobody will ask for it.
                for place in 0..added.queued.len() {
                    self.portals.decoded.remove(&(added.seq, place));
                }
            }
        }
        self.wake_spaces();
        Ok(puts)
    }
}

/// One login's way in.
pub(crate) struct LoginPort {
    pub(crate) engine: Arc<Engine>,
    pub(crate) login: String,
}

fn closed(error: StoreError) -> Closed {
    match error {
        StoreError::Closed => Closed::Stopping,
        error => Closed::Store(error.to_string()),
    }
}

#[async_trait]
impl InboxPort for LoginPort {
    async fn put(
        &self,
        entries: Vec<Entry>,
        cursor: Option<(&str, &str)>,
    ) -> Result<Vec<Put>, Closed> {
        if self.engine.stop.is_cancelled() {
            return Err(Closed::Stopping);
        }
        self.engine.put(&self.login, entries, cursor).await.map_err(closed)
    }
    async fn passing(&self, raw: String) -> Result<(), Closed> {
        self.engine.decode_passing(&self.login, &raw).await.map_err(closed)
    }
    async fn cursor(&self, stream: &str) -> Result<Option<String>, Closed> {
        self.engine.store.cursor(&self.login, stream).await.map_err(closed)
    }
    async fn portals(&self) -> Result<Vec<(String, Option<String>)>, Closed> {
        let portals = self.engine.store.open_portals(&self.login).await.map_err(closed)?;
        Ok(portals
            .into_iter()
            .filter(|portal| portal.kind != ChatKind::Space)
            .map(|portal| match portal.key.scope {
                Scope::Shared => (portal.key.id, None),
                Scope::Private(login) => (portal.key.id, Some(login)),
            })
            .collect())
    }
    async fn unbridge(&self, key: PortalKey<Plain>, why: &str) -> Result<Unbridged, NetError> {
        self.engine.unbridge_for_network(&key, why).await.map_err(NetError::temporary)
    }
    fn state(&self, state: LoginState) {
        self.engine.login_state(&self.login, &state);
    }
}
