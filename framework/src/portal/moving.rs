//! Chats that go on under another name, and their rooms with them.

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError},
};

use serde_json::json;

use super::{
    Portal,
    chat::state,
    convert::{Case, Verdict},
};
use crate::{
    engine::{Actor, Engine, Failure},
    network::{PortalKey, Scope},
    plain::Plain,
    store::{Batch, PortalState, SendState, StoreError},
};

/// Whether a chat's messages get other identifiers with its name: what numbers them for one account alone gives them others where they
/// are everybody's.
fn renumbers(from: &PortalKey<Plain>, to: &PortalKey<Plain>) -> bool {
    matches!(from.scope, Scope::Private(_)) && to.scope == Scope::Shared
}

impl Engine {
    /// Gives a portal the name that its chat moves to as soon as the move is read: what is read after it belongs behind it, in the same
    /// room. `false`: it has that name, the move was read before. Where the new name has a room already, or something that may open one,
    /// nothing is done.
    pub(crate) async fn rename_ahead(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        to: &PortalKey<Plain>,
        busy: &BTreeSet<i64>,
    ) -> Result<bool, StoreError> {
        if portal.row().key == *to {
            return Ok(false);
        }
        if let Some(other) = self.known_portal(to).await? {
            let waits =
                busy.contains(&other.id) || !self.store.ready_tasks(other.id, 1).await?.is_empty();
            if waits || other.room_id().is_some() {
                return Ok(true);
            }
            self.forget_roomless(&other).await?;
        }
        if renumbers(&portal.row().key, to) {
            batch.age_tasks(portal.id);
        }
        self.change_portal_in(batch, portal, |row| row.key = to.clone());
        self.portals.by_key.insert(to.clone(), portal.id);
        Ok(true)
    }

    /// Forgets a portal that never had a room.
    async fn forget_roomless(&self, portal: &Portal) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        batch.delete_portal(portal.id);
        self.store.commit(batch).await?;
        self.portals.forget(&portal.row());
        self.portals.portals.lock().unwrap_or_else(PoisonError::into_inner).remove(&portal.id);
        Ok(())
    }

    /// The chat `from` goes on under another name; its room goes with it. Where the new name has a room already, that one stays.
    pub(super) async fn convert_moved(
        self: &Arc<Self>,
        case: &Case<'_>,
        from: &PortalKey<Plain>,
        to: &PortalKey<Plain>,
    ) -> Result<Verdict, Failure> {
        let other = self.known_portal(to).await?.filter(|other| other.id != case.portal.id);
        let mut effects = Batch::new();
        if let Some(room) = other.as_ref().and_then(|other| other.room_id()) {
            let row = self.change_portal_in(&mut effects, case.portal, |row| {
                row.state = PortalState::Gone;
            });
            self.unplace(&mut effects, &row);
            let op = state(
                "m.room.tombstone",
                json!({ "body": "This chat goes on elsewhere.", "replacement_room": room }),
            );
            let rows = vec![case.out_as(Actor::Bot, "moved", op, Vec::new())];
            return Ok(Verdict::Send { rows, effects, opens: Vec::new() });
        }
        let renumbered = renumbers(from, to);
        if renumbered {
            // What is being sent gets a number that is to be forgotten with the others.
            let open = self.store.open_remote_outbox(case.portal.id, 64).await?;
            if open.iter().any(|row| matches!(row.state, SendState::Sending | SendState::Unknown)) {
                return Ok(Verdict::Hold);
            }
        }
        if let Some(other) = other {
            // It may open a room, or come to nothing.
            if !self.store.ready_tasks(other.id, 1).await?.is_empty() {
                return Ok(Verdict::Hold);
            }
            self.forget_roomless(&other).await?;
        }
        if renumbered {
            effects.forget_numbers(case.portal.id);
            if case.portal.row().key != *to {
                effects.age_tasks(case.portal.id);
            }
        }
        let row = self.change_portal_in(&mut effects, case.portal, |row| {
            row.key = to.clone();
            if renumbered {
                row.generation += 1;
                row.pins.clear();
            }
        });
        self.unplace(&mut effects, &row);
        Ok(Verdict::effects(effects))
    }
}
