//! What passes: reading, typing, being there.

use grammers_tl_types as tl;
use landbridge_framework::{
    event::Presence,
    handlers::{PresenceSet, Unread},
    prelude::*,
};

use super::{
    Telegram,
    send::{Here, Me},
};
use crate::ids::{GENERAL, Peer};

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers.read(read).typing(typing).unread(unread).presence(presence)
}

async fn read(
    Via(client): Me,
    In(at, _): Here,
    As(relayed): As,
    read: Read<Telegram>,
) -> Result<Done, SendError> {
    // The relay reads for nobody in particular, and bots may not.
    if relayed.is_some() || client.relays() {
        return Ok(Done);
    }
    let live = client.live()?;
    let up_to = read.up_to.id;
    match (at.id.peer, at.id.topic.filter(|topic| *topic != GENERAL)) {
        (Peer::Channel(_), Some(topic)) => {
            let peer = live.input(at.id.peer).await?;
            let request =
                tl::functions::messages::ReadDiscussion { peer, msg_id: topic, read_max_id: up_to };
            live.api.invoke(&request).await?;
        }
        (Peer::Channel(channel), None) => {
            let channel = live.peers.input_channel(channel).await?;
            live.api
                .invoke(&tl::functions::channels::ReadHistory { channel, max_id: up_to })
                .await?;
        }
        (Peer::User(_) | Peer::Group(_), _) => {
            let peer = live.input(at.id.peer).await?;
            live.api.invoke(&tl::functions::messages::ReadHistory { peer, max_id: up_to }).await?;
        }
    }
    Ok(Done)
}

async fn typing(
    Via(client): Me,
    In(at, _): Here,
    Typing(typing): Typing,
) -> Result<Done, SendError> {
    let live = client.live()?;
    let action = if typing {
        tl::enums::SendMessageAction::SendMessageTypingAction
    } else {
        tl::enums::SendMessageAction::SendMessageCancelAction
    };
    let request = tl::functions::messages::SetTyping {
        peer: live.input(at.id.peer).await?,
        top_msg_id: at.id.topic.filter(|topic| *topic != GENERAL),
        action,
    };
    live.api.invoke(&request).await?;
    Ok(Done)
}

async fn unread(
    Via(client): Me,
    In(at, _): Here,
    Unread(unread): Unread,
) -> Result<Done, SendError> {
    if client.relays() {
        return Ok(Done);
    }
    let live = client.live()?;
    let peer = tl::types::InputDialogPeer { peer: live.input(at.id.peer).await? };
    let request =
        tl::functions::messages::MarkDialogUnread { unread, parent_peer: None, peer: peer.into() };
    live.api.invoke(&request).await?;
    Ok(Done)
}

async fn presence(Via(client): Me, PresenceSet(presence): PresenceSet) -> Result<Done, SendError> {
    if client.relays() {
        return Ok(Done);
    }
    let live = client.live()?;
    let offline = !matches!(presence, Presence::Online);
    live.api.invoke(&tl::functions::account::UpdateStatus { offline }).await?;
    Ok(Done)
}
