//! Messages: where they are, who wrote them, what they answer and where they were forwarded from.

#![allow(clippy::too_many_lines, reason = "a table of cases")]

use grammers_tl_types as tl;

#[allow(clippy::wildcard_imports, reason = "a box of building blocks")]
use super::fixtures::*;
use crate::raw::Raw;

pub(super) fn all() -> Vec<(&'static str, Raw)> {
    let mut quoted = reply_to(40);
    quoted.quote = true;
    quoted.quote_text = Some("the very words".into());
    quoted.quote_entities =
        Some(vec![tl::types::MessageEntityBold { offset: 4, length: 4 }.into()]);
    let mut cross = reply_to(7);
    cross.reply_to_peer_id = Some(channel(NEWS));
    cross.quote_text = Some("from elsewhere".into());
    cross.reply_from =
        Some(tl::types::MessageFwdHeader { from_id: Some(channel(NEWS)), ..forwarded() }.into());
    let story = tl::types::MessageReplyStoryHeader { peer: user(ALICE), story_id: 4 };
    let topic = |header| tl::types::Message {
        reply_to: Some(tl::enums::MessageReplyHeader::Header(header)),
        ..in_channel("hi")
    };
    let first_level = tl::types::MessageReplyHeader { forum_topic: true, ..reply_to(77) };
    let forward = |header: tl::types::MessageFwdHeader| tl::types::Message {
        fwd_from: Some(header.into()),
        ..message("news!")
    };
    let general = Raw::Past {
        message: Box::new(crate::raw::Tl(tl::enums::Message::Message(in_channel("in general")))),
        known: forum(),
    };
    let post = tl::types::Message {
        post: true,
        out: true,
        from_id: None,
        peer_id: channel(NEWS),
        post_author: Some("Ed".into()),
        ..message("a post")
    };
    vec![
        ("plain", new(message("hello"))),
        (
            "own",
            new(tl::types::Message {
                out: true,
                from_id: Some(user(ME)),
                ..message("from my phone")
            }),
        ),
        (
            "in_group",
            new(tl::types::Message {
                peer_id: group(),
                from_id: Some(user(BOB)),
                ..message("hello all")
            }),
        ),
        ("in_channel", new(in_channel("hello all"))),
        (
            "anonymous_admin",
            new(tl::types::Message {
                from_id: Some(channel(CHANNEL)),
                ..in_channel("as the group")
            }),
        ),
        ("channel_post", new(post)),
        ("in_topic", super::cases::in_topic()),
        ("in_topic_first_level", new(topic(first_level))),
        ("in_general_topic", general),
        (
            "reply",
            new(tl::types::Message { reply_to: Some(reply_to(40).into()), ..message("yes") }),
        ),
        (
            "reply_with_quote",
            new(tl::types::Message { reply_to: Some(quoted.into()), ..message("yes") }),
        ),
        (
            "reply_across_chats",
            new(tl::types::Message { reply_to: Some(cross.into()), ..message("see") }),
        ),
        (
            "reply_to_story",
            new(tl::types::Message { reply_to: Some(story.into()), ..message("wow") }),
        ),
        (
            "forward_from_user",
            new(forward(tl::types::MessageFwdHeader { from_id: Some(user(BOB)), ..forwarded() })),
        ),
        (
            "forward_from_hidden",
            new(forward(tl::types::MessageFwdHeader {
                from_name: Some("Hidden".into()),
                ..forwarded()
            })),
        ),
        (
            "forward_from_channel",
            new(forward(tl::types::MessageFwdHeader {
                from_id: Some(channel(NEWS)),
                channel_post: Some(12),
                post_author: Some("Ed".into()),
                ..forwarded()
            })),
        ),
        (
            "forward_from_private_channel",
            new(forward(tl::types::MessageFwdHeader {
                from_id: Some(channel(999)),
                channel_post: Some(3),
                ..forwarded()
            })),
        ),
        (
            "disappearing",
            new(tl::types::Message { ttl_period: Some(86_400), ..message("gone tomorrow") }),
        ),
        (
            "buttons_inline",
            new(tl::types::Message { reply_markup: Some(inline()), ..message("choose") }),
        ),
        (
            "buttons_keyboard",
            new(tl::types::Message { reply_markup: Some(keyboard()), ..message("choose") }),
        ),
        (
            "empty",
            update(
                tl::types::UpdateNewMessage {
                    message: tl::types::MessageEmpty { id: 5, peer_id: None }.into(),
                    pts: 3,
                    pts_count: 1,
                }
                .into(),
            ),
        ),
        (
            "past_with_reactions",
            Raw::Past {
                message: Box::new(crate::raw::Tl(tl::enums::Message::Message(
                    tl::types::Message {
                        reactions: Some(
                            tl::types::MessageReactions {
                                results: vec![
                                    tl::types::ReactionCount {
                                        chosen_order: None,
                                        reaction: tl::types::ReactionEmoji {
                                            emoticon: "👍".into(),
                                        }
                                        .into(),
                                        count: 2,
                                    }
                                    .into(),
                                ],
                                ..reactions(true)
                            }
                            .into(),
                        ),
                        ..message("liked")
                    },
                ))),
                known: known(),
            },
        ),
    ]
}

fn inline() -> tl::enums::ReplyMarkup {
    let button = |text: &str, r#type: tl::enums::InlineButtonType| {
        tl::types::KeyboardInlineButton { style: None, text: text.into(), r#type }.into()
    };
    let row = tl::types::KeyboardInlineButtonRow {
        buttons: vec![
            button(
                "Site",
                tl::types::InlineButtonTypeUrl { url: "https://example.org".into() }.into(),
            ),
            button(
                "Yes",
                tl::types::InlineButtonTypeCallback { requires_password: false, data: vec![1] }
                    .into(),
            ),
            button(
                "No",
                tl::types::InlineButtonTypeCallback { requires_password: false, data: vec![0] }
                    .into(),
            ),
        ],
    };
    tl::types::ReplyInlineMarkup { force_reply: false, rows: vec![row.into()] }.into()
}

fn keyboard() -> tl::enums::ReplyMarkup {
    let button = tl::types::KeyboardButton {
        style: None,
        text: "Menu".into(),
        r#type: tl::enums::ButtonType::Default,
    };
    let row = tl::types::KeyboardButtonRow { buttons: vec![button.into()] };
    tl::types::ReplyKeyboardMarkup {
        resize: true,
        single_use: true,
        selective: false,
        persistent: false,
        force_reply: false,
        rows: vec![row.into()],
        placeholder: None,
    }
    .into()
}
