//! Basic groups, and the topics of forums.

use grammers_tl_types as tl;

use super::{Answer, Asker, member, place, refused};
use crate::{
    build::{self, DATE},
    world::{Place, World},
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
