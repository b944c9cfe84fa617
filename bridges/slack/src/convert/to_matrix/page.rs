//! A text that grows by blocks: each begins on a line of its own, as the framework's rich text wants it.

use std::ops::Range;

use landbridge_framework::format::{Rich, Style};

/// A text under construction.
#[derive(Default)]
pub(super) struct Page {
    rich: Rich,
}

impl Page {
    /// Begins a new line, unless the text stands at the beginning of one.
    pub(super) fn line(&mut self) {
        if !self.rich.is_empty() && !self.rich.text().ends_with('\n') {
            self.rich.push("\n");
        }
    }

    /// Where the text ends.
    pub(super) fn end(&self) -> usize {
        self.rich.len()
    }

    /// Goes on in the same line.
    pub(super) fn append(&mut self, rich: &Rich) {
        self.rich.append(rich);
    }

    /// Goes on in the same line, in plain words.
    pub(super) fn say(&mut self, text: &str) {
        self.rich.push(text);
    }

    /// Styles what was written.
    pub(super) fn style(&mut self, range: Range<usize>, style: Style) {
        self.rich.style(range, style);
    }

    /// A block on lines of its own, without what line breaks are around it: where it stands. Nothing, if it says nothing.
    pub(super) fn block(&mut self, rich: &Rich, style: Option<Style>) -> Range<usize> {
        let rich = trimmed(rich);
        if rich.is_empty() {
            return self.end()..self.end();
        }
        self.line();
        let start = self.rich.len();
        self.rich.append(&rich);
        if let Some(style) = style {
            self.rich.style(start..self.rich.len(), style);
        }
        start..self.rich.len()
    }

    /// Whether nothing was said yet.
    pub(super) fn is_empty(&self) -> bool {
        self.rich.is_empty()
    }

    /// The text.
    pub(super) fn finish(self) -> Rich {
        self.rich.trimmed().joined()
    }
}

/// Without line breaks at the beginning and white space at the end.
pub(super) fn trimmed(rich: &Rich) -> Rich {
    let lead = rich.len() - rich.text().trim_start_matches('\n').len();
    let rich = if lead > 0 { rich.slice(lead..rich.len()) } else { rich.clone() };
    rich.trimmed()
}
