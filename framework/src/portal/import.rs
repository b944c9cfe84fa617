//! History that belongs before what a room shows already: imported where the homeserver can (`com.beeper.batch_sending`),
//! with its own senders and times.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Portal, convert::Case, threads::placed};
use crate::{
    clock, disappearing,
    engine::{Engine, Failure, guarded},
    event::{Body, Disappear},
    inbox::Entry,
    keys::{self, CONTENT_KEY},
    store::{Batch, MessageRow},
};

/// What becomes of a page of history.
#[derive(Default)]
struct Page {
    events: Vec<Value>,
    /// Of each event, with the time after which it disappears.
    records: Vec<(MessageRow, Option<Disappear>)>,
    /// What rendering found out.
    kept: Batch,
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
                let actor = self.actor(&event.sender, via);
                let intent = self.intent(&actor, Some(via)).await?;
                let sender = actor.to_text();
                let ts = clock::millis(event.at);
                let order = event.order.map(|order| order.0);
                let case = Case { portal, via, actor: actor.clone(), ts, order, patient: false };
                let relation = self.relation(portal, message).await?;
                for (place, part) in message.parts.iter().enumerate() {
                    let rendered = self.render_part(&case, message, part, &mut page.kept).await?;
                    let mut content =
                        self.with_file(rendered.content, rendered.file.as_ref(), via).await?;
                    let generation = portal.row().generation;
                    let txn_id = keys::txn_id(
                        self.connector.id(),
                        portal.id,
                        &sender,
                        &event.key.0,
                        &part.id.0,
                        "import",
                        generation,
                    );
                    content[CONTENT_KEY] = txn_id.clone().into();
                    if place == 0 && !relation.is_null() {
                        content["m.relates_to"] = relation.clone();
                    }
                    // The same each time, so that a page that is imported again changes nothing.
                    let event_id =
                        format!("${}", URL_SAFE_NO_PAD.encode(Sha256::digest(txn_id.as_bytes())));
                    let row = MessageRow {
                        portal: portal.id,
                        remote_id: message.id.clone(),
                        part: part.id.0.clone(),
                        place: place as i64,
                        event_id: event_id.clone(),
                        sender: sender.clone(),
                        order,
                        ts,
                        edit_version: 0,
                        thread_root: message.thread.clone(),
                        tombstone: false,
                        meta: part.meta.clone(),
                    };
                    page.records.push((row, message.timer()));
                    page.events.push(json!({
                        "type": rendered.kind,
                        "content": content,
                        "sender": intent.user_id(),
                        "origin_server_ts": ts,
                        "event_id": event_id,
                        "room_id": room,
                    }));
                }
            }
            if usual {
                others.push(entry);
            }
        }
        if !page.events.is_empty() {
            self.import_page(portal, &room, page).await?;
        }
        if !others.is_empty() {
            self.put(via, others, None).await?;
        }
        Ok(())
    }

    async fn import_page(&self, portal: &Portal, room: &str, page: Page) -> Result<(), Failure> {
        let Page { events, records, mut kept } = page;
        let batch = json!({ "events": events, "forward": false, "send_notification": false });
        let ids = self.matrix.bot().batch_send(room, &batch).await?;
        for ((mut row, timer), id) in records.into_iter().zip(ids) {
            row.event_id = id;
            if let Some(timer) = timer {
                disappearing::note(&mut kept, &row.event_id, portal.id, row.ts, timer);
                self.disappearing.noted(timer);
            }
            kept.add_message(&row);
            kept.unpark_tasks(portal.id, &row.remote_id);
        }
        self.store.commit(kept).await?;
        Ok(())
    }
}
