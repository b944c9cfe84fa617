//! Erasure of what users said, as they may ask when they deactivate their accounts
//! ([`POST /account/deactivate`](https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate)): whoever was in
//! the room when it was said sees it still, and everybody else gets a redacted copy.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::storage::{StorageError, erasure as table};

/// The users who are erased. Few ever are, so all are in memory.
#[derive(Clone)]
pub struct Erasure {
    committer: Committer,
    clock: Arc<dyn Clock>,
    users: Arc<RwLock<HashSet<OwnedUserId>>>,
}

impl Erasure {
    /// Those in the database.
    pub async fn load(
        db: &Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StorageError> {
        let users = table::all(db).await?;
        let users = users.into_iter().filter_map(|user| UserId::parse(user).ok()).collect();
        Ok(Self { committer, clock, users: Arc::new(RwLock::new(users)) })
    }

    /// Whether a user is erased.
    pub fn contains(&self, user: &UserId) -> bool {
        self.users.read().unwrap_or_else(PoisonError::into_inner).contains(user)
    }

    /// Erases a user; durable when it returns.
    pub async fn erase(&self, user: &UserId) -> Result<(), CommitError> {
        self.set(user, true).await
    }

    /// Shows again what a user said, whose account is active again.
    pub async fn restore(&self, user: &UserId) -> Result<(), CommitError> {
        self.set(user, false).await
    }

    async fn set(&self, user: &UserId, erased: bool) -> Result<(), CommitError> {
        let (user, users, now) = (user.to_owned(), Arc::clone(&self.users), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let (user, users) = (user.clone(), Arc::clone(&users));
                Box::pin(async move {
                    if erased {
                        table::add(tx, &user, now).await?;
                    } else {
                        table::remove(tx, &user).await?;
                    }
                    tx.on_commit(move || {
                        let mut users = users.write().unwrap_or_else(PoisonError::into_inner);
                        if erased {
                            users.insert(user)
                        } else {
                            users.remove(&user)
                        };
                    });
                    Ok(())
                })
            })
            .await
    }
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Erasure").finish_non_exhaustive()
    }
}
