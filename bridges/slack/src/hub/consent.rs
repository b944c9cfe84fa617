//! What people were asked to allow on Slack's pages: known again by an unguessable text when their browser comes back.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use landbridge_framework::clock::Clock;
use tokio::sync::oneshot;

use super::Random;

/// How long somebody may take, in milliseconds.
const PATIENCE_MS: i64 = 15 * 60_000;
/// Questions that may be open.
const MAX_OPEN: usize = 1_000;

/// What was asked for.
pub(crate) enum Wanted {
    /// To install the app in a workspace.
    Install,
    /// To act for a person: the code goes to whoever logs in, with where the browser was sent back to.
    Account(oneshot::Sender<Result<String, String>>),
}

/// The questions that are open.
pub struct Consent {
    clock: Arc<dyn Clock>,
    random: Random,
    open: Mutex<HashMap<String, (i64, Wanted)>>,
}

impl Consent {
    pub(super) fn new(clock: Arc<dyn Clock>, random: Random) -> Self {
        Self { clock, random, open: Mutex::default() }
    }

    /// Opens a question: gives the `state` by which its answer is known (RFC 6749, section 10.12).
    pub(crate) fn ask(&self, wanted: Wanted) -> String {
        let state = (self.random)();
        let now = self.clock.now_ms();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (until, _)| *until > now);
        if open.len() >= MAX_OPEN
            && let Some(oldest) =
                open.iter().min_by_key(|(_, (until, _))| *until).map(|(state, _)| state.clone())
        {
            open.remove(&oldest);
        }
        open.insert(state.clone(), (now + PATIENCE_MS, wanted));
        state
    }

    /// Whether a question is open.
    pub(crate) fn is_open(&self, state: &str) -> bool {
        let now = self.clock.now_ms();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(state).is_some_and(|(until, _)| *until > now)
    }

    /// Closes a question, which is answered once.
    pub(crate) fn answered(&self, state: &str) -> Option<Wanted> {
        let now = self.clock.now_ms();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(state).filter(|(until, _)| *until > now).map(|(_, wanted)| wanted)
    }

    /// An unguessable text for somebody else's question.
    pub(crate) fn random(&self) -> String {
        (self.random)()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

    use super::*;

    struct Hands(AtomicI64);
    impl Clock for Hands {
        fn now_ms(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_question_is_answered_once_and_in_time() {
        let clock = Arc::new(Hands(AtomicI64::new(1_000)));
        let count = AtomicU64::new(0);
        let random: Random = Arc::new(move || count.fetch_add(1, Ordering::Relaxed).to_string());
        let consent = Consent::new(clock.clone(), random);
        let state = consent.ask(Wanted::Install);
        assert!(consent.is_open(&state) && !consent.is_open("x"));
        assert!(consent.answered(&state).is_some());
        assert!(consent.answered(&state).is_none(), "a second time");
        let late = consent.ask(Wanted::Install);
        clock.0.fetch_add(PATIENCE_MS, Ordering::Relaxed);
        assert!(consent.answered(&late).is_none(), "too late");
        for _ in 0..2 * MAX_OPEN {
            consent.ask(Wanted::Install);
        }
        assert!(consent.open.lock().unwrap().len() <= MAX_OPEN);
    }
}
