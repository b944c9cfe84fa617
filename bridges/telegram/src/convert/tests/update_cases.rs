//! Updates that are no messages: edits, reactions, deletions, reads, typing, people.

#![allow(clippy::too_many_lines, reason = "a table of cases")]

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use tl::enums::Update;

#[allow(clippy::wildcard_imports, reason = "a box of building blocks")]
use super::fixtures::*;
use crate::raw::{Raw, Tl};

const SEEN: i64 = 1_700_000_123_456;

fn messages() -> Vec<(&'static str, Raw)> {
    let hidden = tl::types::Message { edit_hide: true, ..message("only its buttons changed") };
    let reacted = tl::types::Message {
        reactions: Some(reactions(true).into()),
        edit_hide: true,
        ..message("liked")
    };
    let channel_edit = tl::enums::Message::Message(tl::types::Message {
        edit_date: Some(DATE + 5),
        ..in_channel("corrected")
    });
    let live = tl::types::MessageMediaGeoLive {
        geo: geo(),
        heading: None,
        period: 600,
        proximity_notification_radius: None,
    };
    let on = |peer, msg_id, reactions: tl::types::MessageReactions| -> Update {
        tl::types::UpdateMessageReactions {
            peer,
            msg_id,
            top_msg_id: None,
            saved_peer_id: None,
            reactions: reactions.into(),
        }
        .into()
    };
    let thumb =
        || -> tl::enums::Reaction { tl::types::ReactionEmoji { emoticon: "👍".into() }.into() };
    let heart =
        || -> tl::enums::Reaction { tl::types::ReactionEmoji { emoticon: "❤".into() }.into() };
    vec![
        ("edit", edit(message("corrected"))),
        (
            "edit_in_channel",
            update(
                tl::types::UpdateEditChannelMessage {
                    message: channel_edit,
                    pts: 12,
                    pts_count: 1,
                }
                .into(),
            ),
        ),
        ("edit_hidden", edit(hidden)),
        ("edit_caption", edit(with_media("new caption", media_photo(None)))),
        ("edit_of_reactions", edit(reacted)),
        ("edit_live_location", edit(with_media("", live))),
        ("edit_poll_closed", edit(with_media("", poll(true, false, false)))),
        (
            "reactions",
            update(on(
                user(ALICE),
                42,
                tl::types::MessageReactions { results: reactions(true).results, ..reactions(true) },
            )),
        ),
        ("reactions_of_many", update(on(channel(CHANNEL), 42, reactions(false)))),
        (
            "reactions_fetched",
            Raw::Reactions {
                seen: SEEN,
                peer: Tl(channel(CHANNEL)),
                topic: Some(77),
                message: 42,
                all: vec![(Tl(user(ALICE)), Tl(thumb())), (Tl(channel(NEWS)), Tl(heart()))],
                known: known(),
            },
        ),
        (
            "reactions_in_general_topic",
            Raw::Reactions {
                seen: SEEN,
                peer: Tl(channel(CHANNEL)),
                topic: None,
                message: 42,
                all: vec![(Tl(user(ALICE)), Tl(thumb()))],
                known: forum(),
            },
        ),
        (
            "reactions_gone",
            Raw::Reactions {
                seen: SEEN,
                peer: Tl(user(ALICE)),
                topic: None,
                message: 42,
                all: vec![],
                known: known(),
            },
        ),
        (
            "reaction_to_bot",
            update(
                tl::types::UpdateBotMessageReaction {
                    peer: group(),
                    msg_id: 42,
                    date: DATE,
                    actor: user(ALICE),
                    old_reactions: vec![thumb()],
                    new_reactions: vec![heart()],
                    qts: 4,
                }
                .into(),
            ),
        ),
        (
            "poll_vote_own",
            update(
                tl::types::UpdateMessagePoll {
                    peer: Some(group()),
                    msg_id: Some(42),
                    top_msg_id: None,
                    poll_id: 6001,
                    poll: None,
                    results: poll(false, false, true).results,
                }
                .into(),
            ),
        ),
        (
            "poll_closed",
            update(
                tl::types::UpdateMessagePoll {
                    peer: Some(group()),
                    msg_id: Some(42),
                    top_msg_id: None,
                    poll_id: 6001,
                    poll: Some(poll(true, false, false).poll),
                    results: poll(true, false, false).results,
                }
                .into(),
            ),
        ),
        (
            "poll_vote",
            Raw::Voted {
                seen: SEEN,
                chat: "g400".into(),
                message: 42,
                voter: Tl(user(ALICE)),
                options: vec!["30".into()],
            },
        ),
        (
            "deleted",
            Raw::Deleted {
                seen: SEEN,
                chats: BTreeMap::from([
                    ("u200".to_owned(), vec![1, 2]),
                    ("c500.77".to_owned(), vec![9]),
                ]),
            },
        ),
        (
            "pinned",
            Raw::Pinned {
                seen: SEEN,
                pinned: true,
                chats: BTreeMap::from([("c500".to_owned(), vec![9, 4])]),
            },
        ),
        (
            "unpinned",
            Raw::Pinned {
                seen: SEEN,
                pinned: false,
                chats: BTreeMap::from([("u200".to_owned(), vec![9])]),
            },
        ),
        (
            "history_ttl",
            update(
                tl::types::UpdatePeerHistoryTtl { peer: user(ALICE), ttl_period: Some(86_400) }
                    .into(),
            ),
        ),
        (
            "history_ttl_off",
            update(tl::types::UpdatePeerHistoryTtl { peer: group(), ttl_period: None }.into()),
        ),
        ("gap", Raw::Gap { seen: SEEN, chats: vec!["c500".into(), "u200".into()] }),
    ]
}

fn people() -> Vec<(&'static str, Raw)> {
    use tl::enums::SendMessageAction as A;
    let typing = |action| {
        update(tl::types::UpdateUserTyping { user_id: ALICE, top_msg_id: None, action }.into())
    };
    let status = |status| update(tl::types::UpdateUserStatus { user_id: ALICE, status }.into());
    let participant = |new_participant| tl::types::UpdateChannelParticipant {
        via_chatlist: false,
        channel_id: CHANNEL,
        date: DATE,
        actor_id: ALICE,
        user_id: BOB,
        prev_participant: None,
        new_participant,
        invite: None,
        qts: 9,
    };
    let banned = tl::types::ChannelParticipantBanned {
        left: true,
        peer: user(BOB),
        kicked_by: ALICE,
        date: DATE,
        banned_rights: banned_rights(),
        rank: None,
    };
    let administrator = tl::types::ChannelParticipantAdmin {
        can_edit: false,
        is_self: false,
        user_id: BOB,
        inviter_id: None,
        promoted_by: ALICE,
        date: DATE,
        admin_rights: admin_rights(),
        rank: None,
    };
    let mut put_out = update(tl::types::UpdateChannel { channel_id: CHANNEL }.into());
    if let Raw::Update { known, .. } = &mut put_out {
        known.entry(format!("c{CHANNEL}")).or_default().gone = true;
    }
    vec![
        ("typing", typing(A::SendMessageTypingAction)),
        ("typing_recording", typing(A::SendMessageRecordAudioAction)),
        (
            "typing_uploading",
            typing(tl::types::SendMessageUploadPhotoAction { progress: 40 }.into()),
        ),
        ("typing_cancelled", typing(A::SendMessageCancelAction)),
        (
            "typing_in_group",
            update(
                tl::types::UpdateChatUserTyping {
                    chat_id: GROUP,
                    from_id: user(BOB),
                    action: A::SendMessageTypingAction,
                }
                .into(),
            ),
        ),
        (
            "typing_in_topic",
            update(
                tl::types::UpdateChannelUserTyping {
                    channel_id: CHANNEL,
                    top_msg_id: Some(77),
                    from_id: user(BOB),
                    action: A::SendMessageTypingAction,
                }
                .into(),
            ),
        ),
        (
            "typing_own",
            update(
                tl::types::UpdateChatUserTyping {
                    chat_id: GROUP,
                    from_id: user(ME),
                    action: A::SendMessageTypingAction,
                }
                .into(),
            ),
        ),
        ("status_online", status(tl::types::UserStatusOnline { expires: DATE }.into())),
        ("status_offline", status(tl::types::UserStatusOffline { was_online: DATE }.into())),
        ("status_recently", status(tl::types::UserStatusRecently { by_me: false }.into())),
        (
            "read_by_other",
            update(
                tl::types::UpdateReadHistoryOutbox {
                    peer: user(ALICE),
                    max_id: 42,
                    pts: 3,
                    pts_count: 1,
                }
                .into(),
            ),
        ),
        (
            "read_by_group",
            update(
                tl::types::UpdateReadHistoryOutbox {
                    peer: group(),
                    max_id: 42,
                    pts: 3,
                    pts_count: 1,
                }
                .into(),
            ),
        ),
        (
            "read_own",
            update(
                tl::types::UpdateReadHistoryInbox {
                    folder_id: None,
                    peer: user(ALICE),
                    top_msg_id: None,
                    max_id: 42,
                    still_unread_count: 0,
                    pts: 3,
                    pts_count: 1,
                }
                .into(),
            ),
        ),
        (
            "read_own_in_channel",
            update(
                tl::types::UpdateReadChannelInbox {
                    folder_id: None,
                    channel_id: CHANNEL,
                    max_id: 42,
                    still_unread_count: 0,
                    pts: 3,
                }
                .into(),
            ),
        ),
        (
            "read_own_in_topic",
            update(
                tl::types::UpdateReadChannelDiscussionInbox {
                    channel_id: CHANNEL,
                    top_msg_id: 77,
                    read_max_id: 90,
                    broadcast_id: None,
                    broadcast_post: None,
                }
                .into(),
            ),
        ),
        (
            "marked_unread",
            update(
                tl::types::UpdateDialogUnreadMark {
                    unread: true,
                    peer: tl::types::DialogPeer { peer: user(ALICE) }.into(),
                    saved_peer_id: None,
                }
                .into(),
            ),
        ),
        (
            "user_name",
            update(
                tl::types::UpdateUserName {
                    user_id: ALICE,
                    first_name: "Alicia".into(),
                    last_name: String::new(),
                    usernames: vec![],
                }
                .into(),
            ),
        ),
        (
            "participant_add",
            update(
                tl::types::UpdateChatParticipantAdd {
                    chat_id: GROUP,
                    user_id: BOB,
                    inviter_id: ALICE,
                    date: DATE,
                    version: 2,
                }
                .into(),
            ),
        ),
        (
            "participant_delete",
            update(
                tl::types::UpdateChatParticipantDelete { chat_id: GROUP, user_id: BOB, version: 3 }
                    .into(),
            ),
        ),
        (
            "participant_admin",
            update(
                tl::types::UpdateChatParticipantAdmin {
                    chat_id: GROUP,
                    user_id: BOB,
                    is_admin: true,
                    version: 3,
                }
                .into(),
            ),
        ),
        ("participant_left_channel", update(participant(None).into())),
        ("participant_promoted", update(participant(Some(administrator.into())).into())),
        ("put_out_of_channel", put_out),
        ("participant_banned", update(participant(Some(banned.clone().into())).into())),
        (
            "participant_unbanned",
            update(
                tl::types::UpdateChannelParticipant {
                    prev_participant: Some(banned.into()),
                    ..participant(None)
                }
                .into(),
            ),
        ),
        ("channel_changed", update(tl::types::UpdateChannel { channel_id: CHANNEL }.into())),
        ("irrelevant", update(Update::SavedGifs)),
    ]
}

fn admin_rights() -> tl::enums::ChatAdminRights {
    tl::types::ChatAdminRights {
        change_info: false,
        post_messages: false,
        edit_messages: false,
        delete_messages: false,
        ban_users: true,
        invite_users: false,
        pin_messages: false,
        add_admins: false,
        anonymous: false,
        manage_call: false,
        other: false,
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

fn banned_rights() -> tl::enums::ChatBannedRights {
    tl::types::ChatBannedRights {
        view_messages: true,
        send_messages: true,
        send_media: true,
        send_stickers: true,
        send_gifs: true,
        send_games: true,
        send_inline: true,
        embed_links: true,
        send_polls: true,
        change_info: true,
        invite_users: true,
        pin_messages: true,
        manage_topics: true,
        send_photos: true,
        send_videos: true,
        send_roundvideos: true,
        send_audios: true,
        send_voices: true,
        send_docs: true,
        send_plain: true,
        edit_rank: true,
        send_reactions: true,
        manage_linked_peers: true,
        until_date: 0,
    }
    .into()
}

pub(super) fn all() -> Vec<(&'static str, Raw)> {
    [messages(), people()].concat()
}
