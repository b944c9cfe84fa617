//! Readers that follow every change: the outbox.

use std::sync::Arc;

use tokio::sync::broadcast::{self, error::RecvError};

use super::Published;

/// Follows the feed from the moment it was made.
pub struct FeedReader(pub(super) broadcast::Receiver<Arc<[Published]>>);

/// What a reader gets.
#[derive(Debug)]
pub enum Next {
    /// A group, in order.
    Group(Arc<[Published]>),
    /// The reader was too slow and has missed groups: the tables hold them.
    Lagged,
    /// The server is stopping.
    Closed,
}

impl FeedReader {
    /// Waits for the next group.
    pub async fn next(&mut self) -> Next {
        match self.0.recv().await {
            Ok(group) => Next::Group(group),
            Err(RecvError::Lagged(_)) => Next::Lagged,
            Err(RecvError::Closed) => Next::Closed,
        }
    }
}
