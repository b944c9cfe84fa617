//! The tasks of one bridge. They end with it: whatever is spawned here is aborted when the bridge is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use tokio::{sync::Notify, task::JoinSet};

/// See the module. Clones share the tasks.
#[derive(Clone, Default)]
pub(crate) struct Tasks {
    set: Arc<Mutex<Option<JoinSet<()>>>>,
    panicked: Arc<Notify>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { set: Arc::new(Mutex::new(Some(JoinSet::new()))), panicked: Arc::default() }
    }

    /// Starts a task, unless the bridge has ended.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(set) = set.as_mut() {
            // What has ended is let go here, so that the set doesn't grow with uptime.
            while set.try_join_next().is_some() {}
            let panicked = self.panicked.clone();
            set.spawn(async move {
                if std::panic::AssertUnwindSafe(future).catch_unwind().await.is_err() {
                    panicked.notify_one();
                }
            });
        }
    }

    /// Ends all tasks where they stand; nothing can be started any more.
    pub(crate) fn abort(&self) {
        let set = self.set.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(set);
    }

    /// Waits until a task has panicked.
    pub(crate) async fn panicked(&self) {
        self.panicked.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_and_the_end_ends_all() {
        let tasks = Tasks::new();
        tasks.spawn(async { panic!("on purpose") });
        tasks.panicked().await;
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        tasks.abort();
        assert!(receiver.await.is_err(), "its task was dropped");
        tasks.spawn(async { panic!("never runs") });
    }
}
