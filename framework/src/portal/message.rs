//! Messages, edits and deletions, on their way to Matrix.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Portal,
    convert::{Case, Verdict},
    envelope::{File, MatrixOp, Outgoing, Record},
};
use crate::{
    engine::{Actor, Engine, Failure},
    event::{Content, MediaKind, MediaPart, Message, Part},
    format::{self, Rich, RoomTarget, Style, UserTarget},
    network::{MessageRef, PartId, PortalKey},
    plain::Plain,
    store::{Batch, MessageRow, SendState},
};

/// A part as Matrix has it.
pub(super) struct Rendered {
    pub(super) kind: &'static str,
    pub(super) content: Value,
    pub(super) file: Option<File>,
}

impl Rendered {
    /// The event of a part that Matrix doesn't have yet, which is recorded as one of the message `id`.
    fn out(
        self,
        case: &Case<'_>,
        id: &str,
        message: &Message<Plain>,
        place: usize,
        part: &Part<Plain>,
    ) -> Outgoing {
        let record = Record::Message {
            remote_id: id.to_owned(),
            part: part.id.0.clone(),
            place: place as i64,
            order: case.order,
            ts: case.ts,
            thread_root: message.thread.clone(),
            meta: part.meta.clone(),
        };
        let op = MatrixOp::Event { kind: self.kind.into(), content: self.content, file: self.file };
        case.out(part.id.0.clone(), op, vec![record])
    }
}

impl Engine {
    pub(super) async fn convert_message(
        self: &Arc<Self>,
        case: &Case<'_>,
        message: &Message<Plain>,
    ) -> Result<Verdict, Failure> {
        let known = self.store.message_parts(case.portal.id, &message.id).await?;
        if known.iter().any(|row| row.tombstone) {
            return Ok(Verdict::Drop("the message is deleted"));
        }
        if let Some(echo) = message.echo_of.as_ref().filter(|echo| echo.0.len() >= 12)
            && let Some(verdict) = self.take_echo(case, message, &echo.0).await?
        {
            return Ok(verdict);
        }
        let relation = self.relation(case.portal, message).await?;
        let mut rows = Vec::new();
        for (place, part) in message.parts.iter().enumerate() {
            if known.iter().any(|row| row.part == part.id.0) {
                continue;
            }
            let mut rendered = self.render(&part.content).await?;
            // An answer is one of the whole message; its first part says so.
            if place == 0 && !relation.is_null() {
                rendered.content["m.relates_to"] = relation.clone();
            } else if let Some(root) = relation.get("event_id") {
                rendered.content["m.relates_to"] =
                    json!({ "rel_type": "m.thread", "event_id": root, "is_falling_back": true });
            }
            rows.push(rendered.out(case, &message.id, message, place, part));
        }
        if rows.is_empty() {
            return Ok(Verdict::Drop("it is there already"));
        }
        Ok(Verdict::Send { rows, effects: Batch::new(), opens: vec![message.id.clone()] })
    }

    /// What was sent from Matrix has come back: it is recorded, and not bridged again.
    async fn take_echo(
        self: &Arc<Self>,
        case: &Case<'_>,
        message: &Message<Plain>,
        echo: &str,
    ) -> Result<Option<Verdict>, Failure> {
        let Some(sent) = self.store.remote_outbox_by_key(echo).await? else { return Ok(None) };
        if sent.portal != case.portal.id {
            return Ok(None);
        }
        let mut effects = Batch::new();
        effects.remote_settled(sent.seq, SendState::Sent, Some(&message.id), None, self.now());
        let main = [PartId::default()];
        let named: Vec<&PartId> = message.parts.iter().map(|part| &part.id).collect();
        let parts: Vec<&PartId> = if named.is_empty() { main.iter().collect() } else { named };
        for (place, part) in parts.into_iter().enumerate() {
            effects.add_message(&MessageRow {
                portal: case.portal.id,
                remote_id: message.id.clone(),
                part: part.0.clone(),
                place: place as i64,
                event_id: sent.event_id.clone(),
                sender: format!("login:{}", sent.login),
                order: case.order,
                ts: case.ts,
                edit_version: 0,
                thread_root: message.thread.clone(),
                tombstone: false,
                meta: message.parts.get(place).map(|part| part.meta.clone()).unwrap_or_default(),
            });
        }
        effects.unpark_tasks(case.portal.id, &message.id);
        self.wake_portal_outward(case.portal.clone());
        Ok(Some(Verdict::effects(effects)))
    }

    /// `m.relates_to` of a message; null without an answer or a thread.
    pub(super) async fn relation(
        &self,
        portal: &Portal,
        message: &Message<Plain>,
    ) -> Result<Value, Failure> {
        let reply = match &message.reply_to {
            Some(target) => self.target(portal, target).await?.ok().map(|row| row.event_id),
            None => None,
        };
        let Some(root) = &message.thread else {
            return Ok(reply.map_or(
                Value::Null,
                |event_id| json!({ "m.in_reply_to": { "event_id": event_id } }),
            ));
        };
        let root_row = self.target(portal, &MessageRef::whole(root.clone())).await?.ok();
        let Some(root_row) = root_row.filter(|row| row.remote_id != message.id) else {
            return Ok(Value::Null);
        };
        let last = self.store.last_in_thread(portal.id, root).await?.map(|row| row.event_id);
        // Clients without threads show the fallback (MSC3440, "Fallback for unthreaded clients").
        let falls_back = reply.is_none();
        let in_reply_to = reply.or(last).unwrap_or_else(|| root_row.event_id.clone());
        Ok(json!({
            "rel_type": "m.thread",
            "event_id": root_row.event_id,
            "is_falling_back": falls_back,
            "m.in_reply_to": { "event_id": in_reply_to },
        }))
    }

    /// Replaces the network's users and rooms by Matrix's.
    pub(super) async fn for_matrix(&self, rich: &Rich) -> Result<Rich, Failure> {
        let mut rooms = std::collections::HashMap::new();
        for span in rich.spans() {
            if let Style::Room(RoomTarget::Remote(id)) = &span.style
                && let Some(portal) = self.known_portal(&PortalKey::shared(id.clone())).await?
                && let Some(room) = portal.room_id()
            {
                rooms.insert(id.clone(), room);
            }
        }
        let mut rich = rich.clone();
        rich.resolve_users(|target| match target {
            UserTarget::Remote(id) => {
                let owner = self
                    .logins
                    .of_remote_user(id)
                    .and_then(|login| self.logins.stored(&login)?.owner);
                Some(UserTarget::Matrix(owner.unwrap_or_else(|| self.ghost_mxid(id))))
            }
            UserTarget::Matrix(_) => Some(target.clone()),
        });
        rich.resolve_rooms(|target| match target {
            RoomTarget::Remote(id) => rooms.get(id).cloned().map(RoomTarget::Matrix),
            RoomTarget::Matrix(_) => Some(target.clone()),
        });
        Ok(rich)
    }

    pub(super) async fn render(&self, content: &Content) -> Result<Rendered, Failure> {
        let text = |rich: Rich, msgtype: &str| Rendered {
            kind: "m.room.message",
            content: Value::Object(format::to_content(&rich, msgtype)),
            file: None,
        };
        Ok(match content {
            Content::Text(rich) => text(self.for_matrix(rich).await?, "m.text"),
            Content::Notice(rich) => text(self.for_matrix(rich).await?, "m.notice"),
            Content::Emote(rich) => text(self.for_matrix(rich).await?, "m.emote"),
            Content::Media(media) => {
                let caption = match &media.caption {
                    Some(caption) => Some(self.for_matrix(caption).await?),
                    None => None,
                };
                render_media(media, caption.as_ref())
            }
            Content::Location(place) => {
                let uri = format!("geo:{},{}", place.lat, place.lon);
                let body = place.name.clone().unwrap_or_else(|| uri.clone());
                Rendered {
                    kind: "m.room.message",
                    content: json!({ "msgtype": "m.location", "body": body, "geo_uri": uri }),
                    file: None,
                }
            }
            Content::Poll(poll) => {
                let answers: Vec<Value> = poll
                    .options
                    .iter()
                    .map(
                        |option| json!({ "id": option.id, "org.matrix.msc1767.text": option.text }),
                    )
                    .collect();
                let mut list = String::new();
                for option in &poll.options {
                    list.push_str("\n- ");
                    list.push_str(&option.text);
                }
                let kind = if poll.disclosed { "disclosed" } else { "undisclosed" };
                Rendered {
                    // The unstable names are those that clients know (MSC3381).
                    kind: "org.matrix.msc3381.poll.start",
                    content: json!({
                        "org.matrix.msc1767.text": format!("{}{list}", poll.question),
                        "org.matrix.msc3381.poll.start": {
                            "kind": format!("org.matrix.msc3381.poll.{kind}"),
                            "max_selections": poll.max_choices.max(1),
                            "question": { "org.matrix.msc1767.text": poll.question },
                            "answers": answers,
                        },
                    }),
                    file: None,
                }
            }
            Content::Unsupported { what, link } => {
                let link = link.as_ref().map(|link| format!(": {link}")).unwrap_or_default();
                text(Rich::plain(format!("{what}{link}")), "m.notice")
            }
        })
    }

    pub(super) async fn convert_edit(
        self: &Arc<Self>,
        case: &Case<'_>,
        target: &str,
        version: u64,
        new: &Message<Plain>,
    ) -> Result<Verdict, Failure> {
        let parts = self.store.message_parts(case.portal.id, target).await?;
        if parts.is_empty() {
            return Ok(Verdict::Park(target.to_owned()));
        }
        let version = i64::try_from(version).unwrap_or(i64::MAX);
        if parts.iter().any(|row| row.tombstone) {
            return Ok(Verdict::Drop("the message is deleted"));
        }
        if parts.iter().any(|row| row.edit_version >= version) {
            return Ok(Verdict::Drop("a newer edit was there before"));
        }
        let mut rows: Vec<Outgoing> = Vec::new();
        let mut effects = Batch::new();
        for (place, part) in new.parts.iter().enumerate() {
            let rendered = self.render(&part.content).await?;
            let Some(old) = parts.iter().find(|row| row.part == part.id.0) else {
                // A part that wasn't there: a message of its own.
                rows.push(rendered.out(case, target, new, place, part));
                continue;
            };
            if old.sender.starts_with("user:") {
                // Said by a Matrix user whom the bridge can't act for: their words stay theirs.
                continue;
            }
            let mut content = json!({
                "m.new_content": rendered.content.clone(),
                "m.relates_to": { "rel_type": "m.replace", "event_id": old.event_id },
            });
            for (key, value) in rendered.content.as_object().into_iter().flatten() {
                content[key] = value.clone();
            }
            if let Some(body) = content.get("body").and_then(Value::as_str) {
                content["body"] = format!("* {body}").into();
            }
            let op = MatrixOp::Event { kind: rendered.kind.into(), content, file: rendered.file };
            rows.push(case.out_as(
                Actor::from_text(&old.sender),
                format!("edit:{}", part.id.0),
                op,
                Vec::new(),
            ));
        }
        for old in parts.iter().filter(|old| !new.parts.iter().any(|part| part.id.0 == old.part)) {
            let op = MatrixOp::Redact { event_id: old.event_id.clone(), reason: None };
            rows.push(case.out(format!("remove:{}", old.part), op, Vec::new()));
            effects.bury_message(case.portal.id, target, Some(&old.part));
        }
        effects.message_edited(case.portal.id, target, version);
        Ok(Verdict::Send { rows, effects, opens: vec![target.to_owned()] })
    }

    pub(super) async fn convert_remove(
        self: &Arc<Self>,
        case: &Case<'_>,
        target: &MessageRef<Plain>,
        for_me_only: bool,
    ) -> Result<Verdict, Failure> {
        if for_me_only {
            return Ok(Verdict::Drop("deleted only for one account"));
        }
        let parts = self.store.message_parts(case.portal.id, &target.id).await?;
        if parts.is_empty() {
            return Ok(Verdict::Park(target.id.clone()));
        }
        let part = target.part.as_ref().map(|part| part.0.as_str());
        let mut rows = Vec::new();
        let mut gone = std::collections::HashSet::new();
        for row in
            parts.iter().filter(|row| !row.tombstone && part.is_none_or(|part| part == row.part))
        {
            if gone.insert(row.event_id.clone()) {
                let op = MatrixOp::Redact { event_id: row.event_id.clone(), reason: None };
                rows.push(case.out(row.part.clone(), op, Vec::new()));
            }
        }
        let mut effects = Batch::new();
        effects.bury_message(case.portal.id, &target.id, part);
        Ok(Verdict::Send { rows, effects, opens: Vec::new() })
    }
}

/// A file as Matrix has it (Client-Server API, "m.image" and so on; MSC2530 captions, MSC3245 voice messages).
fn render_media(media: &MediaPart, caption: Option<&Rich>) -> Rendered {
    let (kind, msgtype) = match media.kind {
        MediaKind::Image | MediaKind::Gif => ("m.room.message", "m.image"),
        MediaKind::Video | MediaKind::VideoNote => ("m.room.message", "m.video"),
        MediaKind::Audio | MediaKind::Voice { .. } => ("m.room.message", "m.audio"),
        MediaKind::File => ("m.room.message", "m.file"),
        MediaKind::Sticker { .. } => ("m.sticker", ""),
    };
    let mut content = match caption {
        Some(caption) => Value::Object(format::to_content(caption, msgtype)),
        None => json!({ "body": media.name }),
    };
    if !msgtype.is_empty() {
        content["msgtype"] = msgtype.into();
        content["filename"] = media.name.clone().into();
    }
    let mut info = json!({});
    if let Some(mime) = &media.mime {
        info["mimetype"] = mime.clone().into();
    }
    if let Some(size) = media.size {
        info["size"] = size.into();
    }
    if let Some((width, height)) = media.dimensions {
        info["w"] = width.into();
        info["h"] = height.into();
    }
    let millis = media.duration.map(|duration| duration.as_millis() as u64);
    if let Some(millis) = millis {
        info["duration"] = millis.into();
    }
    content["info"] = info;
    if let MediaKind::Voice { waveform } = &media.kind {
        content["org.matrix.msc3245.voice"] = json!({});
        let waveform: Vec<u32> = waveform.iter().map(|level| u32::from(*level) * 4).collect();
        content["org.matrix.msc1767.audio"] =
            json!({ "duration": millis.unwrap_or(0), "waveform": waveform });
    }
    let file =
        File { source: media.source.0.clone(), name: media.name.clone(), mime: media.mime.clone() };
    Rendered { kind, content, file: Some(file) }
}
