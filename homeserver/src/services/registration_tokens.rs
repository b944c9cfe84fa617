//! Tokens of which one is shown to register (`m.login.registration_token`; Client-Server API, "Token-authenticated registration"):
//! those in the settings, for anybody and for ever, and those that administrators make, which may be for so many people or
//! until some day.

use std::sync::Arc;

use futures::FutureExt as _;
use landbridge_database::Database;

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::config::Secret;
use crate::http::json::Field;
use crate::storage::StorageError;
use crate::storage::registration_tokens::{self as rows, RegistrationToken};
use crate::storage::tokens::TokenHash;

/// The tokens. Clones share them.
#[derive(Clone)]
pub struct RegistrationTokens(Arc<Inner>);

struct Inner {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    configured: Vec<Secret>,
}

/// What is to be changed about a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Change {
    /// For how many it is good.
    pub uses_allowed: Field<i64>,
    /// Until when it is good.
    pub expiry_ms: Field<i64>,
}

impl RegistrationTokens {
    /// The tokens in a database and those in the settings.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        configured: Vec<Secret>,
    ) -> Self {
        Self(Arc::new(Inner { db, committer, clock, configured }))
    }

    /// Whether the settings name any, so that everybody needs one.
    pub fn are_required(&self) -> bool {
        !self.0.configured.is_empty()
    }

    /// Whether anybody could register with any.
    pub async fn any_is_good(&self) -> Result<bool, StorageError> {
        Ok(self.are_required() || rows::any_is_good(&self.0.db, self.0.clock.now_ms()).await?)
    }

    /// Whether a token is one of those in the settings.
    pub fn is_configured(&self, token: &str) -> bool {
        // Compared as hashes, so that the time taken tells nothing of how much was right.
        let hash = TokenHash::of(token);
        self.0.configured.iter().any(|known| TokenHash::of(known.expose()) == hash)
    }

    /// Whether one more may register with a token while `pending` others are about to.
    pub async fn is_good(&self, token: &str, pending: i64) -> Result<bool, StorageError> {
        if self.is_configured(token) {
            return Ok(true);
        }
        let known = self.get(token).await?;
        Ok(known.is_some_and(|known| known.is_good(self.0.clock.now_ms(), pending)))
    }

    /// Those that administrators made.
    pub async fn all(&self) -> Result<Vec<RegistrationToken>, StorageError> {
        rows::all(&self.0.db).await
    }

    /// One that an administrator made.
    pub async fn get(&self, token: &str) -> Result<Option<RegistrationToken>, StorageError> {
        rows::get(&self.0.db, token).await
    }

    /// Makes a token; `false` when there is one of that name.
    pub async fn create(&self, new: RegistrationToken) -> Result<bool, CommitError> {
        if self.is_configured(&new.token) {
            return Ok(false);
        }
        self.0
            .committer
            .run(move |tx| {
                let new = new.clone();
                async move { rows::insert(tx, &new).await }.boxed()
            })
            .await
    }

    /// Changes a token; what it is then, or `None` when there is none of that name.
    pub async fn change(
        &self,
        token: &str,
        change: Change,
    ) -> Result<Option<RegistrationToken>, CommitError> {
        let token = token.to_owned();
        self.0
            .committer
            .run(move |tx| {
                let token = token.clone();
                async move {
                    let Some(mut known) = rows::get_in(tx, &token).await? else { return Ok(None) };
                    known.uses_allowed = change.uses_allowed.or(known.uses_allowed);
                    known.expiry_ms = change.expiry_ms.or(known.expiry_ms);
                    rows::set(tx, &known).await?;
                    Ok(Some(known))
                }
                .boxed()
            })
            .await
    }

    /// Deletes a token; `false` when there is none of that name.
    pub async fn delete(&self, token: &str) -> Result<bool, CommitError> {
        let token = token.to_owned();
        self.0
            .committer
            .run(move |tx| {
                let token = token.clone();
                async move { rows::delete(tx, &token).await }.boxed()
            })
            .await
    }
}

impl std::fmt::Debug for RegistrationTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistrationTokens").finish_non_exhaustive()
    }
}
