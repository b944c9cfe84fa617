//! The nicks of our own puppets, so that what they say isn't taken for somebody else's.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a nick counts as ours after its connection ended: its last lines may still lie in the listener's socket.
const RETIRED_FOR: Duration = Duration::from_mins(10);

/// Who has which nick.
#[derive(Debug, Default)]
pub struct OwnNicks {
    nicks: Mutex<HashMap<String, Owner>>,
}

#[derive(Debug)]
struct Owner {
    mxid: String,
    retired: Option<Instant>,
}

impl OwnNicks {
    /// A puppet has this folded nick.
    pub fn claim(&self, folded: &str, mxid: &str) {
        self.lock().insert(folded.to_owned(), Owner { mxid: mxid.to_owned(), retired: None });
    }

    /// A puppet no longer has this folded nick.
    pub fn retire(&self, folded: &str) {
        let now = Instant::now();
        let mut nicks = self.lock();
        if let Some(owner) = nicks.get_mut(folded) {
            owner.retired = Some(now);
        }
        nicks.retain(|_, owner| {
            owner.retired.is_none_or(|at| now.saturating_duration_since(at) < RETIRED_FOR)
        });
    }

    /// Whether a folded nick is ours. A retired one that shows up with an address has its ident to say whose it is: somebody else may
    /// have taken the nick since.
    pub fn is_ours(&self, folded: &str, has_address: bool) -> bool {
        self.lock().get(folded).is_some_and(|owner| owner.retired.is_none() || !has_address)
    }

    /// The Matrix user whose puppet has this folded nick.
    pub fn mxid_of(&self, folded: &str) -> Option<String> {
        self.lock()
            .get(folded)
            .filter(|owner| owner.retired.is_none())
            .map(|owner| owner.mxid.clone())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Owner>> {
        self.nicks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nicks_are_ours_until_their_last_lines_are_read() {
        let own = OwnNicks::default();
        own.claim("anna", "@anna:hs");
        assert_eq!(own.mxid_of("anna").as_deref(), Some("@anna:hs"));
        assert!(own.is_ours("anna", true) && !own.is_ours("bob", false));
        own.retire("anna");
        assert!(
            own.mxid_of("anna").is_none()
                && own.is_ours("anna", false)
                && !own.is_ours("anna", true)
        );
        tokio::time::advance(RETIRED_FOR).await;
        own.retire("other");
        assert!(!own.is_ours("anna", false));
    }
}
