//! A chat's name, description, picture, administrators and pins.

use grammers_tl_types as tl;
use landbridge_framework::{
    RemoteId as _,
    event::DisappearFrom,
    handlers::{ChatEdit, PowerHolder},
    prelude::*,
};

use super::{
    Telegram,
    send::{Here, Me},
    topics,
};
use crate::{
    client::{ApiError, Live},
    convert::from_matrix::MAX_PHOTO,
    ids::{Peer, UserId},
};

/// From this power level on somebody is an administrator.
const ADMIN: i64 = 50;
/// How many messages are pinned or unpinned at once.
const MAX_PINS: usize = 100;

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers
        .room_meta(MetaCaps { name: true, topic: true, avatar: true, power: true }, change)
        .pins(pins)
        .disappearing(
            DisappearCaps { from: vec![DisappearFrom::Sent], times: Vec::new() },
            disappearing,
        )
}

async fn change(
    Via(client): Me,
    In(at, _): Here,
    files: Files,
    RoomMeta(change): RoomMeta,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let peer = at.id.peer;
    if let Peer::User(_) = peer {
        return Err(SendError::refused("a direct chat has no name or picture of its own"));
    }
    if let Some(topic) = at.id.topic {
        let ChatEdit::Name(name) = change else {
            return Err(SendError::refused(
                "a topic has nothing but a name; change the forum's own room instead",
            ));
        };
        return topics::rename(&live, peer, topic, &name).await;
    }
    let done = match change {
        ChatEdit::Name(title) if title.trim().is_empty() => {
            return Err(SendError::refused("a chat must have a name"));
        }
        ChatEdit::Name(title) => {
            let title: String = title.chars().take(128).collect();
            match peer {
                Peer::Channel(id) => {
                    let channel = live.peers.input_channel(id).await?;
                    live.api
                        .invoke(&tl::functions::channels::EditTitle { channel, title })
                        .await
                        .map(drop)
                }
                _ => {
                    let chat_id = peer.number();
                    live.api
                        .invoke(&tl::functions::messages::EditChatTitle { chat_id, title })
                        .await
                        .map(drop)
                }
            }
        }
        ChatEdit::Topic(about) => {
            let about: String = about.chars().take(255).collect();
            let input = live.input(peer).await?;
            live.api
                .invoke(&tl::functions::messages::EditChatAbout { peer: input, about })
                .await
                .map(drop)
        }
        ChatEdit::Avatar(mxc) => set_picture(&live, peer, &files, mxc).await?,
        ChatEdit::Power(changed) => return powers(&live, peer, changed).await,
    };
    unchanged_is_done(done)
}

/// Gives a chat a picture, or takes it away.
pub(super) async fn set_picture(
    live: &Live,
    peer: Peer,
    files: &Files,
    mxc: Option<String>,
) -> Result<Result<(), ApiError>, SendError> {
    let photo: tl::enums::InputChatPhoto = match mxc {
        Some(mxc) => {
            let stream = files.open(&mxc).await.map_err(|error| match error {
                NetError::Temporary { .. } => SendError::retry(error),
                NetError::Permanent(reason) => SendError::refused(reason),
            })?;
            let uploaded = live.upload(stream, "picture.jpg").await?;
            if uploaded.size > MAX_PHOTO {
                return Err(SendError::refused("Telegram takes pictures of at most 10 MiB"));
            }
            tl::types::InputChatUploadedPhoto {
                file: Some(uploaded.file),
                video: None,
                video_start_ts: None,
                video_emoji_markup: None,
            }
            .into()
        }
        None => tl::enums::InputChatPhoto::Empty,
    };
    Ok(match peer {
        Peer::Channel(id) => {
            let channel = live.peers.input_channel(id).await?;
            live.api.invoke(&tl::functions::channels::EditPhoto { channel, photo }).await.map(drop)
        }
        _ => {
            let chat_id = peer.number();
            let request = tl::functions::messages::EditChatPhoto { chat_id, photo };
            live.api.invoke(&request).await.map(drop)
        }
    })
}

/// Telegram refuses to change something into what it is: an earlier attempt did it.
pub(super) fn unchanged_is_done(done: Result<(), ApiError>) -> Result<Done, SendError> {
    match done {
        Err(error)
            if error.is("CHAT_NOT_MODIFIED")
                || error.is("CHAT_ABOUT_NOT_MODIFIED")
                || error.is("TOPIC_NOT_MODIFIED") =>
        {
            Ok(Done)
        }
        done => done.map(|()| Done).map_err(SendError::from),
    }
}

/// Makes people administrators, or no longer: those of the network, and those with an account of their own there.
async fn powers(
    live: &Live,
    peer: Peer,
    changed: Vec<(PowerHolder, i64)>,
) -> Result<Done, SendError> {
    for (holder, level) in changed {
        let PowerHolder::Remote(id) = holder else { continue };
        let Ok(UserId(Peer::User(user))) = UserId::decode(&id) else { continue };
        let admin = level >= ADMIN;
        let user_id = live.peers.input_user(user, live.me).await?;
        let done = match peer {
            Peer::Channel(channel) => {
                let channel = live.peers.input_channel(channel).await?;
                let request = tl::functions::channels::EditAdmin {
                    channel,
                    user_id,
                    admin_rights: rights(admin),
                    rank: None,
                };
                live.api.invoke(&request).await.map(drop)
            }
            _ => {
                let request = tl::functions::messages::EditChatAdmin {
                    chat_id: peer.number(),
                    user_id,
                    is_admin: admin,
                };
                live.api.invoke(&request).await.map(drop)
            }
        };
        unchanged_is_done(done)?;
    }
    Ok(Done)
}

/// What moderators may do; nothing for others. Making others administrators stays with whoever may do it on Telegram.
fn rights(admin: bool) -> tl::enums::ChatAdminRights {
    tl::types::ChatAdminRights {
        change_info: admin,
        post_messages: admin,
        edit_messages: admin,
        delete_messages: admin,
        ban_users: admin,
        invite_users: admin,
        pin_messages: admin,
        add_admins: false,
        anonymous: false,
        manage_call: admin,
        other: admin,
        manage_topics: admin,
        post_stories: false,
        edit_stories: false,
        delete_stories: false,
        manage_direct_messages: false,
        manage_ranks: false,
        manage_linked_peers: false,
        manage_welcome_messages: false,
    }
    .into()
}

async fn pins(
    Via(client): Me,
    In(at, _): Here,
    changed: PinsChanged<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let peer = live.input(at.id.peer).await?;
    let gone = changed.removed.iter().map(|id| (*id, true));
    // The latest pinned is the one that Telegram shows first.
    let new = changed.added.iter().map(|id| (*id, false));
    for (id, unpin) in gone.chain(new).take(MAX_PINS) {
        let request = tl::functions::messages::UpdatePinnedMessage {
            // Nobody need be told at once of what they see anyway.
            silent: true,
            unpin,
            pm_oneside: false,
            peer: peer.clone(),
            id,
        };
        match live.api.invoke(&request).await {
            Err(error) if error.is("CHAT_NOT_MODIFIED") || error.is("MESSAGE_ID_INVALID") => {}
            answer => drop(answer?),
        }
    }
    Ok(Done)
}

async fn disappearing(
    Via(client): Me,
    In(at, _): Here,
    DisappearSet(timer): DisappearSet,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let seconds = timer.map_or(0, |timer| timer.after.as_secs());
    let period = i32::try_from(seconds)
        .map_err(|_| SendError::refused("Telegram's messages disappear within a year or never"))?;
    let request =
        tl::functions::messages::SetHistoryTtl { peer: live.input(at.id.peer).await?, period };
    unchanged_is_done(live.api.invoke(&request).await.map(drop))
}
