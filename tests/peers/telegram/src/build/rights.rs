//! Who may do what in a supergroup.

use grammers_tl_types as tl;

use super::{DATE, peer_user};
use crate::world::Channel;

/// Nothing is forbidden.
pub(crate) fn allowed() -> tl::types::ChatBannedRights {
    tl::types::ChatBannedRights {
        view_messages: false,
        send_messages: false,
        send_media: false,
        send_stickers: false,
        send_gifs: false,
        send_games: false,
        send_inline: false,
        embed_links: false,
        send_polls: false,
        change_info: false,
        invite_users: false,
        pin_messages: false,
        manage_topics: false,
        send_photos: false,
        send_videos: false,
        send_roundvideos: false,
        send_audios: false,
        send_voices: false,
        send_docs: false,
        send_plain: false,
        edit_rank: false,
        send_reactions: false,
        manage_linked_peers: false,
        until_date: 0,
    }
}

/// What administrators may do.
fn administrators() -> tl::enums::ChatAdminRights {
    tl::types::ChatAdminRights {
        change_info: true,
        post_messages: false,
        edit_messages: false,
        delete_messages: true,
        ban_users: true,
        invite_users: true,
        pin_messages: true,
        add_admins: false,
        anonymous: false,
        manage_call: true,
        other: true,
        manage_topics: false,
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

impl Channel {
    /// What somebody is in it; nothing if they are not in it and may be.
    pub(crate) fn participant(&self, who: i64) -> Option<tl::enums::ChannelParticipant> {
        let owner = self.creator.map(|(owner, _)| owner);
        if self.banned.contains(&who) {
            let banned = tl::types::ChannelParticipantBanned {
                left: true,
                peer: peer_user(who),
                kicked_by: owner.unwrap_or(0),
                date: DATE,
                banned_rights: tl::types::ChatBannedRights { view_messages: true, ..allowed() }
                    .into(),
                rank: None,
            };
            return Some(banned.into());
        }
        if !self.members.contains(&who) {
            return None;
        }
        if owner == Some(who) {
            let creator = tl::types::ChannelParticipantCreator {
                user_id: who,
                admin_rights: administrators(),
                rank: None,
            };
            return Some(creator.into());
        }
        if self.administrators.contains(&who) {
            let administrator = tl::types::ChannelParticipantAdmin {
                can_edit: false,
                is_self: false,
                user_id: who,
                inviter_id: None,
                promoted_by: owner.unwrap_or(0),
                date: DATE,
                admin_rights: administrators(),
                rank: None,
            };
            return Some(administrator.into());
        }
        let participant = tl::types::ChannelParticipant {
            user_id: who,
            date: DATE,
            subscription_until_date: None,
            rank: None,
        };
        Some(participant.into())
    }
}
