//! Galleries (MSC4274) on their way to the network: as one, where it has something like it, else file by file.

use serde_json::Value;

use super::{Built, Given, said::taken, text};
use crate::{
    engine::{Engine, Failure},
    format::Rich,
    handlers::{Gallery, Media, Op, TextKind},
    plain::Plain,
    portal::{
        galleries::{self, Item},
        plan::has_caption,
    },
    store::{Batch, MessageRow, RemoteOutboxRow, StoreError},
};

const ITEM: &str = "send:item:";

/// The operation that sends one of a gallery's files.
pub(in crate::portal) fn item_op(place: usize) -> String {
    format!("{ITEM}{place}")
}

/// Which of a gallery's files an operation sends.
pub(in crate::portal) fn item_place(op: &str) -> Option<usize> {
    op.strip_prefix(ITEM)?.parse().ok()
}

/// A gallery's items that have a file.
pub(in crate::portal) fn items_of(content: &Value) -> Vec<&Value> {
    let items = content.get("itemtypes").and_then(Value::as_array);
    items.into_iter().flatten().filter(|item| mxc_of(item).is_some()).collect()
}

fn mxc_of(item: &Value) -> Option<&str> {
    item.get("url").and_then(Value::as_str).filter(|url| url.starts_with("mxc://"))
}

impl Engine {
    /// The text of a gallery as the network is to have it.
    async fn gallery_caption(&self, given: &Given<'_>) -> Result<Option<Rich>, Failure> {
        if text(given.content, "body").trim().is_empty() {
            return Ok(None);
        }
        Ok(Some(self.said(given, given.content, TextKind::Text).await?.body))
    }

    async fn gallery_item(&self, given: &Given<'_>, item: &Value) -> Result<Media, Failure> {
        let mut media = self.read_media(item, false, mxc_of(item).unwrap_or_default());
        if has_caption(item) {
            media.caption = Some(self.said(given, item, TextKind::Text).await?.body);
        }
        Ok(media)
    }

    pub(super) async fn build_gallery(
        &self,
        given: &Given<'_>,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let mut items = Vec::new();
        for item in items_of(given.content) {
            items.push(self.gallery_item(given, item).await?);
        }
        let room = &self.connector.abilities().room;
        if !room.gallery {
            let caption = text(given.content, "body");
            let caption = Some(caption).filter(|caption| !caption.trim().is_empty());
            return Ok(Ok(self.linked(given, caption, &items).await?));
        }
        if let Some(caps) = &room.media {
            items = items.into_iter().map(|item| taken(item, caps)).collect::<Result<_, _>>()?;
        }
        if items.is_empty() {
            return Err(Failure::Refused("there is nothing in this gallery".into()));
        }
        Ok(Ok(Op::Gallery(Gallery { items, caption: self.gallery_caption(given).await? })))
    }

    /// One file of a gallery; the first has the caption of the whole.
    pub(super) async fn build_item(
        &self,
        given: &Given<'_>,
        op: &str,
    ) -> Result<Result<Op<Plain>, Built>, Failure> {
        let place = item_place(op).unwrap_or_default();
        let items = items_of(given.content);
        let caps = self.connector.abilities().room.media.as_ref();
        let (Some(item), Some(caps)) = (items.get(place), caps) else {
            return Err(Failure::Refused("there is no such file in this gallery".into()));
        };
        let mut media = taken(self.gallery_item(given, item).await?, caps)?;
        if !caps.captions {
            media.caption = None;
        } else if place == 0
            && let Some(mut caption) = self.gallery_caption(given).await?
        {
            if let Some(own) = &media.caption {
                caption.push("\n");
                caption.append(own);
            }
            media.caption = Some(caption);
        }
        Ok(Ok(Op::Media(media)))
    }

    /// Of the messages that an event became, the one whose text an edit changes: the first, or the one that has the caption.
    pub(super) async fn with_caption(
        &self,
        rows: Vec<MessageRow>,
    ) -> Result<Option<MessageRow>, StoreError> {
        let Some(first) = rows.first() else { return Ok(None) };
        let captioned = match self.gallery_of(first).await? {
            Some(shown) => {
                let items = shown.gallery.items.len() as i64;
                // A caption that was sent as a message of its own.
                let apart = rows.iter().position(|row| row.place >= items);
                let of = shown.gallery.captioned().map(|item| item.id.clone());
                apart.or_else(|| rows.iter().position(|row| Some(&row.remote_id) == of.as_ref()))
            }
            None => None,
        };
        Ok(rows.into_iter().nth(captioned.unwrap_or(0)))
    }

    /// Notes which messages show which files of a gallery from Matrix, so that one of them can be taken out.
    pub(in crate::portal) async fn gallery_sent(
        &self,
        batch: &mut Batch,
        row: &RemoteOutboxRow,
        content: &Value,
        ids: &[String],
    ) -> Result<(), StoreError> {
        if !galleries::is_gallery(content) || row.op == "send:caption" {
            return Ok(());
        }
        let all = items_of(content);
        let known = self.store.gallery(&row.event_id).await?;
        let mut gallery = match known {
            Some(known) => galleries::Gallery::read(&known.body)?,
            None => galleries::Gallery::default(),
        };
        let items = match item_place(&row.op) {
            Some(place) => all.get(place).into_iter().copied().collect(),
            None => all,
        };
        let whole = galleries::caption_in(content);
        for (item, id) in items.into_iter().zip(ids) {
            let own = has_caption(item).then(|| galleries::caption_in(item)).flatten();
            let first = gallery.items.is_empty();
            let caption = own.or_else(|| whole.clone().filter(|_| first));
            let content = galleries::bare(item);
            gallery.items.push(Item { id: id.clone(), content, caption, file: None });
        }
        batch.save_gallery(&row.event_id, row.portal, "", &gallery.write()?);
        Ok(())
    }

    /// A gallery's caption was changed from Matrix.
    pub(in crate::portal) async fn gallery_edited(
        &self,
        batch: &mut Batch,
        portal: i64,
        content: &Value,
    ) -> Result<(), StoreError> {
        let target = content.pointer("/m.relates_to/event_id").and_then(Value::as_str);
        let Some(known) = self.store.gallery(target.unwrap_or_default()).await? else {
            return Ok(());
        };
        let mut gallery = galleries::Gallery::read(&known.body)?;
        let captioned = gallery.captioned().map(|item| item.id.clone());
        let new = content.get("m.new_content").unwrap_or(content);
        let item = gallery.items.iter_mut();
        let item = item.reduce(
            |first, item| {
                if Some(&item.id) == captioned.as_ref() { item } else { first }
            },
        );
        if let Some(item) = item {
            item.caption = galleries::caption_in(new);
            batch.save_gallery(&known.event_id, portal, "", &gallery.write()?);
        }
        Ok(())
    }
}
