//! Keeping plain text plain: what Discord would take for markup gets a backslash.

use super::Manner;
use crate::convert::to_matrix;

/// Appends text that is only text. `line_start`: whether it stands where a block might begin.
pub(super) fn text(out: &mut String, text: &str, line_start: bool, manner: &Manner) {
    let mut rest = text;
    if line_start {
        rest = block_lead(out, text);
    }
    let mut last: Option<char> = None;
    while let Some(c) = rest.chars().next() {
        if let Some(len) = url(rest, last) {
            out.push_str(&rest[..len]);
            last = rest[..len].chars().next_back();
            rest = &rest[len..];
            continue;
        }
        if let Some((written, len)) = emoji(rest, manner) {
            out.push_str(&written);
            last = Some(':');
            rest = &rest[len..];
            continue;
        }
        if needs_backslash(c, rest) {
            out.push('\\');
        }
        out.push(c);
        last = Some(c);
        rest = &rest[c.len_utf8()..];
    }
}

/// What begins a block at the beginning of a line: escaped and taken off.
fn block_lead<'a>(out: &mut String, text: &'a str) -> &'a str {
    let indent = text.len() - text.trim_start_matches(' ').len();
    let rest = &text[indent..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let begins = |mark: &str| rest.starts_with(mark);
    if (1..=3).contains(&hashes) && rest[hashes..].starts_with(' ')
        || begins("> ")
        || begins(">>>")
        || begins("- ")
        || begins("-# ")
    {
        out.push_str(&text[..indent]);
        out.push('\\');
        out.push_str(&rest[..1]);
        return &rest[1..];
    }
    if (1..=9).contains(&digits) && rest[digits..].starts_with(". ") {
        out.push_str(&text[..indent + digits]);
        out.push_str("\\.");
        return &rest[digits + 1..];
    }
    // Discord trims a message; white space at the beginning of a line is nothing either.
    text
}

/// An address: markup in it is no markup, and a backslash would break it.
fn url(rest: &str, last: Option<char>) -> Option<usize> {
    if last.is_some_and(char::is_alphanumeric) {
        return None;
    }
    to_matrix::address(rest)
}

/// `:name:` of the server's own emoji.
fn emoji(rest: &str, manner: &Manner) -> Option<(String, usize)> {
    let inner = rest.strip_prefix(':')?;
    let end = inner.find(':').filter(|end| *end <= 32)?;
    let name = &inner[..end];
    let (id, animated) = manner.emojis.get(name)?;
    Some((custom_emoji(name, *id, *animated), end + 2))
}

/// A server's own emoji as text has it.
pub(super) fn custom_emoji(name: &str, id: crate::ids::Id, animated: bool) -> String {
    format!("<{}:{name}:{id}>", if animated { "a" } else { "" })
}

fn needs_backslash(c: char, rest: &str) -> bool {
    match c {
        '\\' | '*' | '_' | '~' | '|' | '`' => true,
        // Only what would become something else.
        '<' => {
            let next = &rest[1..];
            ["@", "#", ":", "a:", "t:", "/", "id:", "http"]
                .iter()
                .any(|lead| next.starts_with(lead))
        }
        '[' => rest.contains("]("),
        _ => false,
    }
}
