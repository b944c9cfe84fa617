//! From raw events to tasks of portals. Decoding is pure, so what is lost in memory is decoded again.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::Entry;
use crate::{
    adapter::StoredLogin,
    engine::{Engine, guarded},
    event::{Body, RemoteEvent},
    network::DecodeError,
    plain::Plain,
    portal::Portal,
    store::{Batch, InboxRow, NewTask, StoreError, TaskRow},
};

/// How many raw events are decoded into one transaction.
const BATCH: i64 = 256;

/// A decoded event and the login it came by.
pub(crate) type Decoded = Arc<(String, RemoteEvent<Plain>)>;

/// What a raw event says, in order: each thing with the portal that it is for.
pub(super) type Simple = Vec<(Arc<Portal>, RemoteEvent<Plain>)>;

/// A task that was queued for a portal.
pub(super) struct Queued {
    pub(super) portal: Arc<Portal>,
    pub(super) task: TaskRow,
    /// Whether it is of a message, which is known again by its identifier.
    pub(super) message: bool,
}

/// Whether an event's value passes with it: it is never queued, the latest wins.
fn is_passing(body: &Body<Plain>) -> bool {
    matches!(
        body,
        Body::Read { .. } | Body::Typing { .. } | Body::Presence(_) | Body::Delivered { .. }
    )
}

impl Engine {
    /// Decodes what comes in until the bridge stops.
    pub(crate) async fn decode_loop(self: Arc<Self>) {
        loop {
            let added = self.gate.added();
            let result = match self.store.inbox_new(BATCH).await {
                Ok(rows) if rows.is_empty() => {
                    self.gate.nothing_waits_of(added);
                    self.decode_wake.notified().await;
                    continue;
                }
                Ok(rows) => self.decode_rows(rows).await,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                if matches!(error, StoreError::Closed) {
                    return;
                }
                tracing::error!(%error, "the inbox could not be decoded, trying again");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }

    /// A login, also one that is no longer connected: what it received is still decoded.
    pub(crate) async fn login_for_decoding(
        &self,
        id: &str,
    ) -> Result<Option<StoredLogin>, StoreError> {
        match self.logins.stored(id) {
            Some(login) => Ok(Some(login)),
            None => Ok(self.store.login(id).await?.map(|(login, _)| login)),
        }
    }

    fn decode(
        &self,
        login: &StoredLogin,
        raw: &str,
    ) -> Result<Vec<RemoteEvent<Plain>>, DecodeError> {
        guarded(|| self.connector.decode(login, raw)).map_err(DecodeError)?
    }

    async fn decode_rows(self: &Arc<Self>, rows: Vec<InboxRow>) -> Result<(), StoreError> {
        let mut batch = Batch::new();
        let mut wake = BTreeSet::new();
        let mut passing = Vec::new();
        let mut logins: HashMap<String, Option<StoredLogin>> = HashMap::new();
        for row in rows {
            if !logins.contains_key(&row.login) {
                logins.insert(row.login.clone(), self.login_for_decoding(&row.login).await?);
            }
            let decoded = match logins.get(&row.login) {
                Some(Some(login)) => self.decode(login, &row.raw),
                _ => Err(DecodeError("its login is gone".into())),
            };
            let events = match decoded {
                Ok(events) => events,
                Err(error) => {
                    tracing::warn!(login = row.login, key = row.key, %error, "an event can't be read; it is among the dead letters");
                    metrics::counter!("landbridge_bridge_dead_letters_total", "bridge" => self.connector.id(), "queue" => "inbox")
                        .increment(1);
                    batch.inbox_dead(row.seq, &error.to_string());
                    continue;
                }
            };
            for (place, event) in events.into_iter().enumerate() {
                if is_passing(&event.body) {
                    passing.push((row.login.clone(), event));
                    continue;
                }
                let portal = self.portal_for_event(&event).await?;
                if let Body::PortalMoved { to } = &event.body
                    && !self.rename_ahead(&mut batch, &portal, to, &wake).await?
                {
                    continue;
                }
                self.queue_event(&mut batch, &portal, &row.login, (row.seq, place), event);
                wake.insert(portal.id);
            }
            batch.inbox_done(row.seq);
        }
        self.store.commit(batch).await?;
        self.wake_spaces();
        for portal in wake {
            if let Some(portal) = self.portal(portal).await? {
                self.wake_for_tasks(portal);
            }
        }
        for (login, event) in passing {
            self.pass(login, event).await?;
        }
        Ok(())
    }

    /// Adds what a raw event says to a portal's tasks; `at` is the raw event's number, and which of the things it says this is.
    fn queue_event(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        login: &str,
        at: (i64, usize),
        event: RemoteEvent<Plain>,
    ) -> TaskRow {
        if portal.note_login(login) {
            batch.add_portal_login(portal.id, login);
            // Its owner belongs in the space, too.
            let known = portal.row();
            if let Some(room) = known.room_id.as_ref().filter(|_| self.has_place(&known)) {
                self.place(batch, room);
            }
        }
        let (inbox_seq, place) = at;
        let (seq, now) = (self.store.next_id(), self.now());
        batch.add_task(&NewTask {
            seq,
            portal: portal.id,
            key: &event.key.0,
            inbox_seq,
            place: place as i64,
            now,
        });
        let key = event.key.0.clone();
        self.portals.decoded.insert(at, Arc::new((login.to_owned(), event)));
        TaskRow { seq, key, inbox_seq, place, attempts: 0, not_before: 0, decoded_at: now }
    }

    /// What raw events say, if it is plain to which portals it goes; all else (what can't be read, new chats, chats that move, threads,
    /// what passes) is the [`decode_loop`](Self::decode_loop)'s.
    pub(super) async fn decode_at_once(
        &self,
        login: &str,
        entries: &[Entry],
    ) -> Result<Option<Vec<Simple>>, StoreError> {
        let Some(stored) = self.logins.stored(login) else { return Ok(None) };
        let mut all = Vec::with_capacity(entries.len());
        for entry in entries {
            let Ok(events) = self.decode(&stored, &entry.raw) else { return Ok(None) };
            let mut simple = Vec::with_capacity(events.len());
            for event in events {
                let moves = matches!(event.body, Body::PortalMoved { .. });
                if moves || event.thread.is_some() || is_passing(&event.body) {
                    return Ok(None);
                }
                let Some(portal) = self.known_portal(&event.portal).await? else {
                    return Ok(None);
                };
                simple.push((portal, event));
            }
            all.push(simple);
        }
        Ok(Some(all))
    }

    /// Adds the tasks of an event that was decoded at once; gives them with the portals that are to be woken if it is new.
    pub(super) fn queue_simple(
        &self,
        batch: &mut Batch,
        login: &str,
        seq: i64,
        simple: Simple,
    ) -> Vec<Queued> {
        let mut queued = Vec::with_capacity(simple.len());
        for (place, (portal, event)) in simple.into_iter().enumerate() {
            let message =
                matches!(&event.body, Body::Message(message) if message.echo_of.is_none());
            let task = self.queue_event(batch, &portal, login, (seq, place), event);
            queued.push(Queued { portal, task, message });
        }
        queued
    }

    /// Something that is not stored at all.
    pub(crate) async fn decode_passing(
        self: &Arc<Self>,
        login: &str,
        raw: &str,
    ) -> Result<(), StoreError> {
        let Some(stored) = self.login_for_decoding(login).await? else { return Ok(()) };
        match self.decode(&stored, raw) {
            Ok(events) => {
                for event in events {
                    if is_passing(&event.body) {
                        self.pass(login.to_owned(), event).await?;
                    } else {
                        tracing::warn!(
                            login,
                            key = event.key.0,
                            "the connector handed a lasting event to Inbox::passing; dropped"
                        );
                    }
                }
            }
            Err(error) => tracing::warn!(login, %error, "a passing event can't be read"),
        }
        Ok(())
    }

    /// The event of a task: from memory, or decoded again.
    pub(crate) async fn event_of(
        &self,
        task: &TaskRow,
    ) -> Result<Result<Decoded, DecodeError>, StoreError> {
        if let Some((_, decoded)) = self.portals.decoded.remove(&(task.inbox_seq, task.place)) {
            return Ok(Ok(decoded));
        }
        let Some(row) = self.store.inbox_row(task.inbox_seq).await? else {
            return Ok(Err(DecodeError("its raw event is gone".into())));
        };
        let Some(login) = self.login_for_decoding(&row.login).await? else {
            return Ok(Err(DecodeError("its login is gone".into())));
        };
        let decoded = self.decode(&login, &row.raw).and_then(|events| {
            let event = events.into_iter().nth(task.place);
            let event = event.filter(|event| task.is_of(&event.key.0));
            event.ok_or_else(|| DecodeError("it decodes to something else than before".into()))
        });
        Ok(decoded.map(|event| Arc::new((row.login, event))))
    }
}
