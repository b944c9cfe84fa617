//! Discord's Markdown, the blocks: quotes, headings, lists, code. What is in a line is [`super::inline`]'s.
//!
//! Every line of the text becomes a line of the [`Rich`], markers taken off; blocks lie on whole lines.

use landbridge_framework::format::{Rich, Style};

use super::{Names, draft::Draft, inline};

/// Quotes and lists nested deeper than this are read as text.
const MAX_DEPTH: usize = 8;

/// Reads a message's text.
pub fn read(source: &str, names: &Names) -> Rich {
    let source = source.replace("\r\n", "\n");
    let mut reader = Reader { names, out: Draft::default(), fresh: true };
    reader.blocks(&source, 0, false);
    reader.out.finish()
}

/// Reads a text that has no blocks: a title, a field's name.
pub fn read_line(source: &str, names: &Names) -> Rich {
    let mut out = Draft::default();
    inline::read(&source.replace(['\n', '\r'], " "), names, &mut out);
    out.finish()
}

/// A line's block, if it begins one.
enum Lead<'a> {
    /// `>>> `: all that follows.
    QuoteRest,
    /// `> `: the rest of the line.
    Quote,
    /// `# `.
    Heading(u8, &'a str),
    /// `-# `.
    Small(&'a str),
    /// `- ` or `1. `, with its indent.
    Item { indent: usize, number: Option<u32>, text: &'a str },
}

fn lead(line: &str, quoted: bool) -> Option<Lead<'_>> {
    let indent = line.len() - line.trim_start_matches(' ').len();
    let rest = &line[indent..];
    if !quoted {
        if rest.strip_prefix(">>>").is_some_and(|r| r.starts_with(' ')) {
            return Some(Lead::QuoteRest);
        }
        if rest.starts_with("> ") {
            return Some(Lead::Quote);
        }
    }
    if indent == 0 {
        if let Some(text) = rest.strip_prefix("-# ").filter(|t| !t.trim().is_empty()) {
            return Some(Lead::Small(text));
        }
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if (1..=3).contains(&hashes)
            && let Some(text) = rest[hashes..].strip_prefix(' ')
            && !text.trim().is_empty()
        {
            return Some(Lead::Heading(hashes as u8, text.trim()));
        }
    }
    if let Some(text) = rest.strip_prefix("- ").or_else(|| rest.strip_prefix("* ")) {
        let text = text.trim_start();
        return (!text.is_empty()).then_some(Lead::Item { indent, number: None, text });
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    if (1..=9).contains(&digits)
        && let Some(text) = rest[digits..].strip_prefix(". ")
        && !text.trim().is_empty()
    {
        let number = rest[..digits].parse().ok();
        return Some(Lead::Item { indent, number, text: text.trim_start() });
    }
    None
}

/// A code block at the beginning of `text`: its language, its content, and how long it is with its fences.
fn fence(text: &str) -> Option<(Option<&str>, &str, usize)> {
    let inner = text.strip_prefix("```")?;
    let end = inner.find("```").filter(|end| !inner[..*end].trim().is_empty())?;
    // More backticks at the end belong to the content.
    let extra = inner[end + 3..].bytes().take_while(|b| *b == b'`').count();
    let whole = &inner[..end + extra];
    let (language, code) = match whole.split_once('\n') {
        Some((first, rest)) if is_language(first) && !rest.trim().is_empty() => (Some(first), rest),
        _ => (None, whole),
    };
    Some((language, code.trim_matches('\n'), end + extra + 6))
}

fn is_language(word: &str) -> bool {
    (1..=40).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.#".contains(&b))
}

struct Item {
    indent: usize,
    number: Option<u32>,
    text: String,
}

struct Reader<'a> {
    names: &'a Names,
    out: Draft,
    /// Whether nothing stands yet in what is being written: the next line needs no break before it.
    fresh: bool,
}

impl Reader<'_> {
    /// Begins a line.
    fn line(&mut self) {
        if !self.fresh {
            self.out.push("\n");
        }
        self.fresh = false;
    }

    fn block(&mut self, style: Style, write: impl FnOnce(&mut Self)) {
        self.line();
        self.fresh = true;
        let start = self.out.len();
        write(self);
        self.fresh = false;
        self.out.style(start..self.out.len(), style);
    }

    fn text(&mut self, text: &str) {
        self.line();
        inline::read(text, self.names, &mut self.out);
    }

    /// Text up to a block. The line break before the block goes with it; an empty line stays one.
    fn before(&mut self, text: &str) {
        if let Some(text) = text.strip_suffix('\n') {
            self.text(text);
        } else if !text.is_empty() {
            self.text(text.trim_end_matches(' '));
        }
    }

    fn blocks(&mut self, source: &str, depth: usize, quoted: bool) {
        let quoted = quoted || depth >= MAX_DEPTH;
        // What lies between `text` and `at` is text that isn't written yet; `at` is where a line begins, but for the rest of
        // a line behind a code block.
        let (mut text, mut at, mut rest_of_line) = (0, 0, false);
        while at < source.len() {
            let end = source[at..].find('\n').map_or(source.len(), |n| at + n);
            let line = &source[at..end];
            let next = (end + 1).min(source.len());
            let found = if std::mem::take(&mut rest_of_line) { None } else { lead(line, quoted) };
            let Some(found) = found else {
                let code = open_fence(line)
                    .and_then(|open| Some((at + open, fence(&source[at + open..])?)));
                let Some((open, (language, code, len))) = code else {
                    at = next;
                    continue;
                };
                self.before(&source[text..open]);
                let language = language.map(str::to_owned);
                self.block(Style::CodeBlock { language }, |reader| {
                    reader.out.push(code);
                });
                at = open + len;
                if source[at..].starts_with('\n') {
                    at += 1;
                } else {
                    at += source[at..].len() - source[at..].trim_start_matches(' ').len();
                    rest_of_line = true;
                }
                text = at;
                continue;
            };
            self.before(&source[text..at]);
            at = match found {
                Lead::QuoteRest => {
                    let rest = source[at..].trim_start_matches(' ');
                    let rest = rest.strip_prefix(">>>").unwrap_or(rest).trim_start_matches(' ');
                    self.block(Style::Quote, |reader| reader.blocks(rest, depth + 1, true));
                    source.len()
                }
                Lead::Quote => self.quote(source, at, depth),
                Lead::Heading(level, title) => {
                    self.block(Style::Heading { level }, |reader| {
                        inline::read(title, reader.names, &mut reader.out);
                    });
                    next
                }
                Lead::Small(small) => {
                    self.text(small);
                    next
                }
                Lead::Item { .. } => self.list(source, at, quoted),
            };
            text = at;
        }
        if text < source.len() {
            self.text(&source[text..]);
        }
    }

    /// The lines from `at` on that are quoted, as one quote; gives where they end.
    fn quote(&mut self, source: &str, mut at: usize, depth: usize) -> usize {
        let mut inner: Vec<&str> = Vec::new();
        while at < source.len() {
            let end = source[at..].find('\n').map_or(source.len(), |n| at + n);
            let line = source[at..end].trim_start_matches(' ');
            let Some(text) = line
                .strip_prefix("> ")
                .or_else(|| (line == ">" && !inner.is_empty()).then_some(""))
            else {
                break;
            };
            inner.push(text);
            at = (end + 1).min(source.len());
        }
        let inner = inner.join("\n");
        self.block(Style::Quote, |reader| reader.blocks(&inner, depth + 1, true));
        at
    }

    /// The list items from `at` on; gives where they end.
    fn list(&mut self, source: &str, mut at: usize, quoted: bool) -> usize {
        let mut items: Vec<Item> = Vec::new();
        while at < source.len() {
            let end = source[at..].find('\n').map_or(source.len(), |n| at + n);
            let line = &source[at..end];
            match lead(line, quoted) {
                Some(Lead::Item { indent, number, text }) => {
                    items.push(Item { indent, number, text: text.to_owned() });
                }
                // An indented line goes on with the item above it.
                None if line.starts_with("  ") && !line.trim().is_empty() => {
                    if let Some(item) = items.last_mut() {
                        item.text.push('\n');
                        item.text.push_str(line.trim_start());
                    }
                }
                _ => break,
            }
            at = (end + 1).min(source.len());
        }
        self.items(&items, 0);
        at
    }

    fn items(&mut self, items: &[Item], depth: usize) {
        let mut at = 0;
        let mut number = None;
        while let Some(item) = items.get(at) {
            let deeper = items[at + 1..]
                .iter()
                .take_while(|next| next.indent > item.indent && depth < MAX_DEPTH)
                .count();
            // Discord counts on from the first number, whatever the others say.
            number = match (item.number, number) {
                (Some(_), Some(last)) => Some(u32::saturating_add(last, 1)),
                (first, _) => first,
            };
            let style = Style::ListItem { number };
            self.block(style, |reader| {
                reader.fresh = false;
                inline::read(&item.text, reader.names, &mut reader.out);
                reader.items(&items[at + 1..at + 1 + deeper], depth + 1);
            });
            at += 1 + deeper;
        }
    }
}

/// Where in a line a code block may begin: at three backticks that nothing escapes.
fn open_fence(line: &str) -> Option<usize> {
    let at = line.find("```")?;
    let escapes = line[..at].bytes().rev().take_while(|b| *b == b'\\').count();
    (escapes % 2 == 0).then_some(at)
}
