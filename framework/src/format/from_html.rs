//! The HTML of `formatted_body` to [`Rich`].
//!
//! It walks the tokens of html5ever's tokenizer with a stack of its own instead of building a tree: input is
//! hostile, and trees of it recurse as deep as the sender likes. Work is linear in the input.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use ruma::matrix_uri::MatrixId;
use ruma::{MatrixToUri, MatrixUri};

use super::rich::{Rgb, Rich, RoomTarget, Style, UserTarget};
use super::to_html::is_safe_url;

/// The spec's limit ("Tags must not be nested more than 100 levels deep"); deeper tags are ignored, their text kept.
const MAX_DEPTH: usize = 100;
/// Longer input can't come from an event (65,536 bytes); the rest is ignored.
const MAX_INPUT: usize = 256 * 1024;

/// Reads Matrix HTML. Never fails: what it doesn't know it ignores, and keeps the text. Rich reply fallbacks
/// (`mx-reply`), names of single messages (`data-mx-profile-fallback`), scripts and styles go with their content.
pub fn from_html(html: &str) -> Rich {
    let mut end = html.len().min(MAX_INPUT);
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(&html[..end]));
    let tokenizer = Tokenizer::new(Sink(RefCell::new(Reader::default())), TokenizerOpts::default());
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().finish()
}

/// The tokenizer hands its sink out by shared reference only.
struct Sink(RefCell<Reader>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut reader = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => reader.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return reader.open_tag(&tag),
            Token::TagToken(tag) => reader.close_tag(&tag.name),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// An open element.
struct Frame {
    tag: String,
    start: usize,
    styles: Vec<Style>,
    block: bool,
}

/// The state of the walk.
#[derive(Default)]
struct Reader {
    out: Rich,
    open: Vec<Frame>,
    /// Next numbers of the open lists, `None` for unordered ones.
    lists: Vec<Option<u32>>,
    /// Line breaks owed before the next text.
    breaks: usize,
    /// White space seen, not yet written.
    space: bool,
    after_paragraph: bool,
    /// How many `pre` are open.
    pre: usize,
    /// The text right after `<pre>`: its first line break isn't part of it.
    pre_start: bool,
    /// How many elements are open whose content is dropped.
    dropped: usize,
    /// The open element that says a message's own name (MSC4144), and how many of its sort are open within: dropped, too.
    name: Option<(String, usize)>,
}

impl Reader {
    fn text(&mut self, text: &str) {
        if self.dropped > 0 || self.name.is_some() {
            return;
        }
        if self.pre > 0 {
            let text = if std::mem::take(&mut self.pre_start) {
                text.strip_prefix('\n').unwrap_or(text)
            } else {
                text
            };
            if !text.is_empty() {
                self.flush();
                self.out.push(text);
            }
            return;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let white = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c']).len();
            if white > 0 {
                self.space |= self.breaks == 0
                    && !self.out.is_empty()
                    && !self.out.text().ends_with(['\n', ' ']);
                rest = &rest[white..];
                continue;
            }
            let word = rest.find([' ', '\t', '\n', '\r', '\x0c']).unwrap_or(rest.len());
            self.flush();
            self.out.push(&rest[..word]);
            rest = &rest[word..];
        }
    }

    /// Writes what is owed before text.
    fn flush(&mut self) {
        self.after_paragraph = false;
        if self.breaks > 0 {
            let have = self.out.len() - self.out.text().trim_end_matches('\n').len();
            let owed = if self.out.is_empty() { 0 } else { self.breaks.saturating_sub(have) };
            self.out.push(&"\n".repeat(owed));
            self.breaks = 0;
            self.space = false;
        }
        if std::mem::take(&mut self.space) {
            self.out.push(" ");
        }
    }

    fn owe(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
        self.space = false;
    }

    fn open_tag(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        if let Some((open, within)) = &mut self.name {
            if open == name && !tag.self_closing {
                *within += 1;
            }
            return TokenSinkResult::Continue;
        }
        if attr(tag, "data-mx-profile-fallback").is_some() && !tag.self_closing {
            self.name = Some((name.to_owned(), 0));
            return TokenSinkResult::Continue;
        }
        match name {
            "script" | "style" | "iframe" | "noscript" | "noembed" | "noframes" | "xmp" => {
                if !tag.self_closing {
                    self.dropped += 1;
                }
                return TokenSinkResult::RawData(RawKind::Rawtext);
            }
            "title" | "textarea" => {
                self.dropped += 1;
                return TokenSinkResult::RawData(RawKind::Rcdata);
            }
            "mx-reply" => {
                self.dropped += 1;
                return TokenSinkResult::Continue;
            }
            _ if self.dropped > 0 => return TokenSinkResult::Continue,
            "br" => {
                self.space = false;
                self.flush();
                self.out.push("\n");
            }
            "hr" => {
                self.owe(1);
                self.flush();
                self.out.push("---");
                self.owe(1);
            }
            "img" => self.image(tag),
            "td" | "th" => {
                self.flush();
                if !self.out.is_empty() && !self.out.text().ends_with(['\n', '\t']) {
                    self.out.push("\t");
                }
            }
            _ => self.open_element(name, tag),
        }
        TokenSinkResult::Continue
    }

    fn open_element(&mut self, name: &str, tag: &Tag) {
        if self.open.len() >= MAX_DEPTH {
            return;
        }
        if matches!(name, "li" | "p" | "tr") {
            self.close_implied(name);
        }
        let block = is_block(name);
        if block {
            let paragraphs = name == "p" && self.after_paragraph;
            self.owe(if paragraphs { 2 } else { 1 });
        }
        self.flush();
        if name == "pre" {
            self.pre += 1;
            self.pre_start = true;
        }
        if matches!(name, "ul" | "ol") {
            let first = attr(tag, "start").and_then(|s| s.trim().parse().ok()).unwrap_or(1);
            self.lists.push((name == "ol").then_some(first));
        }
        let styles = self.styles(name, tag);
        self.open.push(Frame { tag: name.to_owned(), start: self.out.len(), styles, block });
    }

    /// What an element means.
    fn styles(&mut self, name: &str, tag: &Tag) -> Vec<Style> {
        let style = match name {
            "b" | "strong" => Style::Bold,
            "i" | "em" => Style::Italic,
            "u" | "ins" => Style::Underline,
            "s" | "del" | "strike" => Style::Strike,
            "blockquote" => Style::Quote,
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                Style::Heading { level: name.as_bytes()[1] - b'0' }
            }
            "code" if self.pre > 0 => {
                let language = attr(tag, "class")
                    .and_then(|c| {
                        c.split_ascii_whitespace()
                            .find_map(|c| c.strip_prefix("language-").map(str::to_owned))
                    })
                    .filter(|l| !l.is_empty() && l.len() <= 40);
                if let Some(pre) = self.open.iter_mut().rev().find(|f| f.tag == "pre") {
                    pre.styles = vec![Style::CodeBlock { language }];
                }
                return Vec::new();
            }
            "pre" => Style::CodeBlock { language: None },
            "code" | "tt" | "kbd" => Style::Code,
            "li" => {
                let number = self.lists.last_mut().and_then(|list| {
                    let number = *list;
                    *list = list.map(|n| n.saturating_add(1));
                    number
                });
                Style::ListItem { number }
            }
            "a" => return attr(tag, "href").and_then(link).into_iter().collect(),
            "span" | "font" => return span(tag),
            _ => return Vec::new(),
        };
        vec![style]
    }

    fn image(&mut self, tag: &Tag) {
        let alt = attr(tag, "alt")
            .or_else(|| attr(tag, "title"))
            .filter(|t| !t.trim().is_empty())
            .unwrap_or("image");
        self.flush();
        let range = self.out.push(alt.trim());
        if attr(tag, "data-mx-emoticon").is_some()
            && let Some(mxc) = attr(tag, "src").filter(|s| s.starts_with("mxc://"))
        {
            self.out.style(range, Style::Emoji { mxc: mxc.to_owned() });
        }
    }

    /// `<li>` closes an open `<li>` of the same list, `<p>` an open `<p>`, as in HTML.
    fn close_implied(&mut self, name: &str) {
        let list = self
            .open
            .iter()
            .rposition(|f| matches!(f.tag.as_str(), "ul" | "ol" | "blockquote" | "table"));
        let open = self.open.iter().rposition(|f| f.tag == name);
        if let Some(open) = open
            && list.is_none_or(|l| l < open)
        {
            self.close_from(open);
        }
    }

    fn close_tag(&mut self, name: &str) {
        if let Some((open, within)) = &mut self.name {
            if open == name && *within > 0 {
                *within -= 1;
            } else if open == name {
                self.name = None;
            }
            return;
        }
        match name {
            "script" | "style" | "iframe" | "noscript" | "noembed" | "noframes" | "xmp"
            | "title" | "textarea" | "mx-reply" => {
                self.dropped = self.dropped.saturating_sub(1);
            }
            _ if self.dropped > 0 => {}
            _ => {
                let Some(at) = self.open.iter().rposition(|f| f.tag == name) else {
                    return;
                };
                if self.open[at].block {
                    self.close_from(at);
                } else {
                    if self.breaks == 0 {
                        self.flush();
                    }
                    let frame = self.open.remove(at);
                    self.end(frame);
                }
            }
        }
    }

    fn close_from(&mut self, at: usize) {
        for frame in self.open.split_off(at).into_iter().rev() {
            self.end(frame);
        }
    }

    fn end(&mut self, frame: Frame) {
        if frame.block {
            self.owe(1);
        }
        match frame.tag.as_str() {
            "pre" => {
                self.pre = self.pre.saturating_sub(1);
                self.pre_start = false;
            }
            "ul" | "ol" => {
                self.lists.pop();
            }
            "p" => self.after_paragraph = true,
            _ => {}
        }
        let text = &self.out.text()[frame.start..];
        let (mut start, mut end) = (frame.start, self.out.len());
        if frame.block {
            start += text.len() - text.trim_start_matches('\n').len();
            end = (frame.start + text.trim_end_matches('\n').len()).max(start);
        }
        for style in frame.styles {
            self.out.style(start..end, style);
        }
    }

    fn finish(mut self) -> Rich {
        self.close_from(0);
        plain_spaces(&self.out).trimmed().joined()
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "blockquote"
            | "ul"
            | "ol"
            | "li"
            | "pre"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "table"
            | "thead"
            | "tbody"
            | "tr"
            | "caption"
            | "details"
            | "summary"
    )
}

fn attr<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs.iter().find(|a| &*a.name.local == name).map(|a| &*a.value)
}

/// What an anchor means: a mention where it is a Matrix URI of a user or room, else a link.
fn link(href: &str) -> Option<Style> {
    let href = href.trim();
    let id = MatrixToUri::parse(href)
        .map(|uri| uri.id().clone())
        .or_else(|_| MatrixUri::parse(href).map(|uri| uri.id().clone()))
        .ok();
    match id {
        Some(MatrixId::User(user)) => Some(Style::User(UserTarget::Matrix(user.to_string()))),
        Some(MatrixId::Room(room)) => Some(Style::Room(RoomTarget::Matrix(room.to_string()))),
        Some(MatrixId::RoomAlias(alias)) => {
            Some(Style::Room(RoomTarget::Matrix(alias.to_string())))
        }
        _ => is_safe_url(href).then(|| Style::Link { url: href.to_owned() }),
    }
}

/// Colours and spoilers of `span` and of the older `font`.
fn span(tag: &Tag) -> Vec<Style> {
    let mut out = Vec::new();
    if let Some(reason) = attr(tag, "data-mx-spoiler") {
        out.push(Style::Spoiler { reason: (!reason.is_empty()).then(|| reason.to_owned()) });
    }
    let fg = attr(tag, "data-mx-color").or_else(|| attr(tag, "color")).and_then(Rgb::parse);
    let bg = attr(tag, "data-mx-bg-color").and_then(Rgb::parse);
    if fg.is_some() || bg.is_some() {
        out.push(Style::Colour { fg, bg });
    }
    out
}

/// No-break spaces that only keep HTML from swallowing white space (beside other white space, or at a line's edge)
/// become plain spaces; one between two words was meant.
fn plain_spaces(rich: &Rich) -> Rich {
    const NBSP: char = '\u{a0}';
    if !rich.text().contains(NBSP) {
        return rich.clone();
    }
    let mut text = String::with_capacity(rich.len());
    let mut shrunk = Vec::new();
    let mut before = None;
    let mut chars = rich.text().char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map(|(_, c)| *c);
        let filler = |c: Option<char>| c.is_none_or(|c| matches!(c, ' ' | '\n' | '\t' | NBSP));
        if c == NBSP && (filler(before) || filler(after)) {
            text.push(' ');
            shrunk.push(at);
        } else {
            text.push(c);
        }
        before = Some(c);
    }
    let moved = |at: usize| at - shrunk.partition_point(|s| *s < at);
    let mut out = Rich::plain(text);
    for span in rich.spans() {
        out.style(moved(span.range.start)..moved(span.range.end), span.style.clone());
    }
    out
}
