//! Block Kit's `rich_text` (<https://docs.slack.dev/reference/block-kit/blocks/rich-text-block>).

use landbridge_framework::format::{Rich, Run, Style};
use serde_json::{Map, Value, json};

use super::{
    Place, Target,
    lines::{Block, Line, cut},
    named_by, own_emoji, spoiler,
};

/// Slack indents lists this deep.
const MAX_INDENT: usize = 8;

/// Writes a `rich_text` block.
pub(super) fn write(target: Target<'_>, rich: &Rich) -> Value {
    let mut writer = Writer { target, out: Vec::new(), open: Open::Nothing, words: Vec::new() };
    for line in cut(rich) {
        writer.line(&line);
    }
    writer.close();
    json!({ "type": "rich_text", "elements": writer.out })
}

/// The element that lines are being added to.
#[derive(Clone, Copy, PartialEq)]
enum Open<'a> {
    Nothing,
    Section,
    Quote,
    /// By the address of its span, which tells two pieces apart.
    Code(*const landbridge_framework::format::Span, Option<&'a str>, bool),
    List {
        depth: usize,
        ordered: bool,
        quoted: bool,
        offset: u32,
    },
}

struct Writer<'a> {
    target: Target<'a>,
    out: Vec<Value>,
    open: Open<'a>,
    /// The words of the open section, quote or code; of a list, those of its last item.
    words: Vec<Value>,
}

impl<'a> Writer<'a> {
    fn line(&mut self, line: &Line<'a>) {
        match line.block {
            Block::Code(span, language) => {
                self.within(Open::Code(std::ptr::from_ref(span), language, line.quotes > 0));
                self.say(line.rich.text(), &Map::new());
            }
            Block::Item { depth, number, first } => self.item(line, depth, number, first),
            Block::Heading => {
                let mut rich = line.rich.clone();
                let end = rich.len();
                rich.style(0..end, Style::Bold);
                self.within(if line.quotes > 0 { Open::Quote } else { Open::Section });
                self.inline(&rich);
            }
            Block::Text if line.quotes > 0 => {
                self.within(Open::Quote);
                // Slack has no quotes within quotes.
                self.say(&"> ".repeat(line.quotes - 1), &Map::new());
                self.inline(&line.rich);
            }
            Block::Text => {
                self.within(Open::Section);
                self.inline(&line.rich);
            }
        }
    }

    fn item(&mut self, line: &Line<'a>, depth: usize, number: Option<u32>, first: bool) {
        let depth = depth.min(MAX_INDENT);
        let quoted = line.quotes > 0;
        let goes_on = match self.open {
            Open::List { depth: open, ordered, quoted: border, .. } => {
                open == depth && ordered == number.is_some() && border == quoted
            }
            _ => false,
        };
        if !first && matches!(self.open, Open::List { .. }) {
            // A further line of the item that stands open.
            self.say("\n", &Map::new());
            self.inline(&line.rich);
            return;
        }
        if goes_on {
            self.end_item();
        } else {
            self.close();
            let offset = number.unwrap_or(1).saturating_sub(1);
            self.open = Open::List { depth, ordered: number.is_some(), quoted, offset };
            self.out.push(Value::Null);
        }
        self.inline(&line.rich);
        if self.words.is_empty() {
            self.say(" ", &Map::new());
        }
    }

    /// Goes on with an element of this sort, in a new line, or begins one.
    fn within(&mut self, open: Open<'a>) {
        if self.open == open {
            self.say("\n", &Map::new());
        } else {
            self.close();
            self.open = open;
        }
    }

    fn end_item(&mut self) {
        let words = std::mem::take(&mut self.words);
        let item = json!({ "type": "rich_text_section", "elements": words });
        let Open::List { depth, ordered, quoted, offset } = self.open else { return };
        let Some(last) = self.out.last_mut() else { return };
        if last.is_null() {
            let mut element = json!({
                "type": "rich_text_list",
                "style": if ordered { "ordered" } else { "bullet" },
                "indent": depth,
                "border": u8::from(quoted),
                "elements": [],
            });
            if offset > 0 {
                element["offset"] = offset.into();
            }
            *last = element;
        }
        if let Some(items) = last.get_mut("elements").and_then(Value::as_array_mut) {
            items.push(item);
        }
    }

    fn close(&mut self) {
        let kind = match self.open {
            Open::Nothing => return,
            Open::List { .. } => {
                self.end_item();
                self.open = Open::Nothing;
                return;
            }
            Open::Section => "rich_text_section",
            Open::Quote => "rich_text_quote",
            Open::Code(..) => "rich_text_preformatted",
        };
        let words = std::mem::take(&mut self.words);
        let mut element = json!({ "type": kind, "elements": words });
        if let Open::Code(_, language, quoted) = self.open {
            if let Some(language) = language {
                element["language"] = language.into();
            }
            if quoted {
                element["border"] = 1.into();
            }
        }
        self.out.push(element);
        self.open = Open::Nothing;
    }

    /// Adds text; to the text before it, if that looks the same.
    fn say(&mut self, text: &str, style: &Map<String, Value>) {
        if text.is_empty() {
            return;
        }
        if let Some(last) = self.words.last_mut()
            && last["type"] == "text"
            && last.get("style").and_then(Value::as_object).unwrap_or(&Map::new()) == style
            && let Some(before) = last["text"].as_str()
        {
            last["text"] = format!("{before}{text}").into();
            return;
        }
        let mut element = json!({ "type": "text", "text": text });
        styled(&mut element, style);
        self.words.push(element);
    }

    fn inline(&mut self, rich: &Rich) {
        let mut done = 0;
        for run in rich.runs() {
            if run.text.is_empty() || run.start < done {
                continue;
            }
            if let Some(end) = self.named(rich, &run) {
                done = end;
                continue;
            }
            let style = style_of(&run);
            if let Some(warning) = spoiler(&run) {
                self.say(&warning, &Map::new());
            }
            let url = run.spans.iter().find_map(|span| match &span.style {
                Style::Link { url } => Some(url),
                _ => None,
            });
            match url {
                Some(url) => self.link(url, run.text, &style),
                None => self.say(run.text, &style),
            }
        }
    }

    fn link(&mut self, url: &str, words: &str, style: &Map<String, Value>) {
        let mut element = json!({ "type": "link", "url": url });
        if words != url {
            element["text"] = words.into();
        }
        styled(&mut element, style);
        self.words.push(element);
    }

    /// A mention or emoji that begins at this run: written as what it is; gives where it ends.
    fn named(&mut self, rich: &Rich, run: &Run<'_>) -> Option<usize> {
        let span = named_by(run)?;
        let shown = &rich.text()[span.range.clone()];
        let style = style_of(run);
        let mut element = match &span.style {
            Style::User(user) => json!({ "type": "user", "user_id": self.target.user(user)? }),
            Style::Room(room) => match self.target.room(room) {
                Place::Channel(id) => json!({ "type": "channel", "channel_id": id }),
                Place::Link(url) => {
                    self.link(&url, shown, &style);
                    return Some(span.range.end);
                }
                Place::Nowhere => return None,
            },
            Style::Everyone => {
                let range = if shown == "@here" { "here" } else { "channel" };
                json!({ "type": "broadcast", "range": range })
            }
            style => {
                json!({ "type": "emoji", "name": own_emoji(self.target, style, shown)? })
            }
        };
        styled(&mut element, &style);
        self.words.push(element);
        Some(span.range.end)
    }
}

fn styled(element: &mut Value, style: &Map<String, Value>) {
    if !style.is_empty() {
        element["style"] = Value::Object(style.clone());
    }
}

fn style_of(run: &Run<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    for span in &run.spans {
        let key = match span.style {
            Style::Bold => "bold",
            Style::Italic => "italic",
            Style::Underline => "underline",
            Style::Strike => "strike",
            Style::Code => "code",
            _ => continue,
        };
        out.insert(key.into(), true.into());
    }
    out
}
