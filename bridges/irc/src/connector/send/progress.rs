//! How far a message of several lines has got: kept durably, so that after a crash only the line in doubt may be said twice.

use serde::{Deserialize, Serialize};

/// The lines of a message, and the ids of those that are confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Progress {
    /// All lines as they were cut: a later attempt by another connection must not cut them elsewhere. Empty before the cut.
    #[serde(default)]
    pub(super) lines: Vec<String>,
    /// The ids of those confirmed, in order.
    #[serde(default)]
    pub(super) ids: Vec<String>,
    /// Whether the first line that isn't confirmed may have been sent.
    #[serde(default)]
    pub(super) doubt: bool,
}

impl Progress {
    /// What earlier attempts saved; nothing, if they saved nothing.
    pub(super) fn read(note: Option<&str>) -> Self {
        note.and_then(|note| serde_json::from_str(note).ok()).unwrap_or_default()
    }

    /// As a note.
    pub(super) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
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
        let mut progress =
            Progress { lines: vec!["one".into(), "two".into()], ..Progress::default() };
        assert_eq!(progress.next_line(), Some("one"));
        progress.ids.push("m:1".into());
        progress.doubt = true;
        let mut again = Progress::read(Some(&progress.write()));
        assert_eq!((again.next_line(), &again), (Some("two"), &progress));
        again.ids.push("m:2".into());
        assert_eq!(again.next_line(), None);
        assert_eq!((Progress::read(None), Progress::read(Some("?"))), Default::default());
    }
}
