//! History that belongs before what a room shows already: imported where the homeserver can (`com.beeper.batch_sending`),
//! with its own senders and times.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Portal,
    albums::{MAX_ITEMS, album_of},
    convert::Case,
    threads::placed,
};
use crate::{
    clock, disappearing,
    engine::{Engine, Failure, guarded},
    event::{Body, Disappear, Message, Part, RemoteEvent},
    inbox::Entry,
    keys::{self, CONTENT_KEY},
    plain::Plain,
    store::{Batch, MessageRow},
};

/// What becomes of a page of history.
#[derive(Default)]
struct Page {
    events: Vec<Value>,
    /// Of each event.
    records: Vec<Shown>,
    /// What rendering found out.
    kept: Batch,
}

/// What an event shows.
struct Shown {
    rows: Vec<MessageRow>,
    /// When it disappears.
    timer: Option<Disappear>,
    /// The album's name, and what is kept of its gallery.
    gallery: Option<(String, String)>,
}

impl Shown {
    fn of(row: MessageRow, timer: Option<Disappear>) -> Self {
        Self { rows: vec![row], timer, gallery: None }
    }
}

/// A part of a message as it is recorded, but for its event.
fn past_row(
    case: &Case<'_>,
    message: &Message<Plain>,
    place: usize,
    part: &Part<Plain>,
) -> MessageRow {
    MessageRow {
        portal: case.portal.id,
        remote_id: message.id.clone(),
        part: part.id.0.clone(),
        place: place as i64,
        event_id: String::new(),
        sender: case.actor.to_text(),
        order: case.order,
        ts: case.ts,
        edit_version: 0,
        thread_root: message.thread.clone(),
        tombstone: false,
        meta: part.meta.clone(),
    }
}

impl Engine {
    /// Whether older history can be put before newer.
    pub(crate) async fn can_import(&self) -> Result<bool, Failure> {
        Ok(self.versions().await?.feature("com.beeper.batch_sending"))
    }

    /// Imports a page of older history. What is no message (an edit, a reaction) goes the usual way afterwards.
    pub(crate) async fn import(
        self: &Arc<Self>,
        portal: &Arc<Portal>,
        via: &str,
        entries: Vec<Entry>,
    ) -> Result<(), Failure> {
        let Some(login) = self.login_for_decoding(via).await? else { return Ok(()) };
        let Some(room) = portal.room_id() else { return Ok(()) };
        let mut page = Page::default();
        let mut others = Vec::new();
        // What belongs to one album is one event: its messages so far.
        let mut album: Vec<RemoteEvent<Plain>> = Vec::new();
        for entry in entries {
            let decoded = guarded(|| self.connector.decode(&login, &entry.raw));
            let Ok(Ok(decoded)) = decoded else {
                // It is shown among the dead letters once it has gone the usual way.
                others.push(entry);
                continue;
            };
            let mut usual = false;
            for event in decoded {
                if !self.belongs(&portal.row(), &event) {
                    usual |= !matches!(event.body, Body::Message(_));
                    continue;
                }
                let Some(event) = placed(portal, &event) else { continue };
                let Body::Message(message) = &event.body else {
                    usual = true;
                    continue;
                };
                if !self.store.message_parts(portal.id, &message.id).await?.is_empty() {
                    continue;
                }
                let joins = album.len() < MAX_ITEMS
                    && album.first().is_none_or(|first| self.is_one_album(via, first, &event));
                if !joins || album_of(message).is_none() {
                    self.page_album(&mut page, portal, via, std::mem::take(&mut album)).await?;
                }
                if album_of(message).is_some() {
                    album.push(event.into_owned());
                } else {
                    self.page_message(&mut page, portal, via, &event, message).await?;
                }
            }
            if usual {
                others.push(entry);
            }
        }
        self.page_album(&mut page, portal, via, album).await?;
        if !page.events.is_empty() {
            self.import_page(portal, &room, page).await?;
        }
        if !others.is_empty() {
            self.put(via, others, None).await?;
        }
        Ok(())
    }

    /// Puts a message on a page.
    async fn page_message(
        self: &Arc<Self>,
        page: &mut Page,
        portal: &Arc<Portal>,
        via: &str,
        event: &RemoteEvent<Plain>,
        message: &Message<Plain>,
    ) -> Result<(), Failure> {
        let case = self.case_of(portal, via, event);
        let relation = self.relation(portal, message).await?;
        for (place, part) in message.parts.iter().enumerate() {
            let rendered = self.render_part(&case, message, part, &mut page.kept).await?;
            let mut content = self.with_file(rendered.content, rendered.file.as_ref(), via).await?;
            if place == 0 && !relation.is_null() {
                content["m.relates_to"] = relation.clone();
            }
            let row = past_row(&case, message, place, part);
            let (kind, timer) = (rendered.kind, message.timer());
            self.page_event(page, &case, event, (kind, content), Shown::of(row, timer)).await?;
        }
        Ok(())
    }

    /// Puts an album's messages on a page.
    async fn page_album(
        self: &Arc<Self>,
        page: &mut Page,
        portal: &Arc<Portal>,
        via: &str,
        album: Vec<RemoteEvent<Plain>>,
    ) -> Result<(), Failure> {
        let message = |event: &RemoteEvent<Plain>| match &event.body {
            Body::Message(message) => Some(message.clone()),
            _ => None,
        };
        let messages: Vec<_> = album.iter().filter_map(message).collect();
        let (Some(event), Some(first)) = (album.first(), messages.first()) else { return Ok(()) };
        if messages.len() == 1 {
            return self.page_message(page, portal, via, event, first).await;
        }
        let case = self.case_of(portal, via, event);
        let (gallery, content) =
            self.render_gallery(&case, &messages.iter().collect::<Vec<_>>()).await?;
        let content = self.with_files(content, &gallery.files(), via).await?;
        let mut rows = Vec::new();
        for (place, (event, message)) in album.iter().zip(&messages).enumerate() {
            let case = self.case_of(portal, via, event);
            rows.extend(message.parts.first().map(|part| past_row(&case, message, place, part)));
        }
        let album = first.album.clone().unwrap_or_default();
        let shown = Shown { rows, timer: first.timer(), gallery: Some((album, gallery.write()?)) };
        self.page_event(page, &case, event, ("m.room.message", content), shown).await
    }

    fn case_of<'a>(
        &self,
        portal: &'a Arc<Portal>,
        via: &'a str,
        event: &RemoteEvent<Plain>,
    ) -> Case<'a> {
        Case {
            portal,
            via,
            actor: self.actor(&event.sender, via),
            ts: clock::millis(event.at),
            order: event.order.map(|order| order.0),
            patient: false,
        }
    }

    async fn page_event(
        &self,
        page: &mut Page,
        case: &Case<'_>,
        event: &RemoteEvent<Plain>,
        (kind, mut content): (&str, Value),
        mut shown: Shown,
    ) -> Result<(), Failure> {
        let intent = self.intent(&case.actor, Some(case.via)).await?;
        let part = shown.rows.first().map(|row| row.part.clone()).unwrap_or_default();
        let row = case.portal.row();
        let txn_id = keys::txn_id(
            self.connector.id(),
            case.portal.id,
            &case.actor.to_text(),
            &event.key.0,
            &part,
            "import",
            row.generation,
        );
        content[CONTENT_KEY] = txn_id.clone().into();
        // The same each time, so that a page that is imported again changes nothing.
        let event_id = format!("${}", URL_SAFE_NO_PAD.encode(Sha256::digest(txn_id.as_bytes())));
        for row in &mut shown.rows {
            row.event_id.clone_from(&event_id);
        }
        page.events.push(json!({
            "type": kind,
            "content": content,
            "sender": intent.user_id(),
            "origin_server_ts": case.ts,
            "event_id": event_id,
            "room_id": row.room_id,
        }));
        page.records.push(shown);
        Ok(())
    }

    async fn import_page(&self, portal: &Portal, room: &str, page: Page) -> Result<(), Failure> {
        let Page { events, records, mut kept } = page;
        let batch = json!({ "events": events, "forward": false, "send_notification": false });
        let ids = self.matrix.bot().batch_send(room, &batch).await?;
        let mut pinned = std::collections::HashMap::new();
        for (shown, id) in records.into_iter().zip(ids) {
            for mut row in shown.rows {
                if portal.has_pin(&row.remote_id) {
                    pinned.insert(row.remote_id.clone(), id.clone());
                }
                row.event_id.clone_from(&id);
                kept.add_message(&row);
                kept.unpark_tasks(portal.id, &row.remote_id);
                if let Some(timer) = shown.timer {
                    disappearing::note(&mut kept, &id, portal.id, row.ts, timer);
                    self.disappearing.noted(timer);
                }
            }
            if let Some((album, body)) = shown.gallery {
                kept.save_gallery(&id, portal.id, &album, &body);
            }
        }
        if let Some(first) = pinned.values().next().cloned() {
            self.show_old_pins(&mut kept, portal, &pinned, &first).await?;
        }
        self.store.commit(kept).await?;
        Ok(())
    }
}
