//! What is there: people, chats, history, differences.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::{Answer, Asker, channel, place, refused};
use crate::{
    build::{self, DATE, peer_channel, peer_user},
    world::{Logged, Other, Place, What, World},
};

pub(super) fn users(
    world: &mut World,
    asker: Asker,
    request: tl::functions::users::GetUsers,
) -> Answer<Vec<tl::enums::User>> {
    let me = asker.person()?;
    let found = request.id.iter().filter_map(|id| match id {
        tl::enums::InputUser::UserSelf => Some(me),
        tl::enums::InputUser::User(user) if user.access_hash == user.user_id * 7 => {
            Some(user.user_id)
        }
        _ => None,
    });
    Ok(found.filter_map(|id| Some(build::user(id, world.people.get(&id)?, id == me))).collect())
}

fn state_of(world: &World, me: i64) -> tl::enums::updates::State {
    let (pts, qts) = world.people.get(&me).map_or((1, 0), |person| (person.pts, person.qts));
    tl::types::updates::State { pts, qts, date: DATE, seq: 0, unread_count: 0 }.into()
}

pub(super) fn state(
    world: &mut World,
    asker: Asker,
    _: tl::functions::updates::GetState,
) -> Answer<tl::enums::updates::State> {
    let me = asker.person()?;
    Ok(state_of(world, me))
}

pub(super) fn difference(
    world: &mut World,
    asker: Asker,
    request: tl::functions::updates::GetDifference,
) -> Answer<tl::enums::updates::Difference> {
    let me = asker.person()?;
    let Some(person) = world.people.get(&me) else { return refused(401, "AUTH_KEY_UNREGISTERED") };
    let missed: Vec<Logged> =
        person.log.iter().filter(|logged| logged.pts > request.pts).cloned().collect();
    // Of supergroups it is told only that there is something: each has a difference of its own.
    let mut other_updates: Vec<tl::enums::Update> = world
        .channels
        .iter()
        .filter(|(_, channel)| channel.members.contains(&me))
        .map(|(id, _)| tl::types::UpdateChannelTooLong { channel_id: *id, pts: None }.into())
        .collect();
    if world.faults.difference.is_some_and(|most| missed.len() > most) {
        return Ok(tl::types::updates::DifferenceTooLong { pts: person.pts }.into());
    }
    let mut new_messages = Vec::new();
    for logged in &missed {
        match &logged.what {
            What::New(number) => new_messages.extend(world.in_mailbox(me, *number)),
            _ => other_updates.extend(world.person_update(me, logged)),
        }
    }
    Ok(tl::types::updates::Difference {
        new_messages,
        new_encrypted_messages: Vec::new(),
        other_updates,
        chats: world.chats(me),
        users: world.users(me),
        state: state_of(world, me),
    }
    .into())
}

pub(super) fn channel_difference(
    world: &mut World,
    asker: Asker,
    request: tl::functions::updates::GetChannelDifference,
) -> Answer<tl::enums::updates::ChannelDifference> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    let Some(there) = world.channels.get(&id) else { return refused(400, "CHANNEL_INVALID") };
    let pts = there.pts;
    let missed: Vec<Logged> =
        there.log.iter().filter(|logged| logged.pts > request.pts).cloned().collect();
    if missed.is_empty() {
        return Ok(tl::types::updates::ChannelDifferenceEmpty {
            r#final: true,
            pts,
            timeout: None,
        }
        .into());
    }
    let (chats, users) = (world.chats(me), world.users(me));
    if world.faults.difference.is_some_and(|most| missed.len() > most) {
        let top = there.messages.keys().next_back().copied().unwrap_or(0);
        return Ok(tl::types::updates::ChannelDifferenceTooLong {
            r#final: true,
            timeout: None,
            dialog: build::dialog(peer_channel(id), top, Some(pts)),
            messages: world.in_channel(id, top, me).into_iter().collect(),
            chats,
            users,
        }
        .into());
    }
    let mut new_messages = Vec::new();
    let mut other_updates = Vec::new();
    for logged in &missed {
        match &logged.what {
            What::New(number) => new_messages.extend(world.in_channel(id, *number, me)),
            _ => other_updates.extend(world.channel_update(id, logged, me)),
        }
    }
    Ok(tl::types::updates::ChannelDifference {
        r#final: true,
        pts,
        timeout: None,
        new_messages,
        other_updates,
        chats,
        users,
    }
    .into())
}

pub(super) fn dialogs(
    world: &mut World,
    asker: Asker,
    _: tl::functions::messages::GetDialogs,
) -> Answer<tl::enums::messages::Dialogs> {
    let me = asker.person()?;
    let mut dialogs = Vec::new();
    let mut messages = Vec::new();
    for (id, channel) in world.channels.iter().filter(|(_, channel)| channel.members.contains(&me))
    {
        let top = channel.messages.keys().next_back().copied().unwrap_or(0);
        dialogs.push(build::dialog(peer_channel(*id), top, Some(channel.pts)));
        messages.extend(world.in_channel(*id, top, me));
    }
    let others: BTreeSet<Other> = world
        .people
        .get(&me)
        .map(|person| person.mailbox.values().map(|(other, _)| *other).collect())
        .unwrap_or_default();
    for other in others {
        if let Some((top, _)) = world.mail(me, other).last() {
            dialogs.push(build::dialog(other.peer(), *top, None));
            messages.extend(world.in_mailbox(me, *top));
        }
    }
    Ok(tl::types::messages::Dialogs {
        dialogs,
        messages,
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

/// The numbers of a chat's messages, for somebody, in order.
fn numbers(world: &World, me: i64, place: Place) -> Vec<i32> {
    let other = match place {
        Place::Channel(id) => {
            let there = world.channels.get(&id);
            return there.map(|there| there.messages.keys().copied().collect()).unwrap_or_default();
        }
        Place::Direct(_, other) => Other::Person(other),
        Place::Group(id) => Other::Group(id),
    };
    world.mail(me, other).into_iter().map(|(number, _)| number).collect()
}

fn page(world: &World, me: i64, place: Place, numbers: &[i32]) -> tl::enums::messages::Messages {
    let message = |number: &i32| match place {
        Place::Channel(id) => world.in_channel(id, *number, me),
        Place::Direct(..) | Place::Group(_) => world.in_mailbox(me, *number),
    };
    tl::types::messages::Messages {
        messages: numbers.iter().filter_map(message).collect(),
        topics: Vec::new(),
        chats: world.chats(me),
        users: world.users(me),
    }
    .into()
}

pub(super) fn history(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetHistory,
) -> Answer<tl::enums::messages::Messages> {
    let me = asker.person()?;
    if world.people.get(&me).is_some_and(|person| person.bot) {
        return refused(400, "BOT_METHOD_INVALID");
    }
    let place = place(world, me, &request.peer)?;
    let window = Window {
        offset: request.offset_id,
        add: request.add_offset,
        limit: request.limit,
        min: request.min_id,
        max: request.max_id,
    };
    let wanted = window.of(numbers(world, me, place));
    Ok(page(world, me, place, &wanted))
}

/// What is asked for of history (core.telegram.org/api/offsets): newest first; `add` moves the window from `offset`.
struct Window {
    offset: i32,
    add: i32,
    limit: i32,
    min: i32,
    max: i32,
}

impl Window {
    fn of(&self, mut all: Vec<i32>) -> Vec<i32> {
        all.reverse();
        // The first that is older than the offset.
        let from = if self.offset == 0 {
            0
        } else {
            all.iter().position(|number| *number < self.offset).unwrap_or(all.len())
        };
        let begin = from as i64 + i64::from(self.add);
        let end = (begin + i64::from(self.limit.clamp(0, 100))).clamp(0, all.len() as i64) as usize;
        let begin = (begin.max(0) as usize).min(end);
        let fits = |number: &i32| *number > self.min && (self.max == 0 || *number < self.max);
        all[begin..end].iter().copied().filter(fits).collect()
    }
}

/// The same of a topic.
pub(super) fn replies(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetReplies,
) -> Answer<tl::enums::messages::Messages> {
    let me = asker.person()?;
    if world.people.get(&me).is_some_and(|person| person.bot) {
        return refused(400, "BOT_METHOD_INVALID");
    }
    let place = place(world, me, &request.peer)?;
    let Place::Channel(id) = place else { return refused(400, "MSG_ID_INVALID") };
    let all = world.channels.get(&id).into_iter().flat_map(|channel| &channel.messages);
    let topic = all.filter(|(_, message)| message.topic == Some(request.msg_id));
    let window = Window {
        offset: request.offset_id,
        add: request.add_offset,
        limit: request.limit,
        min: request.min_id,
        max: request.max_id,
    };
    let wanted = window.of(topic.map(|(number, _)| *number).collect());
    Ok(page(world, me, place, &wanted))
}

fn ids(wanted: &[tl::enums::InputMessage]) -> Vec<i32> {
    wanted
        .iter()
        .filter_map(|message| match message {
            tl::enums::InputMessage::Id(message) => Some(message.id),
            _ => None,
        })
        .collect()
}

pub(super) fn messages(
    world: &mut World,
    asker: Asker,
    request: tl::functions::messages::GetMessages,
) -> Answer<tl::enums::messages::Messages> {
    let me = asker.person()?;
    Ok(page(world, me, Place::Direct(me, me), &ids(&request.id)))
}

pub(super) fn channel_messages(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::GetMessages,
) -> Answer<tl::enums::messages::Messages> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    Ok(page(world, me, Place::Channel(id), &ids(&request.id)))
}

pub(super) fn full_channel(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::GetFullChannel,
) -> Answer<tl::enums::messages::ChatFull> {
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    let Some(there) = world.channels.get(&id) else { return refused(400, "CHANNEL_INVALID") };
    Ok(tl::types::messages::ChatFull {
        full_chat: build::channel_full(id, there),
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

pub(super) fn participants(
    world: &mut World,
    asker: Asker,
    request: tl::functions::channels::GetParticipants,
) -> Answer<tl::enums::channels::ChannelParticipants> {
    use tl::enums::{ChannelParticipant as P, ChannelParticipantsFilter as Filter};
    let me = asker.person()?;
    let id = channel(world, me, &request.channel)?;
    let Some(there) = world.channels.get(&id) else { return refused(400, "CHANNEL_INVALID") };
    let wanted = |participant: &P| match request.filter {
        Filter::ChannelParticipantsRecent => true,
        Filter::ChannelParticipantsAdmins => matches!(participant, P::Creator(_) | P::Admin(_)),
        _ => false,
    };
    let all = there.members.iter().filter_map(|member| there.participant(*member));
    let all: Vec<P> = all.filter(wanted).collect();
    let count = all.len() as i32;
    let offset = usize::try_from(request.offset).unwrap_or(0);
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let participants = all.into_iter().skip(offset).take(limit).collect();
    Ok(tl::types::channels::ChannelParticipants {
        count,
        participants,
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

pub(super) fn resolve_username(
    world: &mut World,
    asker: Asker,
    request: tl::functions::contacts::ResolveUsername,
) -> Answer<tl::enums::contacts::ResolvedPeer> {
    let me = asker.person()?;
    let named = |name: &Option<String>| {
        name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&request.username))
    };
    let found = world.people.iter().find(|(_, person)| named(&person.username)).map(|(id, _)| *id);
    let Some(id) = found else { return refused(400, "USERNAME_NOT_OCCUPIED") };
    Ok(tl::types::contacts::ResolvedPeer {
        peer: peer_user(id),
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

pub(super) fn resolve_phone(
    world: &mut World,
    asker: Asker,
    request: tl::functions::contacts::ResolvePhone,
) -> Answer<tl::enums::contacts::ResolvedPeer> {
    let me = asker.person()?;
    let phone = request.phone.trim_start_matches('+');
    let found = world.people.iter().find(|(_, person)| !person.bot && person.phone == phone);
    let Some((&id, _)) = found else { return refused(400, "PHONE_NOT_OCCUPIED") };
    Ok(tl::types::contacts::ResolvedPeer {
        peer: peer_user(id),
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

/// Finds people by their names.
pub(super) fn search(
    world: &mut World,
    asker: Asker,
    request: tl::functions::contacts::Search,
) -> Answer<tl::enums::contacts::Found> {
    let me = asker.person()?;
    let words = request.q.to_lowercase();
    let found = world.people.iter().filter(|(id, person)| {
        **id != me && (request.bots || !person.bot) && person.name.to_lowercase().contains(&words)
    });
    let limit = usize::try_from(request.limit).unwrap_or_default();
    Ok(tl::types::contacts::Found {
        my_results: Vec::new(),
        results: found.take(limit).map(|(id, _)| peer_user(*id)).collect(),
        chats: world.chats(me),
        users: world.users(me),
    }
    .into())
}

/// Begins an export.
pub(super) fn begin_takeout(
    world: &mut World,
    asker: Asker,
    _: tl::functions::account::InitTakeoutSession,
) -> Answer<tl::enums::account::Takeout> {
    let me = asker.person()?;
    world.takeouts.insert(me);
    Ok(tl::types::account::Takeout { id: takeout_of(me) }.into())
}

pub(super) fn end_takeout(
    world: &mut World,
    asker: Asker,
    _: tl::functions::account::FinishTakeoutSession,
) -> Answer<bool> {
    Ok(world.takeouts.remove(&asker.person()?))
}

fn takeout_of(me: i64) -> i64 {
    me * 3
}

/// What is asked for as part of an export.
pub(super) fn in_takeout<'b>(world: &mut World, asker: Asker, rest: &'b [u8]) -> Answer<&'b [u8]> {
    let me = asker.person()?;
    let (id, query) =
        rest.split_first_chunk().map_or((0, rest), |(id, query)| (i64::from_le_bytes(*id), query));
    if id != takeout_of(me) || !world.takeouts.contains(&me) {
        return refused(400, "TAKEOUT_INVALID");
    }
    *world.asked.entry("InvokeWithTakeout").or_default() += 1;
    Ok(query)
}
