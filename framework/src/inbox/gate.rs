//! Where raw events become durable, and where their number is bounded: a full inbox stops reading from the network.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{Entry, InboxPort, Put, Unbridged};
use crate::{
    engine::Engine,
    event::ChatKind,
    network::{Closed, LoginState, NetError, PortalKey, Scope},
    plain::Plain,
    store::{Batch, StoreError},
};

/// How often a full inbox is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Counts what came in since the queues were last measured.
#[derive(Default)]
pub(crate) struct Gate {
    depth: AtomicI64,
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

    /// Makes raw events durable, in order, with their stream's cursor.
    pub(crate) async fn put(
        &self,
        login: &str,
        entries: Vec<Entry>,
        cursor: Option<(&str, &str)>,
    ) -> Result<Vec<Put>, StoreError> {
        self.room_in_inbox().await?;
        let now = self.now();
        let mut batch = Batch::new();
        let count = entries.len();
        for entry in entries {
            batch.add_inbox(self.store.next_id(), login, &entry.key, entry.raw, now);
        }
        if let Some((stream, cursor)) = cursor {
            batch.save_cursor(login, stream, cursor);
        }
        let touched = self.store.commit(batch).await?;
        let puts: Vec<Put> = touched
            .iter()
            .take(count)
            .map(|rows| if *rows > 0 { Put::New } else { Put::Seen })
            .collect();
        let new = puts.iter().filter(|put| **put == Put::New).count();
        if new > 0 {
            self.gate.depth.fetch_add(new as i64, Ordering::Relaxed);
            metrics::counter!("landbridge_bridge_events_total", "bridge" => self.connector.id(), "from" => "network")
                .increment(new as u64);
            self.decode_wake.notify_one();
        }
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
