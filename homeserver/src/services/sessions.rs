//! Sessions: access tokens, refresh tokens, log-in and log-out (Client-Server API, "Client Authentication").
//!
//! Tokens are random and stored hashed. A session that was used lately is authenticated from memory.

pub mod granted;

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::FutureExt;
use landbridge_database::Database;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use crate::clock::Clock;
use crate::commit::{CommitError, CommitTx, Committer};
use crate::feed::Change;
use crate::http::error::{ApiError, ApiResult};
use crate::services::cache::LoadCache;
use crate::services::key_counts::KeyCounts;
use crate::services::oauth::scope::grants_admin;
use crate::storage::tokens::TokenHash;
use crate::storage::{StorageError, browsers, devices, keys, oauth, pushers, tokens};

const CACHED: usize = 100_000;
const SEEN_EVERY_MS: i64 = 10 * 60 * 1000;
const LOGIN_TOKEN_LIFETIME_MS: i64 = 2 * 60 * 1000;
const LOGIN: &str = "login";
/// How much of a client's description of itself is kept.
const MAX_AGENT: usize = 256;

/// A live access token.
#[derive(Debug)]
pub struct Session {
    /// Whose it is.
    pub user: OwnedUserId,
    /// The device it is for; none if an administrator acts as the user with it.
    pub device: Option<OwnedDeviceId>,
    /// Whether the account is a guest's.
    pub guest: bool,
    /// Whether a client was granted it by OAuth 2.0.
    pub oauth: bool,
    /// Whether it was granted the administration API, too.
    pub admin: bool,
    expires_ms: Option<i64>,
    seen_ms: AtomicI64,
}

impl Session {
    /// A session that an authorisation server keeps for us.
    pub(super) const fn delegated(user: OwnedUserId, device: OwnedDeviceId) -> Self {
        let seen_ms = AtomicI64::new(0);
        let device = Some(device);
        Self { user, device, guest: false, oauth: true, admin: false, expires_ms: None, seen_ms }
    }
}

/// What a token turned out to be.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// A live session.
    Live(Arc<Session>),
    /// It was good once and can be refreshed: the device still exists.
    Expired,
    /// Nothing known.
    Unknown,
}

/// The tokens of a new session, for the client's eyes only.
pub struct NewSession {
    /// The access token.
    pub access_token: String,
    /// The refresh token, if the client asked for one.
    pub refresh_token: Option<String>,
    /// For how long the access token is good, if not for ever.
    pub expires_in: Option<Duration>,
    /// The device.
    pub device_id: OwnedDeviceId,
}

/// How a session is asked for.
#[derive(Debug, Clone, Default)]
pub struct SessionRequest {
    /// The device to use; a new one if none.
    pub device_id: Option<OwnedDeviceId>,
    /// The name for a new device.
    pub display_name: Option<String>,
    /// Whether the client can refresh its token.
    pub refresh: bool,
}

/// The sessions of this server.
pub struct Sessions {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    live: LoadCache<TokenHash, Arc<Session>>,
    counts: Arc<KeyCounts>,
}

/// 256 random bits that are safe in headers and URLs.
pub fn random_token() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// A device ID as people know them: ten capital letters.
pub fn random_device_id() -> OwnedDeviceId {
    (0..10).map(|_| char::from(b'A' + rand::random_range(0..26_u8))).collect::<String>().into()
}

impl Sessions {
    /// The sessions in a database; refreshable tokens live for `lifetime`.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        lifetime: Duration,
        counts: Arc<KeyCounts>,
    ) -> Self {
        Self { db, committer, clock, lifetime, live: LoadCache::new(CACHED), counts }
    }

    /// Looks an access token up; a warm one without I/O.
    pub async fn find(&self, token: &str) -> ApiResult<Lookup> {
        let hash = TokenHash::of(token);
        let Some(session) = self.live.get(&hash, self.load(hash)).await? else {
            return Ok(Lookup::Unknown);
        };
        match session.expires_ms {
            Some(at) if at <= self.clock.now_ms() => Ok(Lookup::Expired),
            _ => Ok(Lookup::Live(session)),
        }
    }

    async fn load(&self, hash: TokenHash) -> ApiResult<Option<Arc<Session>>> {
        let Some(row) = tokens::get_access(&self.db, hash).await? else { return Ok(None) };
        if !row.used {
            let ended = self
                .committer
                .run(move |tx| {
                    async move { tokens::use_access(tx, hash, row.refresh).await }.boxed()
                })
                .await?;
            // Those are other tokens than the one being loaded.
            self.forget(&ended);
        }
        Ok(Some(Arc::new(Session {
            user: row.user_id,
            device: Some(row.device_id).filter(|id| !id.as_str().is_empty()),
            guest: row.guest,
            oauth: row.scope.is_some(),
            admin: row.scope.as_deref().is_some_and(grants_admin),
            expires_ms: row.expires_ms,
            seen_ms: AtomicI64::new(0),
        })))
    }

    fn forget(&self, hashes: &[TokenHash]) {
        for hash in hashes {
            self.live.forget(hash);
        }
    }

    /// Notes that a session is in use. Written at most every ten minutes, and nobody waits for it.
    pub fn seen(&self, session: &Session, address: Option<IpAddr>, agent: Option<&str>) {
        let Some(device) = &session.device else { return };
        let now = self.clock.now_ms();
        let before = session.seen_ms.load(Ordering::Relaxed);
        if now - before < SEEN_EVERY_MS
            || session
                .seen_ms
                .compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_err()
        {
            return;
        }
        let address = address.map(|address| address.to_string());
        let agent = agent.map(|agent| agent.chars().take(MAX_AGENT).collect::<String>());
        let (committer, user, device) =
            (self.committer.clone(), session.user.clone(), device.clone());
        tokio::spawn(async move {
            let written = committer.run(move |tx| {
                let (user, device) = (user.clone(), device.clone());
                let (address, agent) = (address.clone(), agent.clone());
                async move {
                    let (address, agent) = (address.as_deref(), agent.as_deref());
                    devices::seen(tx, &user, &device, now, address, agent).await
                }
                .boxed()
            });
            if let Err(error) = written.await {
                tracing::warn!(%error, "when a device was last seen could not be noted");
            }
        });
    }

    /// Starts a session: creates the device if it is new, and ends what sessions it had.
    pub async fn start(
        &self,
        user: &UserId,
        request: SessionRequest,
    ) -> Result<NewSession, CommitError> {
        let now = self.clock.now_ms();
        let device = request.device_id.unwrap_or_else(random_device_id);
        let access_token = random_token();
        let refresh_token = request.refresh.then(random_token);
        let (hash, refresh) =
            (TokenHash::of(&access_token), refresh_token.as_deref().map(TokenHash::of));
        let expires_in = request.refresh.then_some(self.lifetime);
        let expires_ms = expires_in.map(|lifetime| now + lifetime.as_millis() as i64);
        let (owner, id, name) = (user.to_owned(), device.clone(), request.display_name);
        let ended = self
            .committer
            .run(move |tx| {
                let (owner, id, name) = (owner.clone(), id.clone(), name.clone());
                async move {
                    let ended = tokens::delete_of_device(tx, &owner, &id).await?;
                    devices::upsert(tx, &owner, &id, name.as_deref(), now).await?;
                    tokens::insert_access(tx, hash, (&owner, &id), expires_ms, refresh, true)
                        .await?;
                    if let Some(refresh) = refresh {
                        tokens::insert_refresh(tx, refresh, &owner, &id).await?;
                    }
                    Ok(ended)
                }
                .boxed()
            })
            .await?;
        self.forget(&ended);
        Ok(NewSession { access_token, refresh_token, expires_in, device_id: device })
    }

    /// Whose a refresh token is.
    pub async fn refreshes(&self, token: &str) -> Result<Option<OwnedUserId>, StorageError> {
        tokens::refresh_owner(&self.db, TokenHash::of(token)).await
    }

    /// Trades a refresh token for a new pair. The old pair is good until the new one is first shown, because this answer
    /// may never arrive (`POST /refresh`).
    pub async fn refresh(&self, refresh_token: &str) -> ApiResult<NewSession> {
        let old = TokenHash::of(refresh_token);
        let (access_token, next_token) = (random_token(), granted::successor(refresh_token));
        let (access, next) = (TokenHash::of(&access_token), TokenHash::of(&next_token));
        let expires_ms = self.clock.now_ms() + self.lifetime.as_millis() as i64;
        let done = self
            .committer
            .run(move |tx| {
                async move {
                    let Some(row) = tokens::get_refresh(tx, old).await? else { return Ok(None) };
                    let mut ended = tokens::end_predecessors(tx, old).await?;
                    ended.extend(tokens::set_successor(tx, old, row.successor, next).await?);
                    tokens::insert_refresh(tx, next, &row.user_id, &row.device_id).await?;
                    let of = (&*row.user_id, &*row.device_id);
                    tokens::insert_access(tx, access, of, Some(expires_ms), Some(next), false)
                        .await?;
                    Ok(Some((row.device_id, ended)))
                }
                .boxed()
            })
            .await?;
        let Some((device_id, ended)) = done else { return Err(ApiError::unknown_token(false)) };
        self.forget(&ended);
        Ok(NewSession {
            access_token,
            refresh_token: Some(next_token),
            expires_in: Some(self.lifetime),
            device_id,
        })
    }

    /// Ends sessions by deleting their devices, with keys and waiting messages.
    pub async fn end(&self, user: &UserId, ids: &[OwnedDeviceId]) -> Result<(), CommitError> {
        let (owner, ids) = (user.to_owned(), ids.to_vec());
        let counts = self.counts.clone();
        let ended = self
            .committer
            .run(move |tx| {
                let (owner, ids, counts) = (owner.clone(), ids.clone(), counts.clone());
                async move { delete_devices(tx, &counts, &owner, &ids).await }.boxed()
            })
            .await?;
        self.forget(&ended);
        Ok(())
    }

    /// Ends all sessions of a user but the one of `keep`, and what would become one: codes and log-in tokens. Without `keep` those in browsers,
    /// too.
    pub async fn end_all(&self, user: &UserId, keep: Option<&DeviceId>) -> Result<(), CommitError> {
        let (owner, keep) = (user.to_owned(), keep.map(ToOwned::to_owned));
        let counts = self.counts.clone();
        let ended = self
            .committer
            .run(move |tx| {
                let (owner, keep, counts) = (owner.clone(), keep.clone(), counts.clone());
                async move {
                    let all = devices::list_in(tx, &owner).await?;
                    let ids: Vec<_> = all
                        .into_iter()
                        .map(|d| d.device_id)
                        .filter(|id| Some(id) != keep.as_ref())
                        .collect();
                    let mut ended = delete_devices(tx, &counts, &owner, &ids).await?;
                    match &keep {
                        Some(keep) => pushers::delete_of_others(tx, &owner, keep).await?,
                        None => browsers::delete_of_user(tx, &owner).await?,
                    }
                    // Nor shall anything begin that was let in before.
                    oauth::forget_grants(tx, &owner).await?;
                    tokens::forget_short(tx, LOGIN, &owner).await?;
                    ended.extend(tokens::delete_made_by(tx, &owner).await?);
                    Ok(ended)
                }
                .boxed()
            })
            .await?;
        self.forget(&ended);
        Ok(())
    }

    /// Makes a token with which `by` acts as another user, without a device and unseen by that user. It ends with `until_ms`, with
    /// its own log-out, and when `by` logs out everywhere.
    pub async fn act_as(
        &self,
        user: &UserId,
        by: &UserId,
        until_ms: Option<i64>,
    ) -> Result<String, CommitError> {
        let token = random_token();
        let (hash, user, by) = (TokenHash::of(&token), user.to_owned(), by.to_owned());
        self.committer
            .run(move |tx| {
                let (user, by) = (user.clone(), by.clone());
                async move { tokens::insert_made_by(tx, hash, &user, &by, until_ms).await }.boxed()
            })
            .await?;
        Ok(token)
    }

    /// Ends one token that belongs to no device.
    pub async fn end_token(&self, token: &str) -> Result<(), CommitError> {
        let hash = TokenHash::of(token);
        self.committer
            .run(move |tx| async move { tokens::delete_one(tx, hash).await }.boxed())
            .await?;
        self.forget(&[hash]);
        Ok(())
    }

    /// Ends all tokens with which others act as a user.
    pub async fn end_acting(&self, user: &UserId) -> Result<(), CommitError> {
        let user = user.to_owned();
        let ended = self
            .committer
            .run(move |tx| {
                let user = user.clone();
                async move { tokens::delete_of_device(tx, &user, "".into()).await }.boxed()
            })
            .await?;
        self.forget(&ended);
        Ok(())
    }

    /// Makes a token with which another client can log in once, within two minutes (`POST /login/get_token`).
    pub async fn login_token(&self, user: &UserId) -> Result<(String, Duration), CommitError> {
        let token = random_token();
        let (hash, now, user) = (TokenHash::of(&token), self.clock.now_ms(), user.to_owned());
        self.committer
            .run(move |tx| {
                let user = user.clone();
                let until = now + LOGIN_TOKEN_LIFETIME_MS;
                async move { tokens::insert_short(tx, hash, LOGIN, &user, until, now).await }
                    .boxed()
            })
            .await?;
        Ok((token, Duration::from_millis(LOGIN_TOKEN_LIFETIME_MS.unsigned_abs())))
    }

    /// Takes a log-in token; `None` when it is unknown, used or too old.
    pub async fn take_login_token(&self, token: &str) -> Result<Option<OwnedUserId>, CommitError> {
        let (hash, now) = (TokenHash::of(token), self.clock.now_ms());
        self.committer
            .run(move |tx| async move { tokens::take_short(tx, hash, LOGIN, now).await }.boxed())
            .await
    }
}

/// Deletes devices of a user with their sessions, of which it gives the tokens, keys and waiting messages.
pub(super) async fn delete_devices(
    tx: &mut CommitTx,
    counts: &Arc<KeyCounts>,
    user: &UserId,
    ids: &[OwnedDeviceId],
) -> Result<Vec<TokenHash>, StorageError> {
    let mut ended = Vec::new();
    let mut had_keys = false;
    // A request may name any number of devices; there are only so many.
    let ids: HashSet<&OwnedDeviceId> = ids.iter().collect();
    let known = devices::list_in(tx, user).await?;
    for id in known.iter().map(|device| &device.device_id).filter(|id| ids.contains(id)) {
        had_keys |= keys::device_in(tx, user, id).await?.is_some();
        ended.extend(tokens::delete_of_device(tx, user, id).await?);
        devices::delete(tx, user, id).await?;
        let (counts, user, id) = (counts.clone(), user.to_owned(), id.clone());
        tx.on_commit(move || counts.invalidate(&user, &id));
    }
    if had_keys {
        announce(tx, user).await?;
    }
    Ok(ended)
}

/// Tells those who share a room with a user that the user's devices or their keys changed.
pub(super) async fn announce(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    let pos = tx.next_pos();
    devices::changed(tx, user, pos).await?;
    let rooms = devices::rooms_of(tx, user).await?.into();
    tx.publish(pos, Change::DeviceList { user: user.to_owned(), rooms });
    Ok(())
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NewSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewSession").field("device_id", &self.device_id).finish_non_exhaustive()
    }
}
