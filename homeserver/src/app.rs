//! What handlers and background tasks share: every service, built once at start.

use std::sync::Arc;

use landbridge_database::Database;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    clock::Clock, commit::Committer, config::Config, event::ServerKey, feed::Feed,
    services::media::Media,
};

/// The services of one homeserver. Handlers get it as `State<Arc<App>>`.
pub struct App {
    /// What the administrator decided.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The key that events are signed with.
    pub key: ServerKey,
    /// The database, to read from.
    pub db: Database,
    /// The only way to write to it.
    pub committer: Committer,
    /// What has changed.
    pub feed: Feed,
    /// Uploaded files.
    pub media: Media,
    /// Background work.
    pub background: Background,
}

/// Background work that ends with the server.
#[derive(Clone, Default)]
pub struct Background {
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    tasks: TaskTracker,
}

impl Background {
    /// Runs a task until it ends or the server stops. It may be dropped at any await.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled(task).await;
        });
    }

    /// Runs a task that watches `stop` itself, because it has something to finish.
    pub fn spawn_draining(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Ends all tasks and waits for them.
    pub async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
