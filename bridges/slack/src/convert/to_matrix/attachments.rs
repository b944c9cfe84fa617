//! Attachments (<https://docs.slack.dev/messaging/formatting-message-text#attachments>): what older apps say, messages that are shared, and
//! previews of links.

use landbridge_framework::{
    event::LinkPreview,
    format::{Rich, Style},
};
use serde_json::Value;

use super::{blocks, mentions, mrkdwn, page::Page};
use crate::{
    convert::Context,
    json::{flag, list, said, text},
};

/// A message has at most 100.
const MAX_ATTACHMENTS: usize = 100;
/// Slack makes previews of five links.
const MAX_PREVIEWS: usize = 10;

/// Reads attachments, one below the other; `words` is what the message says besides.
pub(super) fn read(context: Context<'_>, attachments: &[Value], words: &Rich) -> Rich {
    let mut page = Page::default();
    for attachment in attachments.iter().take(MAX_ATTACHMENTS) {
        // Previews of links go with the message as such.
        if is_preview(attachment) && links_to(words, attachment) {
            continue;
        }
        if let Some(pretext) = said(attachment, "pretext") {
            page.block(&mrkdwn::rich(context, pretext), None);
        }
        let inner = one(context, attachment);
        page.block(&inner, Some(Style::Quote));
    }
    page.finish()
}

/// What the links of a message lead to, as Slack has read it. The pictures lie anywhere, and are not fetched.
pub fn previews(message: &Value) -> Vec<LinkPreview> {
    let one = |attachment: &Value| {
        let url = said(attachment, "original_url").or_else(|| said(attachment, "from_url"))?;
        let words = |key: &str| said(attachment, key).map(mrkdwn::plain);
        Some(LinkPreview {
            url: url.to_owned(),
            title: words("title").or_else(|| words("service_name")),
            description: words("text"),
            image: None,
        })
    };
    let all = list(message, "attachments").iter().filter(|attachment| is_preview(attachment));
    all.take(MAX_PREVIEWS).filter_map(one).collect()
}

/// Whether it is what Slack itself has read behind a link.
fn is_preview(attachment: &Value) -> bool {
    let from = said(attachment, "from_url").or_else(|| said(attachment, "original_url"));
    from.is_some()
        && !flag(attachment, "is_msg_unfurl")
        && !flag(attachment, "is_share")
        && !flag(attachment, "is_app_unfurl")
        && !flag(attachment, "is_reply_unfurl")
}

fn links_to(words: &Rich, attachment: &Value) -> bool {
    let named = [said(attachment, "original_url"), said(attachment, "from_url")];
    words.spans().iter().any(|span| match &span.style {
        Style::Link { url } => named
            .iter()
            .flatten()
            .any(|named| named.trim_end_matches('/') == url.trim_end_matches('/')),
        _ => false,
    })
}

fn one(context: Context<'_>, attachment: &Value) -> Rich {
    let mut page = Page::default();
    author(context, &mut page, attachment);
    title(&mut page, attachment);
    body(context, &mut page, attachment);
    for field in list(attachment, "fields") {
        page.block(
            &Rich::plain(mrkdwn::plain(text(field, "title").unwrap_or_default())),
            Some(Style::Bold),
        );
        page.block(&mrkdwn::rich(context, text(field, "value").unwrap_or_default()), None);
    }
    for file in list(attachment, "files") {
        let mut line = Rich::new();
        let name = said(file, "title").or_else(|| said(file, "name")).unwrap_or("file");
        match said(file, "permalink") {
            Some(url) => mentions::link(&mut line, url, Some(name)),
            None => drop(line.push(name)),
        }
        page.block(&line, None);
    }
    if let Some(url) = said(attachment, "image_url") {
        let mut line = Rich::new();
        mentions::link(&mut line, url, Some("image"));
        page.block(&line, None);
    }
    for action in list(attachment, "actions") {
        let mut line = Rich::new();
        let label = format!("[{}]", mrkdwn::plain(text(action, "text").unwrap_or_default()));
        match said(action, "url") {
            Some(url) => mentions::link(&mut line, url, Some(&label)),
            None => drop(line.push(&label)),
        }
        page.block(&line, None);
    }
    if let Some(footer) = said(attachment, "footer") {
        page.block(&mrkdwn::rich(context, footer), None);
    }
    let rich = page.finish();
    if rich.is_empty() {
        return mrkdwn::rich(context, said(attachment, "fallback").unwrap_or_default());
    }
    rich
}

/// Who said it, and where.
fn author(context: Context<'_>, page: &mut Page, attachment: &Value) {
    let name = said(attachment, "author_name").or_else(|| said(attachment, "author_subname"));
    let mut line = Rich::new();
    if let Some(name) = name {
        match said(attachment, "author_link").filter(|_| !flag(attachment, "is_msg_unfurl")) {
            Some(url) => mentions::link(&mut line, url, Some(name)),
            None => drop(line.push(name)),
        }
        line.style(0..line.len(), Style::Bold);
    } else if let Some(service) = said(attachment, "service_name") {
        line.push_styled(service, Style::Bold);
    }
    if flag(attachment, "is_msg_unfurl")
        && let Some(channel) = said(attachment, "channel_id")
    {
        if !line.is_empty() {
            line.push(" in ");
        }
        mentions::channel(&mut line, context, channel, said(attachment, "channel_name"));
    }
    page.block(&line, None);
}

fn title(page: &mut Page, attachment: &Value) {
    let Some(title) = said(attachment, "title") else { return };
    let mut line = Rich::new();
    match said(attachment, "title_link") {
        Some(url) => mentions::link(&mut line, url, Some(&mrkdwn::plain(title))),
        None => drop(line.push(&mrkdwn::plain(title))),
    }
    line.style(0..line.len(), Style::Bold);
    page.block(&line, None);
}

/// A shared message has its blocks inside of `message_blocks`, an attachment its own.
fn body(context: Context<'_>, page: &mut Page, attachment: &Value) {
    let mut shown = blocks::read(context, list(attachment, "blocks"));
    for message in list(attachment, "message_blocks") {
        let inner = message.get("message").map_or(&[][..], |message| list(message, "blocks"));
        let inner = blocks::read(context, inner);
        if !shown.is_empty() && !inner.is_empty() {
            shown.push("\n");
        }
        shown.append(&inner);
    }
    if shown.is_empty()
        && let Some(words) = said(attachment, "text")
    {
        shown = mrkdwn::rich(context, words);
    }
    page.block(&shown, None);
    if (flag(attachment, "is_msg_unfurl") || flag(attachment, "is_share"))
        && let Some(url) = said(attachment, "from_url")
    {
        let mut line = Rich::new();
        mentions::link(&mut line, url, Some("Original message"));
        page.block(&line, None);
    }
}
