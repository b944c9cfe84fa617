//! A text's lines, each with the blocks it stands in: Slack has no blocks within blocks, so both of its forms are written line by line.

use landbridge_framework::format::{Rich, Span, Style};

/// A line.
pub(super) struct Line<'a> {
    /// Its text, with the styles that hold there.
    pub(super) rich: Rich,
    /// What it stands in.
    pub(super) block: Block<'a>,
    /// Whether it stands in a quote, and in how many.
    pub(super) quotes: usize,
}

/// What a line stands in.
pub(super) enum Block<'a> {
    /// Nothing.
    Text,
    /// A heading.
    Heading,
    /// Code, with its language; the same for the lines of one piece.
    Code(&'a Span, Option<&'a str>),
    /// An item of a list.
    Item {
        /// How many items it stands in, besides its own.
        depth: usize,
        /// Its number in an ordered list.
        number: Option<u32>,
        /// Whether the line begins it.
        first: bool,
    },
}

/// Cuts a text into its lines.
pub(super) fn cut(rich: &Rich) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    let mut start = 0;
    let blocks: Vec<&Span> = rich.spans().iter().filter(|span| span.style.is_block()).collect();
    for text in rich.text().split('\n') {
        let end = start + text.len();
        let around = blocks.iter().copied().filter(|span| {
            span.range.start <= start && end <= span.range.end
                || span.range.start < end && span.range.end > start
        });
        let mut code = None;
        let mut items: Vec<&Span> = Vec::new();
        let (mut quotes, mut heading) = (0, false);
        for span in around {
            match &span.style {
                Style::CodeBlock { language } => code = Some((span, language.as_deref())),
                Style::ListItem { .. } => items.push(span),
                Style::Quote => quotes += 1,
                Style::Heading { .. } => heading = true,
                _ => {}
            }
        }
        let block = match (code, items.last()) {
            (Some((span, language)), _) => Block::Code(span, language),
            (None, Some(item)) => Block::Item {
                depth: items.len() - 1,
                number: match item.style {
                    Style::ListItem { number } => number,
                    _ => None,
                },
                first: item.range.start == start,
            },
            (None, None) if heading => Block::Heading,
            (None, None) => Block::Text,
        };
        out.push(Line { rich: rich.slice(start..end), block, quotes });
        start = end + 1;
    }
    out
}
