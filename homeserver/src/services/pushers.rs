//! Pushers (Client-Server API, "Push Notifications"): where clients want to be told of what happens while they sleep.

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{DeviceId, UserId};

use crate::commit::{CommitError, Committer};
use crate::storage::StorageError;
use crate::storage::pushers::{self, PusherKey};

/// The pushers of this server's users.
pub struct Pushers {
    db: Database,
    committer: Committer,
}

impl Pushers {
    /// The pushers in a database.
    pub fn new(db: Database, committer: Committer) -> Self {
        Self { db, committer }
    }

    /// The definitions of a user's pushers, as JSON.
    pub async fn list(&self, user: &UserId) -> Result<Vec<String>, StorageError> {
        pushers::list(&self.db, user).await
    }

    /// Creates or replaces a pusher. Unless `append`, it is taken from other users with the same key.
    pub async fn set(
        &self,
        user: &UserId,
        device: Option<&DeviceId>,
        key: PusherKey,
        definition: String,
        append: bool,
    ) -> Result<(), CommitError> {
        let (user, device) = (user.to_owned(), device.map(ToOwned::to_owned));
        self.committer
            .run(move |tx| {
                let (user, device, key, definition) =
                    (user.clone(), device.clone(), key.clone(), definition.clone());
                async move {
                    pushers::set(tx, &user, device.as_deref(), &key, &definition, append).await
                }
                .boxed()
            })
            .await
    }

    /// Deletes a pusher.
    pub async fn delete(&self, user: &UserId, key: PusherKey) -> Result<(), CommitError> {
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, key) = (user.clone(), key.clone());
                async move { pushers::delete(tx, &user, &key).await }.boxed()
            })
            .await
    }
}

impl std::fmt::Debug for Pushers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pushers").finish_non_exhaustive()
    }
}
