//! Events as one user's device gets them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruma::OwnedUserId;

use super::filter::fields::FieldSet;
use super::json::Writer;
use crate::app::App;
use crate::event::{Event, Unsigned};
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::nid::EventNid;
use crate::room::{Membership, RoomError, Rooms};
use crate::services::erasure::Erasure;
use crate::services::relations::Bundles;

/// Whose eyes see the events, and when.
#[derive(Debug, Clone)]
pub struct Viewer {
    /// The user.
    pub user: OwnedUserId,
    /// Scope of the transaction ids of the user's device or appservice: the ids of what it sent itself are told to it.
    pub echo: Option<String>,
    /// The time, in ms since 1970.
    pub now: i64,
    /// Users whose messages he doesn't want to see.
    pub ignored: Arc<Ignored>,
    /// Users whose messages he gets only as far as he was there when they were sent.
    pub erasure: Erasure,
}

/// How events are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Form<'a> {
    /// With their room's id; sync leaves it out.
    pub room_id: bool,
    /// As servers exchange them.
    pub federation: bool,
    /// Nothing but these fields.
    pub fields: Option<&'a FieldSet>,
}

/// What some events need beside themselves to be written.
#[derive(Debug, Default)]
pub struct Surroundings {
    replaced: HashMap<EventNid, Arc<Event>>,
    /// What is bundled with them.
    pub bundles: Bundles,
}

impl Surroundings {
    /// With the state events that were replaced, where they are at hand.
    pub fn with(replaced: impl IntoIterator<Item = Arc<Event>>, bundles: Bundles) -> Self {
        Self { replaced: replaced.into_iter().map(|event| (event.nid, event)).collect(), bundles }
    }

    /// Loads the state events that these ones replaced, in one query at most.
    pub async fn of<'e>(
        rooms: &Rooms,
        events: impl IntoIterator<Item = &'e Arc<Event>>,
        bundles: Bundles,
    ) -> Result<Self, RoomError> {
        let nids: Vec<EventNid> = events.into_iter().filter_map(|event| event.replaces).collect();
        let replaced = if nids.is_empty() { Vec::new() } else { rooms.events(&nids).await? };
        Ok(Self::with(replaced, bundles))
    }
}

impl Viewer {
    /// The eyes of whoever makes a request, now.
    pub async fn of(app: &App, requester: &Requester) -> ApiResult<Self> {
        Ok(Self {
            user: requester.user.clone(),
            echo: Some(requester.txn_scope()),
            now: app.clock.now_ms(),
            ignored: app.sync.ignored(&app.db, &requester.user).await?,
            erasure: app.erasure.clone(),
        })
    }

    /// Whether the user ignores the sender of the event. State is shown all the same
    /// ([Ignoring users](https://spec.matrix.org/v1.19/client-server-api/#ignoring-users)).
    pub fn ignores(&self, event: &Event) -> bool {
        !self.ignored.is_empty()
            && !event.is_state()
            && self.ignored.contains(event.pdu.sender.as_str())
    }

    /// Whether an event is told without its content: its sender is erased, and the user was not in the room then.
    pub fn erases(&self, event: &Event, membership: Option<Membership>) -> bool {
        membership.is_some_and(|membership| membership != Membership::Join)
            && self.erasure.contains(&event.pdu.sender)
    }

    /// Appends an event.
    pub fn write(
        &self,
        out: &mut Writer,
        event: &Event,
        membership: Option<Membership>,
        form: Form<'_>,
        around: &Surroundings,
    ) {
        let erased;
        let event = if self.erases(event, membership) {
            let Some(left) = event.erased() else { return };
            erased = left;
            &erased
        } else {
            event
        };
        if form.federation {
            match std::str::from_utf8(event.pdu.raw()) {
                Ok(raw) => out.raw(raw),
                Err(_) => out.raw("{}"),
            }
            return;
        }
        let relations = (!around.bundles.is_empty())
            .then(|| {
                // Who was there for the event was there for what came on it.
                let inner = |event: &Event, relations: Option<&str>, out: &mut String| {
                    let left = if self.erases(event, membership) { event.erased() } else { None };
                    let event = left.as_ref().unwrap_or(event);
                    self.append(out, event, None, form.room_id, relations, around);
                };
                around.bundles.of(&event.pdu.event_id, &inner)
            })
            .flatten();
        match form.fields {
            None => self.append(
                out.value(),
                event,
                membership,
                form.room_id,
                relations.as_deref(),
                around,
            ),
            Some(fields) => {
                let mut whole = String::new();
                self.append(
                    &mut whole,
                    event,
                    membership,
                    form.room_id,
                    relations.as_deref(),
                    around,
                );
                out.raw(&fields.apply(&whole));
            }
        }
    }

    fn append(
        &self,
        out: &mut String,
        event: &Event,
        membership: Option<Membership>,
        room_id: bool,
        relations: Option<&str>,
        around: &Surroundings,
    ) {
        let replaced = event.replaces.and_then(|nid| around.replaced.get(&nid));
        let echo = event.txn.as_ref().filter(|txn| self.echo.as_ref() == Some(&txn.scope));
        let unsigned = Unsigned {
            age: Some(self.now.saturating_sub(event.pdu.origin_server_ts)),
            membership: membership.map(Membership::as_str),
            prev_content: replaced.map(|replaced| replaced.pdu.content()),
            prev_sender: replaced.map(|replaced| replaced.pdu.sender.as_str()),
            replaces_state: replaced.map(|replaced| replaced.pdu.event_id.as_str()),
            transaction_id: echo.map(|txn| txn.id.as_str()),
            relations,
            sticky_for: event.sticky_for(self.now),
        };
        event.write_client(out, room_id, &unsigned);
    }
}

/// Users whom a user ignores.
#[derive(Debug, Default)]
pub struct Ignored(HashSet<String>);

impl Ignored {
    /// From the content of an `m.ignored_user_list`.
    pub fn of_content(content: &str) -> Self {
        #[derive(serde::Deserialize)]
        struct Content {
            #[serde(default)]
            ignored_users: serde_json::Map<String, serde_json::Value>,
        }
        let content = serde_json::from_str::<Content>(content);
        let users = content.map(|content| content.ignored_users.into_iter());
        Self(users.map(|users| users.map(|(user, _)| user).collect()).unwrap_or_default())
    }

    /// Whether a user is among them.
    pub fn contains(&self, user: &str) -> bool {
        self.0.contains(user)
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn to_list(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}
