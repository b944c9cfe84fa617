//! What refers to a message of the network's of which it isn't known yet which event it became: the homeserver tells others of an event
//! before it has answered who sent it, and after a crash what was not confirmed is sent again.

use serde_json::Value;

use super::redacts;
use crate::{
    engine::Engine,
    portal::Portal,
    store::{RemoteOutboxRow, StoreError},
};

/// How long something waits for what it may refer to, from when it was planned, in milliseconds. That may be something which this bridge
/// never had, or which waits itself.
const PATIENCE: i64 = 10_000;

/// The events that an event is about.
fn referred(event: &Value) -> impl Iterator<Item = &str> {
    let related = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let target = related("/content/m.relates_to/event_id");
    let answered = related("/content/m.relates_to/m.in_reply_to/event_id");
    [target, answered, redacts(event)].into_iter().flatten()
}

impl Engine {
    /// Whether an event refers to another that may be known soon.
    pub(super) async fn is_early(
        &self,
        portal: &Portal,
        row: &RemoteOutboxRow,
        event: &Value,
    ) -> Result<bool, StoreError> {
        if portal.is_still() || self.knows_referred(event).await? {
            return Ok(false);
        }
        drop(portal.sending.lock().await);
        if self.knows_referred(event).await? {
            return Ok(false);
        }
        let planned = row.expires_at - i64::from(self.config.message_expiry_hours) * 3_600_000;
        if self.now() > planned + PATIENCE {
            return Ok(false);
        }
        let outbox = self.store.ready_matrix_outbox(portal.id, 1).await?;
        let tasks = self.store.ready_tasks(portal.id, 1).await?;
        let oldest = outbox.first().map(|row| row.seq).into_iter();
        let oldest = oldest.chain(tasks.first().map(|task| task.seq)).min();
        Ok(oldest.is_some_and(|seq| seq < row.seq))
    }

    /// Whether all that an event refers to is known here.
    async fn knows_referred(&self, event: &Value) -> Result<bool, StoreError> {
        for event_id in referred(event) {
            if self.store.messages_of_event(event_id).await?.is_empty()
                && self.store.reaction_of_event(event_id).await?.is_none()
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
