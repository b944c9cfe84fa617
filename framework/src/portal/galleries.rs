//! Events that show several messages of the network: galleries (MSC4274). What each shows is kept, so that one item can be
//! changed, or taken out, by an edit of the whole.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    albums::{MAX_ITEMS, file_of},
    convert::{Case, Verdict, album_key},
    envelope::{File, MatrixOp, Outgoing, Record},
};
use crate::{
    clock,
    engine::{Actor, Engine, Failure},
    event::{AlbumItem, Body, Content, Disappear, MediaPart, Message, same_emoji},
    format::{self, Rich},
    plain::Plain,
    store::{Batch, MessageRow, StoreError},
};

/// The message type, by its unstable name: that which clients know (MSC4274, "Unstable prefix").
pub(super) const MSGTYPE: &str = "dm.filament.gallery";

/// Whether somebody sent a gallery.
pub(super) fn is_gallery(content: &Value) -> bool {
    matches!(content.get("msgtype").and_then(Value::as_str), Some(MSGTYPE | "m.gallery"))
}

/// What a gallery shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gallery {
    pub(super) items: Vec<Item>,
}

/// What it shows of one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Item {
    /// The message on the network.
    pub(super) id: String,
    /// As MSC4274 has items, without a caption.
    pub(super) content: Value,
    /// The caption's fields.
    pub(super) caption: Option<Map<String, Value>>,
    /// The network's file, if it isn't in the content.
    pub(super) file: Option<File>,
}

/// The text of a caption.
fn body(caption: &Map<String, Value>) -> &str {
    caption.get("body").and_then(Value::as_str).unwrap_or_default()
}

impl Gallery {
    pub(super) fn read(text: &str) -> Result<Self, StoreError> {
        serde_json::from_str(text).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
    pub(super) fn write(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|error| StoreError::Corrupt(error.to_string()))
    }
    /// The caption of the whole: that of one item, where no other says anything else. What is forwarded says so at each item.
    fn caption(&self) -> Option<(usize, &Map<String, Value>)> {
        let all = || self.items.iter().map(|item| item.caption.as_ref()).enumerate();
        let all = || all().filter_map(|(place, caption)| Some((place, caption?)));
        let longest = all().rev().max_by_key(|(_, caption)| body(caption).len())?;
        all().all(|(_, other)| body(longest.1).starts_with(body(other))).then_some(longest)
    }
    /// The item whose message has the caption of the whole.
    pub(super) fn captioned(&self) -> Option<&Item> {
        self.items.get(self.caption()?.0)
    }
    /// The event, but for the files.
    pub(super) fn content(&self) -> Value {
        let common = self.caption().map(|(_, caption)| caption);
        let mut content = match common {
            Some(caption) => Value::Object(caption.clone()),
            // Clients that don't know galleries show this, others as the caption.
            None => {
                json!({ "body": format!("{} files", self.items.len()), "m.mentions": self.mentions() })
            }
        };
        let item = |item: &Item| {
            let mut content = item.content.clone();
            if let Some(caption) = item.caption.as_ref().filter(|_| common.is_none()) {
                for (key, value) in caption.iter().filter(|(key, _)| *key != "m.mentions") {
                    content[key] = value.clone();
                }
            }
            content
        };
        content["msgtype"] = MSGTYPE.into();
        content["itemtypes"] = self.items.iter().map(item).collect::<Vec<_>>().into();
        content
    }
    /// Everybody whom a caption names (Client-Server API, "User and room mentions").
    fn mentions(&self) -> Value {
        let all = self.items.iter().filter_map(|item| item.caption.as_ref()?.get("m.mentions"));
        let mut users = BTreeSet::new();
        let mut room = false;
        for mentions in all {
            let named = mentions.get("user_ids").and_then(Value::as_array);
            users.extend(named.into_iter().flatten().filter_map(Value::as_str));
            room |= mentions.get("room").and_then(Value::as_bool).unwrap_or(false);
        }
        let mut mentions = json!({});
        if !users.is_empty() {
            mentions["user_ids"] = json!(users);
        }
        if room {
            mentions["room"] = true.into();
        }
        mentions
    }
    pub(super) fn files(&self) -> Vec<Option<File>> {
        self.items.iter().map(|item| item.file.clone()).collect()
    }
    /// What comes after any change of it waits until that is committed.
    fn opens(&self) -> Vec<String> {
        self.items.iter().map(|item| item.id.clone()).collect()
    }
}

/// The fields of a caption.
pub(super) fn caption_of(text: &Rich) -> Map<String, Value> {
    let mut caption = format::to_content(text, "");
    caption.remove("msgtype");
    caption
}

/// The fields of a caption, as an event from Matrix has them.
pub(super) fn caption_in(content: &Value) -> Option<Map<String, Value>> {
    let fields = content.as_object()?;
    let keys = ["body", "format", "formatted_body", "m.mentions"];
    let caption: Map<_, _> = fields
        .iter()
        .filter(|(key, _)| keys.contains(&&***key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    (!body(&caption).trim().is_empty()).then_some(caption)
}

/// An item from Matrix without its caption.
pub(super) fn bare(item: &Value) -> Value {
    let mut bare = item.clone();
    if let Some(name) = item.get("filename")
        && let Some(fields) = bare.as_object_mut()
    {
        fields.insert("body".into(), name.clone());
        fields.remove("format");
        fields.remove("formatted_body");
    }
    bare
}

/// A gallery's event, as it is now.
pub(super) struct Shown {
    pub(super) event_id: String,
    pub(super) gallery: Gallery,
}

impl Engine {
    /// The gallery that shows a message, if one does.
    pub(super) async fn gallery_of(&self, row: &MessageRow) -> Result<Option<Shown>, StoreError> {
        let Some(known) = self.store.gallery(&row.event_id).await? else { return Ok(None) };
        Ok(Some(Shown { event_id: known.event_id, gallery: Gallery::read(&known.body)? }))
    }

    async fn render_item(
        &self,
        case: &Case<'_>,
        id: &str,
        media: &MediaPart,
    ) -> Result<Item, Failure> {
        let bare = MediaPart { caption: None, ..media.clone() };
        let rendered = self.render(case, &Content::Media(bare)).await?;
        let mut content = rendered.content;
        if let Some(fields) = content.as_object_mut()
            && let Some(kind) = fields.remove("msgtype")
        {
            fields.insert("itemtype".into(), kind);
        }
        let caption = match media.caption.as_ref().filter(|caption| !caption.is_empty()) {
            Some(caption) => Some(caption_of(&self.for_matrix(case, caption).await?)),
            None => None,
        };
        Ok(Item { id: id.to_owned(), content, caption, file: rendered.file })
    }

    /// An album's messages: one event with all that came together, or what came late added to the one that there is.
    pub(super) async fn convert_album(
        self: &Arc<Self>,
        case: &Case<'_>,
        album: &str,
        first: &Message<Plain>,
    ) -> Result<Verdict, Failure> {
        let own = (first, case.ts, case.order);
        let rest = first.rest.iter().map(|item: &AlbumItem<Plain>| {
            (&item.message, clock::millis(item.at), item.order.map(|order| order.0))
        });
        let mut fresh = Vec::new();
        for (message, ts, order) in [own].into_iter().chain(rest) {
            // Known, or deleted before it came.
            if self.store.message_parts(case.portal.id, &message.id).await?.is_empty() {
                fresh.push((message, ts, order));
            }
        }
        let Some((head, ts, order)) = fresh.first().copied() else {
            return Ok(Verdict::Drop("it is there already"));
        };
        let case = &Case { ts, order, actor: case.actor.clone(), ..*case };
        if let Some((shown, old)) = self.gallery_to_extend(case, album, fresh.len()).await? {
            return self.extend_gallery(case, shown, &old, &fresh).await;
        }
        if let [_] = fresh.as_slice() {
            return self.convert_alone(case, head).await;
        }
        let messages: Vec<_> = fresh.iter().map(|(message, ..)| *message).collect();
        let (gallery, content) = self.render_gallery(case, &messages).await?;
        let mut records = Vec::new();
        for (place, (message, ts, order)) in fresh.iter().enumerate() {
            let timer = message.timer().filter(|_| place == 0);
            records.push(Record::Message {
                remote_id: message.id.clone(),
                part: String::new(),
                place: place as i64,
                order: *order,
                ts: *ts,
                thread_root: head.thread.clone(),
                meta: message.parts[0].meta.clone(),
                disappear: timer.map(Disappear::to_text),
            });
        }
        records.push(Record::Gallery { album: album.to_owned(), body: gallery.write()? });
        let op = MatrixOp::Gallery { content, files: gallery.files() };
        let mut opens = gallery.opens();
        opens.push(album_key(album));
        let rows = vec![case.out("", op, records)];
        Ok(Verdict::Send { rows, effects: Batch::new(), opens })
    }

    /// Messages as a gallery, and its event without the files.
    pub(super) async fn render_gallery(
        &self,
        case: &Case<'_>,
        messages: &[&Message<Plain>],
    ) -> Result<(Gallery, Value), Failure> {
        let mut gallery = Gallery::default();
        for message in messages {
            if let Some(media) = file_of(message) {
                gallery.items.push(self.render_item(case, &message.id, media).await?);
            }
        }
        let mut content = gallery.content();
        let Some(head) = messages.first() else { return Ok((gallery, content)) };
        if let Some(profile) = &head.profile {
            self.under_profile(case, profile, &mut content).await?;
        }
        let relation = self.relation(case.portal, head).await?;
        if !relation.is_null() {
            content["m.relates_to"] = relation;
        }
        Ok((gallery, content))
    }

    /// The event of an album that came before, if something can be added to it; with a message that it shows.
    async fn gallery_to_extend(
        &self,
        case: &Case<'_>,
        album: &str,
        more: usize,
    ) -> Result<Option<(Shown, MessageRow)>, Failure> {
        let Some(known) = self.store.gallery_of_album(case.portal.id, album).await? else {
            return Ok(None);
        };
        let gallery = Gallery::read(&known.body)?;
        if gallery.items.len() + more > MAX_ITEMS {
            return Ok(None);
        }
        let shown = self.store.messages_of_event(&known.event_id).await?;
        let sender = case.actor.to_text();
        let alive = shown.into_iter().find(|row| !row.tombstone && row.sender == sender);
        Ok(alive.map(|row| (Shown { event_id: known.event_id, gallery }, row)))
    }

    async fn extend_gallery(
        self: &Arc<Self>,
        case: &Case<'_>,
        mut shown: Shown,
        old: &MessageRow,
        fresh: &[(&Message<Plain>, i64, Option<i64>)],
    ) -> Result<Verdict, Failure> {
        let mut effects = Batch::new();
        for (message, ts, order) in fresh {
            let Some(media) = file_of(message) else { continue };
            effects.add_message(&MessageRow {
                portal: case.portal.id,
                remote_id: message.id.clone(),
                part: String::new(),
                place: shown.gallery.items.len() as i64,
                event_id: shown.event_id.clone(),
                sender: old.sender.clone(),
                order: *order,
                ts: *ts,
                edit_version: 0,
                thread_root: old.thread_root.clone(),
                tombstone: false,
                meta: message.parts[0].meta.clone(),
            });
            effects.unpark_tasks(case.portal.id, &message.id);
            shown.gallery.items.push(self.render_item(case, &message.id, media).await?);
        }
        show_again(case, &shown, old, "more", effects)
    }

    /// One message of a gallery was changed.
    pub(super) async fn edit_in_gallery(
        self: &Arc<Self>,
        case: &Case<'_>,
        mut shown: Shown,
        old: &MessageRow,
        version: i64,
        new: &Message<Plain>,
    ) -> Result<Verdict, Failure> {
        let mut effects = Batch::new();
        effects.message_edited(case.portal.id, &old.remote_id, version);
        let place = shown.gallery.items.iter().position(|item| item.id == old.remote_id);
        let part = new.parts.iter().find(|part| part.id.0.is_empty());
        let (Some(place), Some(part)) = (place, part) else {
            return Ok(Verdict::effects(effects));
        };
        let before = shown.gallery.items[place].clone();
        let item = match (&part.content, file_of(new)) {
            (_, Some(media)) => self.render_item(case, &old.remote_id, media).await?,
            (Content::Text(text), None) => {
                let caption = caption_of(&self.for_matrix(case, text).await?);
                Item { caption: Some(caption), ..before.clone() }
            }
            _ => before.clone(),
        };
        if item == before || is_strangers(old) {
            return Ok(Verdict::effects(effects));
        }
        shown.gallery.items[place] = item;
        show_again(case, &shown, old, &old.remote_id, effects)
    }

    /// One message of a gallery was deleted: the others stay, unless they are all going.
    pub(super) async fn remove_from_gallery(
        self: &Arc<Self>,
        case: &Case<'_>,
        mut shown: Shown,
        gone: &MessageRow,
    ) -> Result<Verdict, Failure> {
        let mut effects = Batch::new();
        effects.bury_message(case.portal.id, &gone.remote_id, None);
        let all = self.store.messages_of_event(&shown.event_id).await?;
        let others: Vec<_> =
            all.iter().filter(|row| !row.tombstone && row.remote_id != gone.remote_id).collect();
        let going = if others.is_empty() { BTreeSet::new() } else { self.going(case).await? };
        if others.iter().all(|row| going.contains(&row.remote_id)) {
            for row in &others {
                effects.bury_message(case.portal.id, &row.remote_id, None);
            }
            let opens = shown.gallery.opens();
            let op = MatrixOp::Redact { event_id: shown.event_id, reason: None };
            return Ok(Verdict::Send { rows: vec![case.out("", op, vec![])], effects, opens });
        }
        let before = shown.gallery.items.len();
        shown.gallery.items.retain(|item| item.id != gone.remote_id);
        if shown.gallery.items.len() == before || is_strangers(gone) {
            return Ok(Verdict::effects(effects));
        }
        show_again(case, &shown, gone, "less", effects)
    }

    /// The messages whose deletions wait: an album is deleted message by message.
    async fn going(&self, case: &Case<'_>) -> Result<BTreeSet<String>, StoreError> {
        let mut going = BTreeSet::new();
        for task in self.store.ready_tasks(case.portal.id, 2 * MAX_ITEMS as i64).await? {
            let Ok(decoded) = self.event_of(&task).await? else { continue };
            if let Body::Remove { target, for_me_only: false } = &decoded.1.body {
                going.insert(target.id.clone());
            }
            self.portals.decoded.insert((task.inbox_seq, task.place), decoded);
        }
        Ok(going)
    }

    /// Whether somebody's reaction is at a gallery already, by another of its messages: an event takes each once.
    pub(super) async fn reacted_beside(
        &self,
        target: &MessageRow,
        who: &str,
        emoji: &str,
    ) -> Result<bool, StoreError> {
        for row in self.store.messages_of_event(&target.event_id).await? {
            if row.remote_id == target.remote_id {
                continue;
            }
            let all = self.store.reactions(target.portal, &row.remote_id).await?;
            if all.iter().any(|r| r.sender == who && same_emoji(&r.emoji, emoji)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The gallery as it is now, in an edit of its event by whoever sent that.
fn show_again(
    case: &Case<'_>,
    shown: &Shown,
    old: &MessageRow,
    why: &str,
    mut effects: Batch,
) -> Result<Verdict, Failure> {
    let gallery = &shown.gallery;
    effects.save_gallery(&shown.event_id, case.portal.id, "", &gallery.write()?);
    let new = gallery.content();
    let mut content = new.clone();
    content["body"] = format!("* {}", new["body"].as_str().unwrap_or_default()).into();
    content["m.new_content"] = new;
    content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": shown.event_id });
    let op = MatrixOp::Gallery { content, files: gallery.files() };
    let rows: Vec<Outgoing> =
        vec![case.out_as(Actor::from_text(&old.sender), format!("gallery:{why}"), op, vec![])];
    let mut opens = gallery.opens();
    opens.push(old.remote_id.clone());
    Ok(Verdict::Send { rows, effects, opens })
}

/// Whether a message was said by a Matrix user whom the bridge can't act for: their words stay theirs.
fn is_strangers(row: &MessageRow) -> bool {
    row.sender.starts_with("user:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, caption: Option<&str>) -> Item {
        Item {
            id: id.into(),
            content: json!({ "itemtype": "m.image", "body": format!("{id}.png"), "filename": format!("{id}.png") }),
            caption: caption.map(|text| caption_of(&Rich::plain(text))),
            file: None,
        }
    }

    fn gallery(captions: &[Option<&str>]) -> Gallery {
        let ids = ["a", "b", "c"];
        Gallery {
            items: ids.iter().zip(captions).map(|(id, caption)| item(id, *caption)).collect(),
        }
    }

    #[test]
    fn the_only_caption_is_that_of_the_whole() {
        let one = gallery(&[None, Some("the sea"), None]);
        assert_eq!(one.captioned().unwrap().id, "b");
        let content = one.content();
        assert_eq!(content["body"], "the sea");
        assert_eq!(content["itemtypes"][1]["body"], "b.png");
        // What is forwarded says so everywhere.
        let forwarded = gallery(&[Some("From Eve"), Some("From Eve\nthe sea")]);
        assert_eq!(forwarded.content()["body"], "From Eve\nthe sea");
        assert_eq!(forwarded.content()["itemtypes"][0]["body"], "a.png");
    }

    #[test]
    fn several_captions_stay_with_their_items() {
        let content = gallery(&[Some("the sea"), Some("the hills"), None]).content();
        assert_eq!(content["body"], "3 files");
        let items = content["itemtypes"].as_array().unwrap();
        let said: Vec<_> = items.iter().map(|item| item["body"].as_str().unwrap()).collect();
        assert_eq!(said, ["the sea", "the hills", "c.png"]);
        assert_eq!(items[0]["filename"], "a.png");
        assert!(items[0].get("m.mentions").is_none());
    }
}
