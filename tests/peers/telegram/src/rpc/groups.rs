//! Basic groups, and the topics of forums.

use grammers_tl_types as tl;

use super::{Answer, Asker, member, place, refused, rooms};
use crate::{
    build::{self, DATE},
    world::{Message, Place, World},
};

/// A basic group that somebody names who must be in it.
fn among(world: &World, me: i64, id: i64) -> Answer<()> {
    match world.groups.get(&id) {
        Some(group) if group.members.contains(&me) => Ok(()),
        _ => refused(400, "PEER_ID_INVALID"),
    }
}

/// Whether somebody has begun a basic group, or is an administrator of it.
pub(super) fn administers(world: &World, me: i64, id: i64) -> Answer<()> {
    among(world, me, id)?;
    match world.groups.get(&id) {
        Some(group)
            if group.administrators.contains(&me)
                || group.creator.is_some_and(|(owner, _)| owner == me) =>
        {
            Ok(())
        }
        _ => refused(400, "CHAT_ADMIN_REQUIRED"),
    }
}

pub(super) fn title(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditChatTitle,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    among(world, me, request.chat_id)?;
    if !world.entitle(me, Place::Group(request.chat_id), &request.title) {
        return refused(400, "CHAT_NOT_MODIFIED");
    }
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn picture(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditChatPhoto,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    among(world, me, request.chat_id)?;
    let bytes = rooms::shown(world, request.photo)?;
    world.picture(me, Place::Group(request.chat_id), bytes.as_deref());
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn bring(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::AddChatUser,
) -> Answer<tl::enums::messages::InvitedUsers> {
    let me = asker.person()?;
    among(world, me, request.chat_id)?;
    let who = rooms::person(&request.user_id)?;
    if !world.bring(me, Place::Group(request.chat_id), who) {
        return refused(400, "USER_ALREADY_PARTICIPANT");
    }
    let updates = world.updates(me, Vec::new());
    Ok(tl::types::messages::InvitedUsers { updates, missing_invitees: Vec::new() }.into())
}

/// Somebody leaves, or is put out.
pub(super) fn remove(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::DeleteChatUser,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    among(world, me, request.chat_id)?;
    let who = match &request.user_id {
        tl::enums::InputUser::UserSelf => me,
        user => {
            administers(world, me, request.chat_id)?;
            rooms::person(user)?
        }
    };
    if !world.remove(me, Place::Group(request.chat_id), who) {
        return refused(400, "USER_NOT_PARTICIPANT");
    }
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn appoint(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditChatAdmin,
) -> Answer<bool> {
    let me = asker.person()?;
    administers(world, me, request.chat_id)?;
    let who = rooms::person(&request.user_id)?;
    if !world.appoint(request.chat_id, who, request.is_admin) {
        return refused(400, "CHAT_NOT_MODIFIED");
    }
    Ok(true)
}

pub(super) fn chats(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetChats,
) -> Answer<tl::enums::messages::Chats> {
    let me = asker.person()?;
    for id in &request.id {
        among(world, me, *id)?;
    }
    Ok(tl::types::messages::Chats { chats: world.chats(me) }.into())
}

pub(super) fn full(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetFullChat,
) -> Answer<tl::enums::messages::ChatFull> {
    let me = asker.person()?;
    among(world, me, request.chat_id)?;
    let Some(group) = world.groups.get(&request.chat_id) else {
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
