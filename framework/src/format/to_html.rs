//! [`Rich`] to the HTML of `formatted_body`, using only the tags the spec suggests
//! (Client-Server API, "m.room.message msgtypes").

use std::fmt::Write as _;
use std::ops::Range;

use ruma::{RoomAliasId, RoomId, UserId};

use super::rich::{Rich, RoomTarget, Span, Style, UserTarget};

/// Blocks nested deeper than this are written without their tags. The spec's limit is 100 tags in all.
const MAX_BLOCKS: usize = 16;

/// Renders Matrix HTML. Everything that came from the network is escaped; targets that are no Matrix IDs and
/// links of unknown schemes become plain text.
pub fn to_html(rich: &Rich) -> String {
    let inline: Vec<&Span> = rich.spans().iter().filter(|s| !s.style.is_block()).collect();
    let mut out = Writer { rich, inline, html: String::with_capacity(rich.len() * 2) };
    out.blocks(0..rich.len(), &nested(rich.spans()), 0);
    out.html
}

/// A block span, clipped so that blocks nest.
struct Block<'a> {
    range: Range<usize>,
    style: &'a Style,
}

/// The block spans in order; one that begins inside another and reaches beyond it ends with it.
fn nested(spans: &[Span]) -> Vec<Block<'_>> {
    let mut open: Vec<usize> = Vec::new();
    let mut out = Vec::new();
    for span in spans.iter().filter(|s| s.style.is_block()) {
        while open.last().is_some_and(|end| *end <= span.range.start) {
            open.pop();
        }
        if open.len() >= MAX_BLOCKS {
            continue;
        }
        let end = open.last().map_or(span.range.end, |end| span.range.end.min(*end));
        open.push(end);
        out.push(Block { range: span.range.start..end, style: &span.style });
    }
    out
}

/// What the writer carries along.
struct Writer<'a> {
    rich: &'a Rich,
    inline: Vec<&'a Span>,
    html: String,
}

impl Writer<'_> {
    /// Writes `range`, whose block spans are `blocks`, in order.
    fn blocks(&mut self, range: Range<usize>, blocks: &[Block<'_>], depth: usize) {
        let mut at = range.start;
        let mut after_block = false;
        let mut list: Option<bool> = None;
        let mut i = 0;
        while let Some(block) = blocks.get(i) {
            let Range { start, end } = block.range.clone();
            let inner = i + 1 + blocks[i + 1..].iter().take_while(|b| b.range.start < end).count();
            let gap = &self.rich.text()[at..start];
            let ordered = match block.style {
                Style::ListItem { number } => Some(number.is_some()),
                _ => None,
            };
            if list.is_some() && (ordered != list || (gap != "\n" && !gap.is_empty())) {
                self.close_list(list.take());
            }
            self.gap(at..start, after_block, true);
            if let (Some(ordered), None) = (ordered, list) {
                self.open_list(ordered, block.style);
                list = Some(ordered);
            }
            self.block(block.style, block.range.clone(), &blocks[i + 1..inner], depth);
            at = end;
            after_block = true;
            i = inner;
        }
        self.close_list(list);
        self.gap(at..range.end, after_block, false);
    }

    fn open_list(&mut self, ordered: bool, style: &Style) {
        match style {
            Style::ListItem { number: Some(n) } if ordered && *n != 1 => {
                let _ = write!(self.html, "<ol start=\"{n}\">");
            }
            _ if ordered => self.html.push_str("<ol>"),
            _ => self.html.push_str("<ul>"),
        }
    }

    fn close_list(&mut self, list: Option<bool>) {
        match list {
            Some(true) => self.html.push_str("</ol>"),
            Some(false) => self.html.push_str("</ul>"),
            None => {}
        }
    }

    /// One block and what is in it.
    fn block(&mut self, style: &Style, range: Range<usize>, inner: &[Block<'_>], depth: usize) {
        match style {
            Style::CodeBlock { language } => {
                match language.as_deref().filter(|l| is_language(l)) {
                    Some(l) => {
                        let _ = write!(self.html, "<pre><code class=\"language-{l}\">");
                    }
                    None => self.html.push_str("<pre><code>"),
                }
                let code = &self.rich.text()[range];
                escape(&mut self.html, code);
                self.html.push_str("</code></pre>");
            }
            Style::Quote => self.wrapped("blockquote", range, inner, depth),
            Style::ListItem { .. } => self.wrapped("li", range, inner, depth),
            Style::Heading { level } => {
                let tag =
                    ["h1", "h2", "h3", "h4", "h5", "h6"][usize::from(level.clamp(&1, &6) - 1)];
                self.wrapped(tag, range, inner, depth);
            }
            _ => self.inline(range),
        }
    }

    fn wrapped(&mut self, tag: &str, range: Range<usize>, inner: &[Block<'_>], depth: usize) {
        let _ = write!(self.html, "<{tag}>");
        self.blocks(range, inner, depth + 1);
        let _ = write!(self.html, "</{tag}>");
    }

    /// Inline text beside blocks. A block breaks the line by itself, so one line break next to it is not written.
    fn gap(&mut self, range: Range<usize>, after_block: bool, before_block: bool) {
        let text = &self.rich.text()[range.clone()];
        let body = text.trim_matches('\n');
        if body.is_empty() {
            let breaks = text.len();
            let written = match (after_block, before_block) {
                (true, true) => breaks.saturating_sub(1),
                (true, false) => 0,
                (false, _) => breaks,
            };
            self.html.push_str(&"<br>".repeat(written));
            return;
        }
        let lead = text.len() - text.trim_start_matches('\n').len();
        let trail = text.len() - text.trim_end_matches('\n').len();
        self.html.push_str(&"<br>".repeat(if after_block { lead.saturating_sub(1) } else { lead }));
        self.inline(range.start + lead..range.end - trail);
        // `a<br><blockquote>` shows no empty line, `a<br><br><blockquote>` does.
        self.html.push_str(&"<br>".repeat(if before_block && trail == 1 { 0 } else { trail }));
    }

    /// Text with inline styles: cut where any of them begins or ends; links outermost, so that none is split.
    fn inline(&mut self, range: Range<usize>) {
        let mut here: Vec<&Span> = self
            .inline
            .iter()
            .copied()
            .filter(|s| s.range.start < range.end && s.range.end > range.start)
            .collect();
        here.sort_by_key(|s| rank(&s.style));
        let mut cuts: Vec<usize> = here
            .iter()
            .flat_map(|s| [s.range.start, s.range.end])
            .filter(|c| *c > range.start && *c < range.end)
            .collect();
        cuts.extend([range.start, range.end]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut open: Vec<(&Span, &'static str)> = Vec::new();
        for pair in cuts.windows(2) {
            let wanted = wanted(&here, pair[0]);
            let common =
                open.iter().zip(&wanted).take_while(|(a, b)| std::ptr::eq(a.0, **b)).count();
            for (_, close) in open.drain(common..).rev() {
                self.html.push_str(close);
            }
            for span in &wanted[common..] {
                if let Some((tag, close)) = tags(&span.style, &self.rich.text()[span.range.clone()])
                {
                    self.html.push_str(&tag);
                    open.push((span, close));
                } else {
                    open.push((span, ""));
                }
            }
            if !open.iter().any(|(s, _)| matches!(s.style, Style::Emoji { .. })) {
                text(
                    &mut self.html,
                    &self.rich.text()[range.clone()],
                    pair[0] - range.start..pair[1] - range.start,
                );
            }
        }
        for (_, close) in open.into_iter().rev() {
            self.html.push_str(close);
        }
    }
}

/// The spans that hold at `at`; of links and mentions only the first, since anchors don't nest.
fn wanted<'a>(here: &[&'a Span], at: usize) -> Vec<&'a Span> {
    let mut anchored = false;
    let mut out: Vec<&Span> = Vec::new();
    for span in here.iter().filter(|s| s.range.contains(&at)) {
        let anchor = rank(&span.style) == 0;
        if anchor && anchored || out.iter().any(|o| o.style == span.style) || out.len() > 20 {
            continue;
        }
        anchored |= anchor;
        out.push(span);
    }
    out
}

/// Order of nesting, outermost first.
fn rank(style: &Style) -> u8 {
    match style {
        Style::Link { .. } | Style::User(_) | Style::Room(_) => 0,
        Style::Emoji { .. } => 1,
        Style::Spoiler { .. } => 2,
        Style::Colour { .. } => 3,
        Style::Code => 5,
        _ => 4,
    }
}

/// Opening and closing tag of an inline style; `None` where the text alone is all that can be said.
fn tags(style: &Style, covered: &str) -> Option<(String, &'static str)> {
    let tag = |open: &str, close| Some((open.to_owned(), close));
    match style {
        Style::Bold => tag("<strong>", "</strong>"),
        Style::Italic => tag("<em>", "</em>"),
        Style::Underline => tag("<u>", "</u>"),
        Style::Strike => tag("<del>", "</del>"),
        Style::Code => tag("<code>", "</code>"),
        Style::Spoiler { reason: None } => tag("<span data-mx-spoiler>", "</span>"),
        Style::Spoiler { reason: Some(reason) } => {
            Some((format!("<span data-mx-spoiler=\"{}\">", escaped(reason)), "</span>"))
        }
        Style::Link { url } if is_safe_url(url) => {
            Some((format!("<a href=\"{}\">", escaped(url)), "</a>"))
        }
        Style::User(UserTarget::Matrix(id)) => {
            let id = <&UserId>::try_from(id.as_str()).ok()?;
            Some((format!("<a href=\"{}\">", escaped(&id.matrix_to_uri().to_string())), "</a>"))
        }
        Style::Room(RoomTarget::Matrix(id)) => {
            let uri = if let Ok(alias) = <&RoomAliasId>::try_from(id.as_str()) {
                alias.matrix_to_uri().to_string()
            } else {
                <&RoomId>::try_from(id.as_str()).ok()?.matrix_to_uri().to_string()
            };
            Some((format!("<a href=\"{}\">", escaped(&uri)), "</a>"))
        }
        Style::Colour { fg, bg } if fg.is_some() || bg.is_some() => {
            let mut open = String::from("<span");
            if let Some(fg) = fg {
                let _ = write!(open, " data-mx-color=\"{}\"", fg.hex());
            }
            if let Some(bg) = bg {
                let _ = write!(open, " data-mx-bg-color=\"{}\"", bg.hex());
            }
            open.push('>');
            Some((open, "</span>"))
        }
        Style::Emoji { mxc } if mxc.starts_with("mxc://") => {
            let (src, alt) = (escaped(mxc), escaped(covered));
            Some((
                format!(
                    "<img data-mx-emoticon src=\"{src}\" alt=\"{alt}\" title=\"{alt}\" height=\"32\">"
                ),
                "",
            ))
        }
        _ => None,
    }
}

/// Whether clients will follow such a link (the spec's list of schemes, and `matrix:`).
pub(super) fn is_safe_url(url: &str) -> bool {
    let Some((scheme, _)) = url.split_once(':') else {
        return false;
    };
    ["https", "http", "ftp", "mailto", "magnet", "matrix"]
        .iter()
        .any(|s| scheme.eq_ignore_ascii_case(s))
}

/// Whether a language name is safe and sensible in a class attribute.
fn is_language(l: &str) -> bool {
    !l.is_empty()
        && l.len() <= 40
        && l.chars().all(|c| c.is_ascii_alphanumeric() || "+-#_.".contains(c))
}

/// Writes a part of `line` as HTML text: escaped, line breaks as `<br>`, spaces that HTML would swallow as `&nbsp;`.
fn text(html: &mut String, line: &str, part: Range<usize>) {
    let mut before = line[..part.start].chars().next_back();
    let mut chars = line[part.start..].char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if part.start + at >= part.end {
            break;
        }
        let after = chars.peek().map(|(_, c)| *c);
        match c {
            '\r' if after == Some('\n') => {}
            '\n' | '\r' => html.push_str("<br>"),
            '\t' => html.push_str("&nbsp;&nbsp;&nbsp; "),
            ' ' => {
                let edge = matches!(before, None | Some('\n' | '\r'));
                let swallowed = matches!(after, None | Some(' ' | '\t' | '\n' | '\r'));
                html.push_str(if edge || swallowed { "&nbsp;" } else { " " });
            }
            c if c.is_control() => {}
            c => escape_char(html, c),
        }
        before = Some(c);
    }
}

fn escape(html: &mut String, s: &str) {
    for c in s.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')) {
        escape_char(html, c);
    }
}

fn escape_char(html: &mut String, c: char) {
    match c {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        c => html.push(c),
    }
}

/// `s` safe inside a quoted attribute or an element.
pub(super) fn escaped(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    escape(&mut out, s);
    out
}
