//! Messages, edits and deletions, on their way to Matrix.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    Portal,
    convert::{Case, Verdict},
    envelope::{MatrixOp, Outgoing},
    polls,
    render::{Rendered, render_media, render_poll},
};
use crate::{
    disappearing,
    engine::{Actor, Engine, Failure},
    event::{Content, Disappear, Message, Part},
    format::{self, Rich, RoomTarget, Style, UserTarget},
    network::{MessageRef, PartId, PortalKey},
    plain::Plain,
    store::{Batch, MessageRow, SendState},
};

impl Engine {
    pub(super) async fn convert_message(
        self: &Arc<Self>,
        case: &Case<'_>,
        message: &Message<Plain>,
    ) -> Result<Verdict, Failure> {
        if let Some(album) = super::albums::album_of(message) {
            return self.convert_album(case, album, message).await;
        }
        self.convert_alone(case, message).await
    }

    /// A message that is an event of its own, or several.
    pub(super) async fn convert_alone(
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
        let mut effects = Batch::new();
        for (place, part) in message.parts.iter().enumerate() {
            if known.iter().any(|row| row.part == part.id.0) {
                continue;
            }
            let mut rendered = self.render_part(case, message, part, &mut effects).await?;
            // An answer is one of the whole message; its first part says so.
            if place == 0 && !relation.is_null() {
                rendered.content["m.relates_to"] = relation.clone();
            } else if let Some(root) = relation.get("event_id") {
                rendered.content["m.relates_to"] =
                    json!({ "rel_type": "m.thread", "event_id": root, "is_falling_back": true });
            }
            rows.push(rendered.out(case, message, place, part));
        }
        if rows.is_empty() {
            return Ok(Verdict::Drop("it is there already"));
        }
        Ok(Verdict::Send { rows, effects, opens: vec![message.id.clone()] })
    }

    /// One part of a message as Matrix has it. What is to be kept of it goes into `effects`.
    pub(super) async fn render_part(
        &self,
        case: &Case<'_>,
        message: &Message<Plain>,
        part: &Part<Plain>,
        effects: &mut Batch,
    ) -> Result<Rendered, Failure> {
        let content = self.poll_for_matrix(case, &message.id, &part.content, effects).await?;
        let mut rendered = self.render(case, &content).await?;
        if !part.previews.is_empty() {
            self.with_previews(case, &part.previews, &mut rendered.content).await?;
        }
        if let Some(profile) = &message.profile {
            self.under_profile(case, profile, &mut rendered.content).await?;
        }
        Ok(rendered)
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
        if let Some(timer) = message.timer().or(case.portal.row().timer) {
            // Whoever sent it has read it.
            let timer = Disappear::after_sending(timer.after);
            disappearing::note(&mut effects, &sent.event_id, case.portal.id, case.ts, timer);
            self.disappearing.noted(timer);
        }
        if let Some(first) = super::request::item_place(&sent.op) {
            let event = self.event_of_row(&sent).await?;
            let content = event.get("content").unwrap_or(&Value::Null);
            self.gallery_sent(&mut effects, &sent, content, std::slice::from_ref(&message.id))
                .await?;
            effects.message_placed(case.portal.id, &message.id, first as i64);
        }
        let poll = message.parts.iter().find_map(|part| match &part.content {
            Content::Poll(poll) => Some(poll),
            _ => None,
        });
        if let Some(poll) = poll
            && let Some(started) =
                super::request::started_poll(self.event_of_row(&sent).await?.as_ref())
        {
            let ids: Vec<String> = poll.options.iter().map(|option| option.id.clone()).collect();
            effects.save_poll(&polls::of_matrix(case.portal.id, &message.id, &started, Some(&ids)));
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

    /// Replaces the network's users, rooms and emoji by Matrix's.
    pub(super) async fn for_matrix(&self, case: &Case<'_>, rich: &Rich) -> Result<Rich, Failure> {
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
        self.with_emoji(case, &mut rich).await?;
        Ok(rich)
    }

    pub(super) async fn render(
        &self,
        case: &Case<'_>,
        content: &Content,
    ) -> Result<Rendered, Failure> {
        let text = |rich: Rich, msgtype: &str| Rendered {
            kind: "m.room.message",
            content: Value::Object(format::to_content(&rich, msgtype)),
            file: None,
        };
        Ok(match content {
            Content::Text(rich) => text(self.for_matrix(case, rich).await?, "m.text"),
            Content::Notice(rich) => text(self.for_matrix(case, rich).await?, "m.notice"),
            Content::Emote(rich) => text(self.for_matrix(case, rich).await?, "m.emote"),
            Content::Media(media) => {
                let caption = match &media.caption {
                    Some(caption) => Some(self.for_matrix(case, caption).await?),
                    None => None,
                };
                let mut rendered = render_media(media, caption.as_ref());
                if let Some(small) = &media.thumbnail
                    && let Some(mxc) = self.picture(case, &small.0, "thumbnail").await?
                {
                    rendered.content["info"]["thumbnail_url"] = mxc.into();
                }
                rendered
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
            Content::Poll(poll) if !polls::is_showable(poll) => {
                text(Rich::plain(polls::in_words(poll)), "m.text")
            }
            Content::Poll(poll) => render_poll(poll),
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
        if parts.iter().all(|row| row.tombstone) {
            return Ok(Verdict::Drop("the message is deleted"));
        }
        if parts.iter().any(|row| row.edit_version >= version) {
            return Ok(Verdict::Drop("a newer edit was there before"));
        }
        if let Some(shown) = self.gallery_of(&parts[0]).await? {
            return self.edit_in_gallery(case, shown, &parts[0], version, new).await;
        }
        let mut rows: Vec<Outgoing> = Vec::new();
        let mut effects = Batch::new();
        // An edit is one of the message that it is about, whatever it calls itself.
        let new = Message { id: target.to_owned(), ..new.clone() };
        for (place, part) in new.parts.iter().enumerate() {
            let rendered = self.render_part(case, &new, part, &mut effects).await?;
            let Some(old) = parts.iter().find(|row| row.part == part.id.0) else {
                // A part that wasn't there: a message of its own.
                rows.push(rendered.out(case, &new, place, part));
                continue;
            };
            if old.tombstone || old.sender.starts_with("user:") {
                // Taken out before; or said by a Matrix user whom the bridge can't act for: their words stay theirs.
                continue;
            }
            if matches!(part.content, Content::Location(_))
                && !self.store.remote_outbox_of_event(&old.event_id).await?.is_empty()
            {
                // Whoever shares from Matrix where they are says so there themselves.
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
        let gone = |old: &&MessageRow| {
            !old.tombstone
                && old.part != polls::RESULTS
                && !new.parts.iter().any(|part| part.id.0 == old.part)
        };
        for old in parts.iter().filter(gone) {
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
        if !parts[0].tombstone
            && let Some(shown) = self.gallery_of(&parts[0]).await?
        {
            return self.remove_from_gallery(case, shown, &parts[0]).await;
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
