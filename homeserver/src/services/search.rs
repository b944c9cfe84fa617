//! Search in the messages, names and topics of rooms ([Server side search](https://spec.matrix.org/v1.19/client-server-api/#server-side-search)).

use std::sync::Arc;

use landbridge_database::Database;

use crate::event::Event;
use crate::nid::{RoomNid, TimelineOrd};
use crate::room::{RoomError, Rooms};
use crate::storage::search::{Look, candidates};

/// How many of the newest events of the rooms are looked at.
const SCANNED: i64 = 20_000;

/// What can be searched: the type of the event, and where in its content the words are.
pub const KEYS: [(&str, &str, &str); 3] = [
    ("content.body", "m.room.message", "body"),
    ("content.name", "m.room.name", "name"),
    ("content.topic", "m.room.topic", "topic"),
];

/// Words, as they are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    /// The words of a text.
    pub fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        Self(words.map(str::to_lowercase).collect())
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How well another text, in which all of these words must begin some word, fits them: 1 when it has no other words; `None` if it doesn't.
    pub fn rank_in(&self, text: &str) -> Option<f64> {
        let found = Self::of(text);
        let all = !self.0.is_empty()
            && self
                .0
                .iter()
                .all(|word| found.iter().any(|candidate| candidate.starts_with(word.as_str())));
        all.then(|| self.0.len() as f64 / found.0.len().max(self.0.len()) as f64)
    }
}

/// An event that fits.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The event.
    pub event: Arc<Event>,
    /// How well it fits, up to 1.
    pub rank: f64,
}

/// The events of some rooms below a place that fit the words, newest first. `keys` are some of [`KEYS`].
pub async fn search(
    db: &Database,
    rooms: &Rooms,
    within: &[RoomNid],
    words: &Words,
    keys: &[&(&str, &str, &str)],
    below: TimelineOrd,
) -> Result<Vec<Hit>, RoomError> {
    let kinds: Vec<&str> = keys.iter().map(|(_, kind, _)| *kind).collect();
    // The database compares without case in ASCII only, and knows nothing of words: it narrows down, what is left is looked at here.
    let word = words.iter().filter(|word| word.is_ascii()).max_by_key(|word| word.len());
    let look = Look { rooms: within, kinds: &kinds, below, scan: SCANNED, word };
    let nids: Vec<_> = candidates(db, &look).await?.into_iter().map(|placed| placed.nid).collect();
    let events = rooms.events(&nids).await?;
    let fits = |event: Arc<Event>| {
        let kind = event.kind().to_string();
        let (_, _, field) = keys.iter().find(|(_, of, _)| *of == kind)?;
        let rank = words.rank_in(&event.pdu.content_str(field)?)?;
        Some(Hit { event, rank })
    };
    Ok(events.into_iter().filter_map(fits).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_must_begin_some_word_of_the_text() {
        let rank = |words: &str, text: &str| Words::of(words).rank_in(text);
        assert_eq!(rank("hello", "hello, world"), Some(0.5));
        assert_eq!(rank("Message 4", "Message number 4"), Some(2.0 / 3.0));
        assert_eq!(rank("mess", "Message"), Some(1.0));
        assert_eq!(rank("ähm", "ÄHM!"), Some(1.0));
        assert_eq!(rank("essage", "Message"), None);
        assert_eq!(rank("Message 5", "Message number 4"), None);
        assert_eq!(rank("", "anything"), None);
        assert_eq!(rank("...", "..."), None);
    }
}
