//! Telegram's types, built of what the server knows.

mod groups;
mod media;

use grammers_tl_types as tl;

pub(crate) use groups::{group, group_full, topic};
pub(crate) use media::{live, size};

use crate::world::{Channel, Message, Person};

/// When everything began.
pub(crate) const DATE: i32 = 1_700_000_000;

pub(crate) fn peer_user(user_id: i64) -> tl::enums::Peer {
    tl::types::PeerUser { user_id }.into()
}

pub(crate) fn peer_channel(channel_id: i64) -> tl::enums::Peer {
    tl::types::PeerChannel { channel_id }.into()
}

/// Somebody, as seen by somebody.
pub(crate) fn user(id: i64, person: &Person, me: bool) -> tl::enums::User {
    tl::types::User {
        is_self: me,
        contact: false,
        mutual_contact: false,
        deleted: false,
        bot: person.bot,
        bot_chat_history: false,
        bot_nochats: false,
        verified: false,
        restricted: false,
        min: false,
        bot_inline_geo: false,
        support: false,
        scam: false,
        apply_min_photo: false,
        fake: false,
        bot_attach_menu: false,
        premium: false,
        attach_menu_enabled: false,
        bot_can_edit: false,
        close_friend: false,
        stories_hidden: false,
        stories_unavailable: false,
        contact_require_premium: false,
        bot_business: false,
        bot_has_main_app: false,
        bot_forum_view: false,
        bot_forum_can_manage_topics: false,
        bot_can_manage_bots: false,
        bot_guestchat: false,
        bot_guard: false,
        id,
        access_hash: Some(id * 7),
        first_name: Some(person.name.clone()),
        last_name: None,
        username: person.username.clone(),
        phone: Some(person.phone.clone()).filter(|_| !person.bot),
        photo: None,
        status: None,
        // In one flag with `bot`.
        bot_info_version: person.bot.then_some(1),
        restriction_reason: None,
        bot_inline_placeholder: None,
        lang_code: None,
        emoji_status: None,
        usernames: None,
        stories_max_id: None,
        color: None,
        profile_color: None,
        bot_active_users: None,
        bot_verification_icon: None,
        send_paid_messages_stars: None,
        linked_community_id: None,
    }
    .into()
}

pub(crate) fn channel(id: i64, channel: &Channel, viewer: i64) -> tl::enums::Chat {
    tl::types::Channel {
        creator: channel.creator.is_some_and(|(who, _)| who == viewer),
        left: false,
        broadcast: channel.broadcast,
        verified: false,
        megagroup: !channel.broadcast,
        restricted: false,
        signatures: false,
        min: false,
        scam: false,
        has_link: false,
        has_geo: false,
        slowmode_enabled: false,
        call_active: false,
        call_not_empty: false,
        fake: false,
        gigagroup: false,
        noforwards: false,
        join_to_send: false,
        join_request: false,
        forum: channel.topics.is_some(),
        stories_hidden: false,
        stories_hidden_min: false,
        stories_unavailable: false,
        signature_profiles: false,
        autotranslation: false,
        broadcast_messages_allowed: false,
        monoforum: false,
        forum_tabs: false,
        id,
        access_hash: Some(id * 7),
        title: channel.title.clone(),
        username: None,
        photo: tl::enums::ChatPhoto::Empty,
        date: channel.creator.map_or(DATE, |(_, date)| date),
        restriction_reason: None,
        admin_rights: None,
        banned_rights: None,
        default_banned_rights: None,
        participants_count: None,
        usernames: None,
        stories_max_id: None,
        color: None,
        profile_color: None,
        emoji_status: None,
        level: None,
        subscription_until_date: None,
        bot_verification_icon: None,
        send_paid_messages_stars: None,
        linked_monoforum_id: None,
        linked_community_id: None,
    }
    .into()
}

/// A message under a number of somebody's.
pub(crate) fn message(
    id: i32,
    said: &Message,
    peer: tl::enums::Peer,
    out: bool,
) -> tl::enums::Message {
    if let Some(action) = &said.action {
        return tl::types::MessageService {
            out,
            mentioned: false,
            media_unread: false,
            reactions_are_possible: false,
            silent: false,
            post: false,
            legacy: false,
            id,
            from_id: Some(peer_user(said.from)),
            peer_id: peer,
            saved_peer_id: None,
            reply_to: reply(said).map(Into::into),
            date: said.date,
            action: action.clone(),
            reactions: None,
            ttl_period: None,
        }
        .into();
    }
    tl::types::Message {
        out,
        mentioned: false,
        media_unread: false,
        silent: false,
        post: false,
        from_scheduled: false,
        legacy: false,
        edit_hide: false,
        pinned: false,
        noforwards: false,
        invert_media: false,
        offline: false,
        video_processing_pending: false,
        paid_suggested_post_stars: false,
        paid_suggested_post_ton: false,
        id,
        from_id: Some(peer_user(said.from)),
        from_boosts_applied: None,
        from_rank: None,
        peer_id: peer,
        saved_peer_id: None,
        fwd_from: None,
        via_bot_id: None,
        via_business_bot_id: None,
        guestchat_via_from: None,
        reply_to: reply(said).map(Into::into),
        date: said.date,
        message: said.text.clone(),
        media: said.media.clone(),
        reply_markup: buttons(said),
        entities: Some(said.entities.clone()).filter(|entities| !entities.is_empty()),
        views: None,
        forwards: None,
        replies: None,
        edit_date: said.edited,
        post_author: None,
        grouped_id: said.album,
        reactions: reactions(said),
        restriction_reason: None,
        ttl_period: None,
        quick_reply_shortcut_id: None,
        effect: None,
        factcheck: None,
        report_delivery_until_date: None,
        paid_message_stars: None,
        suggested_post: None,
        schedule_repeat_period: None,
        summary_from_language: None,
        rich_message: None,
    }
    .into()
}

fn buttons(said: &Message) -> Option<tl::enums::ReplyMarkup> {
    let row = |(text, data): &(String, Vec<u8>)| {
        let kind =
            tl::types::InlineButtonTypeCallback { requires_password: false, data: data.clone() };
        let button = tl::types::KeyboardInlineButton {
            style: None,
            text: text.clone(),
            r#type: kind.into(),
        };
        tl::types::KeyboardInlineButtonRow { buttons: vec![button.into()] }.into()
    };
    let rows: Vec<tl::enums::KeyboardInlineButtonRow> = said.buttons.iter().map(row).collect();
    let markup =
        (!rows.is_empty()).then_some(tl::types::ReplyInlineMarkup { force_reply: false, rows });
    markup.map(Into::into)
}

/// What a message answers: in a topic at least the topic's first.
fn reply(said: &Message) -> Option<tl::types::MessageReplyHeader> {
    let id = said.reply_to.or(said.topic)?;
    Some(tl::types::MessageReplyHeader {
        reply_to_scheduled: false,
        forum_topic: said.topic.is_some(),
        quote: false,
        reply_to_ephemeral: false,
        reply_to_msg_id: Some(id),
        reply_to_peer_id: None,
        reply_from: None,
        reply_media: None,
        reply_to_top_id: said.topic.filter(|_| said.reply_to.is_some()),
        quote_text: None,
        quote_entities: None,
        quote_offset: None,
        todo_item_id: None,
        poll_option: None,
    })
}

/// All reactions of a message; everybody is named.
pub(crate) fn reactions(said: &Message) -> Option<tl::enums::MessageReactions> {
    let mut results: Vec<(tl::enums::Reaction, i32)> = Vec::new();
    for (_, reaction) in &said.reactions {
        match results.iter_mut().find(|(known, _)| known == reaction) {
            Some((_, count)) => *count += 1,
            None => results.push((reaction.clone(), 1)),
        }
    }
    if results.is_empty() {
        return None;
    }
    let count = |(reaction, count): (tl::enums::Reaction, i32)| {
        tl::types::ReactionCount { chosen_order: None, reaction, count }.into()
    };
    let by = |(who, reaction): &(i64, tl::enums::Reaction)| {
        tl::types::MessagePeerReaction {
            big: false,
            unread: false,
            my: false,
            peer_id: peer_user(*who),
            date: DATE,
            reaction: reaction.clone(),
        }
        .into()
    };
    Some(
        tl::types::MessageReactions {
            min: false,
            can_see_list: true,
            reactions_as_tags: false,
            results: results.into_iter().map(count).collect(),
            recent_reactions: Some(said.reactions.iter().map(by).collect()),
            top_reactors: None,
        }
        .into(),
    )
}

pub(crate) fn channel_full(id: i64, channel: &Channel) -> tl::enums::ChatFull {
    tl::types::ChannelFull {
        can_view_participants: true,
        can_set_username: false,
        can_set_stickers: false,
        hidden_prehistory: false,
        can_set_location: false,
        has_scheduled: false,
        can_view_stats: false,
        blocked: false,
        can_delete_channel: false,
        antispam: false,
        participants_hidden: false,
        translations_disabled: false,
        stories_pinned_available: false,
        view_forum_as_messages: false,
        restricted_sponsored: false,
        can_view_revenue: false,
        paid_media_allowed: false,
        can_view_stars_revenue: false,
        paid_reactions_available: false,
        stargifts_available: false,
        paid_messages_available: false,
        has_welcome_messages: false,
        id,
        about: channel.about.clone(),
        participants_count: Some(channel.members.len() as i32),
        admins_count: None,
        kicked_count: None,
        banned_count: None,
        online_count: None,
        read_inbox_max_id: 0,
        read_outbox_max_id: 0,
        unread_count: 0,
        chat_photo: tl::types::PhotoEmpty { id: 0 }.into(),
        notify_settings: notify_settings(),
        exported_invite: None,
        bot_info: Vec::new(),
        migrated_from_chat_id: None,
        migrated_from_max_id: None,
        pinned_msg_id: None,
        stickerset: None,
        available_min_id: None,
        folder_id: None,
        linked_chat_id: None,
        location: None,
        slowmode_seconds: None,
        slowmode_next_send_date: None,
        stats_dc: None,
        pts: channel.pts,
        call: None,
        ttl_period: None,
        pending_suggestions: None,
        groupcall_default_join_as: None,
        theme_emoticon: None,
        requests_pending: None,
        recent_requesters: None,
        default_send_as: None,
        available_reactions: None,
        reactions_limit: None,
        stories: None,
        wallpaper: None,
        boosts_applied: None,
        boosts_unrestrict: None,
        emojiset: None,
        bot_verification: None,
        stargifts_count: None,
        send_paid_messages_stars: None,
        main_tab: None,
        guard_bot_id: None,
    }
    .into()
}

pub(crate) fn notify_settings() -> tl::enums::PeerNotifySettings {
    tl::types::PeerNotifySettings {
        show_previews: None,
        silent: None,
        mute_until: None,
        ios_sound: None,
        android_sound: None,
        other_sound: None,
        stories_muted: None,
        stories_hide_sender: None,
        stories_ios_sound: None,
        stories_android_sound: None,
        stories_other_sound: None,
    }
    .into()
}

pub(crate) fn dialog(peer: tl::enums::Peer, top: i32, pts: Option<i32>) -> tl::enums::Dialog {
    tl::types::Dialog {
        pinned: false,
        unread_mark: false,
        view_forum_as_messages: false,
        peer,
        top_message: top,
        read_inbox_max_id: 0,
        read_outbox_max_id: 0,
        unread_count: 0,
        unread_mentions_count: 0,
        unread_reactions_count: 0,
        unread_poll_votes_count: 0,
        notify_settings: notify_settings(),
        pts,
        draft: None,
        folder_id: None,
        ttl_period: None,
    }
    .into()
}

pub(crate) fn config() -> tl::enums::Config {
    tl::types::Config {
        default_p2p_contacts: false,
        preload_featured_stickers: false,
        revoke_pm_inbox: false,
        blocked_mode: false,
        force_try_ipv6: false,
        date: DATE,
        expires: i32::MAX,
        test_mode: false,
        this_dc: 2,
        dc_options: Vec::new(),
        dc_txt_domain_name: String::new(),
        chat_size_max: 200,
        megagroup_size_max: 200_000,
        forwarded_count_max: 0,
        online_update_period_ms: 0,
        offline_blur_timeout_ms: 0,
        offline_idle_timeout_ms: 0,
        online_cloud_timeout_ms: 0,
        notify_cloud_delay_ms: 0,
        notify_default_delay_ms: 0,
        push_chat_period_ms: 0,
        push_chat_limit: 0,
        edit_time_limit: 0,
        revoke_time_limit: 0,
        revoke_pm_time_limit: 0,
        rating_e_decay: 0,
        stickers_recent_limit: 0,
        channels_read_media_period: 0,
        tmp_sessions: None,
        call_receive_timeout_ms: 0,
        call_ring_timeout_ms: 0,
        call_connect_timeout_ms: 0,
        call_packet_timeout_ms: 0,
        me_url_prefix: "https://t.me/".into(),
        autoupdate_url_prefix: None,
        gif_search_username: None,
        venue_search_username: None,
        img_search_username: None,
        static_maps_provider: None,
        caption_length_max: 1024,
        message_length_max: 4096,
        webfile_dc_id: 0,
        suggested_lang_code: None,
        lang_pack_version: None,
        base_lang_pack_version: None,
        reactions_default: None,
        autologin_token: None,
    }
    .into()
}

/// A file of that number, name and size.
pub(crate) fn file(number: i64, name: &str, size: i64) -> tl::enums::MessageMedia {
    let name = tl::types::DocumentAttributeFilename { file_name: name.into() };
    let document = tl::types::Document {
        id: number,
        access_hash: number * 7,
        file_reference: b"good".to_vec(),
        date: DATE,
        mime_type: "application/octet-stream".into(),
        size,
        thumbs: None,
        video_thumbs: None,
        dc_id: 2,
        attributes: vec![name.into()],
    };
    tl::types::MessageMediaDocument {
        nopremium: false,
        spoiler: false,
        video: false,
        round: false,
        voice: false,
        document: Some(document.into()),
        alt_documents: None,
        video_cover: None,
        video_timestamp: None,
        ttl_seconds: None,
    }
    .into()
}
