//! Formatted text cut into lines that fit what a server takes. Each line carries its own formatting codes, for IRC's formatting
//! ends with its line.

use landbridge_framework::format::Rgb;

use super::{code, ink};

/// The formatting of one character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent kind of formatting")]
pub(crate) struct Pen {
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    pub(crate) underline: bool,
    pub(crate) strike: bool,
    pub(crate) mono: bool,
    pub(crate) fg: Option<u8>,
    pub(crate) bg: Option<u8>,
}

impl Pen {
    /// Takes colours by their nearest IRC number.
    pub(crate) fn colour(&mut self, fg: Option<Rgb>, bg: Option<Rgb>) {
        self.fg = fg.map(ink::nearest).or(self.fg);
        self.bg = bg.map(ink::nearest).or(self.bg);
    }

    /// The codes that lead from one formatting to another, before a text that begins with `next`.
    fn codes(self, from: Self, next: char) -> String {
        if self == from {
            return String::new();
        }
        let mut out = String::new();
        if from != Self::default() {
            out.push(code::RESET);
        }
        let flags = [
            (self.bold, code::BOLD),
            (self.italic, code::ITALIC),
            (self.underline, code::UNDERLINE),
            (self.strike, code::STRIKE),
            (self.mono, code::MONOSPACE),
        ];
        out.extend(flags.iter().filter(|(on, _)| *on).map(|(_, code)| *code));
        // IRC has no background alone: black or white letters, whichever can be read on it.
        let readable = |bg| u8::from(matches!(bg, 0 | 7..=9 | 11 | 15));
        let colours = match (self.fg, self.bg) {
            (Some(fg), Some(bg)) => format!("{}{fg:02},{bg:02}", code::COLOUR),
            // A comma in the text must not be read as the beginning of a second colour.
            (Some(fg), None) if next == ',' => format!("{}{fg:02}{1}{1}", code::COLOUR, code::BOLD),
            (Some(fg), None) => format!("{}{fg:02}", code::COLOUR),
            (None, Some(bg)) => format!("{}{:02},{bg:02}", code::COLOUR, readable(bg)),
            (None, None) => String::new(),
        };
        out.push_str(&colours);
        out
    }
}

/// A text with a formatting for each character.
pub(crate) type Inked = Vec<(Pen, char)>;

/// Appends a text in one formatting, without the control characters that would mean something to IRC.
pub(crate) fn ink_text(out: &mut Inked, pen: Pen, text: &str) {
    out.extend(text.chars().filter(|c| !c.is_control() || *c == '\t').map(|c| (pen, c)));
}

fn encode(line: &[(Pen, char)]) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut pen = Pen::default();
    for (next, c) in line {
        out.push_str(&next.codes(pen, *c));
        pen = *next;
        out.push(*c);
    }
    out
}

/// Cuts one line of text into as many IRC lines as it needs, none longer than `max` bytes with its codes: at spaces where there are
/// any in the line's second half, and never inside a character or what combines with it.
pub(crate) fn wrap(line: &[(Pen, char)], max: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = line;
    while !rest.is_empty() {
        let fits = fitting(rest, max.max(16));
        let cut = if fits == rest.len() { fits } else { good_cut(rest, fits) };
        let text = encode(&rest[..cut]);
        let trimmed = text.trim_end_matches(' ');
        if !trimmed.is_empty() {
            out.push(trimmed.to_owned());
        }
        rest = &rest[cut..];
        while out.last().is_some()
            && rest.first().is_some_and(|(_, c)| *c == ' ')
            && cut != line.len()
        {
            rest = &rest[1..];
        }
    }
    out
}

/// How many characters fit `max` bytes: at least one.
fn fitting(line: &[(Pen, char)], max: usize) -> usize {
    let mut size = 0;
    let mut pen = Pen::default();
    for (count, (next, c)) in line.iter().enumerate() {
        size += next.codes(pen, *c).len() + c.len_utf8();
        pen = *next;
        if size > max {
            return count.max(1);
        }
    }
    line.len()
}

fn good_cut(line: &[(Pen, char)], fits: usize) -> usize {
    if let Some(space) =
        (fits / 2..=fits).rev().find(|at| *at > 0 && line.get(*at).is_some_and(|(_, c)| *c == ' '))
    {
        return space;
    }
    let mut cut = fits;
    while cut > 1 && fits - cut < 16 && (combines(line[cut].1) || line[cut - 1].1 == '\u{200d}') {
        cut -= 1;
    }
    if cut <= 1 || fits - cut >= 16 { fits } else { cut }
}

/// Whether a character belongs to the one before it: accents, variation selectors, joiners, skin tones.
fn combines(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{20d0}'..='\u{20ff}' | '\u{1f3fb}'..='\u{1f3ff}')
}
