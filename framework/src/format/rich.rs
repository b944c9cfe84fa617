//! The structure itself: text, spans, and the operations converters need (append, slice, cut into runs).

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// More spans than this are ignored: a message with more is an attack, not a message.
const MAX_SPANS: usize = 4_096;

/// Plain text with styled spans over it.
///
/// Spans may overlap and nest freely. Their byte offsets always lie on character boundaries and inside the
/// text: [`Rich::style`] snaps what it is given, so no later slicing can panic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Unchecked")]
pub struct Rich {
    text: String,
    spans: Vec<Span>,
}

/// One styled stretch of a [`Rich`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// Byte range in the text, never empty.
    pub range: Range<usize>,
    /// What holds for this range.
    pub style: Style,
}

/// What a [`Span`] says about its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Style {
    /// Bold or strong.
    Bold,
    /// Italic or emphasised.
    Italic,
    /// Underlined.
    Underline,
    /// Struck through.
    Strike,
    /// Inline code, monospaced.
    Code,
    /// A block of code, with the language if it is known.
    CodeBlock {
        /// Language name as highlighters know it, for example `rust`.
        language: Option<String>,
    },
    /// Hidden until the reader asks for it.
    Spoiler {
        /// What the hidden text is about.
        reason: Option<String>,
    },
    /// Quoted text (a block).
    Quote,
    /// A link to a URL.
    Link {
        /// Absolute URL.
        url: String,
    },
    /// A mention of one user.
    User(UserTarget),
    /// A mention of a room or channel.
    Room(RoomTarget),
    /// A mention of everybody in the room (`@room`, `@everyone`, `@channel`).
    Everyone,
    /// One list item (a block); nested items lie inside the range of their parent.
    ListItem {
        /// The number of an ordered list's item, `None` in an unordered list.
        number: Option<u32>,
    },
    /// A heading (a block).
    Heading {
        /// 1 (largest) to 6.
        level: u8,
    },
    /// Coloured text.
    Colour {
        /// Colour of the letters.
        fg: Option<Rgb>,
        /// Colour behind them.
        bg: Option<Rgb>,
    },
    /// An inline image used as an emoji; the text is its short name.
    Emoji {
        /// `mxc://` URI of the image.
        mxc: String,
    },
    /// One of the remote network's own emoji; the text is its short name, `:name:`. On the way to Matrix the framework puts
    /// its picture in the place of the name, on the way back it names the emoji that the picture is of.
    RemoteEmoji {
        /// Its identifier on the network, as in [`crate::event::Emoji::Custom`].
        id: String,
        /// Its picture, as a [`crate::event::MediaRef`] has it; not needed where the framework has seen it before.
        media: Option<String>,
    },
}

/// A 24-bit colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rgb(
    /// Red.
    pub u8,
    /// Green.
    pub u8,
    /// Blue.
    pub u8,
);

/// Whom a mention means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UserTarget {
    /// A Matrix user ID.
    Matrix(String),
    /// An encoded user ID of the remote network.
    Remote(String),
}

/// Which room a mention means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RoomTarget {
    /// A Matrix room ID or alias.
    Matrix(String),
    /// An encoded portal ID of the remote network.
    Remote(String),
}

/// A stretch of text over which the set of styles doesn't change.
#[derive(Clone, Debug)]
pub struct Run<'a> {
    /// The text.
    pub text: &'a str,
    /// Where it begins in the whole text, in bytes.
    pub start: usize,
    /// The spans that cover it, those that begin first (and of these, the longer) first.
    pub spans: Vec<&'a Span>,
}

impl Style {
    /// Whether this style makes a block of its own lines.
    pub fn is_block(&self) -> bool {
        matches!(
            self,
            Self::CodeBlock { .. } | Self::Quote | Self::ListItem { .. } | Self::Heading { .. }
        )
    }

    /// Whether it stands for one thing, so that two of them side by side are two.
    fn is_whole(&self) -> bool {
        matches!(
            self,
            Self::User(_)
                | Self::Room(_)
                | Self::Everyone
                | Self::Emoji { .. }
                | Self::RemoteEmoji { .. }
        )
    }
}

impl Rgb {
    /// Parses `#rrggbb` (with or without `#`).
    pub fn parse(s: &str) -> Option<Self> {
        let hex = s.trim().trim_start_matches('#');
        if hex.len() != 6 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(hex, 16).ok()?.to_be_bytes();
        Some(Self(red, green, blue))
    }

    /// Writes `#rrggbb`.
    pub fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// What serde reads, before the offsets are checked.
#[derive(Deserialize)]
struct Unchecked {
    text: String,
    #[serde(default)]
    spans: Vec<Span>,
}

impl From<Unchecked> for Rich {
    fn from(raw: Unchecked) -> Self {
        let mut rich = Self { text: raw.text, spans: Vec::new() };
        for span in raw.spans {
            rich.style(span.range, span.style);
        }
        rich
    }
}

impl From<&str> for Rich {
    fn from(text: &str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Rich {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

impl Rich {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Text without any style.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), spans: Vec::new() }
    }

    /// The text without its styles.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Gives the text away.
    pub fn into_text(self) -> String {
        self.text
    }

    /// The spans, those that begin first (and of these, the longer) first.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Length of the text in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether there is nothing but text.
    pub fn is_plain(&self) -> bool {
        self.spans.is_empty()
    }

    /// Appends unstyled text and returns where it stands.
    pub fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    /// Appends text in one style.
    pub fn push_styled(&mut self, text: &str, style: Style) -> &mut Self {
        let range = self.push(text);
        self.style(range, style);
        self
    }

    /// Appends another rich text.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        let start = self.text.len();
        self.text.push_str(&other.text);
        for span in &other.spans {
            self.style(span.range.start + start..span.range.end + start, span.style.clone());
        }
        self
    }

    /// Styles a byte range. Offsets outside the text or inside a character are moved to the nearest boundary
    /// that makes the range smaller; an empty range is ignored.
    pub fn style(&mut self, range: Range<usize>, style: Style) -> &mut Self {
        let start = ceil_boundary(&self.text, range.start);
        let end = floor_boundary(&self.text, range.end);
        if start >= end || self.spans.len() >= MAX_SPANS {
            return self;
        }
        let at = self.spans.partition_point(|s| {
            (s.range.start, std::cmp::Reverse(s.range.end)) <= (start, std::cmp::Reverse(end))
        });
        self.spans.insert(at, Span { range: start..end, style });
        self
    }

    /// The text in `range` with the styles that hold there. Offsets are snapped as in [`Rich::style`].
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let start = ceil_boundary(&self.text, range.start);
        let end = floor_boundary(&self.text, range.end).max(start);
        let mut out = Self::plain(&self.text[start..end]);
        for span in &self.spans {
            let s = span.range.start.max(start);
            let e = span.range.end.min(end);
            if s < e {
                out.style(s - start..e - start, span.style.clone());
            }
        }
        out
    }

    /// The lines, each with its styles, without their line breaks.
    pub fn lines(&self) -> Vec<Self> {
        let mut out = Vec::new();
        let mut start = 0;
        for line in self.text.split('\n') {
            out.push(self.slice(start..start + line.len()));
            start += line.len() + 1;
        }
        out
    }

    /// The text cut wherever a span begins or ends: what a converter to another markup walks over.
    pub fn runs(&self) -> Vec<Run<'_>> {
        let mut cuts: Vec<usize> =
            self.spans.iter().flat_map(|s| [s.range.start, s.range.end]).collect();
        cuts.extend([0, self.text.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut runs = Vec::with_capacity(cuts.len());
        let mut active: Vec<&Span> = Vec::new();
        let mut coming = self.spans.iter().peekable();
        for pair in cuts.windows(2) {
            let (start, end) = (pair[0], pair[1]);
            active.retain(|s| s.range.end > start);
            while let Some(span) = coming.next_if(|s| s.range.start <= start) {
                active.push(span);
            }
            runs.push(Run { text: &self.text[start..end], start, spans: active.clone() });
        }
        runs
    }

    /// Replaces every user mention's target: a connector's IDs by Matrix IDs or the other way. `None` drops
    /// the mention and keeps its text.
    pub fn resolve_users(&mut self, mut resolve: impl FnMut(&UserTarget) -> Option<UserTarget>) {
        self.spans.retain_mut(|span| match &mut span.style {
            Style::User(target) => resolve(target).map(|new| *target = new).is_some(),
            _ => true,
        });
    }

    /// Replaces every room mention's target, see [`Rich::resolve_users`].
    pub fn resolve_rooms(&mut self, mut resolve: impl FnMut(&RoomTarget) -> Option<RoomTarget>) {
        self.spans.retain_mut(|span| match &mut span.style {
            Style::Room(target) => resolve(target).map(|new| *target = new).is_some(),
            _ => true,
        });
    }

    /// Replaces the style of every emoji, with the text it covers; `None` leaves the text alone.
    pub fn resolve_emoji(&mut self, mut resolve: impl FnMut(&Style, &str) -> Option<Style>) {
        let text = &self.text;
        self.spans.retain_mut(|span| match &span.style {
            Style::Emoji { .. } | Style::RemoteEmoji { .. } => {
                let new = resolve(&span.style, &text[span.range.clone()]);
                new.map(|new| span.style = new).is_some()
            }
            _ => true,
        });
    }

    /// The users mentioned, in order, each once.
    pub fn users(&self) -> Vec<&UserTarget> {
        let mut out = Vec::new();
        for span in &self.spans {
            if let Style::User(target) = &span.style
                && !out.contains(&target)
            {
                out.push(target);
            }
        }
        out
    }

    /// Whether everybody is mentioned.
    pub fn mentions_everyone(&self) -> bool {
        self.spans.iter().any(|s| s.style == Style::Everyone)
    }

    /// Takes mentions of everybody back, and keeps their text.
    pub fn call_nobody(&mut self) {
        self.spans.retain(|span| span.style != Style::Everyone);
    }

    /// Without white space at the end (and the spans clipped with it).
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        let end = self.text.trim_end_matches([' ', '\n', '\t', '\r']).len();
        self.text.truncate(end);
        self.spans.retain_mut(|s| {
            s.range.end = s.range.end.min(end);
            s.range.start < s.range.end
        });
        self
    }

    /// Joins spans of the same inline style that touch or overlap, so that markup cut into pieces reads as
    /// one again. Mentions and emoji that only touch stay two.
    #[must_use]
    pub fn joined(mut self) -> Self {
        let mut out: Vec<Span> = Vec::with_capacity(self.spans.len());
        let mut last: std::collections::HashMap<Style, usize> = std::collections::HashMap::new();
        for span in self.spans.drain(..) {
            if !span.style.is_block()
                && let Some(&i) = last.get(&span.style)
                && out[i].range.end >= span.range.start + usize::from(span.style.is_whole())
            {
                out[i].range.end = out[i].range.end.max(span.range.end);
                continue;
            }
            last.insert(span.style.clone(), out.len());
            out.push(span);
        }
        out.sort_by_key(|s| (s.range.start, std::cmp::Reverse(s.range.end)));
        self.spans = out;
        self
    }
}

/// The nearest character boundary at or before `at`.
fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The nearest character boundary at or after `at`.
fn ceil_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}
