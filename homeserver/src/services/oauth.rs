//! The OAuth 2.0 API's clients, and what they are granted (Client-Server API, "OAuth 2.0 API"). The sessions that come of it are
//! [`Sessions`](super::sessions::Sessions)'.

pub mod client;
pub mod redirect;
pub mod scope;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::FutureExt;
use landbridge_database::Database;
use quick_cache::sync::Cache;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use self::client::{Client, Refused};
use self::scope::Scope;
use crate::clock::Clock;
use crate::commit::{CommitError, Committer};
use crate::http::error::{ApiError, ApiResult};
use crate::services::browsers::SignedIn;
use crate::services::sessions::random_token;
use crate::storage::oauth::{CodeRow, Decision, DeviceCodeRow, Waiting};
use crate::storage::tokens::TokenHash;
use crate::storage::{StorageError, oauth, oauth_clients};

/// For how long a client is known that nobody signs in with. Clients register before each sign-in.
const UNUSED_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// As many clients that nobody signs in with are known at most.
const MOST_UNUSED: i64 = 10_000;
/// For how long an authorisation code is good.
const CODE_MS: i64 = 2 * 60 * 1000;
/// For how long a device code is good.
pub const DEVICE_CODE_MS: i64 = 20 * 60 * 1000;
/// For how long it can be told that a device code has ended.
const ENDED_MS: i64 = 60 * 60 * 1000;
/// As many device codes wait for a decision at most.
const MOST_DEVICE_CODES: i64 = 10_000;
/// As many of them were asked for from one network.
const MOST_DEVICE_CODES_OF_ONE: i64 = 100;
/// How often clients that nobody signs in with are swept out.
const SWEEP_EVERY_MS: i64 = 60 * 1000;
/// How long a client with a device code waits between its questions, at first.
pub const INTERVAL_MS: i64 = 5_000;
/// How much longer after a question that came too early (RFC 8628, 3.5).
const SLOWER_MS: i64 = 5_000;
/// What user codes are made of: consonants, so that they spell nothing (RFC 8628, 6.1).
const USER_CODE: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
const USER_CODE_LENGTH: usize = 8;

/// A new device code.
#[derive(Debug, Clone)]
pub struct NewDeviceCode {
    /// For the client.
    pub device_code: String,
    /// For its user, as they read it.
    pub user_code: String,
}

/// What a client with a device code is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// Nobody has decided yet.
    Pending,
    /// It asks too often.
    SlowDown,
    /// The user said no.
    Denied,
    /// It took too long.
    Expired,
    /// It may have its tokens.
    Granted,
    /// That is no code of this client.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    last_ms: i64,
    interval_ms: i64,
}

/// Clients, codes, and who waits for one.
pub struct OAuth {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    /// When clients asked last; only to slow them down, so that it may be forgotten.
    asked: Cache<TokenHash, Asked>,
    /// When clients were swept out last.
    swept_ms: AtomicI64,
}

/// The hash that a client sends ahead of its secret (RFC 7636, "S256").
pub fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// A user code without what people put between its letters.
fn user_code_hash(typed: &str) -> Option<TokenHash> {
    let code: String =
        typed.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase();
    (code.len() == USER_CODE_LENGTH).then(|| TokenHash::of(&code))
}

impl OAuth {
    /// What is in a database.
    pub fn new(db: Database, committer: Committer, clock: Arc<dyn Clock>) -> Self {
        let asked = Cache::new(MOST_DEVICE_CODES as usize);
        Self { db, committer, clock, asked, swept_ms: AtomicI64::new(0) }
    }

    /// Registers a client by its metadata (RFC 7591). Equal metadata is one client.
    pub async fn register(
        &self,
        metadata: &Map<String, Value>,
    ) -> ApiResult<Result<Client, Refused>> {
        let metadata = match client::registered(metadata) {
            Ok(metadata) => metadata,
            Err(refused) => return Ok(Err(refused)),
        };
        // Sorted, so that the order in which a client says it doesn't matter.
        let sorted: BTreeMap<&String, &Value> = metadata.iter().collect();
        let text = serde_json::to_string(&sorted).map_err(ApiError::internal)?;
        let digest: [u8; 32] = Sha256::digest(&text).into();
        let (id, now) = (random_token(), self.clock.now_ms());
        let id = self
            .committer
            .run(move |tx| {
                let (id, text) = (id.clone(), text.clone());
                async move { oauth_clients::register(tx, &id, &digest, &text, now).await }.boxed()
            })
            .await?;
        self.sweep(now);
        Ok(Ok(Client { id, metadata }))
    }

    /// Forgets clients that nobody signs in with, but not at each registration: it looks at all of them. Nobody waits for it.
    fn sweep(&self, now: i64) {
        let before = self.swept_ms.load(Ordering::Relaxed);
        let is_mine =
            || self.swept_ms.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed);
        if now - before < SWEEP_EVERY_MS || is_mine().is_err() {
            return;
        }
        let committer = self.committer.clone();
        tokio::spawn(async move {
            let swept = committer.run(move |tx| {
                async move { oauth_clients::sweep(tx, now - UNUSED_MS, MOST_UNUSED).await }.boxed()
            });
            if let Err(error) = swept.await {
                tracing::warn!(%error, "clients that nobody signs in with could not be swept out");
            }
        });
    }

    /// A client.
    pub async fn client(&self, id: &str) -> Result<Option<Client>, StorageError> {
        let Some(text) = oauth_clients::metadata(&self.db, id).await? else { return Ok(None) };
        let metadata = serde_json::from_str(&text)
            .map_err(|error| StorageError::Damaged(format!("oauth_clients: {error}")))?;
        Ok(Some(Client { id: id.to_owned(), metadata }))
    }

    /// Makes an authorisation code, which is good once and for two minutes.
    pub async fn grant(
        &self,
        who: &SignedIn,
        client: &Client,
        scope: &Scope,
        redirect_uri: &str,
        challenge: &str,
    ) -> Result<String, CommitError> {
        let (code, now) = (random_token(), self.clock.now_ms());
        let hash = TokenHash::of(&code);
        let row = CodeRow {
            client_id: client.id.clone(),
            user_id: who.user.clone(),
            device_id: scope.device.clone(),
            scope: scope.text.clone(),
            redirect_uri: redirect_uri.to_owned(),
            challenge: challenge.to_owned(),
            expires_ms: now + CODE_MS,
            origin: who.origin.clone(),
        };
        self.committer
            .run(move |tx| {
                let row = row.clone();
                async move { oauth::insert_code(tx, hash, &row, now).await }.boxed()
            })
            .await?;
        Ok(code)
    }

    /// Makes a device code and a user code, for whoever asks from a network; `None` when too many wait already.
    pub async fn device_code(
        &self,
        client: &Client,
        scope: &Scope,
        from: &str,
    ) -> Result<Option<NewDeviceCode>, CommitError> {
        let (device_code, now) = (random_token(), self.clock.now_ms());
        // Two codes that are equal are so unlikely that a client may as well ask again.
        let letter = || char::from(USER_CODE[rand::random_range(0..USER_CODE.len())]);
        let code: String = (0..USER_CODE_LENGTH).map(|_| letter()).collect();
        let hashes = (TokenHash::of(&device_code), TokenHash::of(&code));
        let row = DeviceCodeRow {
            client_id: client.id.clone(),
            device_id: scope.device.clone(),
            scope: scope.text.clone(),
            decision: Decision::Open,
            user_id: None,
            expires_ms: now + DEVICE_CODE_MS,
            origin: None,
        };
        let from = from.to_owned();
        let stored = self
            .committer
            .run(move |tx| {
                let (row, from) = (row.clone(), from.clone());
                async move {
                    let (most_of_one, most) = (MOST_DEVICE_CODES_OF_ONE, MOST_DEVICE_CODES);
                    let waiting = Waiting { from: &from, most_of_one, most };
                    oauth::insert_device_code(tx, hashes, &row, waiting, (now, now - ENDED_MS))
                        .await
                }
                .boxed()
            })
            .await?;
        let user_code = format!("{}-{}", &code[..4], &code[4..]);
        Ok(stored.then_some(NewDeviceCode { device_code, user_code }))
    }

    /// What a user code that somebody typed stands for, if it can still be decided.
    pub async fn asked_for(&self, typed: &str) -> Result<Option<DeviceCodeRow>, StorageError> {
        let Some(hash) = user_code_hash(typed) else { return Ok(None) };
        let now = self.clock.now_ms();
        let row = oauth::by_user_code(&self.db, hash).await?;
        Ok(row.filter(|row| row.decision == Decision::Open && row.expires_ms > now))
    }

    /// Decides about it; `false` when that is done already, or too late.
    pub async fn decide(
        &self,
        typed: &str,
        who: &SignedIn,
        granted: bool,
    ) -> Result<bool, CommitError> {
        let Some(hash) = user_code_hash(typed) else { return Ok(false) };
        let decision = if granted { Decision::Granted } else { Decision::Denied };
        let (who, now) = (who.clone(), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let who = who.clone();
                async move {
                    let of = (&*who.user, who.origin.as_ref());
                    oauth::decide(tx, hash, decision, of, now).await
                }
                .boxed()
            })
            .await
    }

    /// What a client with a device code is told (RFC 8628, 3.5).
    pub async fn poll(&self, device_code: &str, client_id: &str) -> Result<Poll, StorageError> {
        let (hash, now) = (TokenHash::of(device_code), self.clock.now_ms());
        let row = oauth::get_device_code(&self.db, hash).await?;
        let Some(row) = row.filter(|row| row.client_id == client_id) else {
            return Ok(Poll::Unknown);
        };
        if row.expires_ms <= now {
            return Ok(Poll::Expired);
        }
        match row.decision {
            Decision::Granted => Ok(Poll::Granted),
            Decision::Denied => Ok(Poll::Denied),
            Decision::Open => Ok(self.pace(hash, now)),
        }
    }

    fn pace(&self, hash: TokenHash, now: i64) -> Poll {
        let before = self.asked.get(&hash);
        let interval_ms = before.map_or(INTERVAL_MS, |asked| asked.interval_ms);
        let early = before.is_some_and(|asked| now - asked.last_ms < asked.interval_ms);
        let interval_ms = if early { interval_ms + SLOWER_MS } else { interval_ms };
        self.asked.insert(hash, Asked { last_ms: now, interval_ms });
        if early { Poll::SlowDown } else { Poll::Pending }
    }
}

impl std::fmt::Debug for OAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OAuth").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_what_the_rfc_says() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn user_codes_are_read_as_people_type_them() {
        let code = user_code_hash("BCDF-GHJK").unwrap();
        assert_eq!(user_code_hash(" bcdf ghjk"), Some(code));
        assert_eq!(user_code_hash("BCDFGHJ"), None);
        assert_eq!(user_code_hash(""), None);
    }
}
