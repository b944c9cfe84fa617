//! Reading, joining, renaming.

use grammers_tl_types as tl;

use super::{Answer, Asker, channel, place, refused};
use crate::world::World;

pub(super) fn read(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::ReadHistory,
) -> Answer<tl::enums::messages::AffectedMessages> {
    let me = asker.person()?;
    place(world, me, &request.peer)?;
    let pts = world.people.get(&me).map_or(1, |person| person.pts);
    Ok(tl::types::messages::AffectedMessages { pts, pts_count: 0 }.into())
}

pub(super) fn read_channel(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::ReadHistory,
) -> Answer<bool> {
    let me = asker.person()?;
    channel(world, me, &request.channel)?;
    Ok(true)
}

pub(super) fn join(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::JoinChannel,
) -> Answer<tl::enums::messages::ChatInviteJoinResult> {
    let me = asker.person()?;
    let tl::enums::InputChannel::Channel(input) = request.channel else {
        return refused(400, "CHANNEL_INVALID");
    };
    let Some(channel) = world.channels.get_mut(&input.channel_id) else {
        return refused(400, "CHANNEL_INVALID");
    };
    channel.members.insert(me);
    let updates = world.updates(me, Vec::new());
    Ok(tl::types::messages::ChatInviteJoinResultOk { updates }.into())
}

pub(super) fn title(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::EditTitle,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    match world.channels.get_mut(&id) {
        Some(channel) if channel.title == request.title => refused(400, "CHAT_NOT_MODIFIED"),
        Some(channel) => {
            channel.title = request.title;
            Ok(world.updates(me, Vec::new()))
        }
        None => refused(400, "CHANNEL_INVALID"),
    }
}
