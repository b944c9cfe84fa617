//! Albums: files that are sent as one, each under its own `random_id`.

use grammers_tl_types as tl;

use super::{Answer, Asker, files, member, place, refused, writing};
use crate::world::{Logged, Message, Place, What, World};

/// The most files of an album.
const MAX_ALBUM: usize = 10;

pub(super) fn upload(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::UploadMedia,
) -> Answer<tl::enums::MessageMedia> {
    let me = asker.person()?;
    place(world, me, &request.peer)?;
    let made = files::made(world, request.media)?;
    match files::number(&made) {
        Some(number) => world.made.insert(number, made.clone()),
        None => return refused(400, "MEDIA_INVALID"),
    };
    Ok(made)
}

/// Photos and films go together, and files; nothing else does.
fn is_visual(media: &tl::enums::MessageMedia) -> bool {
    match media {
        tl::enums::MessageMedia::Document(media) => match &media.document {
            Some(tl::enums::Document::Document(document)) => document
                .attributes
                .iter()
                .any(|attribute| matches!(attribute, tl::enums::DocumentAttribute::Video(_))),
            _ => false,
        },
        _ => true,
    }
}

pub(super) fn send(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SendMultiMedia,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    if world.is_flood() {
        return refused(420, "FLOOD_WAIT_1");
    }
    let place = place(world, me, &request.peer)?;
    if let Place::Channel(id) = place {
        member(world, me, id)?;
    }
    let items: Vec<tl::types::InputSingleMedia> = request
        .multi_media
        .into_iter()
        .map(|tl::enums::InputSingleMedia::Media(item)| item)
        .collect();
    if items.is_empty() || items.len() > MAX_ALBUM {
        return refused(400, "MULTI_MEDIA_TOO_LONG");
    }
    let mut ready = Vec::new();
    for item in items {
        if matches!(
            item.media,
            tl::enums::InputMedia::UploadedPhoto(_) | tl::enums::InputMedia::UploadedDocument(_)
        ) {
            return refused(400, "MEDIA_INVALID");
        }
        if item.message.encode_utf16().count() > 1024 {
            return refused(400, "MEDIA_CAPTION_TOO_LONG");
        }
        let media = files::made(world, item.media)?;
        ready.push((item.random_id, item.message, item.entities, media));
    }
    let visual = ready.first().is_some_and(|(.., media)| is_visual(media));
    if ready.iter().any(|(.., media)| is_visual(media) != visual) {
        return refused(400, "MEDIA_INVALID");
    }
    if ready.iter().any(|(random_id, ..)| world.taken.contains(&(me, *random_id))) {
        return refused(500, "RANDOM_ID_DUPLICATE");
    }
    let (reply_to, topic) = writing::answers(request.reply_to.as_ref());
    let (reply_to, topic) = world.answered_in(place, reply_to, topic);
    let album = Some(world.next_album());
    let mut updates: Vec<tl::enums::Update> = Vec::new();
    let mut ids = Vec::new();
    for (random_id, text, entities, media) in ready {
        world.taken.insert((me, random_id));
        let (entities, media) = (writing::shown(entities), Some(media));
        let message =
            Message { entities, reply_to, topic, media, album, ..Message::plain(me, &text) };
        let id = world.add(place, message);
        updates.push(tl::types::UpdateMessageId { id, random_id }.into());
        ids.push(id);
    }
    for id in ids {
        updates.extend(update(world, me, place, id));
    }
    Ok(world.updates(me, updates))
}

/// The update that tells of a new message.
fn update(world: &World, me: i64, place: Place, id: i32) -> Option<tl::enums::Update> {
    let is_it = |logged: &&Logged| matches!(logged.what, What::New(number) if number == id);
    match place {
        Place::Channel(channel) => {
            let logged = world.channels.get(&channel)?.log.iter().rev().find(is_it)?;
            world.channel_update(channel, logged, me)
        }
        Place::Direct(..) | Place::Group(_) => {
            let logged = world.people.get(&me)?.log.iter().rev().find(is_it)?;
            world.person_update(me, logged)
        }
    }
}
