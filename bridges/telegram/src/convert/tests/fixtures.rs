//! Values of Telegram's to build cases of.

use grammers_tl_types as tl;

use crate::raw::{Facts, Known, Raw, Tl};

/// The account that everything comes by.
pub(super) const ME: i64 = 100;
/// Somebody else.
pub(super) const ALICE: i64 = 200;
/// Another.
pub(super) const BOB: i64 = 300;
/// A basic group.
pub(super) const GROUP: i64 = 400;
/// A supergroup.
pub(super) const CHANNEL: i64 = 500;
/// A broadcast channel.
pub(super) const NEWS: i64 = 600;
/// When everything happens.
pub(super) const DATE: i32 = 1_700_000_000;

pub(super) fn user(id: i64) -> tl::enums::Peer {
    tl::types::PeerUser { user_id: id }.into()
}
pub(super) fn group() -> tl::enums::Peer {
    tl::types::PeerChat { chat_id: GROUP }.into()
}
pub(super) fn channel(id: i64) -> tl::enums::Peer {
    tl::types::PeerChannel { channel_id: id }.into()
}

/// Everybody's names.
pub(super) fn known() -> Known {
    let facts = |name: &str, username: Option<&str>| Facts {
        name: name.into(),
        username: username.map(Into::into),
        ..Facts::default()
    };
    [
        ("u200".to_owned(), facts("Alice A.", Some("Alice"))),
        ("u300".to_owned(), facts("Bob", None)),
        ("g400".to_owned(), facts("A group", None)),
        ("c500".to_owned(), facts("A supergroup", None)),
        ("c600".to_owned(), Facts { broadcast: true, ..facts("News", Some("news")) }),
    ]
    .into()
}

/// The same, where the supergroup is a forum.
pub(super) fn forum() -> Known {
    let mut known = known();
    if let Some(facts) = known.get_mut("c500") {
        facts.forum = true;
    }
    known
}

/// A message of Alice's in the direct chat with her.
pub(super) fn message(text: &str) -> tl::types::Message {
    tl::types::Message {
        out: false,
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
        id: 42,
        from_id: None,
        from_boosts_applied: None,
        from_rank: None,
        peer_id: user(ALICE),
        saved_peer_id: None,
        fwd_from: None,
        via_bot_id: None,
        via_business_bot_id: None,
        guestchat_via_from: None,
        reply_to: None,
        date: DATE,
        message: text.into(),
        media: None,
        reply_markup: None,
        entities: None,
        views: None,
        forwards: None,
        replies: None,
        edit_date: None,
        post_author: None,
        grouped_id: None,
        reactions: None,
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
}

/// The same in the supergroup.
pub(super) fn in_channel(text: &str) -> tl::types::Message {
    tl::types::Message { peer_id: channel(CHANNEL), from_id: Some(user(ALICE)), ..message(text) }
}

/// With something it carries.
pub(super) fn with_media(
    text: &str,
    media: impl Into<tl::enums::MessageMedia>,
) -> tl::types::Message {
    tl::types::Message { media: Some(media.into()), ..message(text) }
}

/// As the update it comes in.
pub(super) fn new(message: tl::types::Message) -> Raw {
    let channel = matches!(message.peer_id, tl::enums::Peer::Channel(_));
    let message = tl::enums::Message::Message(message);
    update(if channel {
        tl::types::UpdateNewChannelMessage { message, pts: 10, pts_count: 1 }.into()
    } else {
        tl::types::UpdateNewMessage { message, pts: 10, pts_count: 1 }.into()
    })
}

/// As the update of an edit.
pub(super) fn edit(message: tl::types::Message) -> Raw {
    let message =
        tl::enums::Message::Message(tl::types::Message { edit_date: Some(DATE + 60), ..message });
    update(tl::types::UpdateEditMessage { message, pts: 11, pts_count: 1 }.into())
}

pub(super) fn update(update: tl::enums::Update) -> Raw {
    Raw::Update { seen: 1_700_000_123_456, update: Box::new(Tl(update)), known: known() }
}

/// A service message by Alice in a chat.
pub(super) fn service(
    peer: tl::enums::Peer,
    action: tl::enums::MessageAction,
) -> tl::types::MessageService {
    tl::types::MessageService {
        out: false,
        mentioned: false,
        media_unread: false,
        reactions_are_possible: false,
        silent: false,
        post: false,
        legacy: false,
        id: 43,
        from_id: Some(user(ALICE)),
        peer_id: peer,
        saved_peer_id: None,
        reply_to: None,
        date: DATE,
        action,
        reactions: None,
        ttl_period: None,
    }
}

/// A header of a reply.
pub(super) fn reply_to(id: i32) -> tl::types::MessageReplyHeader {
    tl::types::MessageReplyHeader {
        reply_to_scheduled: false,
        forum_topic: false,
        quote: false,
        reply_to_ephemeral: false,
        reply_to_msg_id: Some(id),
        reply_to_peer_id: None,
        reply_from: None,
        reply_media: None,
        reply_to_top_id: None,
        quote_text: None,
        quote_entities: None,
        quote_offset: None,
        todo_item_id: None,
        poll_option: None,
    }
}

/// A header of a forwarded message.
pub(super) fn forwarded() -> tl::types::MessageFwdHeader {
    tl::types::MessageFwdHeader {
        imported: false,
        saved_out: false,
        from_id: None,
        from_name: None,
        date: DATE - 1000,
        channel_post: None,
        post_author: None,
        saved_from_peer: None,
        saved_from_msg_id: None,
        saved_from_id: None,
        saved_from_name: None,
        saved_date: None,
        psa_type: None,
    }
}

/// A photo of three sizes.
pub(super) fn photo() -> tl::enums::Photo {
    tl::types::Photo {
        has_stickers: false,
        id: 7001,
        access_hash: -7002,
        file_reference: vec![1, 2, 3],
        date: DATE,
        sizes: vec![
            tl::types::PhotoStrippedSize { r#type: "i".into(), bytes: vec![1] }.into(),
            tl::types::PhotoSize { r#type: "m".into(), w: 320, h: 240, size: 20_000 }.into(),
            tl::types::PhotoSizeProgressive {
                r#type: "y".into(),
                w: 1280,
                h: 960,
                sizes: vec![9000, 180_000],
            }
            .into(),
        ],
        video_sizes: None,
        dc_id: 4,
    }
    .into()
}

pub(super) fn media_photo(ttl_seconds: Option<i32>) -> tl::types::MessageMediaPhoto {
    tl::types::MessageMediaPhoto {
        spoiler: false,
        live_photo: false,
        photo: Some(photo()),
        ttl_seconds,
        video: None,
    }
}

/// A document of a type with attributes.
pub(super) fn document(
    mime: &str,
    attributes: Vec<tl::enums::DocumentAttribute>,
) -> tl::types::MessageMediaDocument {
    let document = tl::types::Document {
        id: 8001,
        access_hash: 8002,
        file_reference: vec![4, 5],
        date: DATE,
        mime_type: mime.into(),
        size: 123_456,
        thumbs: None,
        video_thumbs: None,
        dc_id: 2,
        attributes,
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
}

pub(super) fn named(name: &str) -> tl::enums::DocumentAttribute {
    tl::types::DocumentAttributeFilename { file_name: name.into() }.into()
}

pub(super) fn video(round: bool) -> tl::enums::DocumentAttribute {
    tl::types::DocumentAttributeVideo {
        round_message: round,
        supports_streaming: true,
        nosound: false,
        duration: 12.5,
        w: 640,
        h: 480,
        preload_prefix_size: None,
        video_start_ts: None,
        video_codec: None,
    }
    .into()
}

pub(super) fn audio(
    voice: bool,
    title: Option<&str>,
    performer: Option<&str>,
) -> tl::enums::DocumentAttribute {
    tl::types::DocumentAttributeAudio {
        voice,
        duration: 63,
        title: title.map(Into::into),
        performer: performer.map(Into::into),
        waveform: voice.then(|| vec![0b1110_0001, 0b0111_1100, 0xff]),
    }
    .into()
}

pub(super) fn sticker() -> tl::enums::DocumentAttribute {
    tl::types::DocumentAttributeSticker {
        mask: false,
        alt: "😺".into(),
        stickerset: tl::types::InputStickerSetId { id: 9001, access_hash: 9002 }.into(),
        mask_coords: None,
    }
    .into()
}

pub(super) fn geo() -> tl::enums::GeoPoint {
    tl::types::GeoPoint { long: 13.4, lat: 52.5, access_hash: 1, accuracy_radius: None }.into()
}

pub(super) fn words(text: &str) -> tl::enums::TextWithEntities {
    tl::types::TextWithEntities { text: text.into(), entities: Vec::new() }.into()
}

/// Reactions by Alice and this account.
pub(super) fn reactions(complete: bool) -> tl::types::MessageReactions {
    let thumb =
        || -> tl::enums::Reaction { tl::types::ReactionEmoji { emoticon: "👍".into() }.into() };
    let custom =
        || -> tl::enums::Reaction { tl::types::ReactionCustomEmoji { document_id: 555 }.into() };
    let by = |peer_id, reaction| {
        tl::types::MessagePeerReaction {
            big: false,
            unread: false,
            my: false,
            peer_id,
            date: DATE,
            reaction,
        }
        .into()
    };
    let count =
        |reaction, count| tl::types::ReactionCount { chosen_order: None, reaction, count }.into();
    tl::types::MessageReactions {
        min: false,
        can_see_list: true,
        reactions_as_tags: false,
        results: vec![count(thumb(), if complete { 1 } else { 40 }), count(custom(), 1)],
        recent_reactions: Some(vec![by(user(ALICE), thumb()), by(user(ME), custom())]),
        top_reactors: None,
    }
}

/// A poll of two answers.
pub(super) fn poll(closed: bool, quiz: bool, chosen: bool) -> tl::types::MessageMediaPoll {
    let answer = |text: &str, option: u8| {
        tl::types::PollAnswer {
            text: words(text),
            option: vec![option],
            media: None,
            added_by: None,
            date: None,
        }
        .into()
    };
    let voters = |option: u8, chosen: bool| {
        tl::types::PollAnswerVoters {
            chosen,
            correct: false,
            option: vec![option],
            voters: Some(1),
            // In one flag with the number.
            recent_voters: Some(Vec::new()),
        }
        .into()
    };
    tl::types::MessageMediaPoll {
        poll: tl::types::Poll {
            id: 6001,
            closed,
            public_voters: true,
            multiple_choice: !quiz,
            quiz,
            open_answers: false,
            revoting_disabled: false,
            shuffle_answers: false,
            hide_results_until_close: false,
            creator: false,
            subscribers_only: false,
            question: words("Tea or coffee?"),
            answers: vec![answer("Tea", 48), answer("Coffee", 49)],
            close_period: None,
            close_date: None,
            countries_iso2: None,
            hash: 0,
        }
        .into(),
        results: tl::types::PollResults {
            min: false,
            has_unread_votes: false,
            can_view_stats: false,
            results: Some(vec![voters(48, chosen), voters(49, false)]),
            total_voters: Some(2),
            recent_voters: None,
            solution: None,
            solution_entities: None,
            solution_media: None,
        }
        .into(),
        attached_media: None,
    }
}
