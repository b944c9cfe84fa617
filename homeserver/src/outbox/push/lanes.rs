//! How many requests are on their way to one gateway at once. Each has its own limit, so that a slow one holds up nobody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

const AT_ONCE: usize = 32;
/// Gateways beyond which those that nobody uses any more are forgotten.
const SWEEP: usize = 256;

#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<String, Weak<Semaphore>>>);

impl Lanes {
    /// A place in the lane to the host of a URL, as soon as there is one.
    pub(super) async fn enter(&self, url: &Url) -> Option<OwnedSemaphorePermit> {
        let lane = self.lane(&url.origin().ascii_serialization());
        // It is never closed.
        lane.acquire_owned().await.ok()
    }

    fn lane(&self, origin: &str) -> Arc<Semaphore> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(origin).and_then(Weak::upgrade) {
            return lane;
        }
        if lanes.len() > SWEEP {
            lanes.retain(|_, lane| lane.strong_count() > 0);
        }
        let lane = Arc::new(Semaphore::new(AT_ONCE));
        lanes.insert(origin.to_owned(), Arc::downgrade(&lane));
        lane
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_full_lane_holds_up_only_itself() {
        let lanes = Lanes::default();
        let url =
            |host: &str| Url::parse(&format!("https://{host}/_matrix/push/v1/notify")).unwrap();
        let slow = url("slow.example");
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(lanes.enter(&slow).await);
        }
        assert!(lanes.enter(&slow).now_or_never().is_none());
        assert!(lanes.enter(&url("quick.example")).now_or_never().is_some());
        held.pop();
        assert!(lanes.enter(&slow).now_or_never().is_some());
    }
}
