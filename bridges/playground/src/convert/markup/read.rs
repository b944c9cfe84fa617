//! From the markup to rich text.

use landbridge_framework::format::{Rich, Style, UserTarget};

use super::{MARKS, MAX_DEPTH, MAX_LABEL, MAX_URL, is_id, is_special, is_word, style_of};

/// Reads the markup. Everything is some text: nothing fails.
pub fn read(markup: &str) -> Rich {
    let mut out = Rich::new();
    let lines: Vec<&str> = markup.split('\n').collect();
    let mut at = 0;
    let mut first = true;
    while at < lines.len() {
        if !std::mem::take(&mut first) {
            out.push("\n");
        }
        if let Some((language, end)) = block(&lines, at) {
            let language = Some(language.to_owned()).filter(|language| !language.is_empty());
            out.push_styled(&lines[at + 1..end].join("\n"), Style::CodeBlock { language });
            at = end + 1;
            continue;
        }
        let (quoted, line) = match lines[at].strip_prefix("> ") {
            Some(rest) => (true, rest),
            None => (false, lines[at]),
        };
        let start = out.len();
        let chars: Vec<char> = line.chars().collect();
        inline(&mut out, &chars, 0);
        if quoted {
            out.style(start..out.len(), Style::Quote);
        }
        at += 1;
    }
    joined_quotes(&out)
}

/// The language and the last line of a block of code that begins here, if one does and ends.
fn block<'a>(lines: &[&'a str], at: usize) -> Option<(&'a str, usize)> {
    let language = lines[at].strip_prefix("```").filter(|language| !language.contains('`'))?;
    // A block that never ends is looked for once per fence; there can't be many that do not end, because the first that
    // finds an end takes everything up to it.
    let end = lines[at + 1..].iter().position(|line| *line == "```")? + at + 1;
    (end > at + 1).then_some((language, end))
}

/// Makes one quote of quoted lines that follow each other.
fn joined_quotes(rich: &Rich) -> Rich {
    let mut out = Rich::plain(rich.text());
    let mut quote: Option<std::ops::Range<usize>> = None;
    for span in rich.spans() {
        if span.style != Style::Quote {
            out.style(span.range.clone(), span.style.clone());
            continue;
        }
        match &mut quote {
            Some(open) if open.end + 1 == span.range.start => open.end = span.range.end,
            _ => {
                if let Some(done) = quote.replace(span.range.clone()) {
                    out.style(done, Style::Quote);
                }
            }
        }
    }
    if let Some(done) = quote {
        out.style(done, Style::Quote);
    }
    out
}

/// Reads one line, or what lies within a style of it.
fn inline(out: &mut Rich, chars: &[char], depth: usize) {
    let mut plain = String::new();
    // A mark that finds no end from one place finds none from a later place of the same text either: remembered, so that
    // a line of nothing but marks is read once and not once per mark.
    let mut dead = [false; MARKS.len()];
    let mut dead_code = false;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let next = chars.get(at + 1).copied();
        match c {
            '\\' if next.is_some_and(is_special) => {
                plain.extend(next);
                at += 2;
                continue;
            }
            '`' if !dead_code => match code_end(chars, at) {
                Some(end) => {
                    flush(out, &mut plain);
                    out.push_styled(&chars[at + 1..end].iter().collect::<String>(), Style::Code);
                    at = end + 1;
                    continue;
                }
                None => dead_code = chars[at + 1..].iter().all(|c| *c != '`'),
            },
            '[' if depth < MAX_DEPTH => {
                if let Some((label, url, end)) = link(chars, at) {
                    flush(out, &mut plain);
                    let start = out.len();
                    inline(out, label, MAX_DEPTH);
                    out.style(start..out.len(), Style::Link { url });
                    at = end;
                    continue;
                }
            }
            '@' if !is_word(before) && depth < MAX_DEPTH => {
                let name = mention(&chars[at + 1..]);
                if !name.is_empty() {
                    flush(out, &mut plain);
                    out.push_styled(
                        &format!("@{name}"),
                        Style::User(UserTarget::Remote(name.clone())),
                    );
                    at += 1 + name.len();
                    continue;
                }
            }
            _ => {
                let mark = MARKS.iter().position(|mark| *mark == c);
                if let Some(mark) = mark
                    && depth < MAX_DEPTH
                    && !dead[mark]
                    && !is_word(before)
                    && next.is_some_and(|next| !next.is_whitespace())
                {
                    if let Some(end) = closing(chars, at, c) {
                        flush(out, &mut plain);
                        let start = out.len();
                        inline(out, &chars[at + 1..end], depth + 1);
                        out.style(start..out.len(), style_of(c));
                        at = end + 1;
                        continue;
                    }
                    dead[mark] = true;
                }
            }
        }
        plain.push(c);
        at += 1;
    }
    flush(out, &mut plain);
}

fn flush(out: &mut Rich, plain: &mut String) {
    out.push(plain);
    plain.clear();
}

/// Where the code that opens at `at` ends. Empty code is none.
fn code_end(chars: &[char], at: usize) -> Option<usize> {
    let end = chars[at + 1..].iter().position(|c| *c == '`')? + at + 1;
    (end > at + 1).then_some(end)
}

/// Where the style that opens at `at` closes: at the same mark after something that is no space and before something that is no
/// word. Code in between is passed over.
fn closing(chars: &[char], at: usize, mark: char) -> Option<usize> {
    let mut i = at + 1;
    let mut code = true;
    while let Some(&c) = chars.get(i) {
        if c == '\\' {
            i += 2;
            continue;
        }
        if c == '`' && code {
            match code_end(chars, i) {
                Some(end) => {
                    i = end + 1;
                    continue;
                }
                None => code = chars.get(i + 1) == Some(&'`'),
            }
        }
        if c == mark
            && i > at + 1
            && !chars[i - 1].is_whitespace()
            && !is_word(chars.get(i + 1).copied())
        {
            return Some(i);
        }
        i += 1;
    }
    None
}

/// The text and the address of the link that opens at `at`, and what comes after it.
fn link(chars: &[char], at: usize) -> Option<(&[char], String, usize)> {
    let mut i = at + 1;
    loop {
        match chars.get(i)? {
            '\\' => i += 2,
            ']' => break,
            _ => i += 1,
        }
        if i - at > MAX_LABEL {
            return None;
        }
    }
    if i == at + 1 || chars.get(i + 1) != Some(&'(') {
        return None;
    }
    let url: String = chars[i + 2..].iter().take(MAX_URL + 1).take_while(|c| **c != ')').collect();
    let length = url.chars().count();
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    if length > MAX_URL || rest.is_empty() || rest.contains(|c: char| c.is_whitespace() || c == '(')
    {
        return None;
    }
    (chars.get(i + 2 + length) == Some(&')')).then(|| (&chars[at + 1..i], url, i + 3 + length))
}

/// The identifier at the beginning, without the punctuation that ends a sentence.
fn mention(chars: &[char]) -> String {
    let name: String = chars.iter().take(64).take_while(|c| is_id(**c)).collect();
    let name = name.trim_end_matches(['.', '-', '_']);
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name.to_owned()
    } else {
        String::new()
    }
}
