//! Service messages: one case for each kind of action.

#![allow(clippy::too_many_lines, reason = "a table of cases")]

use grammers_tl_types as tl;
use tl::enums::MessageAction as Action;

#[allow(clippy::wildcard_imports, reason = "a box of building blocks")]
use super::fixtures::*;
use crate::raw::Raw;

fn told(peer: tl::enums::Peer, action: impl Into<Action>) -> Raw {
    let message = tl::enums::Message::Service(service(peer, action.into()));
    update(tl::types::UpdateNewMessage { message, pts: 10, pts_count: 1 }.into())
}

fn call() -> tl::enums::InputGroupCall {
    tl::types::InputGroupCall { id: 1, access_hash: 2 }.into()
}

fn chats() -> Vec<(&'static str, Raw)> {
    let edit_topic = |title: Option<&str>, closed| tl::types::MessageActionTopicEdit {
        title: title.map(Into::into),
        icon_emoji_id: None,
        closed,
        hidden: None,
    };
    let in_topic = |action: Action| {
        let header = tl::types::MessageReplyHeader { forum_topic: true, ..reply_to(77) };
        let message = tl::types::MessageService {
            reply_to: Some(header.into()),
            ..service(channel(CHANNEL), action)
        };
        update(
            tl::types::UpdateNewChannelMessage { message: message.into(), pts: 4, pts_count: 1 }
                .into(),
        )
    };
    vec![
        (
            "chat_create",
            told(
                group(),
                tl::types::MessageActionChatCreate { title: "Us".into(), users: vec![ALICE, BOB] },
            ),
        ),
        (
            "channel_create",
            told(channel(NEWS), tl::types::MessageActionChannelCreate { title: "News".into() }),
        ),
        ("edit_title", told(group(), tl::types::MessageActionChatEditTitle { title: "We".into() })),
        ("edit_photo", told(group(), tl::types::MessageActionChatEditPhoto { photo: photo() })),
        ("delete_photo", told(group(), Action::ChatDeletePhoto)),
        ("add_user", told(group(), tl::types::MessageActionChatAddUser { users: vec![BOB, ME] })),
        ("delete_user", told(group(), tl::types::MessageActionChatDeleteUser { user_id: BOB })),
        (
            "joined_by_link",
            told(group(), tl::types::MessageActionChatJoinedByLink { inviter_id: BOB }),
        ),
        ("joined_by_request", told(channel(CHANNEL), Action::ChatJoinedByRequest)),
        (
            "migrate_to",
            told(group(), tl::types::MessageActionChatMigrateTo { channel_id: CHANNEL }),
        ),
        (
            "migrate_from",
            told(
                channel(CHANNEL),
                tl::types::MessageActionChannelMigrateFrom { title: "Us".into(), chat_id: GROUP },
            ),
        ),
        ("pin", told(group(), Action::PinMessage)),
        ("history_clear", told(user(ALICE), Action::HistoryClear)),
        (
            "topic_create",
            told(
                channel(CHANNEL),
                tl::types::MessageActionTopicCreate {
                    title_missing: false,
                    title: "Plans".into(),
                    icon_color: 1,
                    icon_emoji_id: None,
                },
            ),
        ),
        ("topic_rename", in_topic(edit_topic(Some("New plans"), None).into())),
        ("topic_close", in_topic(edit_topic(None, Some(true)).into())),
        ("topic_reopen", in_topic(edit_topic(None, Some(false)).into())),
        (
            "ttl",
            told(
                user(ALICE),
                tl::types::MessageActionSetMessagesTtl { period: 86_400, auto_setting_from: None },
            ),
        ),
        (
            "ttl_off",
            told(
                user(ALICE),
                tl::types::MessageActionSetMessagesTtl { period: 0, auto_setting_from: None },
            ),
        ),
        (
            "theme",
            told(
                user(ALICE),
                tl::types::MessageActionSetChatTheme {
                    theme: tl::types::ChatTheme { emoticon: "🐥".into() }.into(),
                },
            ),
        ),
        (
            "no_forwards",
            told(
                group(),
                tl::types::MessageActionNoForwardsToggle { prev_value: false, new_value: true },
            ),
        ),
        ("new_owner", told(group(), tl::types::MessageActionChangeCreator { new_creator_id: BOB })),
        ("boost", told(channel(CHANNEL), tl::types::MessageActionBoostApply { boosts: 2 })),
        (
            "paid_messages",
            told(
                channel(CHANNEL),
                tl::types::MessageActionPaidMessagesPrice {
                    broadcast_messages_allowed: false,
                    stars: 5,
                },
            ),
        ),
    ]
}

fn calls() -> Vec<(&'static str, Raw)> {
    let phone = |video, reason, duration| tl::types::MessageActionPhoneCall {
        video,
        call_id: 1,
        reason,
        duration,
    };
    vec![
        (
            "call",
            told(
                user(ALICE),
                phone(false, Some(tl::enums::PhoneCallDiscardReason::Hangup), Some(65)),
            ),
        ),
        (
            "call_missed",
            told(user(ALICE), phone(true, Some(tl::enums::PhoneCallDiscardReason::Missed), None)),
        ),
        (
            "call_declined",
            told(user(ALICE), phone(false, Some(tl::enums::PhoneCallDiscardReason::Busy), None)),
        ),
        (
            "group_call",
            told(group(), tl::types::MessageActionGroupCall { call: call(), duration: None }),
        ),
        (
            "group_call_ended",
            told(group(), tl::types::MessageActionGroupCall { call: call(), duration: Some(3600) }),
        ),
        (
            "group_call_scheduled",
            told(
                group(),
                tl::types::MessageActionGroupCallScheduled { call: call(), schedule_date: DATE },
            ),
        ),
        (
            "group_call_invite",
            told(
                group(),
                tl::types::MessageActionInviteToGroupCall { call: call(), users: vec![BOB, 999] },
            ),
        ),
    ]
}

fn others() -> Vec<(&'static str, Raw)> {
    vec![
        ("screenshot", told(user(ALICE), Action::ScreenshotTaken)),
        (
            "custom",
            told(
                user(ALICE),
                tl::types::MessageActionCustomAction { message: "Something <b>odd</b>".into() },
            ),
        ),
        ("contact_sign_up", told(user(ALICE), Action::ContactSignUp)),
        ("game_score", told(group(), tl::types::MessageActionGameScore { game_id: 1, score: 99 })),
        (
            "bot_allowed",
            told(
                user(ALICE),
                tl::types::MessageActionBotAllowed {
                    attach_menu: false,
                    from_request: false,
                    domain: Some("example.org".into()),
                    app: None,
                },
            ),
        ),
        (
            "proximity",
            told(
                group(),
                tl::types::MessageActionGeoProximityReached {
                    from_id: user(ALICE),
                    to_id: user(BOB),
                    distance: 1250,
                },
            ),
        ),
        (
            "payment",
            told(
                user(ALICE),
                tl::types::MessageActionPaymentSent {
                    recurring_init: false,
                    recurring_used: false,
                    currency: "EUR".into(),
                    total_amount: 500,
                    invoice_slug: None,
                    subscription_until_date: None,
                },
            ),
        ),
        (
            "gift_stars",
            told(
                user(ALICE),
                tl::types::MessageActionGiftStars {
                    currency: "EUR".into(),
                    amount: 1,
                    stars: 50,
                    crypto_currency: None,
                    crypto_amount: None,
                    transaction_id: None,
                },
            ),
        ),
        (
            "giveaway_launch",
            told(channel(NEWS), tl::types::MessageActionGiveawayLaunch { stars: None }),
        ),
        (
            "todo_done",
            told(
                group(),
                tl::types::MessageActionTodoCompletions {
                    completed: vec![1, 2],
                    incompleted: vec![3],
                },
            ),
        ),
        (
            "web_view",
            told(user(ALICE), tl::types::MessageActionWebViewDataSent { text: "Send".into() }),
        ),
    ]
}

pub(super) fn all() -> Vec<(&'static str, Raw)> {
    [chats(), calls(), others()].concat()
}
