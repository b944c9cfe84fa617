//! From Matrix to IRC: who comes and goes, kicks and bans, the topic, ranks.

use std::sync::Arc;

use landbridge_framework::handlers::{
    ChatEdit, Done, In, MemberAction, MemberTarget, Membership, Origin, PowerHolder, RoomMeta,
    SendError, Via,
};
use landbridge_framework::{PortalKey, RemoteId as _};

use super::Irc;
use crate::client::{ClientHandle, SendFailure};
use crate::hub::{Author, Hub};
use crate::ids::{Chat, Nick};
use crate::message::Message;
use crate::modes;

/// A portal was opened: the bot comes to listen.
pub(super) async fn opened(
    Via(client): Via<Irc>,
    In(portal, _): In<Irc>,
) -> Result<Done, SendError> {
    let Chat::Channel { name, .. } = &portal.id else { return Ok(Done) };
    let hub = client.hub_of(portal.id.network());
    if hub.config.is_closed(name) {
        return Err(SendError::refused("this channel may not be bridged"));
    }
    hub.want(name);
    if let Some(listener) = hub.listener() {
        match listener.join(name, None).await {
            // Offline it joins when it is back.
            Ok(()) | Err(SendFailure::NotSent(_) | SendFailure::Lost) => {}
            Err(failure) => return Err(SendError::refused(failure)),
        }
    }
    Ok(Done)
}

/// A portal was closed: nobody of ours stays in the channel.
pub(super) async fn closed(
    Via(client): Via<Irc>,
    In(portal, _): In<Irc>,
) -> Result<Done, SendError> {
    let Chat::Channel { name, .. } = &portal.id else { return Ok(Done) };
    let hub = client.hub_of(portal.id.network());
    hub.unwant(name);
    if let Some(listener) =
        hub.listener().filter(|handle| handle.snapshot().is_some_and(|me| me.is_in(name)))
    {
        // Offline it is out already.
        let _ = listener.command(Message::new("PART", [name.as_str(), "no longer bridged"])).await;
    }
    for puppet in hub.pool.all() {
        let _ = puppet.part(name, "no longer bridged").await;
    }
    Ok(Done)
}

/// Somebody's membership changed on Matrix.
pub(super) async fn membership(
    Via(client): Via<Irc>,
    In(portal, _): In<Irc>,
    origin: Origin,
    change: Membership<Irc>,
) -> Result<Done, SendError> {
    let Chat::Channel { name, .. } = &portal.id else { return Ok(Done) };
    let hub = client.hub_of(portal.id.network());
    match &change.target {
        MemberTarget::Matrix(mxid, login) => {
            let author = Author {
                mxid: mxid.clone(),
                name: change.display_name.clone(),
                personal: login.is_some(),
            };
            matrix_user(hub, &portal, name, &author, &change, &origin).await
        }
        MemberTarget::Remote(nick) => irc_user(hub, name, nick, &change, &origin).await,
    }
}

async fn matrix_user(
    hub: &Arc<Hub>,
    portal: &PortalKey<Irc>,
    channel: &str,
    author: &Author,
    change: &Membership<Irc>,
    origin: &Origin,
) -> Result<Done, SendError> {
    let reason = change.reason.as_deref().unwrap_or_default();
    match change.action {
        // Appearing before speaking is a courtesy: when it fails, speaking tries again and says why.
        MemberAction::Join if hub.config.puppets.on_join => {
            drop(hub.voice(author, &portal.id).await);
        }
        MemberAction::Rename => rename(hub, author).await?,
        MemberAction::Leave | MemberAction::Kick | MemberAction::Ban => {
            if let Some(puppet) = hub.pool.existing(&author.mxid) {
                let by = if origin.sender == author.mxid {
                    String::new()
                } else {
                    format!("put out of the Matrix room by {}: ", origin.name)
                };
                puppet.part(channel, &format!("{by}{reason}")).await.map_err(SendError::retry)?;
            }
        }
        _ => {}
    }
    Ok(Done)
}

async fn rename(hub: &Arc<Hub>, author: &Author) -> Result<(), SendError> {
    let Some(puppet) = hub.pool.existing(&author.mxid).filter(|puppet| !puppet.personal) else {
        return Ok(());
    };
    let nick = hub.nick_of(&author.mxid, author.name.as_deref());
    match puppet.handle.snapshot() {
        // A nick that is taken keeps the old one; the next connection asks for the new again.
        Some(me) if me.me.name != nick => {
            puppet.handle.command(Message::new("NICK", [nick])).await.map_err(SendError::retry)
        }
        _ => Ok(()),
    }
}

async fn irc_user(
    hub: &Arc<Hub>,
    channel: &str,
    nick: &Nick,
    change: &Membership<Irc>,
    origin: &Origin,
) -> Result<Done, SendError> {
    let nick = nick.nick.as_str();
    let reason = change.reason.clone().unwrap_or_else(|| format!("by {} on Matrix", origin.name));
    let mask = format!("{nick}!*@*");
    let kick = Message::new("KICK", [channel, nick, &reason]);
    let commands = match change.action {
        MemberAction::Kick => vec![kick],
        MemberAction::Ban => vec![Message::new("MODE", [channel, "+b", &mask]), kick],
        MemberAction::Unban => vec![Message::new("MODE", [channel, "-b", &mask])],
        MemberAction::Invite => vec![Message::new("INVITE", [nick, channel])],
        MemberAction::Join | MemberAction::Leave | MemberAction::Rename => return Ok(Done),
    };
    for command in commands {
        as_operator(hub, &origin.sender, channel, nick, command).await?;
    }
    Ok(Done)
}

/// The channel's topic or ranks were changed on Matrix.
pub(super) async fn room_meta(
    Via(client): Via<Irc>,
    In(portal, _): In<Irc>,
    origin: Origin,
    RoomMeta(edit): RoomMeta,
) -> Result<Done, SendError> {
    let Chat::Channel { name, .. } = &portal.id else { return Ok(Done) };
    let hub = client.hub_of(portal.id.network());
    match edit {
        ChatEdit::Topic(topic) => {
            let longest = hub
                .listener()
                .and_then(|handle| handle.snapshot())
                .and_then(|me| me.isupport.topic_len)
                .unwrap_or(300);
            let mut topic: String =
                topic.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            while topic.len() > longest {
                topic.pop();
            }
            as_operator(
                hub,
                &origin.sender,
                name,
                "",
                Message::new("TOPIC", [name.as_str(), &topic]),
            )
            .await?;
        }
        ChatEdit::Power(levels) => {
            for (holder, level) in levels {
                rank(hub, &origin.sender, name, &holder, level).await?;
            }
        }
        ChatEdit::Name(_) | ChatEdit::Avatar(_) => {
            return Err(SendError::refused(
                "an IRC channel's name can't be changed, and it has no picture",
            ));
        }
    }
    Ok(Done)
}

/// Gives somebody the rank that a power level stands for. Who isn't on IRC has no rank there, and everybody's level is the channel's
/// own business (`+m`), which its operators set on IRC.
async fn rank(
    hub: &Arc<Hub>,
    by: &str,
    channel: &str,
    holder: &PowerHolder,
    level: i64,
) -> Result<(), SendError> {
    let nick = match holder {
        PowerHolder::Remote(id) => Nick::decode(id).ok().map(|nick| nick.nick),
        PowerHolder::Matrix(mxid) => {
            let puppet = hub.pool.existing(mxid).and_then(|puppet| puppet.handle.snapshot());
            puppet.map(|me| me.me.name.clone())
        }
        PowerHolder::Default => None,
    };
    let Some(nick) = nick else { return Ok(()) };
    let letters = modes::rank_letters(level);
    let count = letters.chars().filter(char::is_ascii_alphabetic).count();
    let params = [channel, letters].into_iter().chain(std::iter::repeat_n(nick.as_str(), count));
    as_operator(hub, by, channel, &nick, Message::new("MODE", params)).await
}

/// Does what operators do: by the author's own connection if it may, else by the bot's.
async fn as_operator(
    hub: &Arc<Hub>,
    mxid: &str,
    channel: &str,
    nick: &str,
    command: Message,
) -> Result<(), SendError> {
    let puppet = hub.pool.existing(mxid).map(|puppet| puppet.handle.clone());
    let mut refused = None;
    for handle in puppet.into_iter().chain(hub.listener()) {
        if !handle.snapshot().is_some_and(|me| me.is_in(channel)) {
            continue;
        }
        match try_it(&handle, channel, nick, &command).await {
            Ok(()) => return Ok(()),
            Err(failure @ SendFailure::Refused { .. }) => refused = Some(failure),
            Err(failure) => return Err(SendError::retry(failure)),
        }
    }
    match refused {
        Some(SendFailure::Refused { code, .. }) if code == "482" => Err(SendError::refused(
            "neither you nor the bridge's bot is an operator of the IRC channel",
        )),
        Some(failure) => Err(SendError::refused(failure)),
        None => Err(SendError::retry("nobody of the bridge is in the channel now")),
    }
}

async fn try_it(
    handle: &ClientHandle,
    channel: &str,
    nick: &str,
    command: &Message,
) -> Result<(), SendFailure> {
    handle.checked(command.clone(), [channel, nick]).await
}
