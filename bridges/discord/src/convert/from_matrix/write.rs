//! Rich text as Discord's Markdown.

use std::{collections::BTreeSet, fmt::Write as _, ops::Range};

use landbridge_framework::{
    RemoteId as _,
    format::{Rich, RoomTarget, Span, Style, UserTarget},
};

use super::{
    Manner, escape,
    marks::{self, Mark},
};
use crate::{
    convert::to_matrix::{JOINER, address},
    ids::{Id, Person, Place},
};

/// A text as it is sent, and whom it may notify.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The Markdown.
    pub text: String,
    /// The people it mentions.
    pub users: BTreeSet<Id>,
    /// Whether it calls everybody.
    pub everyone: bool,
}

/// Writes a text.
pub fn write(rich: &Rich, manner: &Manner) -> Written {
    let mut writer = Writer { rich, manner, out: Written::default() };
    let mut start = 0;
    let mut open_code: Option<&Span> = None;
    for (number, line) in rich.text().split('\n').enumerate() {
        let range = start..start + line.len();
        start = range.end + 1;
        let code = writer.code_block(&range);
        if let Some(block) = open_code.filter(|_| code != open_code) {
            writer.close_code(block);
        }
        if number > 0 {
            writer.out.text.push('\n');
        }
        match code {
            Some(block) => {
                if open_code != code {
                    writer.open_code(&range, block);
                }
                writer.prefix(&range, true);
                // Three backticks would end it.
                writer.out.text.push_str(&line.replace("```", "``\u{200b}`"));
            }
            None => writer.line(&range),
        }
        open_code = code;
    }
    if let Some(block) = open_code {
        writer.close_code(block);
    }
    writer.out
}

struct Writer<'a> {
    rich: &'a Rich,
    manner: &'a Manner,
    out: Written,
}

impl<'a> Writer<'a> {
    /// The spans that lie over a line, outermost first. A line without text has them where it stands.
    fn over(&self, line: &Range<usize>) -> impl Iterator<Item = &'a Span> + use<'a> {
        let (rich, line) = (self.rich, line.clone());
        rich.spans().iter().filter(move |s| s.range.start <= line.start && s.range.end >= line.end)
    }

    fn code_block(&self, line: &Range<usize>) -> Option<&'a Span> {
        self.over(line).find(|s| matches!(s.style, Style::CodeBlock { .. }))
    }

    fn open_code(&mut self, line: &Range<usize>, block: &Span) {
        self.prefix(line, true);
        let language = match &block.style {
            Style::CodeBlock { language: Some(language) } if is_language(language) => language,
            _ => "",
        };
        let _ = writeln!(self.out.text, "```{language}");
    }

    fn close_code(&mut self, block: &Span) {
        self.out.text.push('\n');
        self.prefix(&block.range, true);
        self.out.text.push_str("```");
    }

    /// The marks at the beginning of a line. Gives whether plain text may follow that begins a block.
    fn prefix(&mut self, line: &Range<usize>, code: bool) -> bool {
        let over: Vec<&Span> = self.over(line).collect();
        let mut plain = true;
        if over.iter().any(|s| s.style == Style::Quote) {
            self.out.text.push_str("> ");
        }
        if code {
            return true;
        }
        let items: Vec<&&Span> =
            over.iter().filter(|s| matches!(s.style, Style::ListItem { .. })).collect();
        if let Some(item) = items.last() {
            let first = item.range.start == line.start;
            let depth = items.len() - usize::from(first);
            self.out.text.push_str(&"  ".repeat(depth.min(8)));
            match &item.style {
                Style::ListItem { number: Some(number) } if first => {
                    let _ = write!(self.out.text, "{number}. ");
                }
                Style::ListItem { .. } if first => self.out.text.push_str("- "),
                _ => {}
            }
            plain = false;
        }
        let heading = over.iter().find_map(|s| match s.style {
            Style::Heading { level } => Some(level),
            _ => None,
        });
        if let Some(level) = heading.filter(|level| *level <= 3)
            && items.is_empty()
            && !line.is_empty()
        {
            self.out.text.push_str(&"#".repeat(usize::from(level.max(1))));
            self.out.text.push(' ');
            plain = false;
        }
        plain
    }

    fn line(&mut self, line: &Range<usize>) {
        let plain = self.prefix(line, false);
        let small_heading =
            self.over(line).any(|s| matches!(s.style, Style::Heading { level } if level > 3));
        let mut marks = marks::of_line(self.rich, line);
        let bold = marks.iter().any(|mark| mark.text == "**");
        if small_heading && !bold && !self.rich.text()[line.clone()].trim().is_empty() {
            self.out.text.push_str("**");
            self.stretch(line, &mut marks, false);
            self.out.text.push_str("**");
        } else {
            self.stretch(line, &mut marks, plain);
        }
    }

    /// Text of one line with its marks.
    fn stretch(&mut self, line: &Range<usize>, marks: &mut [Mark], line_start: bool) {
        let tokens = tokens(self.rich, line);
        // A mark that begins or ends inside of something written as a whole is moved to its edge.
        for mark in marks.iter_mut() {
            for (range, _) in &tokens {
                if range.start < mark.range.start && mark.range.start < range.end {
                    mark.range.start = range.start;
                }
                if range.start < mark.range.end && mark.range.end < range.end {
                    mark.range.end = range.end;
                }
            }
        }
        let mut cuts: Vec<usize> = tokens
            .iter()
            .map(|(range, _)| range)
            .chain(marks.iter().map(|mark| &mark.range))
            .flat_map(|range| [range.start, range.end])
            .chain([line.start, line.end])
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut open: Vec<&Mark> = Vec::new();
        for (number, at) in cuts.iter().enumerate() {
            while let Some(mark) = open.last().filter(|mark| mark.range.end <= *at) {
                marks::push(&mut self.out.text, mark.text, true);
                open.pop();
            }
            for mark in marks.iter().filter(|mark| mark.range.start == *at) {
                if let Some(about) = &mark.about {
                    self.out.text.push('(');
                    escape::text(&mut self.out.text, about, false, self.manner);
                    self.out.text.push_str(") ");
                }
                let run = open.last().is_some_and(|outer| outer.range.start == *at);
                marks::push(&mut self.out.text, mark.text, !run);
                open.push(mark);
            }
            let Some(end) = cuts.get(number + 1) else { break };
            let text = &self.rich.text()[*at..*end];
            match tokens.iter().find(|(range, _)| range.start == *at) {
                Some((range, span)) => self.token(range, span),
                None if tokens.iter().any(|(range, _)| range.contains(at)) => {}
                None => {
                    escape::text(
                        &mut self.out.text,
                        text,
                        line_start && *at == line.start && open.is_empty(),
                        self.manner,
                    );
                }
            }
        }
    }

    /// What is written as a whole.
    fn token(&mut self, range: &Range<usize>, span: &Span) {
        let text = &self.rich.text()[range.clone()];
        match &span.style {
            Style::Code => {
                if self.out.text.ends_with('`') {
                    self.out.text.push(JOINER);
                }
                code(&mut self.out.text, text);
            }
            Style::User(UserTarget::Remote(id)) => match Person::decode(id) {
                Ok(Person::User(user)) => {
                    self.out.users.insert(user);
                    let _ = write!(self.out.text, "<@{user}>");
                }
                _ => escape::text(&mut self.out.text, text, false, self.manner),
            },
            Style::Room(RoomTarget::Remote(id)) => match Place::decode(id) {
                Ok(Place::Channel(channel)) => {
                    let _ = write!(self.out.text, "<#{channel}>");
                }
                _ => escape::text(&mut self.out.text, text, false, self.manner),
            },
            Style::Room(RoomTarget::Matrix(room)) => {
                let url = format!("https://matrix.to/#/{room}");
                self.link(range, &url);
            }
            Style::Everyone => {
                // `@room` is Matrix's word.
                let word = if text.contains("here") { "@here" } else { "@everyone" };
                if self.manner.everyone {
                    self.out.everyone = true;
                    self.out.text.push_str(word);
                } else {
                    escape::text(&mut self.out.text, text, false, self.manner);
                }
            }
            Style::Link { url } => self.link(range, url),
            Style::RemoteEmoji { id, .. } => match id.parse::<Id>() {
                Ok(id) => {
                    let name = text.trim_matches(':');
                    let known = self.manner.emojis.values().find(|(known, _)| *known == id);
                    let animated = known.is_some_and(|(_, animated)| *animated);
                    self.out.text.push_str(&escape::custom_emoji(name, id, animated));
                }
                Err(_) => escape::text(&mut self.out.text, text, false, self.manner),
            },
            // Text without a mark of Discord's.
            _ => escape::text(&mut self.out.text, text, false, self.manner),
        }
    }

    fn link(&mut self, range: &Range<usize>, url: &str) {
        let text = &self.rich.text()[range.clone()];
        let web = url.starts_with("https://") || url.starts_with("http://");
        if text == url || text == url.trim_start_matches("mailto:") {
            // Bare, it must be seen where it begins and ends.
            let before = self.out.text.chars().next_back().is_some_and(char::is_alphanumeric);
            let after = self.rich.text()[range.end..].chars().next();
            let runs_on =
                after.is_some_and(|c| c.is_alphanumeric() || "/?&=#%_-+()~$!@".contains(c));
            if web && !before && !runs_on && address(text) == Some(text.len()) {
                self.out.text.push_str(text);
            } else if web && !text.contains(['<', '>', ' ']) {
                let _ = write!(self.out.text, "<{text}>");
            } else {
                escape::text(&mut self.out.text, text, false, self.manner);
            }
            return;
        }
        // Discord takes no address for the text of a link, so that nobody is led elsewhere.
        if !web || text.contains("://") || text.trim().is_empty() {
            escape::text(&mut self.out.text, text, false, self.manner);
            let _ = write!(self.out.text, " ({url})");
            return;
        }
        let mut shown = String::new();
        escape::text(&mut shown, text, false, &Manner::default());
        let shown = shown.replace(']', "\\]").replace("\\[", "[").replace('[', "\\[");
        let mut url = url.replace(' ', "%20");
        if url.matches('(').count() != url.matches(')').count() {
            url = url.replace('(', "%28").replace(')', "%29");
        }
        let _ = write!(self.out.text, "[{shown}]({url})");
    }
}

/// What of a line is written as a whole, in order, nothing over another.
fn tokens<'a>(rich: &'a Rich, line: &Range<usize>) -> Vec<(Range<usize>, &'a Span)> {
    let mut out: Vec<(Range<usize>, &Span)> = Vec::new();
    for span in rich.spans() {
        let whole = match &span.style {
            Style::Code
            | Style::Link { .. }
            | Style::Everyone
            | Style::RemoteEmoji { .. }
            | Style::Room(_) => true,
            Style::User(target) => matches!(target, UserTarget::Remote(_)),
            _ => false,
        };
        let range = span.range.start.max(line.start)..span.range.end.min(line.end);
        let clear =
            out.iter().all(|(other, _)| other.end <= range.start || range.end <= other.start);
        if whole && range.start < range.end && clear {
            out.push((range, span));
        }
    }
    out.sort_by_key(|(range, _)| range.start);
    out
}

/// Code in a line: in more backticks than are in it.
fn code(out: &mut String, text: &str) {
    let mut longest = 0;
    let mut run = 0;
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    // One or two, or it would be a block.
    if text.trim().is_empty() || longest >= 2 {
        out.push_str(&text.replace('`', "\\`"));
        return;
    }
    let ticks = "`".repeat(longest + 1);
    let space = |there: bool| if there { " " } else { "" };
    let (before, after) = (space(text.starts_with('`')), space(text.ends_with('`')));
    let _ = write!(out, "{ticks}{before}{text}{after}{ticks}");
}

fn is_language(word: &str) -> bool {
    (1..=40).contains(&word.len())
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.#".contains(&b))
}
