//! E-mail addresses of accounts, and the proofs that they are their owners' (Client-Server API, "Adding Account Administrative
//! Contact Information").
//!
//! A client begins a proof; the link in an e-mail completes it; then it is used once, for what it was begun for.

pub mod letters;

use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use lettre::Address;
use ruma::{OwnedUserId, UserId};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::commit::{CommitError, CommitTx, Committer};
use crate::http::error::{ApiError, ApiResult};
use crate::outbox::push::email::is_email;
use crate::services::sessions::random_token;
use crate::storage::threepids::{self, Bind, NewProof, Threepid};
use crate::storage::tokens::TokenHash;
use crate::storage::{StorageError, accounts, pushers};

/// The one medium that can be proven here.
pub const EMAIL: &str = "email";
/// Addresses that one account may have.
const MOST: i64 = 20;
/// The longest address that SMTP takes.
const MAX_ADDRESS: usize = 254;

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
}

impl Threepids {
    /// The addresses in a database; proofs may take `lifetime_seconds`.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        lifetime_seconds: u64,
    ) -> Self {
        Self { db, committer, clock, lifetime_ms: lifetime_seconds as i64 * 1000 }
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
        let new = NewProof {
            sid: random_token(),
            purpose: purpose.name(),
            medium: EMAIL,
            address: text(&asked.address),
            client_secret: TokenHash::of(&asked.client_secret),
            token: TokenHash::of(if real { &token } else { &unknown }),
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
        Ok(Begun { sid, token: send.then_some(token) })
    }

    /// Notes that the message of an attempt went out, so that it isn't sent again.
    pub async fn sent(&self, sid: &str, attempt: i64) -> Result<(), CommitError> {
        let sid = sid.to_owned();
        self.committer
            .run(move |tx| {
                let sid = sid.clone();
                async move { threepids::sent(tx, &sid, attempt).await }.boxed()
            })
            .await
    }

    /// Whether a link is good, and where it leads afterwards.
    pub async fn peek(
        &self,
        sid: &str,
        token: &str,
    ) -> Result<Option<Option<String>>, StorageError> {
        threepids::peek(&self.db, sid, TokenHash::of(token), self.clock.now_ms()).await
    }

    /// Completes a proof; where to go afterwards. `None` when the link isn't good.
    pub async fn confirm(
        &self,
        sid: &str,
        token: &str,
    ) -> Result<Option<Option<String>>, CommitError> {
        let (sid, token, now) = (sid.to_owned(), TokenHash::of(token), self.clock.now_ms());
        self.committer
            .run(move |tx| {
                let sid = sid.clone();
                async move { threepids::confirm(tx, &sid, token, now).await }.boxed()
            })
            .await
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

    /// Takes an address from an account, and the pushers that send e-mail there.
    pub async fn delete(&self, user: &UserId, medium: &str, address: &str) -> ApiResult<()> {
        let Some(address) = canonical(medium, address) else { return Ok(()) };
        let (user, medium) = (user.to_owned(), medium.to_owned());
        self.committer
            .run(move |tx| {
                let (user, medium, address) = (user.clone(), medium.clone(), address.clone());
                async move { remove(tx, &user, &medium, &address).await }.boxed()
            })
            .await?;
        Ok(())
    }

    /// Makes these e-mail addresses, in their canonical form, all that an account has, without proofs: an administrator says so. Where one is
    /// another's, nothing changes.
    pub async fn replace(&self, user: &UserId, addresses: Vec<String>) -> ApiResult<()> {
        let (user, now) = (user.to_owned(), self.clock.now_ms());
        let given = self
            .committer
            .run(move |tx| {
                let (user, addresses) = (user.clone(), addresses.clone());
                async move {
                    if addresses.len() as i64 > MOST {
                        return Ok(Used::TooMany);
                    }
                    for address in &addresses {
                        let owner = threepids::owner_in(tx, EMAIL, address).await?;
                        if owner.is_some_and(|owner| owner != user) {
                            return Ok(Used::Taken);
                        }
                    }
                    let known = threepids::list_in(tx, &user).await?;
                    for old in &known {
                        if !addresses.contains(&old.address) {
                            remove(tx, &user, &old.medium, &old.address).await?;
                        }
                    }
                    for address in addresses {
                        if known.iter().all(|old| old.address != address) {
                            let new = Threepid::vouched_email(address, now);
                            threepids::insert(tx, &user, &new).await?;
                        }
                    }
                    Ok(Used::Given)
                }
                .boxed()
            })
            .await?;
        given.refuse()
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

    /// What identity servers publish of a user.
    pub async fn binds(&self, user: &UserId) -> Result<Vec<Bind>, StorageError> {
        threepids::binds(&self.db, user).await
    }

    /// Notes what an identity server publishes from now on (`published`), or no longer.
    pub async fn set_bind(
        &self,
        user: &UserId,
        bind: Bind,
        published: bool,
    ) -> Result<(), CommitError> {
        let user = user.to_owned();
        self.committer
            .run(move |tx| {
                let (user, bind) = (user.clone(), bind.clone());
                async move {
                    if published {
                        threepids::bind(tx, &user, &bind).await
                    } else {
                        threepids::unbind(tx, &user, &bind).await
                    }
                }
                .boxed()
            })
            .await
    }
}

/// Uses a proof up for an account. Nothing is written but where it succeeds.
pub(super) async fn give(
    tx: &mut CommitTx,
    user: &UserId,
    proven: &Proven,
    now_ms: i64,
) -> Result<Used, StorageError> {
    let (medium, address) = proven.threepid();
    match threepids::owner_in(tx, medium, address).await? {
        Some(owner) if owner != user => return Ok(Used::Taken),
        None if threepids::count_in(tx, user).await? >= MOST => return Ok(Used::TooMany),
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

/// Takes an address from an account, and the pushers that send e-mail there.
async fn remove(
    tx: &mut CommitTx,
    user: &UserId,
    medium: &str,
    address: &str,
) -> Result<(), StorageError> {
    threepids::delete(tx, user, medium, address).await?;
    for pusher in pushers::list_in(tx, user).await? {
        let there = canonical(medium, &pusher.key.pushkey);
        if is_email(&pusher) && there.as_deref() == Some(address) {
            pushers::delete(tx, user, &pusher.key).await?;
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

/// Reads an e-mail address. People write the same address in small and capital letters, so it is made small (Appendices,
/// "3PID Types").
pub fn parse_email(text: &str) -> Option<Address> {
    if text.len() > MAX_ADDRESS {
        return None;
    }
    text.trim().to_lowercase().parse().ok()
}

fn text(address: &Address) -> String {
    AsRef::<str>::as_ref(address).to_owned()
}

/// The canonical form of an identifier, if it can be an account's.
pub(crate) fn canonical(medium: &str, address: &str) -> Option<String> {
    if medium != EMAIL {
        return None;
    }
    parse_email(address).as_ref().map(text)
}

impl std::fmt::Debug for Threepids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threepids").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_made_small_and_checked() {
        assert_eq!(canonical(EMAIL, " Alice@Example.ORG ").as_deref(), Some("alice@example.org"));
        for bad in ["", "alice", "alice@", "a b@c.d", "a@b.c\r\nBcc: d@e.f", &"x".repeat(300)] {
            assert_eq!(canonical(EMAIL, bad), None, "{bad}");
        }
        assert_eq!(canonical("msisdn", "alice@example.org"), None);
    }
}
