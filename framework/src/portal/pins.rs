//! Pinned messages, both ways. What is pinned on the network is kept, so that a single change can be made to the list, and
//! what comes back from Matrix is known for what it is.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{
    Portal,
    chat::state,
    convert::{Case, Verdict},
    request::Built,
};
use crate::{
    engine::{Actor, Engine, Failure},
    handlers::{Op, PinsChanged},
    network::MessageRef,
    plain::Plain,
    store::{Batch, KeptPin, StoreError},
};

/// How many pins of a chat are kept; of more, the newest.
const LIMIT: usize = 500;

impl Engine {
    /// All of a chat's pins; with `thread` those in a thread that the chat's room shows. Neither says anything of the others.
    pub(super) async fn convert_pins(
        &self,
        case: &Case<'_>,
        thread: Option<&str>,
        ids: &[String],
    ) -> Result<Verdict, Failure> {
        let new = |id: &String| match thread {
            Some(root) => KeptPin::InThread(id.clone(), root.to_owned()),
            None => KeptPin::Own(id.clone()),
        };
        let mut pins = Vec::new();
        for pin in case.portal.row().pins {
            let replaced = match (&pin, thread) {
                (KeptPin::InThread(_, root), Some(thread)) => root == thread,
                (KeptPin::InThread(..), None) => false,
                (KeptPin::Own(id), Some(thread)) => self.stands_in(case.portal, id, thread).await?,
                (KeptPin::Own(_), None) => true,
            };
            if !replaced && !ids.iter().any(|id| id == pin.id()) {
                pins.push(pin);
            }
        }
        // The chat's own come first.
        let at = if thread.is_some() { pins.len() } else { 0 };
        pins.splice(at..at, ids.iter().map(new));
        self.show_pins(case, pins).await
    }

    /// Whether a message that was pinned from Matrix stands in a thread.
    async fn stands_in(&self, portal: &Portal, id: &str, thread: &str) -> Result<bool, StoreError> {
        let parts = self.store.message_parts(portal.id, id).await?;
        Ok(parts.iter().any(|part| part.thread_root.as_deref() == Some(thread)))
    }

    async fn show_pins(&self, case: &Case<'_>, mut pins: Vec<KeptPin>) -> Result<Verdict, Failure> {
        pins.drain(..pins.len().saturating_sub(LIMIT));
        let mut pinned = Vec::new();
        for pin in &pins {
            let target = MessageRef::whole(pin.id().to_owned());
            if let Ok(row) = self.target(case.portal, &target).await? {
                pinned.push(row.event_id);
            }
        }
        let mut effects = Batch::new();
        self.change_portal_in(&mut effects, case.portal, |row| row.pins = pins);
        let op = state("m.room.pinned_events", json!({ "pinned": pinned }));
        let rows = vec![case.out("pins", op, Vec::new())];
        Ok(Verdict::Send { rows, effects, opens: Vec::new() })
    }

    /// Messages have come that were pinned before: history, what was held up. `key` names that for ever.
    pub(super) async fn show_old_pins(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        come: &HashMap<String, String>,
        key: &str,
    ) -> Result<(), StoreError> {
        let mut pinned = Vec::new();
        for pin in portal.row().pins {
            let known = self.store.message_parts(portal.id, pin.id()).await?;
            let known = known.into_iter().find(|row| !row.tombstone).map(|row| row.event_id);
            pinned.extend(known.or_else(|| come.get(pin.id()).cloned()));
        }
        let op = state("m.room.pinned_events", json!({ "pinned": pinned }));
        self.queue_op(batch, portal, &Actor::Bot, &format!("pins:{key}"), op)
    }

    /// One pin more, or less.
    pub(super) async fn convert_pin(
        &self,
        case: &Case<'_>,
        thread: Option<&str>,
        target: &str,
        pinned: bool,
    ) -> Result<Verdict, Failure> {
        let mut pins = case.portal.row().pins;
        if pins.iter().any(|pin| pin.id() == target) == pinned {
            return Ok(Verdict::Drop("that is known"));
        }
        match thread {
            _ if !pinned => pins.retain(|pin| pin.id() != target),
            Some(root) => pins.push(KeptPin::InThread(target.to_owned(), root.to_owned())),
            None => pins.push(KeptPin::Own(target.to_owned())),
        }
        self.show_pins(case, pins).await
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
        for pin in portal.row().pins {
            let id = pin.id().to_owned();
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
        let ids = self.pins_of(portal, content).await?;
        let before: Vec<String> = portal.row().pins.iter().map(|pin| pin.id().to_owned()).collect();
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
        self.change_portal_in(batch, portal, |row| {
            let known = std::mem::take(&mut row.pins);
            // Where something was pinned on the network, it stays pinned.
            let kept = |id: String| {
                let same = known.iter().find(|pin| pin.id() == id);
                same.cloned().unwrap_or(KeptPin::Own(id))
            };
            row.pins = ids.into_iter().map(kept).collect();
        });
        Ok(())
    }
}
