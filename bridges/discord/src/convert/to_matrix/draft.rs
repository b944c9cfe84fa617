//! Text on its way to being a [`Rich`]. Markup is known when it ends, so inner styles come before those around them; where both lie over the
//! same text, the outer must come first.

use std::ops::Range;

use landbridge_framework::format::{Rich, Style};

/// Text, and the styles over it, inner before outer.
#[derive(Debug, Default)]
pub(super) struct Draft {
    text: String,
    styles: Vec<(Range<usize>, Style)>,
}

impl Draft {
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn push(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    pub(super) fn style(&mut self, range: Range<usize>, style: Style) {
        self.styles.push((range, style));
    }

    pub(super) fn finish(self) -> Rich {
        let mut rich = Rich::plain(self.text);
        for (range, style) in self.styles.into_iter().rev() {
            rich.style(range, style);
        }
        rich.trimmed().joined()
    }
}

/// A text as a quote.
pub(super) fn quoted(text: &Rich) -> Rich {
    let mut rich = Rich::plain(text.text());
    rich.style(0..text.len(), Style::Quote);
    for span in text.spans() {
        rich.style(span.range.clone(), span.style.clone());
    }
    rich
}
