//! From Matrix to Discord: what is done to channels and their people; and rooms that begin and end.

use landbridge_framework::handlers::{
    ChatEdit, Done, In, MemberAction, MemberTarget, Membership, RoomMeta, SendError, Via,
};
use serde_json::{Value, json};

use super::Discord;
use crate::{
    client::{Call, Wait},
    ids::{Person, Place},
};

type Me = Via<Discord>;
type Here = In<Discord>;

/// The longest name of a channel.
const MAX_NAME: usize = 100;
/// The longest topic.
const MAX_TOPIC: usize = 1_024;

/// Changes the channel's name or topic.
pub(super) async fn room_meta(
    Via(client): Me,
    In(at, _): Here,
    RoomMeta(change): RoomMeta,
) -> Result<Done, SendError> {
    let hub = &client.hub;
    if !hub.checked.config.moderation.channels {
        return Err(SendError::refused(
            "this bridge doesn't change channels of Discord (discord.moderation.channels)",
        ));
    }
    let Place::Channel(channel) = at.id else {
        return Err(SendError::refused("this bridge doesn't change servers and spaces of Discord"));
    };
    let body: Value = match change {
        ChatEdit::Name(name) => {
            let name: String = name.trim().trim_start_matches('#').chars().take(MAX_NAME).collect();
            if name.is_empty() {
                return Err(SendError::refused("a channel on Discord must have a name"));
            }
            json!({ "name": name })
        }
        ChatEdit::Topic(topic) => {
            json!({ "topic": topic.chars().take(MAX_TOPIC).collect::<String>() })
        }
        ChatEdit::Avatar(_) => {
            return Err(SendError::refused("channels on Discord have no pictures"));
        }
        ChatEdit::Power(_) => {
            return Err(SendError::refused(
                "who may do what on Discord is decided by roles, on Discord",
            ));
        }
    };
    let call = Call::patch(format!("channels/{channel}")).json(body).because(Some("Matrix bridge"));
    hub.rest.tell(call, Wait::No).await?;
    Ok(Done)
}

/// Kicks and bans people on Discord.
pub(super) async fn membership(
    Via(client): Me,
    In(_, meta): Here,
    change: Membership<Discord>,
) -> Result<Done, SendError> {
    let hub = &client.hub;
    // Matrix's own people have no membership on Discord.
    let MemberTarget::Remote(person) = change.target else { return Ok(Done) };
    let Person::User(user) = person else {
        return Err(SendError::refused(
            "this is a webhook on Discord, nobody who could be put out",
        ));
    };
    if !hub.checked.config.moderation.members {
        return Err(SendError::refused(
            "this bridge doesn't put people out on Discord (discord.moderation.members)",
        ));
    }
    let guild = meta.guild.ok_or_else(|| SendError::refused("this room is part of no server"))?;
    let call = match change.action {
        MemberAction::Kick => Call::delete(format!("guilds/{guild}/members/{user}")),
        MemberAction::Ban => Call::put(format!("guilds/{guild}/bans/{user}")).json(json!({})),
        // Discord's schema wants a body of this one, too.
        MemberAction::Unban => Call::delete(format!("guilds/{guild}/bans/{user}")).json(json!({})),
        MemberAction::Invite => {
            return Err(SendError::refused("people on Discord can't be invited to a channel"));
        }
        MemberAction::Join | MemberAction::Leave | MemberAction::Rename => return Ok(Done),
    };
    match hub.rest.tell(call.because(change.reason.as_deref()), Wait::No).await {
        Err(error) if error.is_gone() => Ok(Done),
        done => done.map(|()| Done).map_err(SendError::from),
    }
}

/// A room is bridged from now on.
pub(super) async fn opened(Via(client): Me, In(at, _): Here) -> Result<Done, SendError> {
    if let Place::Channel(channel) = at.id {
        client.hub.room_opened(channel);
    }
    Ok(Done)
}

/// A room is no longer bridged.
pub(super) async fn closed(Via(client): Me, In(at, _): Here) -> Result<Done, SendError> {
    if let Place::Channel(channel) = at.id {
        client.hub.bridge(channel, false);
    }
    Ok(Done)
}
