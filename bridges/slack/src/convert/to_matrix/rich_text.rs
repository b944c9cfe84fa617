//! Block Kit's `rich_text`: what Slack's own clients write (<https://docs.slack.dev/reference/block-kit/blocks/rich-text-block>).

use std::ops::Range;

use landbridge_framework::format::{Rgb, Rich, Style};
use serde_json::Value;

use super::{date, mentions, page::Page};
use crate::{
    convert::Context,
    json::{flag, list, number, text},
};

/// Lists deeper than this are shown as if they were not.
const MAX_INDENT: i64 = 8;

/// Reads a `rich_text` block.
pub(super) fn read(context: Context<'_>, block: &Value) -> Rich {
    let mut reader = Reader {
        context,
        page: Page::default(),
        items: Vec::new(),
        ended: Vec::new(),
        quoted: false,
    };
    for element in list(block, "elements") {
        reader.element(element);
    }
    reader.end_list();
    reader.page.finish()
}

/// An item of a list that has not ended: those further in belong to it.
struct Item {
    start: usize,
    indent: i64,
    number: Option<u32>,
}

struct Reader<'a> {
    context: Context<'a>,
    page: Page,
    items: Vec<Item>,
    /// Items that have ended, of a list that may go on.
    ended: Vec<(Range<usize>, Option<u32>)>,
    /// Whether that list stands in a quote.
    quoted: bool,
}

impl Reader<'_> {
    fn element(&mut self, element: &Value) {
        let kind = text(element, "type").unwrap_or_default();
        if kind != "rich_text_list" {
            self.end_list();
        }
        match kind {
            "rich_text_list" => self.list(element),
            "rich_text_quote" => {
                self.page.block(&self.inline(element), Some(Style::Quote));
            }
            "rich_text_preformatted" => {
                let language = text(element, "language").filter(|language| !language.is_empty());
                let style = Style::CodeBlock { language: language.map(ToOwned::to_owned) };
                // Code has no markup: only its words.
                let code = Rich::plain(self.inline(element).into_text());
                let range = self.page.block(&code, None);
                if number(element, "border").is_some_and(|border| border > 0) {
                    self.page.style(range.clone(), Style::Quote);
                }
                self.page.style(range, style);
            }
            // Sections, and what may come that holds elements as they do.
            _ => {
                let inline = self.inline(element);
                if inline.text().trim_matches('\n').is_empty() {
                    // Empty lines between blocks are the writer's.
                    if !self.page.is_empty() {
                        self.page.append(&inline);
                    }
                } else {
                    self.page.line();
                    self.page.append(&inline);
                }
            }
        }
    }

    fn list(&mut self, element: &Value) {
        let indent = number(element, "indent").unwrap_or(0).clamp(0, MAX_INDENT);
        let ordered = text(element, "style") == Some("ordered");
        let first = number(element, "offset").unwrap_or(0).clamp(0, 1_000_000) + 1;
        let quoted = number(element, "border").is_some_and(|border| border > 0);
        if quoted != self.quoted {
            self.end_list();
            self.quoted = quoted;
        }
        for (number, item) in (first..).zip(list(element, "elements")) {
            self.close_items(indent);
            self.page.line();
            let start = self.page.end();
            let inline = super::page::trimmed(&self.inline(item));
            // An empty item would have no place to stand.
            self.page.append(&if inline.is_empty() { Rich::plain(" ") } else { inline });
            let number = ordered.then(|| u32::try_from(number).unwrap_or(u32::MAX));
            self.items.push(Item { start, indent, number });
        }
    }

    /// Ends the items that stand at this indent or further in.
    fn close_items(&mut self, indent: i64) {
        while let Some(item) = self.items.pop_if(|item| item.indent >= indent) {
            self.ended.push((item.start..self.page.end(), item.number));
        }
    }

    /// Ends a list, which Slack writes as one element for each change of its depth: a quote around it is one around all of it.
    fn end_list(&mut self) {
        self.close_items(0);
        let ended = std::mem::take(&mut self.ended);
        let start = ended.iter().map(|(range, _)| range.start).min();
        let end = ended.iter().map(|(range, _)| range.end).max();
        if std::mem::take(&mut self.quoted)
            && let (Some(start), Some(end)) = (start, end)
        {
            self.page.style(start..end, Style::Quote);
        }
        for (range, number) in ended {
            self.page.style(range, Style::ListItem { number });
        }
    }

    /// The words of a section, item, quote or piece of code.
    fn inline(&self, parent: &Value) -> Rich {
        let mut out = Rich::new();
        for element in list(parent, "elements") {
            let start = out.len();
            self.word(&mut out, element);
            for (key, style) in [
                ("bold", Style::Bold),
                ("italic", Style::Italic),
                ("underline", Style::Underline),
                ("strike", Style::Strike),
                ("code", Style::Code),
            ] {
                if element.get("style").is_some_and(|styles| flag(styles, key)) {
                    out.style(start..out.len(), style);
                }
            }
        }
        out.joined()
    }

    fn word(&self, out: &mut Rich, element: &Value) {
        let field = |key| text(element, key).unwrap_or_default();
        let context = self.context;
        match field("type") {
            "user" => mentions::user(out, context, field("user_id"), None),
            "channel" => mentions::channel(out, context, field("channel_id"), None),
            "usergroup" => mentions::group(out, context, field("usergroup_id"), None),
            "team" => drop(out.push(&format!("@{}", field("team_id")))),
            "broadcast" => mentions::everybody(out, field("range")),
            "emoji" => emoji(out, context, element),
            "link" => mentions::link(out, field("url"), text(element, "text")),
            "color" => {
                let value = field("value");
                let colour = Rgb::parse(value);
                let range = out.push(value);
                if colour.is_some() {
                    out.style(range, Style::Colour { fg: None, bg: colour });
                }
            }
            "date" => {
                let at = number(element, "timestamp").unwrap_or(i64::MAX);
                let fallback = text(element, "fallback").map(ToOwned::to_owned);
                let shown = fallback.or_else(|| date::write(at, field("format")));
                let shown = shown.unwrap_or_else(|| field("timestamp").to_owned());
                match text(element, "url").filter(|url| !url.is_empty()) {
                    Some(url) => mentions::link(out, url, Some(&shown)),
                    None => drop(out.push(&shown)),
                }
            }
            // A mention of a message, a canvas or a list: what it is called, and where it is.
            "message_mention" | "canvas" | "list" | "file" | "workflow" | "slash_command" => {
                let words = ["text", "title", "name", "fallback", "command"];
                let shown = words.into_iter().find_map(|key| text(element, key));
                match ["url", "permalink"].into_iter().find_map(|key| text(element, key)) {
                    Some(url) => mentions::link(out, url, shown),
                    None => drop(out.push(shown.unwrap_or_default())),
                }
            }
            // Plain text, and what may come that says something.
            _ => {
                let shown = text(element, "text").or_else(|| text(element, "fallback"));
                out.push(shown.unwrap_or_default());
            }
        }
    }
}

fn emoji(out: &mut Rich, context: Context<'_>, element: &Value) {
    let name = text(element, "name").unwrap_or_default();
    let toned = match number(element, "skin_tone") {
        Some(tone) if !name.contains("::") => format!("{name}::skin-tone-{tone}"),
        _ => name.to_owned(),
    };
    // `unicode` has the tone in it where there is one.
    mentions::emoji(out, context, &toned, text(element, "unicode"));
}
