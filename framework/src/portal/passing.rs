//! What passes: typing, receipts, presence, deliveries. The latest counts, nothing is queued or stored, failures are
//! forgotten. It is shown after what was said before it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use super::Portal;
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Body, Presence, RemoteEvent, Sender},
    plain::Plain,
    store::StoreError,
};

/// The latest of each kind and sender, waiting for its portal.
#[derive(Default)]
pub(crate) struct Passing(HashMap<(&'static str, String), (String, RemoteEvent<Plain>)>);

/// How many may wait in one portal; more are forgotten.
const LIMIT: usize = 256;

impl Passing {
    fn put(&mut self, kind: &'static str, who: String, via: String, event: RemoteEvent<Plain>) {
        if self.0.len() < LIMIT || self.0.contains_key(&(kind, who.clone())) {
            self.0.insert((kind, who), (via, event));
        }
    }
    fn take(&mut self) -> Vec<(String, RemoteEvent<Plain>)> {
        self.0.drain().map(|(_, waiting)| waiting).collect()
    }
}

fn sender_text(sender: &Sender<Plain>, via: &str) -> String {
    match sender {
        Sender::Me => format!("l:{via}"),
        Sender::Login(id) => format!("l:{id}"),
        Sender::User(id) => format!("u:{id}"),
        Sender::Matrix(_) | Sender::System => String::new(),
    }
}

impl Engine {
    /// Takes something passing; it is shown when its portal has caught up.
    pub(crate) async fn pass(
        self: &Arc<Self>,
        via: String,
        event: RemoteEvent<Plain>,
    ) -> Result<(), StoreError> {
        let kind = match &event.body {
            Body::Read { .. } => "read",
            Body::Typing { .. } => "typing",
            Body::Presence(_) => "presence",
            _ => "delivered",
        };
        let Some(portal) = self.known_portal(&event.portal).await? else { return Ok(()) };
        if portal.room_id().is_none() {
            return Ok(());
        }
        let who = sender_text(&event.sender, &via);
        portal.passing().put(kind, who, via, event);
        self.wake_portal_inward(portal);
        Ok(())
    }

    pub(super) async fn show_passing(self: &Arc<Self>, portal: &Arc<Portal>) {
        let waiting = portal.passing().take();
        for (via, event) in waiting {
            if let Err(error) = self.show(portal, &via, &event).await {
                tracing::debug!(%error, "something passing was not shown");
            }
        }
    }

    async fn show(
        &self,
        portal: &Portal,
        via: &str,
        event: &RemoteEvent<Plain>,
    ) -> Result<(), Failure> {
        let Some(room) = portal.room_id() else { return Ok(()) };
        let actor = self.actor(&event.sender, via);
        match &event.body {
            Body::Typing { timeout, .. } => {
                let intent = self.intent(&actor, Some(via)).await?;
                intent.ensure_joined(&room).await?;
                let timeout = (*timeout).min(Duration::from_mins(2));
                intent.typing(&room, !timeout.is_zero(), timeout).await?;
            }
            Body::Read { up_to } => {
                let Ok(row) = self.target(portal, up_to).await? else { return Ok(()) };
                let intent = self.intent(&actor, Some(via)).await?;
                intent.ensure_joined(&room).await?;
                intent.read_marker(&room, &row.event_id).await?;
            }
            Body::Delivered { ids } => {
                let Some(last) = ids.last() else { return Ok(()) };
                let parts = self.store.message_parts(portal.id, last).await?;
                if let Some(row) = parts.first() {
                    self.matrix.bot().read_marker(&room, &row.event_id).await?;
                }
            }
            Body::Presence(presence) => {
                // A person's own presence is their clients' affair.
                if let Actor::Ghost(_) = actor {
                    let (state, text) = match presence {
                        Presence::Online => ("online", None),
                        Presence::Away(text) => ("unavailable", text.as_deref()),
                        Presence::Offline => ("offline", None),
                    };
                    self.intent(&actor, Some(via)).await?.presence(state, text).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
