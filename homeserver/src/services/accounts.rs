//! Accounts: who exists, with which password and rights.

use std::borrow::Cow;
use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{OwnedUserId, ServerName, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, CommitTx, Committer};
use crate::config::AccountPolicy;
use crate::http::error::{ApiError, ApiResult};
use crate::services::cache::LoadCache;
use crate::services::password::{HashError, Hasher, MAX_BYTES};
use crate::services::sessions::announce;
use crate::services::threepids::{give, unbinding::FIRST_MS};
use crate::services::uia::Passed;
use crate::services::user_directory::words_of;
use crate::storage::accounts::{Account, Found, Kind, Report};
use crate::storage::rate_overrides::Override;
use crate::storage::{
    StorageError, accounts, admin_users, key_backup, keys, profiles, rate_overrides,
    registration_tokens, reports, threepid_binds, threepids, user_directory,
};

const CACHED: usize = 50_000;

/// Uses up what somebody showed to register; the refusal where it isn't good any more, and then nothing is written.
async fn use_up(
    tx: &mut CommitTx,
    user: &UserId,
    passed: &Passed,
    now: i64,
) -> Result<ApiResult<()>, StorageError> {
    if let Some(token) = &passed.token {
        let known = registration_tokens::get_in(tx, token).await?;
        if !known.is_some_and(|known| known.is_good(now, 0)) {
            return Ok(Err(used_up()));
        }
    }
    if let Some(proven) = &passed.email
        && let Err(error) = give(tx, user, proven, now).await?.refuse()
    {
        return Ok(Err(error));
    }
    if let Some(token) = &passed.token {
        registration_tokens::take(tx, token, now).await?;
    }
    Ok(Ok(()))
}

fn used_up() -> ApiError {
    ApiError::forbidden("That registration token was used up meanwhile")
}

/// The accounts of this server.
pub struct Accounts {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    hasher: Hasher,
    minimum_length: usize,
    known: LoadCache<OwnedUserId, Arc<Account>>,
}

impl Accounts {
    /// The accounts in a database.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        policy: &AccountPolicy,
    ) -> Result<Self, HashError> {
        let hasher = Hasher::new(policy)?;
        let minimum_length = policy.password_minimum_length;
        Ok(Self { db, committer, clock, hasher, minimum_length, known: LoadCache::new(CACHED) })
    }

    /// The account of a user; a warm one without I/O.
    pub async fn get(&self, user: &UserId) -> Result<Option<Arc<Account>>, StorageError> {
        let load = async { Ok(accounts::get(&self.db, user).await?.map(Arc::new)) };
        self.known.get(&user.to_owned(), load).await
    }

    /// Reads an account anew the next time: it was changed elsewhere.
    pub(crate) fn forget(&self, user: &UserId) {
        self.known.forget(&user.to_owned());
    }

    /// Whether a user exists and isn't deactivated.
    pub async fn active(&self, user: &UserId) -> Result<bool, StorageError> {
        Ok(self.get(user).await?.is_some_and(|account| !account.deactivated))
    }

    /// Whether a user may use the administration API.
    pub async fn is_admin(&self, user: &UserId) -> Result<bool, StorageError> {
        Ok(self.get(user).await?.is_some_and(|account| account.admin && !account.deactivated))
    }

    /// Creates an account. `M_USER_IN_USE` when the name is taken, also by one that was deactivated.
    pub async fn create(&self, account: Account) -> ApiResult<()> {
        self.create_with(account, Passed::default()).await
    }

    /// The same for somebody who registers, with what they showed for it: all or nothing.
    pub async fn create_with(&self, account: Account, passed: Passed) -> ApiResult<()> {
        let now = self.clock.now_ms();
        let user = account.user_id.clone();
        // Who was just made is about to do something: a ghost joins, a person logs in.
        let made = async {
            let kept = Arc::new(account.clone());
            let created: ApiResult<()> = self
                .committer
                .run(move |tx| {
                    let (account, passed) = (account.clone(), passed.clone());
                    async move {
                        if accounts::get_in(tx, &account.user_id).await?.is_some() {
                            return Ok(Err(user_in_use()));
                        }
                        if let Err(error) = use_up(tx, &account.user_id, &passed, now).await? {
                            return Ok(Err(error));
                        }
                        if !accounts::insert(tx, &account, now).await? {
                            return Ok(Err(user_in_use()));
                        }
                        let words = words_of(&account.user_id, None);
                        user_directory::set(tx, &account.user_id, &words).await?;
                        Ok(Ok(()))
                    }
                    .boxed()
                })
                .await?;
            created.map(|()| Some(kept))
        };
        self.known.fill(&user, made).await.map(drop)
    }

    /// Makes a guest a user with a password (Client-Server API, "Guest Access"), with what they showed for it: all or nothing.
    /// The guest's sessions are [`Sessions`](super::sessions::Sessions)' to end. `M_USER_IN_USE` when the account is no guest's by now.
    pub async fn upgrade(&self, user: &UserId, hash: String, passed: Passed) -> ApiResult<()> {
        let (owner, now) = (user.to_owned(), self.clock.now_ms());
        let upgraded = self
            .committer
            .run(move |tx| {
                let (owner, hash, passed) = (owner.clone(), hash.clone(), passed.clone());
                async move {
                    let account = accounts::get_in(tx, &owner).await?;
                    let guest =
                        |account: &Account| account.kind == Kind::Guest && !account.deactivated;
                    if !account.as_ref().is_some_and(guest) {
                        return Ok(Err(user_in_use()));
                    }
                    if let Err(error) = use_up(tx, &owner, &passed, now).await? {
                        return Ok(Err(error));
                    }
                    if !accounts::upgrade(tx, &owner, &hash).await? {
                        return Ok(Err(user_in_use()));
                    }
                    Ok(Ok(()))
                }
                .boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        upgraded
    }

    /// Sees to it that a user of an application service exists; `true` when they were created just now.
    pub async fn ensure_appservice_user(&self, user: &UserId, appservice: &str) -> ApiResult<bool> {
        if self.get(user).await?.is_some() {
            return Ok(false);
        }
        let account = Account {
            appservice: Some(appservice.to_owned()),
            ..Account::new(user.to_owned(), Kind::Appservice)
        };
        match self.create(account).await {
            Ok(()) => Ok(true),
            Err(error) if error.errcode == "M_USER_IN_USE" => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Hashes a password that is going to be set, or says why it can't be.
    pub async fn hash_password(&self, password: &str) -> ApiResult<String> {
        if password.chars().count() < self.minimum_length {
            let text = format!("The password needs at least {} characters", self.minimum_length);
            return Err(ApiError::new(http::StatusCode::BAD_REQUEST, "M_WEAK_PASSWORD", text));
        }
        if password.len() > MAX_BYTES {
            return Err(ApiError::invalid_param(format!(
                "The password has more than {MAX_BYTES} bytes"
            )));
        }
        Ok(self.hasher.hash(password.to_owned()).await?)
    }

    /// Whether this is the password of an account that isn't deactivated.
    pub async fn password_fits(&self, user: &UserId, password: &str) -> ApiResult<bool> {
        if password.len() > MAX_BYTES {
            return Ok(false);
        }
        let hash = match self.get(user).await? {
            Some(account) if !account.deactivated => account.password.clone(),
            _ => None,
        };
        Ok(self.hasher.verify(password.to_owned(), hash).await?)
    }

    /// Takes as long as comparing a password does, where there is no account to compare with.
    pub async fn compare_with_nobody(&self, password: &str) -> ApiResult<()> {
        if password.len() <= MAX_BYTES {
            self.hasher.verify(password.to_owned(), None).await?;
        }
        Ok(())
    }

    /// Sets the password of an account.
    pub async fn set_password(&self, user: &UserId, hash: String) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let (owner, hash) = (owner.clone(), hash.clone());
                async move { accounts::set_password(tx, &owner, &hash).await }.boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        Ok(())
    }

    /// Makes an account an administrator's, or takes that away.
    pub async fn set_admin(&self, user: &UserId, admin: bool) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move { accounts::set_admin(tx, &owner, admin).await }.boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        Ok(())
    }

    /// Locks an account, or opens it again (Client-Server API, "Account locking").
    pub async fn set_locked(&self, user: &UserId, locked: bool) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move { accounts::set_locked(tx, &owner, locked).await }.boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        Ok(())
    }

    /// Suspends an account, or ends that (Client-Server API, "Account suspension").
    pub async fn set_suspended(&self, user: &UserId, suspended: bool) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move { accounts::set_suspended(tx, &owner, suspended).await }.boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        Ok(())
    }

    /// Refuses who is locked out: they get no new token until they are let in again.
    pub async fn must_not_be_locked(&self, user: &UserId) -> ApiResult<()> {
        match self.get(user).await? {
            Some(account) if account.locked => Err(ApiError::user_locked()),
            _ => Ok(()),
        }
    }

    /// Closes an account for good, with its profile, keys and account data. Its sessions are
    /// [`Sessions`](super::sessions::Sessions)' to end.
    pub async fn deactivate(&self, user: &UserId) -> Result<(), CommitError> {
        let (owner, unbind_ms) = (user.to_owned(), self.clock.now_ms() + FIRST_MS);
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move {
                    accounts::deactivate(tx, &owner).await?;
                    profiles::clear(tx, &owner).await?;
                    if !keys::cross_signing_in(tx, &owner).await?.is_empty() {
                        announce(tx, &owner).await?;
                    }
                    keys::clear(tx, &owner).await?;
                    crate::storage::external_ids::clear(tx, &owner).await?;
                    threepids::clear(tx, &owner).await?;
                    // What is published stays known until the identity servers have forgotten it.
                    threepid_binds::unbind_all_later(tx, &owner, unbind_ms).await?;
                    crate::storage::notifications::clear(tx, &owner).await?;
                    key_backup::mark_all_deleted(tx, &owner).await?;
                    crate::storage::pushers::clear(tx, &owner).await?;
                    crate::storage::account_data::clear(tx, &owner).await
                }
                .boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        Ok(())
    }

    /// Opens a closed account again; it is as empty as on its first day.
    pub async fn reactivate(&self, user: &UserId) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move { admin_users::reactivate(tx, &owner).await }.boxed()
            })
            .await?;
        self.known.forget(&user.to_owned());
        Ok(())
    }

    /// Says what an account is for: `bot`, `support`, or a person's if `None`.
    pub async fn set_user_type(
        &self,
        user: &UserId,
        kind: Option<String>,
    ) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let (owner, kind) = (owner.clone(), kind.clone());
                async move { admin_users::set_type(tx, &owner, kind.as_deref()).await }.boxed()
            })
            .await
    }

    /// Writes down a rate limit of the user's own, or that there is none any more.
    pub async fn set_rate_override(
        &self,
        user: &UserId,
        limit: Option<Override>,
    ) -> Result<(), CommitError> {
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move {
                    match limit {
                        Some(limit) => rate_overrides::set(tx, &owner, limit).await,
                        None => rate_overrides::delete(tx, &owner).await,
                    }
                }
                .boxed()
            })
            .await
    }

    /// Finds people (others than the `viewer`) by a part of their ID or name; with `shared_only`, those whom the viewer may
    /// know of: who share a room with the viewer or are in a published one.
    pub async fn search(
        &self,
        term: &str,
        viewer: Option<&UserId>,
        shared_only: bool,
        limit: usize,
    ) -> Result<Vec<Found>, StorageError> {
        accounts::search(&self.db, term, viewer, shared_only, limit as i64).await
    }

    /// Forgets a complaint about a user; `false` when there was none.
    pub async fn forget_user_report(&self, id: i64) -> Result<bool, CommitError> {
        self.committer.run(move |tx| reports::delete_user(tx, id).boxed()).await
    }

    /// Forgets a complaint about an event; `false` when there was none.
    pub async fn forget_report(&self, id: i64) -> Result<bool, CommitError> {
        self.committer.run(move |tx| reports::delete(tx, id).boxed()).await
    }

    /// Keeps a complaint for the administrators.
    pub async fn report(&self, report: Report) -> Result<(), CommitError> {
        let now = self.clock.now_ms();
        self.committer
            .run(move |tx| {
                let report = report.clone();
                async move { accounts::insert_report(tx, &report, now).await }.boxed()
            })
            .await
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl From<HashError> for ApiError {
    fn from(error: HashError) -> Self {
        Self::internal(error)
    }
}

/// 400 `M_USER_IN_USE`.
pub fn user_in_use() -> ApiError {
    ApiError::new(http::StatusCode::BAD_REQUEST, "M_USER_IN_USE", "That user name is taken")
}

/// Makes the ID of a new user out of what they typed: lower case, and only what the spec allows in new IDs (Appendices,
/// "User Identifiers"). `M_INVALID_USERNAME` otherwise.
pub fn new_user_id(localpart: &str, server: &ServerName) -> ApiResult<OwnedUserId> {
    if localpart.starts_with('_') {
        return Err(invalid_name(
            "User names can't start with an underscore: those are for bridges",
        ));
    }
    appservice_user_id(localpart, server)
}

/// The same for users of application services, whose names may begin with an underscore.
pub fn appservice_user_id(localpart: &str, server: &ServerName) -> ApiResult<OwnedUserId> {
    let localpart = localpart.to_ascii_lowercase();
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._=-/+".contains(c);
    if localpart.is_empty() || !localpart.chars().all(allowed) {
        return Err(invalid_name("User names may only contain a-z, 0-9 and . _ = - / +"));
    }
    let id = format!("@{localpart}:{server}");
    if id.len() > 255 {
        return Err(invalid_name("That user name is too long"));
    }
    UserId::parse(id).map_err(|error| invalid_name(error.to_string()))
}

fn invalid_name(text: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError::new(http::StatusCode::BAD_REQUEST, "M_INVALID_USERNAME", text)
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    #[test]
    fn names_are_made_lower_case_and_checked() {
        let server = server_name!("hs1");
        assert_eq!(new_user_id("user-UPPER", server).unwrap(), "@user-upper:hs1");
        assert_eq!(new_user_id("q3._=-/+", server).unwrap(), "@q3._=-/+:hs1");
        for bad in ["", "_ghost", "a:b", "a b", "é", "us,er", &"x".repeat(255)] {
            assert_eq!(
                new_user_id(bad, server).unwrap_err().errcode,
                "M_INVALID_USERNAME",
                "{bad}"
            );
        }
    }
}
