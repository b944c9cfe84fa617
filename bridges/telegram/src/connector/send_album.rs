//! Galleries from Matrix as albums (core.telegram.org/api/files, "Grouped media"): at most ten files of one class at a time. What can't
//! be together follows in albums, or messages, of its own; each file has its own `random_id`.

use grammers_tl_types as tl;
use landbridge_framework::{
    format::Rich,
    handlers::{FromOut, Gallery, Media, Out},
    prelude::*,
};

use super::{
    Telegram,
    outgoing::{
        Target, album_already_sent, entities, note_progress, noted, progress, random_id,
        send_media, send_text, sent_ids,
    },
    send::{Here, Me},
    send_files::{about, caption, is_no_photo, upload},
};
use crate::{
    client::Live,
    convert::from_matrix::{
        Chunk, Class, MAX_CAPTION, MAX_CAPTION_PREMIUM, MAX_TEXT, Sending, sending, split, write,
    },
};

/// The most files of an album.
const MAX_ALBUM: usize = 10;

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers.gallery(Idempotency::Native, album)
}

/// Files, their common text, and for whom they are relayed: one argument, since there are no more.
struct Said {
    files: Vec<Media>,
    caption: Option<Rich>,
    by: Option<String>,
}

impl FromOut<Telegram> for Said {
    fn take(out: &Out<Telegram>) -> Result<Self, SendError> {
        let As(relayed) = As::take(out)?;
        let Gallery { items, caption } = Gallery::take(out)?;
        Ok(Self { files: items, caption, by: relayed.map(|profile| profile.name) })
    }
}

/// A file with what it says.
struct Item {
    file: Media,
    caption: Chunk,
}

/// The files' captions, as far as they fit, and what is left of them. What is said of all is said at the first.
fn items(said: Said, most: usize) -> (Vec<Item>, Vec<Chunk>) {
    let mut left = Vec::new();
    let Said { files, caption: whole, mut by } = said;
    let mut whole = whole.filter(|caption| !caption.is_empty());
    let each = |mut file: Media| {
        let mut text = whole.take();
        if let Some(own) = file.caption.take() {
            match &mut text {
                Some(text) => {
                    text.push("\n");
                    text.append(&own);
                }
                None => text = Some(own),
            }
        }
        let text = caption(by.take(), text.as_ref());
        let mut chunks = split(&write(&text), most, MAX_TEXT).into_iter();
        let caption = chunks.next().unwrap_or_default();
        left.extend(chunks);
        Item { file, caption }
    };
    let items = files.into_iter().map(each).collect();
    (items, left)
}

/// How many of the files from a place on go together.
fn together(classes: &[Class]) -> usize {
    match classes.first() {
        None => 0,
        Some(Class::Alone) => 1,
        Some(first) => classes.iter().take(MAX_ALBUM).take_while(|class| *class == first).count(),
    }
}

#[allow(clippy::too_many_arguments, reason = "the framework extracts them by type")]
async fn album(
    Via(client): Me,
    In(at, _): Here,
    Key(key): Key,
    ReplyTo(answered): ReplyTo<Telegram>,
    Thread(thread): Thread<Telegram>,
    origin: Origin,
    mut done: Checkpoint,
    said: Said,
) -> Result<Sent<Telegram>, SendError> {
    let live = client.live()?;
    let most = if live.premium { MAX_CAPTION_PREMIUM } else { MAX_CAPTION };
    let (items, left) = items(said, most);
    // By what is said of them: the same at each attempt.
    let said_of = |item: &Item| {
        let mime = item.file.mime.clone().unwrap_or_default();
        about(&item.file, &mime, item.file.size.unwrap_or(0)).class()
    };
    let classes: Vec<Class> = items.iter().map(said_of).collect();
    let mut ids = progress(&done);
    let mut begin = 0;
    while begin < items.len() {
        let end = begin + together(&classes[begin..]).max(1);
        if ids.len() <= begin {
            let reply_to = answered.as_ref().map(|answered| answered.id).filter(|_| begin == 0);
            let target = Target::of(&live, at.id, reply_to, thread).await?;
            let keys: Vec<i64> = (begin..end).map(|place| random_id(&key, place)).collect();
            let group = Group { items: &items[begin..end], keys: &keys, since_ms: origin.ts_ms };
            ids.extend(group.send(&live, &target).await?);
            note_progress(&mut done, &ids).await?;
        }
        begin = end;
    }
    for (place, chunk) in left.iter().enumerate().map(|(at, chunk)| (items.len() + at, chunk)) {
        if ids.len() <= place {
            let target = Target::of(&live, at.id, None, thread).await?;
            let number = random_id(&key, place);
            ids.push(send_text(&live, &target, chunk, number, origin.ts_ms).await?);
            note_progress(&mut done, &ids).await?;
        }
    }
    Ok(Sent::Many(ids))
}

/// Files that go together.
struct Group<'a> {
    items: &'a [Item],
    keys: &'a [i64],
    since_ms: i64,
}

impl Group<'_> {
    async fn send(&self, live: &Live, target: &Target) -> Result<Vec<i32>, SendError> {
        match self.send_as(live, target, false).await {
            // Telegram can't read one of them as a photo: as files all of them can be sent.
            Err(SendError::Refused { user }) if is_no_photo(&user) => {
                self.send_as(live, target, true).await
            }
            sent => sent,
        }
    }

    async fn send_as(
        &self,
        live: &Live,
        target: &Target,
        files: bool,
    ) -> Result<Vec<i32>, SendError> {
        if let ([item], [key]) = (self.items, self.keys) {
            let media = uploaded(live, item, files).await?;
            let id = send_media(live, target, media, &item.caption, *key, self.since_ms).await?;
            return Ok(vec![id]);
        }
        let mut multi_media = Vec::new();
        for (item, random_id) in self.items.iter().zip(self.keys) {
            // What goes together must be there before (messages.sendMultiMedia).
            let request = tl::functions::messages::UploadMedia {
                business_connection_id: None,
                peer: target.peer.clone(),
                media: uploaded(live, item, files).await?,
            };
            let there = live.api.invoke(&request).await?;
            let single = tl::types::InputSingleMedia {
                media: again(there, item.file.spoiler)?,
                random_id: *random_id,
                message: item.caption.text.clone(),
                entities: entities(live, &item.caption).await?,
            };
            multi_media.push(single.into());
        }
        let request = tl::functions::messages::SendMultiMedia {
            silent: false,
            background: false,
            clear_draft: false,
            noforwards: false,
            update_stickersets_order: false,
            invert_media: false,
            allow_paid_floodskip: false,
            peer: target.peer.clone(),
            reply_to: target.reply.clone(),
            multi_media,
            schedule_date: None,
            send_as: None,
            quick_reply_shortcut: None,
            effect: None,
            allow_paid_stars: None,
        };
        let ids = match live.api.invoke(&request).await {
            Ok(updates) => sent_ids(&updates, self.keys).ok_or_else(|| {
                SendError::unknown("Telegram's answer doesn't say which messages it made")
            })?,
            Err(error) if error.is("RANDOM_ID_DUPLICATE") => {
                let texts: Vec<&str> = self.items.iter().map(|item| &*item.caption.text).collect();
                album_already_sent(live, target, &texts, self.since_ms).await?
            }
            Err(error) => return Err(error.into()),
        };
        noted(live, target, &ids).await?;
        Ok(ids)
    }
}

async fn uploaded(
    live: &Live,
    item: &Item,
    as_file: bool,
) -> Result<tl::enums::InputMedia, SendError> {
    let (file, about) = upload(live, &item.file).await?;
    let kind = if as_file { landbridge_framework::event::MediaKind::File } else { about.kind };
    Ok(sending(file, &Sending { kind, ..about }))
}

/// What was uploaded, as something that is there.
fn again(
    there: tl::enums::MessageMedia,
    spoiler: bool,
) -> Result<tl::enums::InputMedia, SendError> {
    match there {
        tl::enums::MessageMedia::Photo(tl::types::MessageMediaPhoto {
            photo: Some(tl::enums::Photo::Photo(photo)),
            ..
        }) => Ok(tl::types::InputMediaPhoto {
            spoiler,
            live_photo: false,
            id: tl::types::InputPhoto {
                id: photo.id,
                access_hash: photo.access_hash,
                file_reference: photo.file_reference,
            }
            .into(),
            ttl_seconds: None,
            video: None,
        }
        .into()),
        tl::enums::MessageMedia::Document(tl::types::MessageMediaDocument {
            document: Some(tl::enums::Document::Document(document)),
            ..
        }) => Ok(tl::types::InputMediaDocument {
            spoiler,
            id: tl::types::InputDocument {
                id: document.id,
                access_hash: document.access_hash,
                file_reference: document.file_reference,
            }
            .into(),
            video_cover: None,
            video_timestamp: None,
            ttl_seconds: None,
            query: None,
        }
        .into()),
        _ => Err(SendError::refused("Telegram has made nothing of the file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_together_is_apart() {
        use Class::{Alone, Audio, Document, Visual};
        let split = |classes: &[Class]| {
            let mut rest = classes;
            let mut groups = Vec::new();
            while !rest.is_empty() {
                let count = together(rest);
                groups.push(count);
                rest = &rest[count..];
            }
            groups
        };
        assert_eq!(split(&[Visual, Visual, Document, Document, Visual]), [2, 2, 1]);
        assert_eq!(split(&[Alone, Alone, Audio, Audio, Audio]), [1, 1, 3]);
        assert_eq!(split(&[Visual; 23]), [10, 10, 3]);
        assert!(split(&[]).is_empty());
    }
}
