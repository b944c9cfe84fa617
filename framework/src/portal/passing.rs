//! What passes: typing, receipts, presence, deliveries. The latest counts, nothing is queued or stored, failures are
//! forgotten. It is shown after what was said before it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use quick_cache::sync::Cache;

use super::Portal;
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Body, Presence, RemoteEvent, Sender},
    plain::Plain,
    store::{Batch, StoreError},
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
            _ => "delivered",
        };
        if let Body::Presence(presence) = &event.body {
            // It is no chat's affair that they are there.
            self.show_presence(&event.sender, &via, presence).await;
            return Ok(());
        }
        let Some(portal) = self.known_portal_for(&event).await? else { return Ok(()) };
        if portal.room_id().is_none() {
            return Ok(());
        }
        let who = sender_text(&event.sender, &via);
        portal.passing().put(kind, who, via, event);
        self.wake_for_tasks(portal);
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
                if matches!(actor, Actor::Login(_)) && self.disappearing.waits() {
                    // Its owner has read it, on the network.
                    let mut batch = Batch::new();
                    batch.read_up_to(portal.id, &row.event_id, self.now());
                    self.store.commit(batch).await?;
                }
            }
            Body::Delivered { ids } => {
                let Some(last) = ids.last() else { return Ok(()) };
                let parts = self.store.message_parts(portal.id, last).await?;
                if let Some(row) = parts.first() {
                    self.matrix.bot().read_marker(&room, &row.event_id).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Shows whether somebody is there. Only of ghosts that exist: a network may tell of everybody it knows, and nobody is to be
    /// registered for that. A person's own presence is their clients' affair.
    async fn show_presence(&self, sender: &Sender<Plain>, via: &str, presence: &Presence) {
        let Actor::Ghost(id) = self.actor(sender, via) else { return };
        let (state, text) = match presence {
            Presence::Online => ("online", None),
            Presence::Away(text) => ("unavailable", text.as_deref()),
            Presence::Offline => ("offline", None),
        };
        let shown = async {
            if self.store.ghost(&id).await?.is_some() && self.presences.is_news(&id, state, text) {
                self.intent(&Actor::Ghost(id.clone()), Some(via))
                    .await?
                    .presence(state, text)
                    .await?;
            }
            Ok::<_, Failure>(())
        };
        if let Err(error) = shown.await {
            self.presences.forget(&id);
            tracing::debug!(%error, "somebody's presence was not shown");
        }
    }
}

/// What was shown last of whom, so that the same is not said again.
pub(crate) struct Presences(Cache<String, (&'static str, Option<String>)>);

impl Default for Presences {
    fn default() -> Self {
        Self(Cache::new(10_000))
    }
}

impl Presences {
    fn is_news(&self, id: &str, state: &'static str, text: Option<&str>) -> bool {
        let new = (state, text.map(ToOwned::to_owned));
        let news = self.0.get(id).as_ref() != Some(&new);
        if news {
            self.0.insert(id.to_owned(), new);
        }
        news
    }
    fn forget(&self, id: &str) {
        self.0.remove(id);
    }
}
