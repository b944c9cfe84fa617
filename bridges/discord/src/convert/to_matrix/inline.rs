//! Discord's Markdown, what is in a line: emphasis, code, spoilers, links. Where Discord's own rules are particular (which star closes
//! which), they are kept to.

use landbridge_framework::format::Style;

use super::{Names, draft::Draft, tokens};

/// Markup nested deeper than this is read as text.
const MAX_DEPTH: usize = 12;
/// Keeps two marks of the same kind apart where we write them; it says nothing.
pub(crate) const JOINER: char = '\u{200b}';

/// Appends a text to `out`.
pub(super) fn read(source: &str, names: &Names, out: &mut Draft) {
    Inline { names, out }.text(source, 0, None, None);
}

struct Inline<'a> {
    names: &'a Names,
    out: &'a mut Draft,
}

/// A mark, and what it stands for.
type Mark = (&'static str, fn() -> Style);

/// The marks, the longer of those that begin alike first.
const MARKS: [Mark; 6] = [
    ("**", || Style::Bold),
    ("__", || Style::Underline),
    ("~~", || Style::Strike),
    ("||", || Style::Spoiler { reason: None }),
    ("*", || Style::Italic),
    ("_", || Style::Italic),
];

impl Inline<'_> {
    /// Reads `source`; `before` and `after` are the characters that stand around it in the message.
    fn text(&mut self, source: &str, depth: usize, before: Option<char>, after: Option<char>) {
        let mut plain = 0;
        let mut at = 0;
        while let Some(c) = source[at..].chars().next() {
            let rest = &source[at..];
            let last = source[..at].chars().next_back().or(before);
            if c == '\\' {
                if let Some(len) = tokens::shrug(rest) {
                    at += len;
                    continue;
                }
                if let Some(escaped) = rest[1..].chars().next().filter(|c| is_escapable(*c)) {
                    self.out.push(&source[plain..at]);
                    plain = at + 1;
                    at += 1 + escaped.len_utf8();
                    continue;
                }
            }
            let found = match c {
                '`' => self.code(rest, &source[plain..at]),
                '*' | '_' | '~' | '|' if depth < MAX_DEPTH => {
                    self.marked(rest, &source[plain..at], depth, last)
                }
                '[' if depth < MAX_DEPTH => self.link(rest, &source[plain..at], depth),
                '<' | '@' | 'h' => {
                    tokens::read(rest, last, self.names).map(|(len, text, style)| {
                        self.out.push(&source[plain..at]);
                        let range = self.out.push(&text);
                        if let Some(style) = style {
                            self.out.style(range, style);
                        }
                        len
                    })
                }
                // Ours, between two marks.
                JOINER if is_mark(last) && is_mark(rest.chars().nth(1).or(after)) => {
                    self.out.push(&source[plain..at]);
                    Some(c.len_utf8())
                }
                _ => None,
            };
            match found {
                Some(len) => {
                    at += len;
                    plain = at;
                }
                None => at += c.len_utf8(),
            }
        }
        self.out.push(&source[plain..]);
    }

    /// `` `code` ``: as many backticks after as before it.
    fn code(&mut self, rest: &str, before: &str) -> Option<usize> {
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let inner = &rest[ticks..];
        let mut at = 0;
        let end = loop {
            let start = at + inner[at..].find('`')?;
            let run = inner[start..].len() - inner[start..].trim_start_matches('`').len();
            if run == ticks {
                break start;
            }
            at = start + run;
        };
        let code = &inner[..end];
        if code.trim().is_empty() {
            return None;
        }
        self.out.push(before);
        // One space beside a backtick only keeps it from the marks.
        let code = match code.strip_prefix(' ') {
            Some(rest) if rest.trim_start_matches(' ').starts_with('`') => rest,
            _ => code,
        };
        let code = match code.strip_suffix(' ') {
            Some(rest) if rest.trim_end_matches(' ').ends_with('`') => rest,
            _ => code,
        };
        let range = self.out.push(code);
        self.out.style(range, Style::Code);
        Some(ticks + end + ticks)
    }

    /// Emphasis and spoilers.
    fn marked(
        &mut self,
        rest: &str,
        before: &str,
        depth: usize,
        last: Option<char>,
    ) -> Option<usize> {
        // Where two kinds of marks begin alike, the one that reaches further is meant.
        let found = MARKS.iter().filter_map(|(mark, style)| {
            let inner = rest.strip_prefix(mark)?;
            let end = close(inner, mark, last)?;
            // Stars around stars are stars: people hide words behind them.
            let said = inner[..end].chars().any(|c| !mark.starts_with(c));
            said.then(|| (*mark, style(), end))
        });
        let (mark, style, end) = found.max_by_key(|(mark, _, end)| end + 2 * mark.len())?;
        self.out.push(before);
        let start = self.out.len();
        let inner = &rest[mark.len()..mark.len() + end];
        let sign = mark.chars().next();
        self.text(inner, depth + 1, sign, sign);
        self.out.style(start..self.out.len(), style);
        Some(mark.len() * 2 + end)
    }

    /// `[text](address "title")`.
    fn link(&mut self, rest: &str, before: &str, depth: usize) -> Option<usize> {
        let (text, url, len) = tokens::masked(rest)?;
        self.out.push(before);
        let start = self.out.len();
        self.text(text, depth + 1, Some('['), Some(']'));
        self.out.style(start..self.out.len(), Style::Link { url });
        Some(len)
    }
}

fn is_mark(c: Option<char>) -> bool {
    matches!(c, Some('*' | '_' | '~' | '|' | '`'))
}

/// What a backslash makes plain: everything but letters, digits and white space.
fn is_escapable(c: char) -> bool {
    !c.is_alphanumeric() && !c.is_whitespace()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where in `inner`, which stands behind an opening mark, the closing one stands.
fn close(inner: &str, mark: &str, last: Option<char>) -> Option<usize> {
    let single = mark.len() == 1;
    if single && inner.starts_with(char::is_whitespace) || mark == "_" && last.is_some_and(is_word)
    {
        return None;
    }
    let mark_char = mark.chars().next()?;
    let mut at = 0;
    while let Some(c) = inner[at..].chars().next() {
        if c == '\\' {
            at += 1;
            at += inner[at..].chars().next().map_or(0, char::len_utf8);
            continue;
        }
        if inner[at..].starts_with(mark) {
            let after = inner[at + mark.len()..].chars().next();
            if single && after == Some(mark_char) {
                // Two of them are a mark of another kind, inside of this.
                at += 2;
                continue;
            }
            let fits = match mark {
                "*" => !inner[..at].ends_with(char::is_whitespace),
                "_" => !after.is_some_and(is_word),
                "~~" | "||" => true,
                _ => after != Some(mark_char),
            };
            if fits && at > 0 {
                return Some(at);
            }
            if single {
                // A single one that closes nothing can't stand inside either.
                return None;
            }
        }
        at += c.len_utf8();
    }
    None
}
