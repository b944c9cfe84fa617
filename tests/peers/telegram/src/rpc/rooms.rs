//! Reading, joining and leaving, and what becomes of a chat.

use grammers_tl_types as tl;

use super::{Answer, Asker, channel, files, groups, member, place, refused};
use crate::world::{Place, World};

pub(super) fn read(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::ReadHistory,
) -> Answer<tl::enums::messages::AffectedMessages> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    world.read(me, place, request.max_id);
    let pts = world.people.get(&me).map_or(1, |person| person.pts);
    Ok(tl::types::messages::AffectedMessages { pts, pts_count: 1 }.into())
}

pub(super) fn read_channel(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::ReadHistory,
) -> Answer<bool> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    world.read(me, Place::Channel(id), request.max_id);
    Ok(true)
}

pub(super) fn mark_unread(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::MarkDialogUnread,
) -> Answer<bool> {
    let me = asker.person()?;
    let tl::enums::InputDialogPeer::Peer(dialog) = request.peer else {
        return refused(400, "PEER_ID_INVALID");
    };
    let place = place(world, me, &dialog.peer)?;
    world.mark_unread(me, place, request.unread);
    Ok(true)
}

pub(super) fn status(
    world: &mut World,
    asker: Asker,
    request: tl::functions::account::UpdateStatus,
) -> Answer<bool> {
    let me = asker.person()?;
    world.appear(me, !request.offline);
    Ok(true)
}

/// A supergroup that somebody names who may not be in it.
fn named(world: &World, input: &tl::enums::InputChannel) -> Answer<i64> {
    match input {
        tl::enums::InputChannel::Channel(input)
            if world.channels.contains_key(&input.channel_id) =>
        {
            Ok(input.channel_id)
        }
        _ => refused(400, "CHANNEL_INVALID"),
    }
}

pub(super) fn join(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::JoinChannel,
) -> Answer<tl::enums::messages::ChatInviteJoinResult> {
    let me = asker.person()?;
    let id = named(world, &request.channel)?;
    if !world.bring(me, Place::Channel(id), me) {
        return refused(400, "USER_ALREADY_PARTICIPANT");
    }
    let updates = world.updates(me, Vec::new());
    Ok(tl::types::messages::ChatInviteJoinResultOk { updates }.into())
}

pub(super) fn leave(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::LeaveChannel,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = named(world, &request.channel)?;
    if !world.remove(me, Place::Channel(id), me) {
        return refused(400, "USER_NOT_PARTICIPANT");
    }
    Ok(world.updates(me, Vec::new()))
}

/// Whether somebody is an administrator of a supergroup.
fn administers(world: &World, me: i64, id: i64) -> Answer<()> {
    member(world, me, id)?;
    match world.channels.get(&id) {
        Some(there)
            if there.administrators.contains(&me)
                || there.creator.is_some_and(|(owner, _)| owner == me) =>
        {
            Ok(())
        }
        _ => refused(400, "CHAT_ADMIN_REQUIRED"),
    }
}

pub(super) fn person(user: &tl::enums::InputUser) -> Answer<i64> {
    match user {
        tl::enums::InputUser::User(user) if user.access_hash == user.user_id * 7 => {
            Ok(user.user_id)
        }
        _ => refused(400, "USER_ID_INVALID"),
    }
}

pub(super) fn restrict(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::EditBanned,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    administers(world, me, id)?;
    let tl::enums::InputPeer::User(user) = request.participant else {
        return refused(400, "PARTICIPANT_ID_INVALID");
    };
    let tl::enums::ChatBannedRights::Rights(rights) = request.banned_rights;
    world.ban(me, id, user.user_id, rights.view_messages);
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn promote(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::EditAdmin,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    administers(world, me, id)?;
    let who = person(&request.user_id)?;
    let tl::enums::ChatAdminRights::Rights(rights) = request.admin_rights;
    world.promote(me, id, who, rights.ban_users);
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn channels(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::GetChannels,
) -> Answer<tl::enums::messages::Chats> {
    let me = asker.person()?;
    for input in &request.id {
        channel(world, me, input)?;
    }
    Ok(tl::types::messages::Chats { chats: world.chats(me) }.into())
}

pub(super) fn permit(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::EditChatDefaultBannedRights,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let place = place(world, me, &request.peer)?;
    match place {
        Place::Channel(id) => administers(world, me, id)?,
        Place::Group(id) => groups::administers(world, me, id)?,
        Place::Direct(..) => return refused(400, "PEER_ID_INVALID"),
    }
    let tl::enums::ChatBannedRights::Rights(rights) = request.banned_rights;
    if world.rights(place) == rights {
        return refused(400, "CHAT_NOT_MODIFIED");
    }
    world.permit(place, &rights);
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn title(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::EditTitle,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    if !world.entitle(me, Place::Channel(id), &request.title) {
        return refused(400, "CHAT_NOT_MODIFIED");
    }
    Ok(world.updates(me, Vec::new()))
}

pub(super) fn picture(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::EditPhoto,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    let bytes = shown(world, request.photo)?;
    world.picture(me, Place::Channel(id), bytes.as_deref());
    Ok(world.updates(me, Vec::new()))
}

/// The bytes of a chat's new picture; none if it is to have none.
pub(super) fn shown(
    world: &mut World,
    photo: tl::enums::InputChatPhoto,
) -> Answer<Option<Vec<u8>>> {
    match photo {
        tl::enums::InputChatPhoto::InputChatUploadedPhoto(photo) => {
            let Some(file) = photo.file else { return refused(400, "PHOTO_INVALID") };
            let (number, _) = files::uploaded(world, &file)?;
            Ok(world.files.get(&number).cloned())
        }
        tl::enums::InputChatPhoto::Empty => Ok(None),
        tl::enums::InputChatPhoto::Photo(_) => refused(400, "PHOTO_INVALID"),
    }
}

pub(super) fn expire(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::SetHistoryTtl,
) -> Answer<tl::enums::Updates> {
    let me = asker.person()?;
    let Place::Channel(id) = place(world, me, &request.peer)? else {
        return refused(400, "PEER_ID_INVALID");
    };
    if !world.expire(me, id, Some(request.period).filter(|seconds| *seconds > 0)) {
        return refused(400, "CHAT_NOT_MODIFIED");
    }
    Ok(world.updates(me, Vec::new()))
}
