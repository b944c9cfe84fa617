//! What is said and done.

use grammers_tl_types as tl;

use super::{Answer, Asker, Refusal, channel, files, member, place, refused};
use crate::world::{Message, Place, What, World, now};

/// What a message answers, and in which topic, as a request has it.
pub(super) fn answers(reply: Option<&tl::enums::InputReplyTo>) -> (Option<i32>, Option<i32>) {
    match reply {
        Some(tl::enums::InputReplyTo::Message(reply)) => {
            (Some(reply.reply_to_msg_id), reply.top_msg_id)
        }
        _ => (None, None),
    }
}

/// Entities as those see them who read.
pub(super) fn shown(
    entities: Option<Vec<tl::enums::MessageEntity>>,
) -> Vec<tl::enums::MessageEntity> {
    entities
        .into_iter()
        .flatten()
        .map(|entity| match entity {
            tl::enums::MessageEntity::InputMessageEntityMentionName(mention) => {
                let user_id = match mention.user_id {
                    tl::enums::InputUser::User(user) => user.user_id,
                    _ => 0,
                };
                tl::types::MessageEntityMentionName {
                    offset: mention.offset,
                    length: mention.length,
                    user_id,
                }
                .into()
            }
            entity => entity,
        })
        .collect()
}

/// A new message of somebody's: once for each `random_id`.
struct New {
    peer: tl::enums::InputPeer,
    random_id: i64,
    text: String,
    entities: Option<Vec<tl::enums::MessageEntity>>,
    answers: (Option<i32>, Option<i32>),
    media: Option<tl::enums::InputMedia>,
}

fn add(world: &mut World, asker: Asker, new: New) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    if world.is_flood() {
        return refused(420, "FLOOD_WAIT_1");
    }
    let place = place(world, me, &new.peer)?;
    if let Place::Channel(id) = place {
        member(world, me, id)?;
    }
    if new.text.is_empty() && new.media.is_none() {
        return refused(400, "MESSAGE_EMPTY");
    }
    if new.text.encode_utf16().count() > 4096 {
        return refused(400, "MESSAGE_TOO_LONG");
    }
    let media = new.media.map(|media| files::made(world, media)).transpose()?;
    if !world.taken.insert((me, new.random_id)) {
        return refused(500, "RANDOM_ID_DUPLICATE");
    }
    let (reply_to, topic) = world.answered_in(place, new.answers.0, new.answers.1);
    let entities = shown(new.entities);
    let timer = match place {
        Place::Channel(id) => world.channels.get(&id).and_then(|channel| channel.timer),
        Place::Direct(..) | Place::Group(_) => None,
    };
    let said = Message::plain(me, &new.text);
    let message = Message { entities, reply_to, topic, media, timer, ..said };
    let id = world.add(place, message);
    let update = tl::types::UpdateMessageId { id, random_id: new.random_id }.into();
    Ok(answered(world, me, place, id, vec![update]))
}

/// What somebody is answered who has changed a chat: the stream's last update, which they are also told of.
fn answered(
    world: &World,
    me: i64,
    place: Place,
    id: i32,
    mut updates: Vec<tl::enums::Update>,
) -> tl::enums::Updates {
    let logged = match place {
        Place::Channel(channel) => {
            world.channels.get(&channel).and_then(|channel| channel.log.last())
        }
        Place::Direct(..) | Place::Group(_) => world.people.get(&me).and_then(|person| {
            person.log.iter().rev().find(|logged| match logged.what {
                What::New(number)
                | What::Edit(number)
                | What::Delete(number)
                | What::Pin(number, _) => number == id,
                What::ReadInbox(..) | What::ReadOutbox(..) => false,
            })
        }),
    };
    let update = logged.and_then(|logged| match place {
        Place::Channel(channel) => world.channel_update(channel, logged, me),
        Place::Direct(..) | Place::Group(_) => world.person_update(me, logged),
    });
    updates.extend(update);
    world.updates(me, updates)
}

pub(super) fn send(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SendMessage,
) -> Answer<tl::enums::Updates> {
    let answers = answers(request.reply_to.as_ref());
    let (peer, random_id) = (request.peer, request.random_id);
    add(
        world,
        asker,
        New {
            peer,
            random_id,
            text: request.message,
            entities: request.entities,
            answers,
            media: None,
        },
    )
}

pub(super) fn send_media(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SendMedia,
) -> Answer<tl::enums::Updates> {
    let answers = answers(request.reply_to.as_ref());
    let (peer, random_id) = (request.peer, request.random_id);
    let media = Some(request.media);
    add(
        world,
        asker,
        New { peer, random_id, text: request.message, entities: request.entities, answers, media },
    )
}

/// Changes a message, and tells of it.
fn change(
    world: &mut World,
    me: i64,
    place: Place,
    id: i32,
    what: impl Fn(i32) -> What,
    work: impl FnOnce(&mut Message) -> Answer<()>,
) -> Answer<tl::enums::Updates> {
    let none = || Refusal { code: 400, message: "MESSAGE_ID_INVALID".into() };
    match place {
        Place::Channel(channel) => {
            member(world, me, channel)?;
            let there = world.channels.get_mut(&channel).ok_or_else(none)?;
            work(there.messages.get_mut(&id).ok_or_else(none)?)?;
            world.log_channel(channel, what(id));
        }
        Place::Direct(..) | Place::Group(_) => {
            let (_, at) = *world
                .people
                .get(&me)
                .and_then(|person| person.mailbox.get(&id))
                .ok_or_else(none)?;
            work(world.direct.get_mut(at).and_then(Option::as_mut).ok_or_else(none)?)?;
            for (who, number) in world.holders(at) {
                world.log_person(who, what(number));
            }
        }
    }
    Ok(answered(world, me, place, id, Vec::new()))
}

pub(super) fn edit(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditMessage,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    if let Some(tl::enums::InputMedia::Poll(new)) = request.media {
        let tl::enums::Poll::Poll(new) = new.poll;
        return close(world, me, place, request.id, new.closed);
    }
    if let Some(tl::enums::InputMedia::GeoLive(new)) = request.media {
        return moved(world, me, place, request.id, &new);
    }
    let now = now();
    let text = request.message.unwrap_or_default();
    let entities = shown(request.entities);
    change(world, me, place, request.id, What::Edit, |message| {
        if message.from != me {
            return refused(403, "MESSAGE_AUTHOR_REQUIRED");
        }
        if message.text == text && message.entities == entities {
            return refused(400, "MESSAGE_NOT_MODIFIED");
        }
        message.text = text;
        message.entities = entities;
        message.edited = Some(now);
        Ok(())
    })
}

/// Somebody who shares where they are moves, or ends it.
fn moved(
    world: &mut World,
    me: i64,
    place: Place,
    id: i32,
    new: &tl::types::InputMediaGeoLive,
) -> Answer<tl::enums::Updates> {
    change(world, me, place, id, What::Edit, |message| {
        if message.from != me {
            return refused(403, "MESSAGE_AUTHOR_REQUIRED");
        }
        let Some(tl::enums::MessageMedia::GeoLive(media)) = &mut message.media else {
            return refused(400, "MEDIA_INVALID");
        };
        if media.period == 0 {
            return refused(400, "MESSAGE_NOT_MODIFIED");
        }
        let made = files::live_place(new);
        if new.stopped {
            media.period = 0;
        } else {
            media.geo = made.geo;
        }
        message.edited = Some(now());
        Ok(())
    })
}

/// A poll is edited to close it.
fn close(
    world: &mut World,
    me: i64,
    place: Place,
    id: i32,
    closed: bool,
) -> Answer<tl::enums::Updates> {
    change(world, me, place, id, What::Edit, |message| {
        if message.from != me {
            return refused(403, "MESSAGE_AUTHOR_REQUIRED");
        }
        let Some(tl::enums::MessageMedia::Poll(media)) = &mut message.media else {
            return refused(400, "MEDIA_INVALID");
        };
        let tl::enums::Poll::Poll(poll) = &mut media.poll;
        if poll.closed == closed {
            return refused(400, "MESSAGE_NOT_MODIFIED");
        }
        poll.closed = closed;
        Ok(())
    })
}

pub(super) fn vote(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SendVote,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let Place::Channel(id) = place(world, me, &request.peer)? else {
        return refused(400, "MESSAGE_ID_INVALID");
    };
    member(world, me, id)?;
    if !world.cast(me, id, request.msg_id, &request.options) {
        return refused(400, "MESSAGE_POLL_CLOSED");
    }
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn delete(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::DeleteMessages,
) -> Answer<tl::enums::messages::AffectedMessages> {
    let me = asker.person()?;
    for id in &request.id {
        let Some((_, at)) =
            world.people.get(&me).and_then(|person| person.mailbox.get(id)).copied()
        else {
            continue;
        };
        if world.direct.get_mut(at).and_then(Option::take).is_some() {
            for (who, number) in world.holders(at) {
                world.log_person(who, What::Delete(number));
            }
        }
    }
    let pts = world.people.get(&me).map_or(1, |person| person.pts);
    Ok(tl::types::messages::AffectedMessages { pts, pts_count: request.id.len() as i32 }.into())
}

pub(super) fn delete_in_channel(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::DeleteMessages,
) -> Answer<tl::enums::messages::AffectedMessages> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    for message in &request.id {
        let gone = world.channels.get_mut(&id).and_then(|channel| channel.messages.remove(message));
        if gone.is_some() {
            world.log_channel(id, What::Delete(*message));
        }
    }
    let pts = world.channels.get(&id).map_or(1, |channel| channel.pts);
    Ok(tl::types::messages::AffectedMessages { pts, pts_count: request.id.len() as i32 }.into())
}

pub(super) fn react(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SendReaction,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    if let Place::Channel(id) = place {
        member(world, me, id)?;
    }
    match world.react(me, place, request.msg_id, request.reaction.unwrap_or_default()) {
        Some(own) => Ok(world.updates(me, own)),
        None => refused(400, "MESSAGE_ID_INVALID"),
    }
}

pub(super) fn pin(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::UpdatePinnedMessage,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    let pinned = !request.unpin;
    change(
        world,
        me,
        place,
        request.id,
        move |number| What::Pin(number, pinned),
        |message| {
            message.pinned = pinned;
            Ok(())
        },
    )
}

pub(super) fn typing(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SetTyping,
) -> Answer<bool> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    world.act(me, place, &request.action);
    Ok(true)
}

/// A button is pressed: its bot answers with what it was told.
pub(super) fn press(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetBotCallbackAnswer,
) -> Answer<tl::enums::messages::BotCallbackAnswer> {
    let me = asker.person()?;
    let said = match place(world, me, &request.peer)? {
        Place::Channel(id) => {
            member(world, me, id)?;
            world.channels.get(&id).and_then(|channel| channel.messages.get(&request.msg_id))
        }
        Place::Direct(..) | Place::Group(_) => {
            let mailbox = world.people.get(&me).map(|person| &person.mailbox);
            let at = mailbox.and_then(|mailbox| mailbox.get(&request.msg_id));
            at.and_then(|(_, at)| world.direct.get(*at)?.as_ref())
        }
    };
    let Some(said) = said else { return refused(400, "MESSAGE_ID_INVALID") };
    let told = said.buttons.iter().find(|(_, data)| Some(data) == request.data.as_ref());
    let Some((_, told)) = told else { return refused(400, "DATA_INVALID") };
    Ok(tl::types::messages::BotCallbackAnswer {
        alert: false,
        has_url: false,
        native_ui: false,
        message: Some(format!("you chose {}", String::from_utf8_lossy(told))),
        url: None,
        cache_time: 0,
    }
    .into())
}
