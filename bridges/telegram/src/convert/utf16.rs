//! Telegram counts text in UTF-16 code units (core.telegram.org/api/entities), Rust in bytes.

/// A text's offsets, both ways.
pub struct Offsets {
    /// The byte at which each code unit's character begins, and the end.
    bytes: Vec<usize>,
}

impl Offsets {
    /// Of a text.
    pub fn of(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len() + 1);
        for (at, c) in text.char_indices() {
            bytes.extend(std::iter::repeat_n(at, c.len_utf16()));
        }
        bytes.push(text.len());
        Self { bytes }
    }

    /// The text's length in code units.
    pub fn len(&self) -> usize {
        self.bytes.len() - 1
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that `length` code units from `offset` on cover, as far as they lie in the text; `None` if none do. Numbers from the
    /// network may be anything.
    pub fn bytes(&self, offset: i32, length: i32) -> Option<std::ops::Range<usize>> {
        let start = i64::from(offset);
        let end = start.checked_add(i64::from(length))?;
        let last = self.len() as i64;
        let (start, end) = (start.clamp(0, last), end.clamp(0, last));
        let end = usize::try_from(end).ok()?;
        let from = *self.bytes.get(usize::try_from(start).ok()?)?;
        let mut to = *self.bytes.get(end)?;
        // In the middle of a surrogate pair: the character is in.
        if end > 0 && end < self.len() && self.bytes[end - 1] == to {
            to = self.bytes[end..].iter().copied().find(|byte| *byte > to)?;
        }
        (from < to).then_some(from..to)
    }
}

/// A text's length in code units.
pub fn len(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_as_telegram_does() {
        let text = "a😀é\u{200d}b";
        let offsets = Offsets::of(text);
        assert_eq!((offsets.len(), len(text)), (6, 6));
        assert_eq!(offsets.bytes(1, 2).map(|range| &text[range]), Some("😀"));
        assert_eq!(offsets.bytes(3, 1).map(|range| &text[range]), Some("é"));
        assert_eq!(offsets.bytes(5, 1).map(|range| &text[range]), Some("b"));
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        let text = "a😀b";
        let offsets = Offsets::of(text);
        assert_eq!(
            offsets.bytes(2, 1).map(|range| &text[range]),
            Some("😀"),
            "half a pair is all of it"
        );
        assert_eq!(offsets.bytes(-5, 6).map(|range| &text[range]), Some("a"));
        assert_eq!(offsets.bytes(2, i32::MAX).map(|range| &text[range]), Some("😀b"));
        assert_eq!(offsets.bytes(0, 0), None);
        assert_eq!(offsets.bytes(3, -2), None);
        assert_eq!(offsets.bytes(i32::MAX, i32::MAX), None);
        assert_eq!(Offsets::of("").bytes(0, 1), None);
        assert!(Offsets::of("").is_empty());
    }
}
