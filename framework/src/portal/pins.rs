//! Pinned messages, both ways. What is pinned on the network is kept, so that a single change can be made to the list, and
//! what comes back from Matrix is known for what it is.

use serde_json::{Value, json};

use super::{
    Portal,
    chat::state,
    convert::{Case, Verdict},
    request::Built,
};
use crate::{
    engine::{Engine, Failure},
    handlers::{Op, PinsChanged},
    network::MessageRef,
    plain::Plain,
    store::{Batch, StoreError},
};

/// How many pins of a chat are kept; of more, the newest.
const LIMIT: usize = 500;

impl Engine {
    /// All of a chat's pins.
    pub(super) async fn convert_pins(
        &self,
        case: &Case<'_>,
        ids: &[String],
    ) -> Result<Verdict, Failure> {
        let ids = &ids[ids.len().saturating_sub(LIMIT)..];
        let mut pinned = Vec::new();
        for id in ids {
            if let Ok(row) = self.target(case.portal, &MessageRef::whole(id.clone())).await? {
                pinned.push(row.event_id);
            }
        }
        let mut effects = Batch::new();
        self.change_portal_in(&mut effects, case.portal, |row| row.pins = ids.to_vec());
        let op = state("m.room.pinned_events", json!({ "pinned": pinned }));
        let rows = vec![case.out("pins", op, Vec::new())];
        Ok(Verdict::Send { rows, effects, opens: Vec::new() })
    }

    /// One pin more, or less.
    pub(super) async fn convert_pin(
        &self,
        case: &Case<'_>,
        target: &str,
        pinned: bool,
    ) -> Result<Verdict, Failure> {
        let mut ids = case.portal.row().pins;
        if ids.iter().any(|id| id == target) == pinned {
            return Ok(Verdict::Drop("that is known"));
        }
        if pinned {
            ids.push(target.to_owned());
        } else {
            ids.retain(|id| id != target);
        }
        self.convert_pins(case, &ids).await
    }

    /// What is to be pinned on the network, by what is pinned on Matrix. What has no event there stays.
    async fn pins_of(&self, portal: &Portal, content: &Value) -> Result<Vec<String>, StoreError> {
        let events = content.get("pinned").and_then(Value::as_array);
        let mut ids = Vec::new();
        for event_id in events.into_iter().flatten().filter_map(Value::as_str).take(LIMIT) {
            let message = self.store.messages_of_event(event_id).await?.into_iter().next();
            let message =
                message.filter(|row| row.portal == portal.id && !ids.contains(&row.remote_id));
            ids.extend(message.map(|row| row.remote_id));
        }
        for id in portal.row().pins {
            let parts = self.store.message_parts(portal.id, &id).await?;
            if !ids.contains(&id) && parts.iter().all(|row| row.tombstone) {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// What somebody on Matrix changed about the pins.
    pub(super) async fn build_pins(
        &self,
        portal: &Portal,
        content: &Value,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let (ids, before) = (self.pins_of(portal, content).await?, portal.row().pins);
        let missing = |these: &[String], from: &[String]| -> Vec<String> {
            these.iter().filter(|id| !from.contains(id)).cloned().collect()
        };
        let (added, removed) = (missing(&ids, &before), missing(&before, &ids));
        if !self.connector.abilities().pins || added.is_empty() && removed.is_empty() {
            return Ok(Err(Built::Nothing(Batch::new())));
        }
        Ok(Ok(Op::Pins(PinsChanged { ids, added, removed })))
    }

    /// It was done.
    pub(super) async fn pins_done(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        content: &Value,
    ) -> Result<(), StoreError> {
        let ids = self.pins_of(portal, content).await?;
        self.change_portal_in(batch, portal, |row| row.pins = ids);
        Ok(())
    }
}
