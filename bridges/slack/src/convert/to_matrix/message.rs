//! A message of Slack's (<https://docs.slack.dev/reference/events/message>), live or of the past, as parts.

use landbridge_framework::{
    event::{Content, MessageProfile},
    format::Rich,
};
use serde_json::Value;

use super::{attachments, blocks, files, files::picture_ref, mentions, mrkdwn, page::Page};
use crate::{
    convert::Context,
    json::{list, said, text},
};

/// What a message comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Parts in order, by name; the first has none.
    Parts(Vec<(String, Content)>),
    /// Nothing that is said here: other events tell of it, or it says nothing.
    Nothing,
}

/// A message has at most ten files in Slack's clients; apps may give more.
const MAX_FILES: usize = 50;

/// Notes that other events tell of, or that are for the one who reads them only.
const SILENT: &[&str] = &[
    "message_changed",
    "message_deleted",
    "message_replied",
    "tombstone",
    "channel_join",
    "channel_leave",
    "channel_topic",
    "channel_purpose",
    "channel_name",
    "group_join",
    "group_leave",
    "group_topic",
    "group_purpose",
    "group_name",
    "pinned_item",
    "unpinned_item",
    "joiner_notification",
    "joiner_notification_for_inviter",
    "reply_broadcast",
    "assistant_app_thread",
    "bot_enable",
    "bot_disable",
    "app_conversation_join",
    "app_conversation_leave",
    "bot_add",
    "bot_remove",
    "channel_canvas_updated",
];

/// Notes of the network itself: a notice, in its own words.
const NOTES: &[&str] = &[
    "channel_archive",
    "channel_unarchive",
    "group_archive",
    "group_unarchive",
    "channel_convert_to_private",
    "channel_convert_to_public",
    "channel_posting_permissions",
    "reminder_add",
    "document_mention",
    "ekm_access_denied",
];

/// Reads a message.
pub fn read(context: Context<'_>, message: &Value) -> Said {
    let subtype = text(message, "subtype").unwrap_or_default();
    if SILENT.contains(&subtype) {
        return Said::Nothing;
    }
    if matches!(subtype, "huddle_thread" | "sh_room_created" | "sh_room_shared") {
        return huddle(context, message);
    }
    let words = words(context, message);
    if NOTES.contains(&subtype) {
        let words = if words.is_empty() { Rich::plain(subtype.replace('_', " ")) } else { words };
        return Said::Parts(vec![(String::new(), Content::Notice(words))]);
    }
    parts(context, message, subtype, words)
}

fn parts(context: Context<'_>, message: &Value, subtype: &str, words: Rich) -> Said {
    let mut shared = list(message, "files").iter().take(MAX_FILES);
    let mut parts = Vec::new();
    // One file, or the first of several, carries the words: what came from Matrix as a file with a caption is one part too.
    match shared.next() {
        Some(first) => {
            let caption = (!words.is_empty()).then_some(words);
            parts.push((String::new(), files::read(context, first, caption)));
        }
        None if words.is_empty() => return Said::Nothing,
        None if subtype == "me_message" => parts.push((String::new(), Content::Emote(words))),
        None => parts.push((String::new(), Content::Text(words))),
    }
    for (place, file) in shared.enumerate() {
        let name = said(file, "id").map_or_else(|| format!("file{}", place + 2), ToOwned::to_owned);
        parts.push((name, files::read(context, file, None)));
    }
    Said::Parts(parts)
}

/// All that a message says: its blocks or its text, then its attachments.
fn words(context: Context<'_>, message: &Value) -> Rich {
    let mut words = blocks::read(context, list(message, "blocks"));
    if words.is_empty() {
        words = mrkdwn::rich(context, text(message, "text").unwrap_or_default());
    }
    let attached = attachments::read(context, list(message, "attachments"), &words);
    if attached.is_empty() {
        return words;
    }
    let mut page = Page::default();
    page.append(&words);
    page.line();
    page.append(&attached);
    page.finish()
}

/// The name and picture that a bot gave one message, where they are not its own.
pub fn profile(message: &Value) -> Option<MessageProfile> {
    let name = said(message, "username")?;
    let own = message.pointer("/bot_profile/name").and_then(Value::as_str);
    if own == Some(name) || text(message, "bot_id").is_none() {
        return None;
    }
    let icon = |key: &str| message.get("icons").and_then(|icons| said(icons, key));
    let icon = ["image_72", "image_64", "image_48", "image_36"].into_iter().find_map(icon);
    let mut profile = MessageProfile::named(name.chars().take(100).collect::<String>());
    profile.avatar = icon.map(picture_ref);
    Some(profile)
}

/// A huddle, or a call of another service: a notice, with where it can be joined.
fn huddle(context: Context<'_>, message: &Value) -> Said {
    let channel = message
        .get("channel")
        .and_then(Value::as_str)
        .or_else(|| message.pointer("/room/channels/0").and_then(Value::as_str));
    let ended = message.pointer("/room/has_ended").and_then(Value::as_bool).unwrap_or(false);
    let mut words = Rich::plain(if ended { "A huddle happened" } else { "A huddle started" });
    if let Some(channel) = channel.filter(|_| !ended) {
        words.push(": ");
        let url = format!("https://app.slack.com/huddle/{}/{channel}", context.team);
        mentions::link(&mut words, &url, Some("join it in Slack"));
    }
    Said::Parts(vec![(String::new(), Content::Notice(words))])
}
