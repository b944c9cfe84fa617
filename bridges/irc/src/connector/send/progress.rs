//! How far a message of several lines has got: kept durably, so that after a crash only the line in doubt may be said twice.

use serde::{Deserialize, Serialize};

/// The lines of a message, and the ids of those that are confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// All lines as they were cut: a later attempt by another connection must not cut them elsewhere.
    pub(super) lines: Vec<String>,
    /// The ids of those confirmed, in order.
    pub(super) ids: Vec<String>,
}

impl Progress {
    pub(super) fn new(lines: Vec<String>) -> Self {
        Self { lines, ids: Vec::new() }
    }

    /// What an earlier attempt saved.
    pub(super) fn read(note: Option<&str>) -> Option<Self> {
        serde_json::from_str(note?).ok()
    }

    /// As a note.
    pub(super) fn write(&self) -> String {
        serde_json::json!({ "lines": self.lines, "ids": self.ids }).to_string()
    }

    /// The first line that isn't confirmed.
    pub(super) fn next_line(&self) -> Option<&str> {
        self.lines.get(self.ids.len()).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_where_it_was() {
        let mut progress = Progress::new(vec!["one".into(), "two".into()]);
        assert_eq!(progress.next_line(), Some("one"));
        progress.ids.push("m:1".into());
        let mut again = Progress::read(Some(&progress.write())).unwrap();
        assert_eq!((again.next_line(), &again), (Some("two"), &progress));
        again.ids.push("m:2".into());
        assert_eq!(again.next_line(), None);
        assert_eq!((Progress::read(None), Progress::read(Some("?"))), (None, None));
    }
}
