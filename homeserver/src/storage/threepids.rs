//! Third-party identifiers of accounts, where they are bound, and proofs under way that they are somebody's.

use landbridge_database::{Database, Row, args};
use ruma::{OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;
use crate::storage::tokens::TokenHash;

const LIST: &str = "SELECT medium, address, validated_ms, added_ms FROM threepids
    WHERE user_id = $1 ORDER BY added_ms, address";
const OWNER: &str = "SELECT user_id FROM threepids WHERE medium = $1 AND address = $2";
const COUNT: &str = "SELECT COUNT(*) FROM threepids WHERE user_id = $1";
const INSERT: &str = "INSERT INTO threepids (medium, address, user_id, validated_ms, added_ms)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (medium, address) DO UPDATE SET validated_ms = excluded.validated_ms";
const DELETE: &str = "DELETE FROM threepids WHERE medium = $1 AND address = $2 AND user_id = $3";
const CLEAR: &str = "DELETE FROM threepids WHERE user_id = $1";
const PURGE: &str = "DELETE FROM threepid_proofs WHERE expires_ms < $1";
const FIND: &str = "SELECT sid, send_attempt, validated_ms FROM threepid_proofs
    WHERE purpose = $1 AND medium = $2 AND address = $3 AND client_secret = $4";
const BEGIN: &str = "INSERT INTO threepid_proofs
    (sid, purpose, medium, address, client_secret, token, next_link, send_attempt, expires_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const AGAIN: &str =
    "UPDATE threepid_proofs SET next_token = $2, next_link = $3, expires_ms = $4 WHERE sid = $1";
const SENT: &str = "UPDATE threepid_proofs SET send_attempt = $2, token = $3,
        next_token = CASE WHEN next_token = $3 THEN NULL ELSE next_token END
    WHERE sid = $1 AND send_attempt < $2";
const PEEK: &str = "SELECT purpose, address, next_link FROM threepid_proofs
    WHERE sid = $1 AND (token = $2 OR next_token = $2) AND expires_ms >= $3";
const CONFIRM: &str = "UPDATE threepid_proofs SET validated_ms = COALESCE(validated_ms, $3)
    WHERE sid = $1 AND (token = $2 OR next_token = $2) AND expires_ms >= $3 RETURNING next_link";
const PROOF: &str = "SELECT medium, address, validated_ms FROM threepid_proofs
    WHERE sid = $1 AND client_secret = $2 AND purpose = $3 AND expires_ms >= $4";
const TAKE: &str = "DELETE FROM threepid_proofs WHERE sid = $1 AND validated_ms IS NOT NULL";

/// An identifier of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threepid {
    /// `email`.
    pub medium: String,
    /// The address, in its canonical form.
    pub address: String,
    /// When its owner proved that it is theirs.
    pub validated_ms: i64,
    /// When it became the account's.
    pub added_ms: i64,
}

impl Threepid {
    /// An e-mail address, in its canonical form, that counts as proven because somebody who is trusted says so.
    pub fn vouched_email(address: impl Into<String>, now_ms: i64) -> Self {
        let (medium, address) = ("email".to_owned(), address.into());
        Self { medium, address, validated_ms: now_ms, added_ms: now_ms }
    }
}

/// A proof that is asked for.
#[derive(Debug, Clone)]
pub struct NewProof {
    /// Its ID, if it is new.
    pub sid: String,
    /// What it is for; it is good for nothing else.
    pub purpose: &'static str,
    /// `email`.
    pub medium: &'static str,
    /// The address, in its canonical form.
    pub address: String,
    /// The client's secret.
    pub client_secret: TokenHash,
    /// The token that goes out in the message.
    pub token: TokenHash,
    /// Where to go afterwards.
    pub next_link: Option<String>,
    /// How often the client asked.
    pub send_attempt: i64,
    /// Until when it is good.
    pub expires_ms: i64,
}

/// A proof whose link was not followed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is for.
    pub purpose: String,
    /// The address, in its canonical form.
    pub address: String,
    /// Where to go afterwards.
    pub next_link: Option<String>,
}

/// A proof as far as it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// `email`.
    pub medium: String,
    /// The address, in its canonical form.
    pub address: String,
    /// When it was proven, if it was.
    pub validated_ms: Option<i64>,
}

/// The identifiers of an account.
pub async fn list(db: &Database, user: &UserId) -> Result<Vec<Threepid>, StorageError> {
    db.fetch(LIST, args![user.as_str()]).await?.iter().map(threepid).collect()
}

/// The identifiers of an account, as the transaction sees them.
pub async fn list_in(tx: &mut CommitTx, user: &UserId) -> Result<Vec<Threepid>, StorageError> {
    tx.sql().fetch(LIST, args![user.as_str()]).await?.iter().map(threepid).collect()
}

fn threepid(row: &Row) -> Result<Threepid, StorageError> {
    Ok(Threepid {
        medium: row.text(0)?,
        address: row.text(1)?,
        validated_ms: row.int(2)?,
        added_ms: row.int(3)?,
    })
}

/// Whose an identifier is.
pub async fn owner(
    db: &Database,
    medium: &str,
    address: &str,
) -> Result<Option<OwnedUserId>, StorageError> {
    let row = db.fetch_optional(OWNER, args![medium, address]).await?;
    row.map(|row| parse_user(&row.text(0)?)).transpose()
}

/// Whose an identifier is, as the transaction sees it.
pub async fn owner_in(
    tx: &mut CommitTx,
    medium: &str,
    address: &str,
) -> Result<Option<OwnedUserId>, StorageError> {
    let row = tx.sql().fetch_optional(OWNER, args![medium, address]).await?;
    row.map(|row| parse_user(&row.text(0)?)).transpose()
}

/// How many identifiers an account has.
pub async fn count_in(tx: &mut CommitTx, user: &UserId) -> Result<i64, StorageError> {
    match tx.sql().fetch_optional(COUNT, args![user.as_str()]).await? {
        Some(row) => Ok(row.int(0)?),
        None => Ok(0),
    }
}

/// Gives an identifier to an account; it may not be another's. One that the account has already was proven again.
pub async fn insert(
    tx: &mut CommitTx,
    user: &UserId,
    threepid: &Threepid,
) -> Result<(), StorageError> {
    let values = args![
        threepid.medium.as_str(),
        threepid.address.as_str(),
        user.as_str(),
        threepid.validated_ms,
        threepid.added_ms
    ];
    tx.sql().execute(INSERT, values).await?;
    Ok(())
}

/// Takes an identifier from an account; `false` when it was not the account's.
pub async fn delete(
    tx: &mut CommitTx,
    user: &UserId,
    medium: &str,
    address: &str,
) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(DELETE, args![medium, address, user.as_str()]).await? == 1)
}

/// Takes all identifiers from an account.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(CLEAR, args![user.as_str()]).await?;
    Ok(())
}

/// Begins a proof, or goes on with the client's earlier one for the same address. Its ID, and whether a message with the
/// token is to go out: not when an earlier attempt, or this one, was sent already, nor when there is nothing left to prove.
pub async fn begin(
    tx: &mut CommitTx,
    new: &NewProof,
    now_ms: i64,
) -> Result<(String, bool), StorageError> {
    tx.sql().execute(PURGE, args![now_ms]).await?;
    let (address, secret) = (new.address.as_str(), &new.client_secret.0[..]);
    let key = args![new.purpose, new.medium, address, secret];
    if let Some(row) = tx.sql().fetch_optional(FIND, key).await? {
        let sid = row.text(0)?;
        let send = new.send_attempt > row.int(1)? && row.opt_int(2)?.is_none();
        if send {
            let link = new.next_link.as_deref();
            let values = args![sid.as_str(), &new.token.0[..], link, new.expires_ms];
            tx.sql().execute(AGAIN, values).await?;
        }
        return Ok((sid, send));
    }
    let values = args![
        new.sid.as_str(),
        new.purpose,
        new.medium,
        address,
        secret,
        &new.token.0[..],
        new.next_link.as_deref(),
        i64::MIN,
        new.expires_ms
    ];
    tx.sql().execute(BEGIN, values).await?;
    Ok((new.sid.clone(), true))
}

/// Notes that the message of an attempt went out: from now on its token is the good one.
pub async fn sent(
    tx: &mut CommitTx,
    sid: &str,
    attempt: i64,
    token: TokenHash,
) -> Result<(), StorageError> {
    tx.sql().execute(SENT, args![sid, attempt, &token.0[..]]).await?;
    Ok(())
}

/// What a token would prove; `None` when it isn't good.
pub async fn peek(
    db: &Database,
    sid: &str,
    token: TokenHash,
    now_ms: i64,
) -> Result<Option<Waiting>, StorageError> {
    let row = db.fetch_optional(PEEK, args![sid, &token.0[..], now_ms]).await?;
    row.map(|row| {
        Ok(Waiting { purpose: row.text(0)?, address: row.text(1)?, next_link: row.opt_text(2)? })
    })
    .transpose()
}

/// Proves an address with the token; where to go afterwards. `None` when the token isn't good.
pub async fn confirm(
    tx: &mut CommitTx,
    sid: &str,
    token: TokenHash,
    now_ms: i64,
) -> Result<Option<Option<String>>, StorageError> {
    let row = tx.sql().fetch_optional(CONFIRM, args![sid, &token.0[..], now_ms]).await?;
    row.map(|row| Ok(row.opt_text(0)?)).transpose()
}

/// A client's proof for a purpose.
pub async fn proof(
    db: &Database,
    sid: &str,
    client_secret: TokenHash,
    purpose: &str,
    now_ms: i64,
) -> Result<Option<Proof>, StorageError> {
    let values = args![sid, &client_secret.0[..], purpose, now_ms];
    let row = db.fetch_optional(PROOF, values).await?;
    row.map(|row| {
        Ok(Proof { medium: row.text(0)?, address: row.text(1)?, validated_ms: row.opt_int(2)? })
    })
    .transpose()
}

/// Uses a proof up; `false` when somebody else was faster.
pub async fn take(tx: &mut CommitTx, sid: &str) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(TAKE, args![sid]).await? == 1)
}
