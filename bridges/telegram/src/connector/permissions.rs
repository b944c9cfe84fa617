//! What everybody may do in a chat.

use grammers_tl_types as tl;
use landbridge_framework::{
    handlers::{Permission, PermissionsSet, Permitted},
    prelude::*,
};

use super::{
    Telegram,
    rooms::unchanged_is_done,
    send::{Here, Me},
};
use crate::{
    client::{ApiError, Live},
    ids::Peer,
};

pub(super) fn register(handlers: Handlers<Telegram>) -> Handlers<Telegram> {
    handlers.permissions(permissions)
}

/// Telegram is told all that everybody may not do: what was not changed stays as it is there.
async fn permissions(
    Via(client): Me,
    In(at, meta): Here,
    PermissionsSet(changed): PermissionsSet,
) -> Result<Done, SendError> {
    let peer = at.id.peer;
    if matches!(peer, Peer::User(_)) || meta.broadcast || at.id.topic.is_some() {
        return Err(SendError::refused("Telegram has no such permissions for this chat"));
    }
    let live = client.live()?;
    let old = banned(&live, peer).await?;
    let new = changed.iter().fold(old.clone(), with);
    if new == old {
        return Ok(Done);
    }
    let request = tl::functions::messages::EditChatDefaultBannedRights {
        peer: live.input(peer).await?,
        banned_rights: new.into(),
    };
    unchanged_is_done(live.api.invoke(&request).await.map(drop))
}

/// What everybody may not do now.
async fn banned(live: &Live, peer: Peer) -> Result<tl::types::ChatBannedRights, SendError> {
    let answer = match peer {
        Peer::Channel(id) => {
            let id = vec![live.peers.input_channel(id).await?];
            live.api.invoke(&tl::functions::channels::GetChannels { id }).await?
        }
        Peer::Group(id) | Peer::User(id) => {
            live.api.invoke(&tl::functions::messages::GetChats { id: vec![id] }).await?
        }
    };
    let chats = match answer {
        tl::enums::messages::Chats::Chats(chats) => chats.chats,
        tl::enums::messages::Chats::Slice(chats) => chats.chats,
    };
    live.learn(&[], &chats).await?;
    let rights = chats.into_iter().find_map(|chat| match chat {
        tl::enums::Chat::Channel(chat) if peer == Peer::Channel(chat.id) => {
            chat.default_banned_rights
        }
        tl::enums::Chat::Chat(chat) if peer == Peer::Group(chat.id) => chat.default_banned_rights,
        _ => None,
    });
    let rights = rights.ok_or_else(|| ApiError::Unknown("that chat's permissions".into()))?;
    let tl::enums::ChatBannedRights::Rights(rights) = rights;
    Ok(rights)
}

/// With one more thing that everybody may, or may not.
fn with(
    mut rights: tl::types::ChatBannedRights,
    changed: &Permission,
) -> tl::types::ChatBannedRights {
    let banned = !changed.is_for_everybody();
    match &changed.what {
        Permitted::Messages => {
            rights.send_messages = banned;
            rights.send_plain = banned;
        }
        Permitted::Action("invite") => rights.invite_users = banned,
        Permitted::Event(kind) => match kind.as_str() {
            "m.room.name" | "m.room.topic" | "m.room.avatar" => rights.change_info = banned,
            "m.room.pinned_events" => rights.pin_messages = banned,
            "m.reaction" => rights.send_reactions = banned,
            "m.sticker" => rights.send_stickers = banned,
            _ => {}
        },
        // Nobody but administrators may do these on Telegram, or it knows no difference.
        Permitted::Action(_) | Permitted::State | Permitted::MentionRoom => {}
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::members::rights;

    #[test]
    fn only_what_was_changed_changes() {
        let tl::enums::ChatBannedRights::Rights(free) = rights(false);
        let permission = |what, level| Permission { what, level, everybody: 0 };
        let quiet = with(free.clone(), &permission(Permitted::Messages, 50));
        assert!(quiet.send_messages && quiet.send_plain && !quiet.pin_messages);
        assert_eq!(with(quiet, &permission(Permitted::Messages, 0)), free);
        let pins = Permitted::Event("m.room.pinned_events".into());
        assert!(with(free.clone(), &permission(pins, 50)).pin_messages);
        assert!(with(free.clone(), &permission(Permitted::Action("invite"), 50)).invite_users);
        assert_eq!(with(free.clone(), &permission(Permitted::Action("kick"), 50)), free);
    }
}
