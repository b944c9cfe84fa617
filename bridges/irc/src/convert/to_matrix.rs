//! What is said on IRC, as rich text: formatting codes, CTCP, mentions.

use landbridge_framework::event::Content;
use landbridge_framework::format::{Rgb, Rich, Style, UserTarget};

use super::{code, ink};

/// What a text line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A message, notice or action.
    Content(Content),
    /// A CTCP request or answer that isn't for people: its command.
    Ctcp(String),
}

/// Reads the text of a PRIVMSG or NOTICE.
pub fn text(raw: &str, notice: bool, mentions: &[(String, String)]) -> Said {
    if let Some(ctcp) = raw.strip_prefix(code::CTCP) {
        let ctcp = ctcp.strip_suffix(code::CTCP).unwrap_or(ctcp);
        let (command, rest) = ctcp.split_once(' ').unwrap_or((ctcp, ""));
        return match command.to_ascii_uppercase().as_str() {
            "ACTION" => Said::Content(Content::Emote(with_mentions(rich(rest), mentions))),
            "DCC" => Said::Content(Content::Unsupported {
                what: "A file or chat offered over DCC, which can't be bridged".into(),
                link: None,
            }),
            other => Said::Ctcp(other.to_owned()),
        };
    }
    let rich = with_mentions(rich(raw), mentions);
    Said::Content(if notice { Content::Notice(rich) } else { Content::Text(rich) })
}

/// The formatting that holds at a place of the text.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one independent kind of formatting")]
struct Pen {
    bold: bool,
    italic: bool,
    underline: bool,
    strike: bool,
    mono: bool,
    reverse: bool,
    fg: Option<Rgb>,
    bg: Option<Rgb>,
}

impl Pen {
    fn styles(self) -> impl Iterator<Item = Style> {
        let (fg, bg) = match (self.reverse, self.fg, self.bg) {
            (false, fg, bg) => (fg, bg),
            // Reversed without colours: light on dark, whatever the reader's theme.
            (true, None, None) => (Some(Rgb(255, 255, 255)), Some(Rgb(0, 0, 0))),
            (true, fg, bg) => (bg.or(Some(Rgb(255, 255, 255))), fg.or(Some(Rgb(0, 0, 0)))),
        };
        let flags = [
            (self.bold, Style::Bold),
            (self.italic, Style::Italic),
            (self.underline, Style::Underline),
            (self.strike, Style::Strike),
            (self.mono, Style::Code),
            (fg.is_some() || bg.is_some(), Style::Colour { fg, bg }),
        ];
        flags.into_iter().filter(|(on, _)| *on).map(|(_, style)| style)
    }
}

/// Reads mIRC formatting.
pub fn rich(raw: &str) -> Rich {
    let mut out = Rich::new();
    let mut pen = Pen::default();
    let mut piece = String::new();
    let mut rest = raw.chars().peekable();
    while let Some(c) = rest.next() {
        let before = pen;
        match c {
            code::BOLD => pen.bold = !pen.bold,
            code::ITALIC => pen.italic = !pen.italic,
            code::UNDERLINE => pen.underline = !pen.underline,
            code::STRIKE => pen.strike = !pen.strike,
            code::MONOSPACE => pen.mono = !pen.mono,
            code::REVERSE => pen.reverse = !pen.reverse,
            code::RESET => pen = Pen::default(),
            code::COLOUR => (pen.fg, pen.bg) = colours(&mut rest, pen, 2, number),
            code::HEX_COLOUR => (pen.fg, pen.bg) = colours(&mut rest, pen, 6, hex),
            // No other control character means anything to a reader.
            c if c.is_control() && c != '\t' => {}
            c => {
                piece.push(c);
                continue;
            }
        }
        if pen != before {
            flush(&mut out, &mut piece, before);
        }
    }
    flush(&mut out, &mut piece, pen);
    out.joined()
}

fn flush(out: &mut Rich, piece: &mut String, pen: Pen) {
    if piece.is_empty() {
        return;
    }
    let range = out.push(piece);
    for style in pen.styles() {
        out.style(range.clone(), style);
    }
    piece.clear();
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;
/// A colour as it is written.
enum Written {
    /// One of the palette, or in hex.
    Colour(Rgb),
    /// The reader's own.
    Own,
}
type ReadColour = fn(&str) -> Option<Written>;

impl Written {
    fn rgb(self) -> Option<Rgb> {
        match self {
            Self::Colour(rgb) => Some(rgb),
            Self::Own => None,
        }
    }
}

/// Reads `fg`, `fg,bg` or nothing (which ends both) behind a colour code.
fn colours(
    rest: &mut Rest<'_>,
    pen: Pen,
    digits: usize,
    read: ReadColour,
) -> (Option<Rgb>, Option<Rgb>) {
    let Some(fg) = take_colour(rest, digits, read) else { return (None, None) };
    let mut ahead = rest.clone();
    if ahead.next() == Some(',')
        && let Some(bg) = take_colour(&mut ahead, digits, read)
    {
        *rest = ahead;
        return (fg.rgb(), bg.rgb());
    }
    (fg.rgb(), pen.bg)
}

fn take_colour(rest: &mut Rest<'_>, digits: usize, read: ReadColour) -> Option<Written> {
    let mut ahead = rest.clone();
    let mut text = String::new();
    while text.len() < digits {
        let Some(digit) =
            ahead.next_if(|c| if digits == 2 { c.is_ascii_digit() } else { c.is_ascii_hexdigit() })
        else {
            break;
        };
        text.push(digit);
    }
    let colour = read(&text)?;
    *rest = ahead;
    Some(colour)
}

fn number(text: &str) -> Option<Written> {
    text.parse::<usize>()
        .ok()
        .map(|number| ink::by_number(number).map_or(Written::Own, Written::Colour))
}

fn hex(text: &str) -> Option<Written> {
    Rgb::parse(text).map(Written::Colour)
}

/// Marks the nicks of Matrix users (`nick`, Matrix ID) in a text as mentions of them.
fn with_mentions(mut rich: Rich, mentions: &[(String, String)]) -> Rich {
    let lower = rich.text().to_ascii_lowercase();
    for (nick, mxid) in mentions {
        let nick = nick.to_ascii_lowercase();
        for (start, found) in lower.match_indices(&nick) {
            let end = start + found.len();
            let word = |c: char| c.is_alphanumeric() || "-_[]\\^{|}`".contains(c);
            let before = lower[..start].chars().next_back().is_some_and(word);
            let after = lower[end..].chars().next().is_some_and(word);
            if !before && !after {
                rich.style(start..end, Style::User(UserTarget::Matrix(mxid.clone())));
            }
        }
    }
    rich
}
