//! Messages, and what stands under them.

use grammers_tl_types as tl;

use super::{DATE, peer_user};
use crate::world::Message;

/// A message under a number of somebody's.
pub(crate) fn message(
    id: i32,
    said: &Message,
    peer: tl::enums::Peer,
    out: bool,
    post: bool,
) -> tl::enums::Message {
    // A channel's posts are by nobody.
    let from_id = (!post).then(|| peer_user(said.from));
    if let Some(action) = &said.action {
        return tl::types::MessageService {
            out,
            mentioned: false,
            media_unread: false,
            reactions_are_possible: false,
            silent: false,
            post,
            legacy: false,
            id,
            from_id,
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
        post,
        from_scheduled: false,
        legacy: false,
        edit_hide: false,
        pinned: said.pinned,
        noforwards: false,
        invert_media: false,
        offline: false,
        video_processing_pending: false,
        paid_suggested_post_stars: false,
        paid_suggested_post_ton: false,
        id,
        from_id,
        from_boosts_applied: None,
        from_rank: None,
        peer_id: peer,
        saved_peer_id: None,
        fwd_from: said.forward.clone().map(Into::into),
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
        post_author: said.signature.clone(),
        grouped_id: said.album,
        reactions: reactions(said),
        restriction_reason: None,
        ttl_period: said.timer,
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
    let (there, who) = said.elsewhere.clone().unzip();
    Some(tl::types::MessageReplyHeader {
        reply_to_scheduled: false,
        forum_topic: said.topic.is_some(),
        quote: said.quote.is_some(),
        reply_to_ephemeral: false,
        reply_to_msg_id: Some(id),
        reply_to_peer_id: there,
        reply_from: who.map(|who| forward(Some(who), None, None).into()),
        reply_media: None,
        reply_to_top_id: said.topic.filter(|_| said.reply_to.is_some()),
        quote_text: said.quote.clone(),
        quote_entities: None,
        quote_offset: None,
        todo_item_id: None,
        poll_option: None,
    })
}

/// Where something was said first: by whom, or under which name if they hide, and as which post of a channel.
pub(crate) fn forward(
    from_id: Option<tl::enums::Peer>,
    from_name: Option<String>,
    channel_post: Option<i32>,
) -> tl::types::MessageFwdHeader {
    tl::types::MessageFwdHeader {
        imported: false,
        saved_out: false,
        from_id,
        from_name,
        date: DATE,
        channel_post,
        post_author: None,
        saved_from_peer: None,
        saved_from_msg_id: None,
        saved_from_id: None,
        saved_from_name: None,
        saved_date: None,
        psa_type: None,
    }
}

/// Nobody has reacted.
pub(crate) fn no_reactions() -> tl::enums::MessageReactions {
    named(Vec::new(), None)
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
    let recent = said.reactions.iter().map(by).collect();
    Some(named(results.into_iter().map(count).collect(), Some(recent)))
}

fn named(
    results: Vec<tl::enums::ReactionCount>,
    recent_reactions: Option<Vec<tl::enums::MessagePeerReaction>>,
) -> tl::enums::MessageReactions {
    tl::types::MessageReactions {
        min: false,
        can_see_list: true,
        reactions_as_tags: false,
        results,
        recent_reactions,
        top_reactors: None,
    }
    .into()
}
