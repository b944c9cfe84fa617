//! Groups, supergroups and channels begun from Matrix. Telegram has no key for them: where the answer to a first request was lost, what
//! this account has begun under that name since then is taken for it.

use grammers_tl_types as tl;
use landbridge_framework::{
    RemoteId as _,
    handlers::{GroupField, GroupKind, GroupMade, NewGroup},
    prelude::*,
};

use super::{Telegram, rooms::set_picture, send::Me};
use crate::{
    client::{ApiError, Live},
    ids::{ChatId, Peer, UserId},
};

/// The longest name and description.
const MAX_NAME: usize = 128;
const MAX_ABOUT: usize = 255;
/// The most people that are put into a group at once (`chat_size_max` of help.getConfig).
const MAX_MEMBERS: usize = 200;
/// How many of the latest chats are looked through for one that may have been begun.
const LATEST: i32 = 100;
/// Clocks differ by some minutes.
const SLACK_SECONDS: i64 = 600;

const GROUP: &str = "group";
const SUPERGROUP: &str = "supergroup";
const CHANNEL: &str = "channel";

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    let kind = |id, title, members| GroupKind {
        id,
        title,
        name: GroupField::from_to(1, MAX_NAME),
        topic: GroupField::up_to(MAX_ABOUT),
        avatar: GroupField::up_to(0),
        members,
    };
    let some = GroupField::from_to(1, MAX_MEMBERS);
    let any = GroupField::up_to(MAX_MEMBERS);
    handlers.group(
        [
            kind(SUPERGROUP, "supergroup, for up to 200,000 people", any),
            kind(GROUP, "group, for up to 200 people", some),
            kind(CHANNEL, "channel, in which only administrators write", any),
        ],
        make,
    )
}

async fn make(
    Via(client): Me,
    files: Files,
    attempt: Attempt,
    origin: Origin,
    mut done: Checkpoint,
    group: NewGroup<Telegram>,
) -> Result<GroupMade<Telegram>, SendError> {
    let live = client.live()?;
    if live.bot {
        return Err(SendError::refused("bots can't begin groups"));
    }
    let title = group.name.as_deref().unwrap_or_default().trim().to_owned();
    if title.is_empty() {
        return Err(SendError::refused("a group must have a name"));
    }
    let (users, mut failed) = named(&live, &group.members).await?;
    let noted = done.get().and_then(|note| ChatId::decode(note).ok()).map(|chat| chat.peer);
    let peer = match noted {
        Some(peer) => peer,
        None => {
            let since = origin.ts_ms / 1000 - SLACK_SECONDS;
            let before = if attempt.maybe_sent {
                begun(&live, &group.kind, &title, since).await?
            } else {
                None
            };
            let peer = match before {
                Some(peer) => peer,
                None => begin(&live, &group, &title, &users, &mut failed).await?,
            };
            done.save(ChatId::of(peer).encode()).await?;
            peer
        }
    };
    if let Peer::Channel(id) = peer
        && !users.is_empty()
    {
        failed.extend(invite(&live, id, &users).await?);
    }
    if let (Peer::Group(_), Some(about)) = (peer, group.topic) {
        let about = about.chars().take(MAX_ABOUT).collect();
        let input = live.input(peer).await?;
        let request = tl::functions::messages::EditChatAbout { peer: input, about };
        match live.api.invoke(&request).await {
            Err(error) if error.is("CHAT_ABOUT_NOT_MODIFIED") => {}
            answer => drop(answer?),
        }
    }
    if let Some(mxc) = group.avatar {
        // The group is there; that its picture isn't is no reason to say that it is not.
        match set_picture(&live, peer, &files, Some(mxc)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.is_temporary() => return Err(error.into()),
            Ok(Err(error)) => tracing::info!(%error, "a new group has no picture"),
            Err(SendError::Refused { user }) => {
                tracing::info!(reason = user, "a new group has no picture");
            }
            Err(error) => return Err(error),
        }
    }
    let chat = ChatId::of(peer);
    let chat = if peer.is_account_wide() {
        PortalKey::private(chat, client.login.id)
    } else {
        PortalKey::shared(chat)
    };
    Ok(GroupMade { chat, failed })
}

type Failed = Vec<(UserId, String)>;

/// People as Telegram names them; and whom this account can't name.
async fn named(
    live: &Live,
    members: &[UserId],
) -> Result<(Vec<(i64, tl::enums::InputUser)>, Failed), SendError> {
    let mut users = Vec::new();
    let mut failed = Vec::new();
    for member in members {
        let UserId(Peer::User(id)) = *member else {
            failed.push((*member, "only people can be in a group".to_owned()));
            continue;
        };
        match live.peers.input_user(id, live.me).await {
            Ok(user) => users.push((id, user)),
            Err(error @ ApiError::Unknown(_)) => failed.push((*member, error.words())),
            Err(error) => return Err(error.into()),
        }
    }
    Ok((users, failed))
}

fn missing(invited: &[tl::enums::MissingInvitee]) -> Failed {
    let words = |tl::enums::MissingInvitee::Invitee(invitee): &tl::enums::MissingInvitee| {
        let why = "their privacy settings don't allow it: send them an invitation link".to_owned();
        (UserId::user(invitee.user_id), why)
    };
    invited.iter().map(words).collect()
}

async fn begin(
    live: &Live,
    group: &NewGroup<Telegram>,
    title: &str,
    users: &[(i64, tl::enums::InputUser)],
    failed: &mut Failed,
) -> Result<Peer, SendError> {
    let updates = if group.kind == GROUP {
        if users.is_empty() {
            return Err(SendError::refused("a group needs somebody else in it"));
        }
        let users = users.iter().map(|(_, user)| user.clone()).collect();
        let request = tl::functions::messages::CreateChat {
            users,
            title: title.to_owned(),
            ttl_period: None,
        };
        let tl::enums::messages::InvitedUsers::Users(made) = live.api.invoke(&request).await?;
        failed.extend(missing(&made.missing_invitees));
        made.updates
    } else {
        let about = group.topic.as_deref().unwrap_or_default();
        let request = tl::functions::channels::CreateChannel {
            broadcast: group.kind == CHANNEL,
            megagroup: group.kind != CHANNEL,
            for_import: false,
            forum: false,
            title: title.to_owned(),
            about: about.chars().take(MAX_ABOUT).collect(),
            geo_point: None,
            address: None,
            ttl_period: None,
        };
        live.api.invoke(&request).await?
    };
    let (users, chats) = match updates {
        tl::enums::Updates::Updates(updates) => (updates.users, updates.chats),
        tl::enums::Updates::Combined(updates) => (updates.users, updates.chats),
        _ => (Vec::new(), Vec::new()),
    };
    live.learn(&users, &chats).await?;
    let made = chats.iter().find_map(|chat| about(chat).filter(|made| made.title == title));
    made.map(|made| made.peer)
        .ok_or_else(|| SendError::unknown("Telegram's answer doesn't say which chat it made"))
}

/// What is known of a chat that may be the one that was begun.
struct Begun<'a> {
    peer: Peer,
    kind: &'static str,
    title: &'a str,
    date: i32,
    mine: bool,
}

fn about(chat: &tl::enums::Chat) -> Option<Begun<'_>> {
    match chat {
        tl::enums::Chat::Chat(chat) if !chat.deactivated => Some(Begun {
            peer: Peer::Group(chat.id),
            kind: GROUP,
            title: &chat.title,
            date: chat.date,
            mine: chat.creator,
        }),
        tl::enums::Chat::Channel(chat) => Some(Begun {
            peer: Peer::Channel(chat.id),
            kind: if chat.broadcast { CHANNEL } else { SUPERGROUP },
            title: &chat.title,
            date: chat.date,
            mine: chat.creator,
        }),
        _ => None,
    }
}

/// The chat of that name that this account has begun since then: the newest.
async fn begun(
    live: &Live,
    kind: &str,
    title: &str,
    since: i64,
) -> Result<Option<Peer>, SendError> {
    let request = tl::functions::messages::GetDialogs {
        exclude_pinned: false,
        folder_id: None,
        offset_date: 0,
        offset_id: 0,
        offset_peer: tl::enums::InputPeer::Empty,
        limit: LATEST,
        hash: 0,
    };
    let (users, chats) = match live.api.invoke(&request).await? {
        tl::enums::messages::Dialogs::Dialogs(dialogs) => (dialogs.users, dialogs.chats),
        tl::enums::messages::Dialogs::Slice(dialogs) => (dialogs.users, dialogs.chats),
        tl::enums::messages::Dialogs::NotModified(_) => (Vec::new(), Vec::new()),
    };
    live.learn(&users, &chats).await?;
    let fits = |begun: &Begun<'_>| {
        begun.mine && begun.kind == kind && begun.title == title && i64::from(begun.date) >= since
    };
    let found = chats.iter().filter_map(about).filter(fits).max_by_key(|begun| begun.date);
    Ok(found.map(|begun| begun.peer))
}

/// Puts people into a supergroup or channel: all at once, and where that is refused one by one.
async fn invite(
    live: &Live,
    channel: i64,
    users: &[(i64, tl::enums::InputUser)],
) -> Result<Failed, SendError> {
    let channel = live.peers.input_channel(channel).await?;
    let call = async |users: Vec<tl::enums::InputUser>| {
        let request = tl::functions::channels::InviteToChannel { channel: channel.clone(), users };
        let answer = live.api.invoke(&request).await;
        answer.map(|tl::enums::messages::InvitedUsers::Users(invited)| {
            missing(&invited.missing_invitees)
        })
    };
    match call(users.iter().map(|(_, user)| user.clone()).collect()).await {
        Ok(failed) => return Ok(failed),
        Err(error) if error.is_temporary() => return Err(error.into()),
        Err(_) => {}
    }
    let mut failed = Vec::new();
    for (id, user) in users {
        match call(vec![user.clone()]).await {
            Ok(missing) => failed.extend(missing),
            Err(error) if error.is("USER_ALREADY_PARTICIPANT") => {}
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => failed.push((UserId::user(*id), error.words())),
        }
    }
    Ok(failed)
}
