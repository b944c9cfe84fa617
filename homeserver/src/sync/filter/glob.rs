//! Event types, and hosts, with wildcards: a `*` stands for any characters, none included.

/// Some patterns. Plain ones are compared, the others matched in linear time per wildcard, without backtracking over each other.
#[derive(Debug, Default)]
pub(crate) struct Globs {
    plain: Vec<Box<str>>,
    wild: Vec<Box<str>>,
}

impl Globs {
    pub(crate) fn new(patterns: Vec<String>) -> Self {
        let (wild, plain) = patterns
            .into_iter()
            .map(String::into_boxed_str)
            .partition(|pattern| pattern.contains('*'));
        Self { plain, wild }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.wild.is_empty()
    }

    /// Whether one pattern matches whatever it is given.
    pub(crate) fn matches_all(&self) -> bool {
        self.wild.iter().any(|pattern| pattern.bytes().all(|byte| byte == b'*'))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        self.plain.iter().any(|pattern| **pattern == *text)
            || self.wild.iter().any(|pattern| matches(pattern, text))
    }
}

/// The first piece must start the text, the last must end it, the others are found leftmost in between: leftmost is as good as any.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        // No wildcard at all.
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
