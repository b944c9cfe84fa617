//! Who is signed in in a browser, on the server's own pages, and what they confirm there.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{OwnedUserId, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::http::error::ApiResult;
use crate::services::sessions::random_token;
use crate::storage::external_ids::Origin;
use crate::storage::tokens::TokenHash;
use crate::storage::{StorageError, browsers};

/// After signing in, what can't be taken back may be done for this long.
const FRESH_MS: i64 = 10 * 60 * 1000;
/// For how long cross-signing keys may be replaced once that was confirmed.
const RESET_MS: i64 = 10 * 60 * 1000;

/// Somebody who is signed in in a browser.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: OwnedUserId,
    /// Whether they showed just now who they are.
    pub fresh: bool,
    /// From which session at an identity provider they came, where what it ends ends here, too.
    pub origin: Option<Origin>,
}

/// Somebody who signs in in a browser.
#[derive(Debug, Clone)]
pub struct SigningIn<'a> {
    /// Who.
    pub user: &'a UserId,
    /// From which session at an identity provider they come.
    pub origin: Option<Origin>,
    /// When they showed who they are, in ms since 1970; `None` where nobody knows.
    pub proven_ms: Option<i64>,
}

/// The browsers in which somebody is signed in.
pub struct Browsers {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
}

impl Browsers {
    /// The browsers in a database; signing in is good for `lifetime`.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        lifetime: Duration,
    ) -> Self {
        Self { db, committer, clock, lifetime }
    }

    /// For how long signing in is good.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Who is signed in with this token.
    pub async fn find(&self, token: &str) -> Result<Option<SignedIn>, StorageError> {
        let now = self.clock.now_ms();
        let row = browsers::get(&self.db, TokenHash::of(token)).await?;
        let row = row.filter(|row| row.begun_ms + self.lifetime.as_millis() as i64 > now);
        Ok(row.map(|row| {
            let fresh = row.proven_ms + FRESH_MS > now;
            SignedIn { user: row.user_id, fresh, origin: row.origin }
        }))
    }

    /// Signs somebody in: the token for their browser. What the browser had before ends, so that nobody can have put it there.
    pub async fn sign_in(
        &self,
        who: SigningIn<'_>,
        old: Option<&str>,
    ) -> Result<String, CommitError> {
        let token = random_token();
        let (hash, old) = (TokenHash::of(&token), old.map(TokenHash::of));
        let SigningIn { user, origin, proven_ms } = who;
        let (user, now) = (user.to_owned(), self.clock.now_ms());
        let ended = now - self.lifetime.as_millis() as i64;
        self.committer
            .run(move |tx| {
                let (user, origin) = (user.clone(), origin.clone());
                async move {
                    browsers::sweep(tx, ended).await?;
                    if let Some(old) = old {
                        browsers::delete(tx, old).await?;
                    }
                    browsers::insert(tx, hash, &user, origin.as_ref(), (now, proven_ms)).await
                }
                .boxed()
            })
            .await?;
        Ok(token)
    }

    /// Signs out the browser with this token.
    pub async fn sign_out(&self, token: &str) -> Result<(), CommitError> {
        let hash = TokenHash::of(token);
        self.committer.run(move |tx| async move { browsers::delete(tx, hash).await }.boxed()).await
    }

    /// Signs a user out in all browsers.
    pub async fn sign_out_everywhere(&self, user: &UserId) -> Result<(), CommitError> {
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let user = user.clone();
                async move { browsers::delete_of_user(tx, &user).await }.boxed()
            })
            .await
    }

    /// Lets a user replace their cross-signing keys, once and within ten minutes. Until when, in milliseconds since 1970.
    pub async fn allow_reset(&self, user: &UserId) -> Result<i64, CommitError> {
        let (user, until) = (user.to_owned(), self.clock.now_ms() + RESET_MS);
        self.committer
            .run(move |tx| {
                let user = user.clone();
                async move { browsers::allow_reset(tx, &user, until).await }.boxed()
            })
            .await?;
        Ok(until)
    }

    /// Uses that up; `false` when the user may not.
    pub async fn take_reset(&self, user: &UserId) -> ApiResult<bool> {
        let now = self.clock.now_ms();
        // Read first: mostly there is nothing to take.
        let may = browsers::may_reset(&self.db, user).await?;
        if may.is_none_or(|until| until <= now) {
            return Ok(false);
        }
        let user = user.to_owned();
        let until = self
            .committer
            .run(move |tx| {
                let user = user.clone();
                async move { browsers::take_reset(tx, &user).await }.boxed()
            })
            .await?;
        Ok(until.is_some_and(|until| until > now))
    }
}

impl std::fmt::Debug for Browsers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Browsers").finish_non_exhaustive()
    }
}
