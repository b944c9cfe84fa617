//! Block Kit (<https://docs.slack.dev/reference/block-kit/blocks>): what apps say. What people can press or fill in is shown in words.

use landbridge_framework::format::{Rich, Style, from_markdown};
use serde_json::Value;

use super::{mentions, mrkdwn, page::Page, rich_text, table};
use crate::{
    convert::Context,
    json::{list, said, text},
};

/// A message has at most 50 blocks; more is not Slack's.
const MAX_BLOCKS: usize = 100;

/// Reads blocks, one below the other.
pub(super) fn read(context: Context<'_>, blocks: &[Value]) -> Rich {
    let mut page = Page::default();
    for block in blocks.iter().take(MAX_BLOCKS) {
        one(context, &mut page, block);
    }
    page.finish()
}

fn one(context: Context<'_>, page: &mut Page, block: &Value) {
    match text(block, "type").unwrap_or_default() {
        "rich_text" => drop(page.block(&rich_text::read(context, block), None)),
        "header" => {
            let words = object(context, block.get("text"));
            page.block(&words, Some(Style::Heading { level: 3 }));
        }
        "divider" => drop(page.block(&Rich::plain("---"), None)),
        "section" => section(context, page, block),
        "context" => {
            let mut line = Rich::new();
            for element in list(block, "elements") {
                if !line.is_empty() {
                    line.push(" ");
                }
                line.append(&element_words(context, element));
            }
            page.block(&line, None);
        }
        "image" => {
            let title = object(context, block.get("title"));
            page.block(&title, None);
            page.block(&image(block), None);
        }
        "actions" | "context_actions" => {
            let mut line = Rich::new();
            for element in list(block, "elements") {
                let words = element_words(context, element);
                if !words.is_empty() && !line.is_empty() {
                    line.push(" ");
                }
                line.append(&words);
            }
            page.block(&line, None);
        }
        "input" => {
            page.block(&object(context, block.get("label")), Some(Style::Bold));
            page.block(&object(context, block.get("hint")), None);
        }
        "video" => {
            let mut line = Rich::new();
            let title = object(context, block.get("title")).into_text();
            let title = if title.is_empty() { "video".to_owned() } else { title };
            match said(block, "title_url").or_else(|| said(block, "video_url")) {
                Some(url) => mentions::link(&mut line, url, Some(&title)),
                None => drop(line.push(&title)),
            }
            page.block(&line, None);
            page.block(&object(context, block.get("description")), None);
        }
        "markdown" => {
            page.block(&from_markdown(text(block, "text").unwrap_or_default()), None);
        }
        "table" => drop(page.block(&table::read(context, block), None)),
        // The file itself comes with the message.
        "file" => {}
        "call" => {
            let call = block.pointer("/call/v1");
            let name = call.and_then(|call| said(call, "name")).unwrap_or("Call");
            let mut line = Rich::new();
            match call.and_then(|call| said(call, "join_url")) {
                Some(url) => mentions::link(&mut line, url, Some(name)),
                None => drop(line.push(name)),
            }
            page.block(&line, None);
        }
        kind => {
            let words = object(context, block.get("text").or_else(|| block.get("title")));
            if words.is_empty() {
                page.block(&Rich::plain(format!("[{kind}: shown in Slack only]")), None);
            } else {
                page.block(&words, None);
            }
        }
    }
}

fn section(context: Context<'_>, page: &mut Page, block: &Value) {
    page.block(&object(context, block.get("text")), None);
    for field in list(block, "fields") {
        page.block(&object(context, Some(field)), None);
    }
    if let Some(accessory) = block.get("accessory") {
        page.block(&element_words(context, accessory), None);
    }
}

/// A text object: mrkdwn or plain.
pub(super) fn object(context: Context<'_>, object: Option<&Value>) -> Rich {
    let Some(object) = object else { return Rich::new() };
    // Some blocks hold a text in the place of an object.
    if let Some(text) = object.as_str() {
        return mrkdwn::rich(context, text);
    }
    let words = text(object, "text").unwrap_or_default();
    match text(object, "type") {
        Some("mrkdwn") => mrkdwn::rich(context, words),
        _ => plain_text(context, words),
    }
}

/// Plain text has emoji, and nothing else.
fn plain_text(context: Context<'_>, words: &str) -> Rich {
    let mut out = Rich::new();
    let plain = mrkdwn::plain(words);
    let mut rest = plain.as_str();
    while let Some(at) = rest.find(':') {
        out.push(&rest[..at]);
        rest = &rest[at..];
        let name = rest[1..].find(':').map(|end| &rest[1..=end]);
        let known = |name: &&str| {
            context.names.emoji.contains_key(*name) || crate::emoji::to_unicode(name).is_some()
        };
        if let Some(name) = name.filter(known) {
            mentions::emoji(&mut out, context, name, None);
            rest = &rest[name.len() + 2..];
        } else {
            out.push(":");
            rest = &rest[1..];
        }
    }
    out.push(rest);
    out
}

/// What an element says: text, a picture's words, a button's label. Elements to choose with say what is asked.
fn element_words(context: Context<'_>, element: &Value) -> Rich {
    match text(element, "type").unwrap_or_default() {
        "mrkdwn" | "plain_text" => object(context, Some(element)),
        "image" => image(element),
        "button" | "workflow_button" => {
            let label = object(context, element.get("text")).into_text();
            let label = format!("[{label}]");
            let mut out = Rich::new();
            match said(element, "url") {
                Some(url) => mentions::link(&mut out, url, Some(&label)),
                None => drop(out.push(&label)),
            }
            out
        }
        "overflow" | "feedback_buttons" | "icon_button" => Rich::new(),
        "checkboxes" | "radio_buttons" => {
            let mut out = Rich::new();
            for option in list(element, "options") {
                if !out.is_empty() {
                    out.push("\n");
                }
                out.push("○ ");
                out.append(&object(context, option.get("text")));
            }
            out
        }
        _ => {
            let asked = object(context, element.get("placeholder")).into_text();
            if asked.is_empty() { Rich::new() } else { Rich::plain(format!("[{asked}]")) }
        }
    }
}

/// A picture that lies anywhere: its words, and where it is. It is not fetched, because anybody may have named the address.
fn image(block: &Value) -> Rich {
    let words = said(block, "alt_text").unwrap_or("image");
    let file = |key: &str| block.get("slack_file").and_then(|file| said(file, key));
    let mut out = Rich::new();
    match said(block, "image_url").or_else(|| file("url")) {
        Some(url) => mentions::link(&mut out, url, Some(words)),
        None => drop(out.push(words)),
    }
    out
}
