//! E-mail addresses of accounts, and the proofs that they are their owners' (Client-Server API, "Adding Account Administrative
//! Contact Information").
//!
//! A client begins a proof; the link in an e-mail completes it; then it is used once, for what it was begun for.

mod address;
pub mod letters;
pub mod tell;
pub mod unbinding;

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use lettre::Address;
use ruma::{OwnedUserId, UserId};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::commit::{CommitError, CommitTx, Committer};
use crate::http::error::{ApiError, ApiResult};
use crate::services::sessions::random_token;
use crate::storage::threepids::{self, NewProof, Threepid};
use crate::storage::tokens::TokenHash;
use crate::storage::{StorageError, accounts, pushers, threepid_binds};

pub use address::{canonical, canonical_domain, folded, parse_email};

/// The one medium that can be proven here.
pub const EMAIL: &str = "email";
/// Addresses that one account may have.
pub const MOST: usize = 20;

/// What a proof is for. It is good for nothing else: whoever confirms an address for a new account doesn't mean to give up the
/// password of an old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To register.
    Register,
    /// To set a new password.
    Password,
    /// To add the address to an account.
    Add,
}

impl Purpose {
    fn from_name(name: &str) -> Option<Self> {
        [Self::Register, Self::Password, Self::Add].into_iter().find(|known| known.name() == name)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Password => "password",
            Self::Add => "add",
        }
    }
}

/// A proof that was begun.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its ID.
    pub sid: String,
    /// The token to send, if a message is to go out.
    pub token: Option<String>,
    /// What is kept of it, or of one that nobody knows.
    kept: TokenHash,
}

/// What a client asks when it begins a proof.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The address.
    pub address: Address,
    /// The client's secret.
    pub client_secret: String,
    /// How often it asked.
    pub send_attempt: i64,
    /// Where to go afterwards.
    pub next_link: Option<String>,
}

/// What the link in an e-mail would complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// What the proof is for.
    pub purpose: Purpose,
    /// The address.
    pub address: String,
    /// Where to go afterwards.
    pub next_link: Option<String>,
}

/// An address that was proven, not yet used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    sid: String,
    medium: String,
    address: String,
    validated_ms: i64,
}

impl Proven {
    /// The medium and the address.
    pub fn threepid(&self) -> (&str, &str) {
        (&self.medium, &self.address)
    }
}

/// What came of using a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Used {
    /// The address is the account's.
    Given,
    /// It is another account's.
    Taken,
    /// The proof was used before.
    Gone,
    /// The account has too many.
    TooMany,
    /// The account is closed.
    Closed,
}

impl Used {
    /// The refusal, where it is one.
    pub(super) fn refuse(self) -> ApiResult<()> {
        match self {
            Self::Given => Ok(()),
            Self::Taken => Err(in_use()),
            Self::Gone => Err(unproven()),
            Self::TooMany => {
                Err(ApiError::forbidden(format!("An account may have {MOST} addresses")))
            }
            Self::Closed => {
                let text = "The account is closed";
                Err(ApiError::new(http::StatusCode::FORBIDDEN, "M_USER_DEACTIVATED", text))
            }
        }
    }
}

/// The addresses of this server's users. Clones share the database.
#[derive(Clone)]
pub struct Threepids {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    lifetime_ms: i64,
    /// Wakes the work of [`unbinding`].
    unbinding: Arc<Notify>,
}

impl Threepids {
    /// The addresses in a database; proofs may take `lifetime_seconds`.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        lifetime_seconds: u64,
    ) -> Self {
        let lifetime_ms = lifetime_seconds as i64 * 1000;
        Self { db, committer, clock, lifetime_ms, unbinding: Arc::default() }
    }

    /// The addresses of a user.
    pub async fn list(&self, user: &UserId) -> Result<Vec<Threepid>, StorageError> {
        threepids::list(&self.db, user).await
    }

    /// Whose an address is; other media than e-mail are nobody's here.
    pub async fn owner(&self, medium: &str, address: &str) -> ApiResult<Option<OwnedUserId>> {
        let Some(address) = canonical(medium, address) else { return Ok(None) };
        Ok(threepids::owner(&self.db, medium, &address).await?)
    }

    /// Begins a proof. With `real` the token leads to its end; without, nothing does, and whoever asks can't tell.
    pub async fn begin(&self, purpose: Purpose, asked: Asked, real: bool) -> ApiResult<Begun> {
        let now = self.clock.now_ms();
        let (token, unknown) = (random_token(), random_token());
        let kept = TokenHash::of(if real { &token } else { &unknown });
        let new = NewProof {
            sid: random_token(),
            purpose: purpose.name(),
            medium: EMAIL,
            address: text(&asked.address),
            client_secret: TokenHash::of(&asked.client_secret),
            token: kept,
            next_link: asked.next_link,
            send_attempt: asked.send_attempt,
            expires_ms: now + self.lifetime_ms,
        };
        let (sid, send) = self
            .committer
            .run(move |tx| {
                let new = new.clone();
                async move { threepids::begin(tx, &new, now).await }.boxed()
            })
            .await?;
        Ok(Begun { sid, token: send.then_some(token), kept })
    }

    /// Notes that the message of an attempt went out, so that it isn't sent again. Only now the link of the one before is good no more.
    pub async fn sent(&self, begun: &Begun, attempt: i64) -> Result<(), CommitError> {
        let (sid, kept) = (begun.sid.clone(), begun.kept);
        self.committer
            .run(move |tx| {
                let sid = sid.clone();
                async move { threepids::sent(tx, &sid, attempt, kept).await }.boxed()
            })
            .await
    }

    /// What a link would complete; `None` when it isn't good.
    pub async fn peek(&self, sid: &str, token: &str) -> Result<Option<Peeked>, StorageError> {
        let now = self.clock.now_ms();
        let waiting = threepids::peek(&self.db, sid, TokenHash::of(token), now).await?;
        Ok(waiting.and_then(|waiting| {
            let purpose = Purpose::from_name(&waiting.purpose)?;
            Some(Peeked { purpose, address: waiting.address, next_link: waiting.next_link })
        }))
    }

    /// Completes a proof; where to go afterwards. `None` when the link isn't good.
    pub async fn confirm(&self, sid: &str, token: &str) -> ApiResult<Option<Option<String>>> {
        // A link that isn't good costs no write.
        if self.peek(sid, token).await?.is_none() {
            return Ok(None);
        }
        let (sid, token, now) = (sid.to_owned(), TokenHash::of(token), self.clock.now_ms());
        let confirmed = self.committer.run(move |tx| {
            let sid = sid.clone();
            async move { threepids::confirm(tx, &sid, token, now).await }.boxed()
        });
        Ok(confirmed.await?)
    }

    /// The address that a client has proven for a purpose. 400 `M_THREEPID_AUTH_FAILED` when it has not.
    pub async fn proven(
        &self,
        purpose: Purpose,
        sid: &str,
        client_secret: &str,
    ) -> ApiResult<Proven> {
        let secret = TokenHash::of(client_secret);
        let now = self.clock.now_ms();
        match threepids::proof(&self.db, sid, secret, purpose.name(), now).await? {
            Some(proof) => {
                let validated_ms = proof.validated_ms.ok_or_else(unproven)?;
                let (medium, address) = (proof.medium, proof.address);
                Ok(Proven { sid: sid.to_owned(), medium, address, validated_ms })
            }
            None => Err(unproven()),
        }
    }

    /// Gives a proven address to an account.
    pub async fn add(&self, user: &UserId, proven: Proven) -> ApiResult<()> {
        let (user, now) = (user.to_owned(), self.clock.now_ms());
        let given = self
            .committer
            .run(move |tx| {
                let (user, proven) = (user.clone(), proven.clone());
                async move { give(tx, &user, &proven, now).await }.boxed()
            })
            .await?;
        given.refuse()
    }

    /// Takes an address from an account, with the pushers that send e-mail there; identity servers are to forget it. Whether it was the
    /// account's.
    pub async fn delete(&self, user: &UserId, medium: &str, address: &str) -> ApiResult<bool> {
        let (user, medium, address) = (user.to_owned(), medium.to_owned(), address.to_owned());
        let unbind_ms = self.clock.now_ms() + unbinding::FIRST_MS;
        let deleted = self.committer.run(move |tx| {
            let (user, medium, address) = (user.clone(), medium.clone(), address.clone());
            async move {
                unpublish(tx, &user, &medium, &address, unbind_ms).await?;
                match canonical(&medium, &address) {
                    Some(address) => remove(tx, &user, &medium, &address).await,
                    None => Ok(false),
                }
            }
            .boxed()
        });
        Ok(deleted.await?)
    }

    /// Makes these e-mail addresses, in their canonical form, all that an account has, without proofs: an administrator says so. Where one is
    /// another's, nothing changes, or that one loses it (`from_others`). Identity servers are to forget what is removed.
    pub async fn replace(
        &self,
        user: &UserId,
        addresses: Vec<String>,
        from_others: bool,
    ) -> ApiResult<()> {
        let (user, now) = (user.to_owned(), self.clock.now_ms());
        let given = self.committer.run(move |tx| {
            let (user, addresses) = (user.clone(), addresses.clone());
            async move { replace(tx, &user, addresses, from_others, now).await }.boxed()
        });
        given.await?.refuse()?;
        self.unbinding.notify_one();
        Ok(())
    }

    /// Sets the password of the account that a proven address belongs to, and tells whose it is.
    pub async fn reset_password(&self, proven: Proven, hash: String) -> ApiResult<OwnedUserId> {
        let user = self
            .committer
            .run(move |tx| {
                let (proven, hash) = (proven.clone(), hash.clone());
                async move {
                    let (medium, address) = proven.threepid();
                    let Some(user) = threepids::owner_in(tx, medium, address).await? else {
                        return Ok(None);
                    };
                    if !threepids::take(tx, &proven.sid).await? {
                        return Ok(None);
                    }
                    accounts::set_password(tx, &user, &hash).await?;
                    Ok(Some(user))
                }
                .boxed()
            })
            .await?;
        user.ok_or_else(unproven)
    }
}

/// Uses a proof up for an account. Nothing is written but where it succeeds.
pub(super) async fn give(
    tx: &mut CommitTx,
    user: &UserId,
    proven: &Proven,
    now_ms: i64,
) -> Result<Used, StorageError> {
    if is_closed(tx, user).await? {
        return Ok(Used::Closed);
    }
    let (medium, address) = proven.threepid();
    match threepids::owner_in(tx, medium, address).await? {
        Some(owner) if owner != user => return Ok(Used::Taken),
        None if threepids::count_in(tx, user).await? >= MOST as i64 => return Ok(Used::TooMany),
        _ => {}
    }
    if !threepids::take(tx, &proven.sid).await? {
        return Ok(Used::Gone);
    }
    let threepid = Threepid {
        medium: medium.to_owned(),
        address: address.to_owned(),
        validated_ms: proven.validated_ms,
        added_ms: now_ms,
    };
    threepids::insert(tx, user, &threepid).await?;
    Ok(Used::Given)
}

/// See [`Threepids::replace`]. Nothing is written but where it succeeds.
async fn replace(
    tx: &mut CommitTx,
    user: &UserId,
    addresses: Vec<String>,
    from_others: bool,
    now_ms: i64,
) -> Result<Used, StorageError> {
    if addresses.len() > MOST {
        return Ok(Used::TooMany);
    }
    if !addresses.is_empty() && is_closed(tx, user).await? {
        return Ok(Used::Closed);
    }
    let mut taken = Vec::new();
    for address in &addresses {
        match threepids::owner_in(tx, EMAIL, address).await? {
            Some(owner) if owner != user && from_others => taken.push((owner, address)),
            Some(owner) if owner != user => return Ok(Used::Taken),
            _ => {}
        }
    }
    for (owner, address) in taken {
        unpublish(tx, &owner, EMAIL, address, now_ms).await?;
        remove(tx, &owner, EMAIL, address).await?;
    }
    let known = threepids::list_in(tx, user).await?;
    for old in known.iter().filter(|old| !addresses.contains(&old.address)) {
        unpublish(tx, user, &old.medium, &old.address, now_ms).await?;
        remove(tx, user, &old.medium, &old.address).await?;
    }
    for address in addresses {
        if known.iter().all(|old| old.address != address) {
            threepids::insert(tx, user, &Threepid::vouched_email(address, now_ms)).await?;
        }
    }
    Ok(Used::Given)
}

/// Whether a user has an account that was closed; somebody who is just registering has none yet.
async fn is_closed(tx: &mut CommitTx, user: &UserId) -> Result<bool, StorageError> {
    Ok(accounts::get_in(tx, user).await?.is_some_and(|account| account.deactivated))
}

/// Takes an address from an account, and the pushers that send e-mail there; `false` when it was not the account's.
async fn remove(
    tx: &mut CommitTx,
    user: &UserId,
    medium: &str,
    address: &str,
) -> Result<bool, StorageError> {
    let removed = threepids::delete(tx, user, medium, address).await?;
    for pusher in pushers::list_in(tx, user).await? {
        let there = canonical(medium, &pusher.key.pushkey);
        if pusher.is_email() && there.as_deref() == Some(address) {
            pushers::delete(tx, user, &pusher.key).await?;
        }
    }
    Ok(removed)
}

/// Writes down that identity servers are to forget an address.
async fn unpublish(
    tx: &mut CommitTx,
    user: &UserId,
    medium: &str,
    address: &str,
    at_ms: i64,
) -> Result<(), StorageError> {
    let same = folded(medium, address);
    for bind in threepid_binds::binds_in(tx, user).await? {
        if bind.medium == medium && folded(medium, &bind.address) == same {
            threepid_binds::unbind_later(tx, user, &bind, at_ms).await?;
        }
    }
    Ok(())
}

/// An address as its owner and administrators see it.
pub fn shown(threepid: &Threepid) -> Value {
    json!({
        "medium": threepid.medium,
        "address": threepid.address,
        "validated_at": threepid.validated_ms,
        "added_at": threepid.added_ms,
    })
}

/// 400 `M_THREEPID_IN_USE`.
pub fn in_use() -> ApiError {
    let text = "That address belongs to another account";
    ApiError::new(http::StatusCode::BAD_REQUEST, "M_THREEPID_IN_USE", text)
}

/// 400 `M_THREEPID_AUTH_FAILED`.
pub fn unproven() -> ApiError {
    let text = "The address has not been confirmed: follow the link in the e-mail first";
    ApiError::new(http::StatusCode::BAD_REQUEST, "M_THREEPID_AUTH_FAILED", text)
}

fn text(address: &Address) -> String {
    AsRef::<str>::as_ref(address).to_owned()
}

impl std::fmt::Debug for Threepids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threepids").finish_non_exhaustive()
    }
}
