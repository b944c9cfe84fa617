//! Basic groups, and the topics of forums.

use grammers_tl_types as tl;

use super::{Answer, Asker, member, place, refused};
use crate::{
    build::{self, DATE},
    world::{Message, Place, World},
};

pub(super) fn full(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetFullChat,
) -> Answer<tl::enums::messages::ChatFull> {
    let me = asker.person()?;
    let Some(group) =
        world.groups.get(&request.chat_id).filter(|group| group.members.contains(&me))
    else {
        return refused(400, "PEER_ID_INVALID");
    };
    Ok(tl::types::messages::ChatFull {
        full_chat: build::group_full(request.chat_id, group),
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

pub(super) fn topics(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetForumTopicsById,
) -> Answer<tl::enums::messages::ForumTopics> {
    let me = asker.person()?;
    if world.people.get(&me).is_some_and(|person| person.bot) {
        return refused(400, "BOT_METHOD_INVALID");
    }
    let Place::Channel(id) = place(world, me, &request.peer)? else {
        return refused(400, "CHANNEL_FORUM_MISSING");
    };
    member(world, me, id)?;
    let name = |topic: i32| match topic {
        // The one that every forum has.
        1 => Some("General"),
        topic => world.topic(id, topic),
    };
    let topic = |topic: &i32| Some(build::topic(id, *topic, name(*topic)?, me));
    let topics: Vec<tl::enums::ForumTopic> = request.topics.iter().filter_map(topic).collect();
    Ok(tl::types::messages::ForumTopics {
        order_by_create_date: false,
        count: topics.len() as i32,
        topics,
        messages: Vec::new(),
        chats: world.chats(me),
        users: world.users(me),
        pts: DATE,
    }
    .into())
}

/// The forum that a request means.
fn forum(world: &World, me: i64, peer: &tl::enums::InputPeer) -> Answer<i64> {
    let Place::Channel(id) = place(world, me, peer)? else {
        return refused(400, "CHANNEL_FORUM_MISSING");
    };
    member(world, me, id)?;
    match world.channels.get(&id) {
        Some(channel) if channel.topics.is_some() => Ok(id),
        _ => refused(400, "CHANNEL_FORUM_MISSING"),
    }
}

pub(super) fn begin_topic(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::CreateForumTopic,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = forum(world, me, &request.peer)?;
    if request.title.is_empty() {
        return refused(400, "TOPIC_TITLE_EMPTY");
    }
    if !world.taken.insert((me, request.random_id)) {
        return refused(500, "RANDOM_ID_DUPLICATE");
    }
    world.begin_topic(me, id, &request.title);
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn edit_topic(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditForumTopic,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = forum(world, me, &request.peer)?;
    let topic = request.topic_id;
    let known = world.topic(id, topic).map(str::to_owned);
    let Some(known) = known else { return refused(400, "TOPIC_ID_INVALID") };
    let renamed = request.title.as_ref().is_some_and(|title| *title != known);
    let turned = request.closed.is_some_and(|closed| closed != world.is_closed(id, topic));
    if !renamed && !turned {
        return refused(400, "TOPIC_NOT_MODIFIED");
    }
    if let Some(channel) = world.channels.get_mut(&id) {
        if let (Some(topics), Some(title)) = (&mut channel.topics, &request.title) {
            topics.insert(topic, title.clone());
        }
        match request.closed {
            Some(true) => {
                channel.closed.insert(topic);
            }
            Some(false) => {
                channel.closed.remove(&topic);
            }
            None => {}
        }
    }
    let action = tl::types::MessageActionTopicEdit {
        title: request.title,
        icon_emoji_id: None,
        closed: request.closed,
        hidden: None,
    };
    let message =
        Message { action: Some(action.into()), topic: Some(topic), ..Message::plain(me, "") };
    world.add(Place::Channel(id), message);
    Ok(world.updates(me, Vec::new()))
}
