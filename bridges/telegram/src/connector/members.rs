//! Joining, leaving, inviting, putting out and shutting out.

use grammers_tl_types as tl;
use landbridge_framework::{
    handlers::{MemberAction, MemberTarget},
    prelude::*,
};

use super::{
    Telegram,
    send::{Here, Me},
};
use crate::{
    client::{ApiError, Live},
    ids::{Peer, UserId},
};

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers.membership(MemberCaps { invite: true, kick: true, ban: true, own: true }, membership)
}

async fn membership(
    Via(client): Me,
    In(at, _): Here,
    change: Membership<Telegram>,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let user = match change.target {
        MemberTarget::Remote(UserId(Peer::User(id))) => id,
        // Channels are members of nothing; people without an account there neither come nor go.
        MemberTarget::Remote(_) | MemberTarget::Matrix(_, None) => return Ok(Done),
        MemberTarget::Matrix(_, Some(login)) => login,
    };
    let own = user == live.me;
    let peer = at.id.peer;
    match (change.action, peer) {
        (MemberAction::Rename, _) => Ok(Done),
        // A direct chat has nobody else; leaving its room leaves nothing on Telegram.
        (_, Peer::User(_)) => Ok(Done),
        // Only the forum as a whole has members.
        (MemberAction::Join | MemberAction::Leave, _) if at.id.topic.is_some() => Ok(Done),
        (MemberAction::Join, _) if own => join(&live, peer).await,
        (MemberAction::Leave, _) if own => leave(&live, peer).await,
        // Who has an account of their own joins and leaves by that one.
        (MemberAction::Join | MemberAction::Leave, _) => Ok(Done),
        (MemberAction::Invite, _) => invite(&live, peer, user).await,
        (MemberAction::Kick | MemberAction::Ban, Peer::Group(chat_id)) => {
            put_out(&live, chat_id, user).await
        }
        // Basic groups know no bans.
        (MemberAction::Unban, Peer::Group(_)) => Ok(Done),
        (MemberAction::Kick, Peer::Channel(channel)) => {
            // Shut out and let in again at once: they may come back.
            restrict(&live, channel, user, true).await?;
            restrict(&live, channel, user, false).await
        }
        (MemberAction::Ban, Peer::Channel(channel)) => restrict(&live, channel, user, true).await,
        (MemberAction::Unban, Peer::Channel(channel)) => {
            restrict(&live, channel, user, false).await
        }
    }
}

async fn join(live: &Live, peer: Peer) -> Result<Done, SendError> {
    let Peer::Channel(channel) = peer else { return Ok(Done) };
    let channel = live.peers.input_channel(channel).await?;
    let answer = live.api.invoke(&tl::functions::channels::JoinChannel { channel }).await;
    already(answer.map(drop), "USER_ALREADY_PARTICIPANT")
}

async fn leave(live: &Live, peer: Peer) -> Result<Done, SendError> {
    match peer {
        Peer::Channel(channel) => {
            let channel = live.peers.input_channel(channel).await?;
            let answer = live.api.invoke(&tl::functions::channels::LeaveChannel { channel }).await;
            match answer {
                // Put out already.
                Err(error) if error.is("CHANNEL_PRIVATE") => Ok(Done),
                answer => already(answer.map(drop), "USER_NOT_PARTICIPANT"),
            }
        }
        Peer::Group(chat_id) => put_out(live, chat_id, live.me).await,
        Peer::User(_) => Ok(Done),
    }
}

async fn invite(live: &Live, peer: Peer, user: i64) -> Result<Done, SendError> {
    let user_id = live.peers.input_user(user, live.me).await?;
    let answer = match peer {
        Peer::Channel(channel) => {
            let channel = live.peers.input_channel(channel).await?;
            let request =
                tl::functions::channels::InviteToChannel { channel, users: vec![user_id] };
            live.api.invoke(&request).await
        }
        Peer::Group(chat_id) => {
            // How much of the past they see.
            let request = tl::functions::messages::AddChatUser { chat_id, user_id, fwd_limit: 50 };
            live.api.invoke(&request).await
        }
        Peer::User(_) => return Ok(Done),
    };
    match answer {
        Ok(tl::enums::messages::InvitedUsers::Users(invited))
            if !invited.missing_invitees.is_empty() =>
        {
            Err(SendError::refused("their privacy settings don't allow to invite them"))
        }
        answer => already(answer.map(drop), "USER_ALREADY_PARTICIPANT"),
    }
}

async fn put_out(live: &Live, chat_id: i64, user: i64) -> Result<Done, SendError> {
    let user_id = live.peers.input_user(user, live.me).await?;
    let request =
        tl::functions::messages::DeleteChatUser { revoke_history: false, chat_id, user_id };
    already(live.api.invoke(&request).await.map(drop), "USER_NOT_PARTICIPANT")
}

async fn restrict(live: &Live, channel: i64, user: i64, banned: bool) -> Result<Done, SendError> {
    let channel = live.peers.input_channel(channel).await?;
    let participant = live.input(Peer::User(user)).await?;
    let request =
        tl::functions::channels::EditBanned { channel, participant, banned_rights: rights(banned) };
    already(live.api.invoke(&request).await.map(drop), "USER_NOT_PARTICIPANT")
}

/// What was so already need not be made so.
fn already(answer: Result<(), ApiError>, so: &str) -> Result<Done, SendError> {
    match answer {
        Err(error) if error.is(so) => Ok(Done),
        answer => answer.map(|()| Done).map_err(SendError::from),
    }
}

/// Nothing may be seen or done, or all may again; for ever.
pub(super) fn rights(banned: bool) -> tl::enums::ChatBannedRights {
    tl::types::ChatBannedRights {
        view_messages: banned,
        send_messages: banned,
        send_media: banned,
        send_stickers: banned,
        send_gifs: banned,
        send_games: banned,
        send_inline: banned,
        embed_links: banned,
        send_polls: banned,
        change_info: banned,
        invite_users: banned,
        pin_messages: banned,
        manage_topics: banned,
        send_photos: banned,
        send_videos: banned,
        send_roundvideos: banned,
        send_audios: banned,
        send_voices: banned,
        send_docs: banned,
        send_plain: banned,
        edit_rank: banned,
        send_reactions: banned,
        manage_linked_peers: banned,
        until_date: 0,
    }
    .into()
}
