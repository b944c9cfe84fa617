//! Slack's own markup (<https://docs.slack.dev/messaging/formatting-message-text>): what is in `text` of messages, sections and attachments.
//!
//! `&`, `<` and `>` come escaped; everything in angle brackets is something that is named. `*bold*`, `_italic_`, `~strike~` and `` `code` ``
//! hold within a line and between word boundaries; fences and quotes make blocks.

use landbridge_framework::format::{Rich, Style};

use super::{date, mentions, page::Page};
use crate::{convert::Context, emoji};

/// How far the end of a style is looked for, in bytes: within it everything Slack's clients write is found, and hostile text stays cheap.
const MAX_STYLED: usize = 4_000;

/// Reads mrkdwn.
pub fn rich(context: Context<'_>, text: &str) -> Rich {
    let mut page = Page::default();
    let mut rest = text;
    while let Some((before, code, after)) = fenced(rest) {
        lines(context, &mut page, before.strip_suffix('\n').unwrap_or(before));
        let code = Rich::plain(words_of(context, code.strip_prefix('\n').unwrap_or(code)));
        page.block(&code, Some(Style::CodeBlock { language: None }));
        rest = after.strip_prefix('\n').unwrap_or(after);
        if !rest.is_empty() {
            page.line();
        }
    }
    lines(context, &mut page, rest);
    page.finish()
}

/// The words alone, unescaped: of `plain_text` objects and titles.
pub fn plain(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// The first piece of code between fences, with what is before and after it.
fn fenced(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("```")?;
    let (code, after) = rest.split_once("```")?;
    (!code.trim().is_empty()).then_some((before, code, after))
}

fn lines(context: Context<'_>, page: &mut Page, text: &str) {
    if text.is_empty() {
        return;
    }
    let mut quote = Rich::new();
    let mut quoting = false;
    let mut first = true;
    let mut all = text.split('\n');
    while let Some(line) = all.next() {
        if let Some(said) = line.strip_prefix("&gt;&gt;&gt;") {
            // All the rest of the message.
            let mut whole = said.trim_start().to_owned();
            for line in all.by_ref() {
                whole.push('\n');
                whole.push_str(line);
            }
            end_quote(page, &mut quote, &mut quoting);
            page.block(&several(context, &whole), Some(Style::Quote));
            return;
        }
        let quoted = line.strip_prefix("&gt;").or_else(|| line.strip_prefix('>'));
        if let Some(said) = quoted {
            if quoting {
                quote.push("\n");
            }
            quoting = true;
            quote.append(&inline(context, said.strip_prefix(' ').unwrap_or(said), ""));
        } else {
            let ended = end_quote(page, &mut quote, &mut quoting);
            if ended {
                page.line();
            } else if !first {
                page.say("\n");
            }
            page.append(&inline(context, line, ""));
        }
        first = false;
    }
    end_quote(page, &mut quote, &mut quoting);
}

fn end_quote(page: &mut Page, quote: &mut Rich, quoting: &mut bool) -> bool {
    let ended = std::mem::take(quoting);
    if ended {
        page.block(&std::mem::take(quote), Some(Style::Quote));
    }
    ended
}

fn several(context: Context<'_>, text: &str) -> Rich {
    let mut out = Rich::new();
    for (place, line) in text.split('\n').enumerate() {
        if place > 0 {
            out.push("\n");
        }
        out.append(&inline(context, line, ""));
    }
    out
}

/// One line. `within` holds the marks of the styles around it, which can't begin again inside themselves.
fn inline(context: Context<'_>, text: &str, within: &str) -> Rich {
    let mut out = Rich::new();
    let mut at = 0;
    let mut before = None;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = match c {
            '<' => angle(context, &mut out, rest),
            '&' => entity(&mut out, rest),
            '`' => code(context, &mut out, rest),
            ':' => named_emoji(context, &mut out, rest),
            '*' | '_' | '~' if !within.contains(c) && is_edge(before) => {
                styled(context, &mut out, rest, c, within)
            }
            _ => None,
        };
        let length = length.unwrap_or_else(|| {
            out.push(&rest[..c.len_utf8()]);
            c.len_utf8()
        });
        at += length;
        before = text[..at].chars().next_back();
    }
    out
}

/// Whether a style may begin after this, or end before it.
fn is_edge(c: Option<char>) -> bool {
    c.is_none_or(|c| !c.is_alphanumeric())
}

/// `*bold*` and its like.
fn styled(
    context: Context<'_>,
    out: &mut Rich,
    rest: &str,
    mark: char,
    within: &str,
) -> Option<usize> {
    let end = closing(rest, mark)?;
    let style = match mark {
        '*' => Style::Bold,
        '_' => Style::Italic,
        _ => Style::Strike,
    };
    let start = out.len();
    out.append(&inline(context, &rest[1..end], &format!("{within}{mark}")));
    out.style(start..out.len(), style);
    Some(end + 1)
}

/// Where the style that begins with `mark` ends: not inside of code or angle brackets.
fn closing(rest: &str, mark: char) -> Option<usize> {
    let rest = &rest[..rest.floor_char_boundary(MAX_STYLED)];
    let mut before = mark;
    let mut skip_to = 0;
    for (at, c) in rest.char_indices().skip(1) {
        if at >= skip_to {
            if c == mark && before != mark && !before.is_whitespace() {
                let after = rest[at + 1..].chars().next();
                if is_edge(after) && after != Some(mark) {
                    return Some(at);
                }
            }
            if at == 1 && (c.is_whitespace() || c == mark) {
                return None;
            }
            let end = match c {
                '<' => rest[at..].find('>'),
                '`' => rest[at + 1..].find('`').map(|end| end + 1),
                _ => None,
            };
            skip_to = at + end.unwrap_or_default();
        }
        before = c;
    }
    None
}

fn code(context: Context<'_>, out: &mut Rich, rest: &str) -> Option<usize> {
    let end = rest[1..].find('`').filter(|end| *end > 0)?;
    out.push_styled(&words_of(context, &rest[1..=end]), Style::Code);
    Some(end + 2)
}

/// `:name:`, with a skin tone if one follows.
fn named_emoji(context: Context<'_>, out: &mut Rich, rest: &str) -> Option<usize> {
    const TONE: &str = ":skin-tone-";
    let end = rest[1..].find(':').filter(|end| *end <= 100)? + 1;
    let name = &rest[1..end];
    if !emoji::is_name(name) {
        return None;
    }
    let known = emoji::to_unicode(name).is_some() || context.names.emoji.contains_key(name);
    if !known {
        return None;
    }
    let tone = rest[end + 1..].strip_prefix(TONE).and_then(|tone| {
        let digit = tone.chars().next().filter(|digit| ('2'..='6').contains(digit))?;
        tone[1..].starts_with(':').then_some(digit)
    });
    if let Some(digit) = tone {
        mentions::emoji(out, context, &format!("{name}::skin-tone-{digit}"), None);
        // `:name:` and `:skin-tone-2:`, which share no colon.
        Some(end + 1 + TONE.len() + 2)
    } else {
        mentions::emoji(out, context, name, None);
        Some(end + 1)
    }
}

fn entity(out: &mut Rich, rest: &str) -> Option<usize> {
    [("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")].into_iter().find_map(|(entity, text)| {
        rest.starts_with(entity).then(|| {
            out.push(text);
            entity.len()
        })
    })
}

/// `<...>`: somebody, something, or a link.
fn angle(context: Context<'_>, out: &mut Rich, rest: &str) -> Option<usize> {
    let end = rest.find('>')?;
    let inner = &rest[1..end];
    if inner.is_empty() || inner.contains('<') || inner.contains('\n') {
        return None;
    }
    let (target, label) = match inner.split_once('|') {
        Some((target, label)) => (target, Some(plain(label)).filter(|label| !label.is_empty())),
        None => (inner, None),
    };
    let words = label.as_deref();
    if let Some(user) = target.strip_prefix('@') {
        mentions::user(out, context, user, words);
    } else if let Some(channel) = target.strip_prefix('#') {
        mentions::channel(out, context, channel, words);
    } else if let Some(special) = target.strip_prefix('!') {
        self::special(context, out, special, words);
    } else if target.contains(':') {
        mentions::link(out, &plain(target), words);
    } else {
        return None;
    }
    Some(end + 1)
}

/// `<!...>`: user groups, everybody, dates.
fn special(context: Context<'_>, out: &mut Rich, special: &str, words: Option<&str>) {
    let mut parts = special.split('^');
    match parts.next().unwrap_or_default() {
        "subteam" => mentions::group(out, context, parts.next().unwrap_or_default(), words),
        range @ ("here" | "channel" | "everyone" | "group") => {
            mentions::everybody(out, if range == "group" { "channel" } else { range });
        }
        "date" => {
            let at = parts.next().and_then(|at| at.parse().ok()).unwrap_or(i64::MAX);
            let format = parts.next().unwrap_or("{date_num}");
            let written = words.map(ToOwned::to_owned).or_else(|| date::write(at, format));
            let written = written.unwrap_or_else(|| special.to_owned());
            match parts.next() {
                Some(url) => mentions::link(out, &plain(url), Some(&written)),
                None => drop(out.push(&written)),
            }
        }
        other => drop(out.push(words.unwrap_or(other))),
    }
}

/// The words of a piece of code, in which nothing but links and mentions is markup.
fn words_of(context: Context<'_>, code: &str) -> String {
    let mut out = Rich::new();
    let mut at = 0;
    while let Some(c) = code[at..].chars().next() {
        let rest = &code[at..];
        let length = match c {
            '<' => angle(context, &mut out, rest),
            '&' => entity(&mut out, rest),
            _ => None,
        };
        at += length.unwrap_or_else(|| {
            out.push(&rest[..c.len_utf8()]);
            c.len_utf8()
        });
    }
    out.into_text()
}
