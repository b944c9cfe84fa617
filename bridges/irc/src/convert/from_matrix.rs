//! Rich text as IRC lines.

use std::collections::HashSet;

use landbridge_framework::format::{Rich, Run, Span, Style, UserTarget};

use super::code;
use super::lines::{Inked, Pen, ink_text, wrap};

/// How the name of a mentioned user reads on IRC.
pub type ShowUser<'a> = &'a (dyn Fn(&UserTarget) -> Option<String> + Send + Sync);

/// What goes before the text.
#[derive(Clone, Debug, Default)]
pub struct Lead {
    /// For the relay: who speaks.
    pub speaker: Option<String>,
    /// For a reply: whom it answers, and the beginning of what they said.
    pub quote: Option<(String, String)>,
}

/// The longest excerpt of a quoted message.
const EXCERPT: usize = 60;
/// What keeps a client from taking a relayed name for the nick of the person and alerting them.
const NO_PING: char = '\u{200b}';

/// A text as IRC lines of at most `max` bytes each, an action as CTCP.
pub fn lines(body: &Rich, emote: bool, lead: &Lead, show: ShowUser<'_>, max: usize) -> Vec<String> {
    let mut lines = inked(body, show);
    lines.retain(|line| !line.iter().all(|(_, c)| c.is_whitespace()));
    if lines.is_empty() {
        return Vec::new();
    }
    // The relay says who speaks on every line: lines of several people mix.
    let (max, speaker) = match &lead.speaker {
        Some(name) => {
            let speaker = speaker(name, emote);
            (max.saturating_sub(speaker.len()), speaker)
        }
        None => (max, String::new()),
    };
    if let Some((who, said)) = &lead.quote {
        let mut first = Inked::new();
        ink_text(&mut first, Pen::default(), &quote(who, said));
        first.append(&mut lines[0]);
        lines[0] = first;
    }
    let action = emote && lead.speaker.is_none();
    // "\x01ACTION " and "\x01"
    let max = if action { max.saturating_sub(9) } else { max };
    let wrapped = lines.iter().flat_map(|line| wrap(line, max));
    wrapped
        .map(|line| {
            if action {
                format!("{0}ACTION {line}{0}", code::CTCP)
            } else {
                format!("{speaker}{line}")
            }
        })
        .collect()
}

/// The text as IRC shows it, without formatting codes: what a pasted file holds.
pub fn plain(body: &Rich, show: ShowUser<'_>) -> String {
    let lines = inked(body, show);
    let lines: Vec<String> =
        lines.iter().map(|line| line.iter().map(|(_, c)| *c).collect()).collect();
    lines.join("\n")
}

fn speaker(name: &str, emote: bool) -> String {
    let clean: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
    let mut chars = clean.chars();
    let first = chars.next().map(String::from).unwrap_or_default();
    let guarded = format!("{first}{NO_PING}{}", chars.as_str());
    if emote { format!("* {guarded} ") } else { format!("<{guarded}> ") }
}

fn quote(who: &str, said: &str) -> String {
    let who: String = who.chars().filter(|c| !c.is_control()).take(40).collect();
    let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    if said.is_empty() {
        return format!("{who}: ");
    }
    let mut excerpt: String = said.chars().take(EXCERPT).collect();
    if said.chars().count() > EXCERPT {
        excerpt.push('\u{2026}');
    }
    format!("<{who} \"{excerpt}\"> ")
}

/// The text's lines, each character with its formatting; blocks get the marks that people type.
fn inked(body: &Rich, show: ShowUser<'_>) -> Vec<Inked> {
    let mut out: Vec<Inked> = vec![Inked::new()];
    let mut at_line_start = true;
    // List numbers and bullets stand once, at the item's first line.
    let mut marked: HashSet<usize> = HashSet::new();
    for run in body.runs() {
        if let Some(nick) = shown_user(&run, show) {
            if run.start == nick.0.range.start {
                start_line(&mut out, &run, &mut at_line_start, &mut marked, body);
                push(&mut out, pen_of(&run), &nick.1);
            }
            continue;
        }
        for (index, line) in run.text.split('\n').enumerate() {
            if index > 0 {
                out.push(Inked::new());
                at_line_start = true;
            }
            if line.is_empty() {
                continue;
            }
            start_line(&mut out, &run, &mut at_line_start, &mut marked, body);
            push(&mut out, pen_of(&run), line);
        }
        close_links(&mut out, &run);
    }
    out
}

fn push(out: &mut [Inked], pen: Pen, text: &str) {
    if let Some(line) = out.last_mut() {
        ink_text(line, pen, text);
    }
}

/// The mention that covers a run, if its user has another name on IRC than the text says.
fn shown_user<'a>(run: &Run<'a>, show: ShowUser<'_>) -> Option<(&'a Span, String)> {
    run.spans.iter().find_map(|span| match &span.style {
        Style::User(target) => show(target).map(|nick| (*span, nick)),
        _ => None,
    })
}

fn start_line(
    out: &mut [Inked],
    run: &Run<'_>,
    at_line_start: &mut bool,
    marked: &mut HashSet<usize>,
    body: &Rich,
) {
    if !std::mem::take(at_line_start) {
        return;
    }
    let mut marks = String::new();
    for span in &run.spans {
        match &span.style {
            Style::Quote => marks.push_str("> "),
            Style::ListItem { number } => {
                let place =
                    body.spans().iter().position(|s| std::ptr::eq(s, *span)).unwrap_or(usize::MAX);
                let first = marked.insert(place);
                let mark = match (first, number) {
                    (true, Some(number)) => format!("{number}. "),
                    (true, None) => "\u{2022} ".to_owned(),
                    (false, _) => "  ".to_owned(),
                };
                marks.push_str(&mark);
            }
            _ => {}
        }
    }
    push(out, Pen::default(), &marks);
}

fn pen_of(run: &Run<'_>) -> Pen {
    let mut pen = Pen::default();
    for span in &run.spans {
        match &span.style {
            Style::Bold | Style::Heading { .. } => pen.bold = true,
            Style::Italic => pen.italic = true,
            Style::Underline => pen.underline = true,
            Style::Strike => pen.strike = true,
            Style::Code | Style::CodeBlock { .. } => pen.mono = true,
            Style::Colour { fg, bg } => pen.colour(*fg, *bg),
            // Black on black: IRC's own way to hide a text until it is marked.
            Style::Spoiler { .. } => (pen.fg, pen.bg) = (Some(1), Some(1)),
            _ => {}
        }
    }
    pen
}

/// Behind the end of a link whose text isn't its address, the address.
fn close_links(out: &mut [Inked], run: &Run<'_>) {
    let end = run.start + run.text.len();
    for span in run.spans.iter().filter(|span| span.range.end == end) {
        if let Style::Link { url } = &span.style {
            let shown: String =
                out.last().map(|line| line.iter().map(|(_, c)| *c).collect()).unwrap_or_default();
            if !shown.ends_with(url.as_str()) && !shown.ends_with(url.trim_end_matches('/')) {
                push(out, Pen::default(), &format!(" ({url})"));
            }
        }
    }
}
