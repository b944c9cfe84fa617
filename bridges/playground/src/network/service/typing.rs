//! Who is typing: the newest state only, in memory, forgotten by itself.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use super::super::limits;
use crate::wire::Typing;

/// Who types where, until when.
pub(crate) struct TypingBoard {
    people: Mutex<BTreeMap<(String, String), i64>>,
    version: watch::Sender<i64>,
}

impl TypingBoard {
    /// An empty board. `now` becomes its first version, so that one from before a restart is never taken for the present one.
    pub(crate) fn new(now: i64) -> Self {
        Self { people: Mutex::default(), version: watch::Sender::new(now) }
    }

    /// Notes that somebody begins or ends typing.
    pub(crate) fn set(&self, chat: &str, person: &str, typing: bool, now: i64) {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (chat.to_owned(), person.to_owned());
        let before = people.len();
        people.retain(|_, until| *until > now);
        let mut changed = people.len() != before;
        if !typing {
            changed |= people.remove(&key).is_some();
        } else if people.contains_key(&key) || people.len() < limits::MAX_TYPING {
            changed |= people.insert(key, now + limits::TYPING_MS).is_none();
        }
        if changed {
            self.version.send_modify(|version| *version += 1);
        }
    }

    /// The present state.
    pub(crate) fn look(&self, now: i64) -> Typing {
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        let before = people.len();
        people.retain(|_, until| *until > now);
        if people.len() != before {
            self.version.send_modify(|version| *version += 1);
        }
        Typing { version: *self.version.borrow(), people: people.keys().cloned().collect() }
    }

    /// Wakes at each change.
    pub(crate) fn watch(&self) -> watch::Receiver<i64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_state_counts() {
        let board = TypingBoard::new(100);
        board.set("lobby", "bob", true, 100);
        board.set("lobby", "alice", true, 100);
        let both = board.look(101);
        assert_eq!(both.people, [("lobby".into(), "alice".into()), ("lobby".into(), "bob".into())]);
        board.set("lobby", "bob", true, 102);
        assert_eq!(board.look(102).version, both.version, "saying it again is no change");
        board.set("lobby", "alice", false, 103);
        assert!(board.look(103).version > both.version);
        assert_eq!(board.look(102 + limits::TYPING_MS).people, [], "typing ends by itself");
    }

    #[test]
    fn the_board_is_bounded() {
        let board = TypingBoard::new(0);
        for n in 0..limits::MAX_TYPING + 10 {
            board.set("lobby", &n.to_string(), true, 0);
        }
        assert_eq!(board.look(0).people.len(), limits::MAX_TYPING);
    }
}
