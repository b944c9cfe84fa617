//! Messages that disappear. When one is due is durable from the moment that its event is; its redaction is queued in the
//! transaction that strikes it off, and goes the way of all events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    engine::{Actor, Engine},
    event::{Disappear, DisappearFrom},
    store::{Batch, StoreError},
};

/// The state that says when what is said in a room disappears (as mautrix bridges and their clients have it).
pub(crate) const STATE: &str = "com.beeper.disappearing_timer";
/// The longest wait between two looks at what is due.
const LOOK: Duration = Duration::from_mins(1);
/// How many are redacted at a time.
const CHUNK: i64 = 64;

/// Knows whether something may wait for being read.
#[derive(Default)]
pub(crate) struct Disappearing {
    waiting: AtomicBool,
}

impl Disappearing {
    /// Whether something may wait for being read: spares asking the database at each receipt.
    pub(crate) fn waits(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }
    /// What is known at the start, before anything else happens.
    pub(crate) fn begin(&self, waiting: bool) {
        self.waiting.store(waiting, Ordering::Relaxed);
    }
    /// Something new disappears.
    pub(crate) fn noted(&self, when: Disappear) {
        if when.from == DisappearFrom::Read {
            self.waiting.store(true, Ordering::Relaxed);
        }
    }
}

/// What the state says.
pub(crate) fn content(timer: Option<Disappear>) -> Value {
    match timer {
        Some(timer) => {
            let kind = match timer.from {
                DisappearFrom::Read => "after_read",
                DisappearFrom::Sent => "after_send",
            };
            json!({ "type": kind, "timer": timer.millis() })
        }
        None => json!({}),
    }
}

/// Reads the state.
pub(crate) fn read(content: &Value) -> Option<Disappear> {
    let after = content.get("timer").and_then(Value::as_u64).filter(|ms| *ms > 0)?;
    let from = match content.get("type").and_then(Value::as_str)? {
        "after_send" => DisappearFrom::Sent,
        "after_read" | "after_read_by_recipient" => DisappearFrom::Read,
        _ => return None,
    };
    Some(Disappear { after: Duration::from_millis(after), from })
}

/// An event disappears. `ts` is when it was sent, in milliseconds since the Unix epoch.
pub(crate) fn note(batch: &mut Batch, event_id: &str, portal: i64, ts: i64, timer: Disappear) {
    let due = match timer.from {
        DisappearFrom::Read => None,
        DisappearFrom::Sent => Some(ts.saturating_add(timer.millis())),
    };
    batch.add_disappearing(event_id, portal, ts, timer.millis(), due);
}

impl Engine {
    /// Lets things disappear until the bridge stops.
    pub(crate) async fn disappear_loop(self: Arc<Self>) {
        loop {
            match self.disappear_due().await {
                Ok(wait) => {
                    // Elapsed or woken: either way it is looked again.
                    let _ = tokio::time::timeout(wait, self.store.times.notified()).await;
                }
                Err(StoreError::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "what disappears can't be looked for");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Queues the redaction of what is due; says how long nothing will be.
    async fn disappear_due(self: &Arc<Self>) -> Result<Duration, StoreError> {
        loop {
            let due = self.store.due_disappearing(self.now(), CHUNK).await?;
            if due.is_empty() {
                break;
            }
            for row in due {
                let mut batch = Batch::new();
                batch.disappeared(&row.event_id);
                let portal = self.portal(row.portal).await?;
                let parts = self.store.messages_of_event(&row.event_id).await?;
                let shown = parts.iter().find(|part| !part.tombstone);
                if let (Some(portal), Some(shown)) = (&portal, shown) {
                    for part in &parts {
                        batch.bury_message(portal.id, &part.remote_id, Some(&part.part));
                    }
                    let actor = Actor::from_text(&shown.sender);
                    self.queue_redaction(&mut batch, portal, &actor, &row.event_id)?;
                }
                self.store.commit(batch).await?;
                if let Some(portal) = portal {
                    self.wake_portal_inward(portal);
                }
            }
        }
        let next = self.store.next_disappearing().await?;
        let wait = next.map_or(LOOK, |at| {
            Duration::from_millis(at.saturating_sub(self.now()).max(1).unsigned_abs())
        });
        Ok(wait.min(LOOK))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_says_what_is_kept() {
        for timer in [
            Disappear::after_sending(Duration::from_hours(24)),
            Disappear::after_reading(Duration::from_secs(5)),
        ] {
            assert_eq!(read(&content(Some(timer))), Some(timer));
            assert_eq!(Disappear::from_text(&timer.to_text()), Some(timer));
        }
        assert_eq!(read(&content(None)), None);
        assert_eq!(read(&json!({ "type": "after_send", "timer": 0 })), None);
        assert_eq!(read(&json!({ "type": "whenever", "timer": 5 })), None);
        assert_eq!(Disappear::from_text("read:soon"), None);
    }

    #[test]
    fn no_time_is_too_long() {
        let timer = Disappear::after_sending(Duration::MAX);
        assert!(Disappear::from_text(&timer.to_text()).is_some());
        assert!(timer.millis() > 0);
    }
}
