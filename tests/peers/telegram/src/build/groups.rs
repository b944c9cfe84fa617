//! Basic groups and the topics of forums.

use grammers_tl_types as tl;

use super::{DATE, notify_settings, peer_channel, peer_user};
use crate::world::Group;

pub(crate) fn group(id: i64, group: &Group, viewer: i64) -> tl::enums::Chat {
    if group.left.contains(&viewer) {
        return tl::types::ChatForbidden { id, title: group.title.clone() }.into();
    }
    let became =
        |channel_id| tl::types::InputChannel { channel_id, access_hash: channel_id * 7 }.into();
    tl::types::Chat {
        creator: group.creator.is_some_and(|(who, _)| who == viewer),
        left: false,
        deactivated: group.became.is_some(),
        call_active: false,
        call_not_empty: false,
        noforwards: false,
        id,
        title: group.title.clone(),
        photo: group.picture.map_or(tl::enums::ChatPhoto::Empty, |photo_id| {
            tl::types::ChatPhoto { has_video: false, photo_id, stripped_thumb: None, dc_id: 2 }
                .into()
        }),
        participants_count: group.members.len() as i32,
        date: group.creator.map_or(DATE, |(_, date)| date),
        version: 1,
        migrated_to: group.became.map(became),
        admin_rights: None,
        default_banned_rights: Some(group.rights.clone().into()),
    }
    .into()
}

/// If nobody is known to have begun it, the first of its members has.
pub(crate) fn group_full(id: i64, group: &Group) -> tl::enums::ChatFull {
    let first = group.members.first().copied().unwrap_or(0);
    let owner = group.creator.map_or(first, |(owner, _)| owner);
    let participant = |user_id: &i64| -> tl::enums::ChatParticipant {
        let (user_id, rank) = (*user_id, None);
        if user_id == owner {
            return tl::types::ChatParticipantCreator { user_id, rank }.into();
        }
        if group.administrators.contains(&user_id) {
            let (inviter_id, date) = (owner, DATE);
            return tl::types::ChatParticipantAdmin { user_id, inviter_id, date, rank }.into();
        }
        tl::types::ChatParticipant { user_id, inviter_id: owner, date: DATE, rank }.into()
    };
    let participants = tl::types::ChatParticipants {
        chat_id: id,
        participants: group.members.iter().map(participant).collect(),
        version: 1,
    };
    tl::types::ChatFull {
        can_set_username: false,
        has_scheduled: false,
        translations_disabled: false,
        has_welcome_messages: false,
        id,
        about: group.about.clone(),
        participants: participants.into(),
        chat_photo: None,
        notify_settings: notify_settings(),
        exported_invite: None,
        bot_info: None,
        pinned_msg_id: None,
        folder_id: None,
        call: None,
        ttl_period: None,
        groupcall_default_join_as: None,
        theme_emoticon: None,
        requests_pending: None,
        recent_requesters: None,
        available_reactions: None,
        reactions_limit: None,
    }
    .into()
}

pub(crate) fn topic(channel: i64, id: i32, title: &str, by: i64) -> tl::enums::ForumTopic {
    tl::types::ForumTopic {
        my: false,
        closed: false,
        pinned: false,
        short: false,
        hidden: false,
        title_missing: false,
        id,
        date: DATE,
        peer: peer_channel(channel),
        title: title.into(),
        icon_color: 0,
        icon_emoji_id: None,
        top_message: id,
        read_inbox_max_id: 0,
        read_outbox_max_id: 0,
        unread_count: 0,
        unread_mentions_count: 0,
        unread_reactions_count: 0,
        unread_poll_votes_count: 0,
        from_id: peer_user(by),
        notify_settings: notify_settings(),
        draft: None,
    }
    .into()
}
