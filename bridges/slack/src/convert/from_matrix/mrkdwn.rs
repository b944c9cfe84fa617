//! mrkdwn (<https://docs.slack.dev/messaging/formatting-message-text>): for notifications, and where Slack takes nothing else.

use std::fmt::Write as _;

use landbridge_framework::format::{Rich, Run, Style};

use super::{
    Place, Target,
    lines::{Block, cut},
    named_by, own_emoji, spoiler,
};

/// Writes mrkdwn.
pub(super) fn write(target: Target<'_>, rich: &Rich) -> String {
    let mut out = String::with_capacity(rich.len() + 16);
    let mut code = None;
    for (place, line) in cut(rich).iter().enumerate() {
        let here = match line.block {
            Block::Code(span, _) => Some(std::ptr::from_ref(span)),
            _ => None,
        };
        if code != here && code.is_some() {
            out.push_str("\n```");
        }
        if place > 0 {
            out.push('\n');
        }
        if code != here && here.is_some() {
            out.push_str("```\n");
        }
        code = here;
        if here.is_some() {
            escape(&mut out, line.rich.text());
            continue;
        }
        if line.quotes > 0 {
            out.push_str("> ");
        }
        match line.block {
            Block::Item { depth, number, first } => {
                out.push_str(&"    ".repeat(depth));
                match number {
                    _ if !first => out.push_str("   "),
                    // Writing to a string never fails.
                    Some(number) => {
                        let _ = write!(out, "{number}. ");
                    }
                    None => out.push_str("• "),
                }
                inline(target, &mut out, &line.rich);
            }
            Block::Heading => {
                let mut rich = line.rich.clone();
                let end = rich.len();
                rich.style(0..end, Style::Bold);
                inline(target, &mut out, &rich.joined());
            }
            _ => inline(target, &mut out, &line.rich),
        }
    }
    if code.is_some() {
        out.push_str("\n```");
    }
    out
}

fn inline(target: Target<'_>, out: &mut String, rich: &Rich) {
    let mut done = 0;
    let mut open: Vec<char> = Vec::new();
    for run in rich.runs() {
        if run.text.is_empty() || run.start < done {
            continue;
        }
        let wanted = marks(&run);
        let warning = spoiler(&run);
        if let Some(warning) = &warning {
            turn(out, &mut open, &[]);
            escape(out, warning);
        }
        turn(out, &mut open, &wanted);
        if let Some(end) = named(target, out, rich, &run) {
            done = end;
            continue;
        }
        let url = run.spans.iter().find_map(|span| match &span.style {
            Style::Link { url } => Some(url),
            _ => None,
        });
        match url {
            Some(url) => link(out, url, run.text),
            None => escape(out, run.text),
        }
    }
    turn(out, &mut open, &[]);
}

/// The marks of a run's styles, outermost first. Code is innermost, because nothing is marked within it.
fn marks(run: &Run<'_>) -> Vec<char> {
    let has = |style: &Style| run.spans.iter().any(|span| span.style == *style);
    let marks =
        [(Style::Bold, '*'), (Style::Italic, '_'), (Style::Strike, '~'), (Style::Code, '`')];
    // Marks around white space alone mark nothing.
    if run.text.trim().is_empty() {
        return Vec::new();
    }
    marks.into_iter().filter(|(style, _)| has(style)).map(|(_, mark)| mark).collect()
}

/// Closes the marks that no longer hold, and opens those that do from here.
fn turn(out: &mut String, open: &mut Vec<char>, wanted: &[char]) {
    let same = open.iter().zip(wanted).take_while(|(a, b)| a == b).count();
    for mark in open.drain(same..).rev() {
        // A mark after white space would not be read as an end.
        let end = out.trim_end_matches(' ').len();
        out.insert(end, mark);
    }
    for mark in &wanted[same..] {
        out.push(*mark);
        open.push(*mark);
    }
}

fn named(target: Target<'_>, out: &mut String, rich: &Rich, run: &Run<'_>) -> Option<usize> {
    let span = named_by(run)?;
    let shown = &rich.text()[span.range.clone()];
    match &span.style {
        Style::User(user) => {
            let _ = write!(out, "<@{}>", target.user(user)?);
        }
        Style::Room(room) => match target.room(room) {
            Place::Channel(id) => {
                let _ = write!(out, "<#{id}>");
            }
            Place::Link(url) => link(out, &url, shown),
            Place::Nowhere => return None,
        },
        Style::Everyone => out.push_str(if shown == "@here" { "<!here>" } else { "<!channel>" }),
        style => {
            let _ = write!(out, ":{}:", own_emoji(target, style, shown)?);
        }
    }
    Some(span.range.end)
}

fn link(out: &mut String, url: &str, words: &str) {
    out.push('<');
    // What would end the link, or its address, is written as an address may write it.
    for c in url.chars() {
        match c {
            '|' => out.push_str("%7C"),
            '<' => out.push_str("%3C"),
            '>' => out.push_str("%3E"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    if words != url {
        out.push('|');
        escape(out, words);
    }
    out.push('>');
}

/// Slack's three escapes.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
}
