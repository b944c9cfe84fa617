//! From rich text to the markup. What the markup has no form for loses its style, never its text.

use std::{fmt::Write as _, ops::Range};

use landbridge_framework::format::{Rich, Span, Style, UserTarget};

use super::{is_id, is_special, is_word, mark_of};

/// Writes the markup.
pub fn write(rich: &Rich) -> String {
    let text = rich.text();
    let blocks: Vec<&Span> = rich.spans().iter().filter(|span| span.style.is_block()).collect();
    let mut out = String::with_capacity(text.len() + 16);
    let mut fence: Option<&Range<usize>> = None;
    let mut start = 0;
    for line in text.split('\n') {
        let range = start..start + line.len();
        let block = code_block(&blocks, text, &range);
        if fence.is_some() && fence != block.map(|(range, _)| range) {
            out.push_str("```\n");
        }
        if let Some((block, language)) = block {
            if fence != Some(block) {
                out.push_str("```");
                out.push_str(language);
                out.push('\n');
            }
            out.push_str(line);
        } else {
            write_line(&mut out, rich, &blocks, &range);
        }
        fence = block.map(|(range, _)| range);
        start = range.end + 1;
        out.push('\n');
    }
    if fence.is_some() {
        out.push_str("```\n");
    }
    out.pop();
    out
}

/// The block of code that this line lies in, if it is one that can be fenced: whole lines, not empty, without a fence of its own.
fn code_block<'a>(
    blocks: &[&'a Span],
    text: &str,
    line: &Range<usize>,
) -> Option<(&'a Range<usize>, &'a str)> {
    blocks.iter().find_map(|span| {
        let Style::CodeBlock { language } = &span.style else { return None };
        let range = &span.range;
        let whole = (range.start == 0 || text[..range.start].ends_with('\n'))
            && (range.end == text.len()
                || text[range.end..].starts_with('\n')
                || text[..range.end].ends_with('\n'));
        let inside = range.start <= line.start && line.end <= range.end && line.start < range.end;
        let plain = whole && inside && !text[range.clone()].contains("```");
        let language = language.as_deref().unwrap_or_default();
        let language = if language.chars().all(|c| c.is_alphanumeric() || "+-#.".contains(c)) {
            language
        } else {
            ""
        };
        plain.then_some((range, language))
    })
}

fn write_line(out: &mut String, rich: &Rich, blocks: &[&Span], line: &Range<usize>) {
    let covers = |span: &&&Span| span.range.start <= line.start && line.end <= span.range.end;
    let mut quoted = false;
    for span in blocks.iter().filter(covers) {
        match span.style {
            Style::Quote if !quoted => {
                quoted = true;
                out.push_str("> ");
            }
            Style::ListItem { number } if span.range.start == line.start => {
                // The bullet is not part of the text; it is added here, as every plain rendering does.
                out.push_str(&number.map_or_else(|| "- ".into(), |number| format!("{number}. ")));
            }
            _ => {}
        }
    }
    Line::new(&rich.slice(line.clone())).write(out, quoted);
}

/// One line, with the styles that can be written.
struct Line {
    text: Vec<char>,
    /// Ranges in characters, sorted, each inside or outside of every other.
    spans: Vec<(Range<usize>, Style)>,
}

impl Line {
    fn new(rich: &Rich) -> Self {
        let text: Vec<char> = rich.text().chars().collect();
        let char_at = |byte: usize| rich.text()[..byte].chars().count();
        let mut spans: Vec<(Range<usize>, Style)> = Vec::new();
        // Links and code first: what they enclose can't be styled, so they decide.
        let rank = |style: &Style| match style {
            Style::Link { .. } | Style::User(_) => 0,
            Style::Code => 1,
            _ => 2,
        };
        let mut wanted: Vec<&Span> = rich
            .spans()
            .iter()
            .filter(|span| !span.style.is_block() || mark_of(&span.style).is_some())
            .take(256)
            .collect();
        wanted.sort_by_key(|span| rank(&span.style));
        for span in wanted {
            let Some(range) = trimmed(&text, char_at(span.range.start)..char_at(span.range.end))
            else {
                continue;
            };
            if writable(&text, &range, &span.style)
                && spans.iter().all(|other| fits((&range, &span.style), other))
            {
                spans.push((range, span.style.clone()));
            }
        }
        spans.sort_by_key(|(range, style)| {
            (range.start, std::cmp::Reverse(range.end), std::cmp::Reverse(rank(style)))
        });
        Self { text, spans }
    }

    fn write(&self, out: &mut String, quoted: bool) {
        let begin = out.len();
        let mut open: Vec<&(Range<usize>, Style)> = Vec::new();
        let mut coming = self.spans.iter().peekable();
        let mut at = 0;
        'chars: loop {
            while let Some((_, style)) = open.pop_if(|(range, _)| range.end == at) {
                close(out, style);
            }
            while let Some(span) = coming.next_if(|(range, _)| range.start == at) {
                match &span.1 {
                    Style::Link { .. } => out.push('['),
                    Style::User(UserTarget::Remote(id)) => {
                        out.push('@');
                        out.push_str(id);
                        at = span.0.end;
                        continue 'chars;
                    }
                    Style::Code => out.push('`'),
                    style => out.extend(mark_of(style)),
                }
                open.push(span);
            }
            let Some(&c) = self.text.get(at) else { break };
            let in_code = matches!(open.last(), Some((_, Style::Code)));
            if !in_code && self.needs_escape(at, c, out, begin, quoted, &open) {
                out.push('\\');
            }
            out.push(c);
            at += 1;
        }
    }

    /// Whether a character would be read as more than itself.
    fn needs_escape(
        &self,
        at: usize,
        c: char,
        out: &str,
        begin: usize,
        quoted: bool,
        open: &[&(Range<usize>, Style)],
    ) -> bool {
        let next = self.text.get(at + 1).copied();
        let edge = self.spans.iter().any(|(range, _)| range.start == at + 1 || range.end == at + 1);
        let before = out[begin..].chars().next_back();
        match c {
            '*' | '_' | '~' => !is_word(before) || !is_word(next) || edge,
            '`' | '[' => true,
            ']' => open.iter().any(|(_, style)| matches!(style, Style::Link { .. })),
            '\\' => edge || next.is_none_or(is_special),
            '@' => !is_word(before) && next.is_some_and(is_id),
            '>' => out.len() == begin && !quoted,
            _ => false,
        }
    }
}

fn close(out: &mut String, style: &Style) {
    match style {
        Style::Link { url } => {
            out.push_str("](");
            out.push_str(&safe_url(url));
            out.push(')');
        }
        Style::Code => out.push('`'),
        style => out.extend(mark_of(style)),
    }
}

/// The range without the spaces at its ends; none if nothing is left.
fn trimmed(text: &[char], range: Range<usize>) -> Option<Range<usize>> {
    let start = range.start + text[range.clone()].iter().take_while(|c| c.is_whitespace()).count();
    let end =
        range.end - text[range.clone()].iter().rev().take_while(|c| c.is_whitespace()).count();
    (start < end).then_some(start..end)
}

/// Whether the markup has a form for this style in this place.
fn writable(text: &[char], range: &Range<usize>, style: &Style) -> bool {
    let before = range.start.checked_sub(1).map(|at| text[at]);
    let after = text.get(range.end).copied();
    match style {
        Style::Code => !text[range.clone()].contains(&'`') && text[range.clone()].len() < 4096,
        Style::Link { url } => {
            (url.starts_with("https://") || url.starts_with("http://"))
                && safe_url(url).len() <= super::MAX_URL
                && range.len() * 2 < super::MAX_LABEL
        }
        Style::User(UserTarget::Remote(id)) => {
            !is_word(before) && !after.is_some_and(is_id) && !id.is_empty() && id.chars().all(is_id)
        }
        style => mark_of(style).is_some() && !is_word(before) && !is_word(after),
    }
}

/// Whether a style can stand beside, around or inside one that was taken already.
fn fits((range, style): (&Range<usize>, &Style), (taken, other): &(Range<usize>, Style)) -> bool {
    if range.end <= taken.start || taken.end <= range.start {
        return true;
    }
    let around = range.start <= taken.start && taken.end <= range.end;
    let same = style == other || (mark_of(style).is_some() && mark_of(style) == mark_of(other));
    let other_encloses = mark_of(other).is_some();
    !same
        && ((around && mark_of(style).is_some())
            || (other_encloses && taken.start <= range.start && range.end <= taken.end))
}

/// The address with what would be read as markup written as percent signs and digits.
fn safe_url(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for c in url.chars() {
        if matches!(c, '*' | '_' | '~' | '(' | ')' | '\\' | '`') || c.is_whitespace() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    out
}
