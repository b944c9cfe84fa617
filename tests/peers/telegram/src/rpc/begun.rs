//! Groups, supergroups and channels that people begin.

use grammers_tl_types as tl;

use super::{Answer, Asker, channel as channel_of, place, refused};
use crate::world::{Message, Place, World, now};

/// The first number that what people begin gets.
const FIRST: i64 = 70_000;

fn next(world: &World) -> i64 {
    let begun = world.groups.keys().chain(world.channels.keys());
    begun.copied().max().unwrap_or(0).max(FIRST) + 1
}

/// Those of the people who let themselves be put into groups; and the others.
fn willing(
    world: &World,
    users: Vec<tl::enums::InputUser>,
) -> (Vec<i64>, Vec<tl::enums::MissingInvitee>) {
    let number = |user| match user {
        tl::enums::InputUser::User(user) => Some(user.user_id),
        _ => None,
    };
    let users = users.into_iter().filter_map(number);
    let (shy, willing): (Vec<i64>, Vec<i64>) = users.partition(|id| world.shy.contains(id));
    let missing = |user_id| {
        tl::types::MissingInvitee {
            premium_would_allow_invite: false,
            premium_required_for_pm: false,
            user_id,
        }
        .into()
    };
    (willing, shy.into_iter().map(missing).collect())
}

pub(super) fn group(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::CreateChat,
) -> Answer<tl::enums::messages::InvitedUsers> {
    let me = asker.person()?;
    if request.title.is_empty() {
        return refused(400, "CHAT_TITLE_EMPTY");
    }
    if request.users.is_empty() {
        return refused(400, "USERS_TOO_FEW");
    }
    let (mut members, missing_invitees) = willing(world, request.users);
    members.push(me);
    let id = next(world);
    world.group(id, &request.title, &members);
    if let Some(group) = world.groups.get_mut(&id) {
        group.creator = Some((me, now()));
    }
    let action = tl::types::MessageActionChatCreate { title: request.title, users: members }.into();
    world.add(Place::Group(id), Message { action: Some(action), ..Message::plain(me, "") });
    let updates = world.updates(me, Vec::new());
    Ok(tl::types::messages::InvitedUsers { updates, missing_invitees }.into())
}

pub(super) fn about(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditChatAbout,
) -> Answer<bool> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    if matches!(place, Place::Direct(..)) {
        return refused(400, "PEER_ID_INVALID");
    }
    if !world.describe(place, &request.about) {
        return refused(400, "CHAT_ABOUT_NOT_MODIFIED");
    }
    Ok(true)
}

pub(super) fn channel(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::CreateChannel,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    if request.title.is_empty() {
        return refused(400, "CHAT_TITLE_EMPTY");
    }
    let id = next(world);
    world.channel(id, &request.title, &[me]);
    if let Some(channel) = world.channels.get_mut(&id) {
        channel.creator = Some((me, now()));
        channel.broadcast = request.broadcast;
        channel.about = request.about;
    }
    let action = tl::types::MessageActionChannelCreate { title: request.title }.into();
    world.add(Place::Channel(id), Message { action: Some(action), ..Message::plain(me, "") });
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn invite(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::InviteToChannel,
) -> Answer<tl::enums::messages::InvitedUsers> {
    let me = asker.person()?;
    let id = channel_of(world, me, &request.channel)?;
    let (members, missing_invitees) = willing(world, request.users);
    for member in members {
        world.bring(me, Place::Channel(id), member);
    }
    let updates = world.updates(me, Vec::new());
    Ok(tl::types::messages::InvitedUsers { updates, missing_invitees }.into())
}
