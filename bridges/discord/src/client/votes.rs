//! Who has chosen what in polls with several choices: Discord tells each choice by itself, Matrix wants all at once.

use std::{collections::BTreeSet, sync::Mutex, sync::PoisonError};

use quick_cache::sync::Cache;

use crate::ids::Id;

/// How many people's choices are remembered.
const KNOWN: usize = 20_000;

/// The choices.
#[derive(Debug)]
pub struct Votes {
    known: Cache<(Id, Id), BTreeSet<u64>>,
    turn: Mutex<()>,
}

impl Default for Votes {
    fn default() -> Self {
        Self { known: Cache::new(KNOWN), turn: Mutex::new(()) }
    }
}

impl Votes {
    /// One more choice of a user, or one less: what they have chosen in all.
    pub fn note(&self, poll: Id, user: Id, answer: u64, chosen: bool) -> Vec<u64> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut choices = self.known.get(&(poll, user)).unwrap_or_default();
        if chosen {
            choices.insert(answer);
        } else {
            choices.remove(&answer);
        }
        let all = choices.iter().copied().collect();
        self.known.insert((poll, user), choices);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_add_up() {
        let votes = Votes::default();
        assert_eq!(votes.note(Id(1), Id(2), 3, true), [3]);
        assert_eq!(votes.note(Id(1), Id(2), 1, true), [1, 3]);
        assert_eq!(votes.note(Id(1), Id(9), 2, true), [2]);
        assert_eq!(votes.note(Id(1), Id(2), 3, false), [1]);
    }
}
