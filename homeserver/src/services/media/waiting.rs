//! Requests that wait for a file to be uploaded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use super::MediaError;

/// How many requests may wait at once.
const MAX_WAITING: usize = 10_000;

/// Who waits for which media id.
#[derive(Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<String, Weak<watch::Sender<()>>>>>);

/// A place in the queue for one media id. Dropping it leaves the queue.
pub(super) struct Arrival {
    id: String,
    receiver: watch::Receiver<()>,
    sender: Option<Arc<watch::Sender<()>>>,
    queue: Arc<Mutex<HashMap<String, Weak<watch::Sender<()>>>>>,
}

impl Waiting {
    /// Starts listening for the file of `id`.
    pub(super) fn listen(&self, id: &str) -> Result<Arrival, MediaError> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match queue.get(id).and_then(Weak::upgrade) {
            Some(sender) => sender,
            None if queue.len() >= MAX_WAITING => return Err(MediaError::TooManyWaiting),
            None => {
                let sender = Arc::new(watch::Sender::new(()));
                queue.insert(id.to_owned(), Arc::downgrade(&sender));
                sender
            }
        };
        Ok(Arrival {
            id: id.to_owned(),
            receiver: sender.subscribe(),
            sender: Some(sender),
            queue: self.0.clone(),
        })
    }

    /// Tells all who listen that the file of `id` is there.
    pub(super) fn wake(&self, id: &str) {
        let sender =
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).and_then(Weak::upgrade);
        if let Some(sender) = sender {
            sender.send_replace(());
        }
    }
}

impl Arrival {
    /// Returns when the file has come since listening started.
    pub(super) async fn wait(mut self) {
        if self.receiver.changed().await.is_err() {
            // The sender lives as long as we do, so this cannot be; waiting on is the safe answer.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        self.sender = None;
        if queue.get(&self.id).is_some_and(|sender| sender.strong_count() == 0) {
            queue.remove(&self.id);
        }
    }
}
