//! Who is signed in in which browser, and who confirmed something there.

use landbridge_database::{Database, args};
use ruma::{OwnedUserId, UserId};
use sha2::{Digest as _, Sha256};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;
use crate::storage::external_ids::Origin;
use crate::storage::tokens::TokenHash;

const INSERT: &str =
    "INSERT INTO browser_sessions (hash, user_id, password, begun_ms, provider, subject, sid, proven_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const GET: &str =
    "SELECT b.user_id, b.begun_ms, b.password, a.password, b.provider, b.subject, b.sid, b.proven_ms
    FROM browser_sessions b JOIN accounts a ON a.user_id = b.user_id
    WHERE b.hash = $1 AND a.deactivated = 0 AND a.locked = 0";
const DELETE: &str = "DELETE FROM browser_sessions WHERE hash = $1";
const DELETE_OF_USER: &str = "DELETE FROM browser_sessions WHERE user_id = $1";
const SWEEP: &str = "DELETE FROM browser_sessions WHERE begun_ms < $1";
const PASSWORD: &str = "SELECT password FROM accounts WHERE user_id = $1";
const ALLOW_RESET: &str = "INSERT INTO cross_signing_resets (user_id, until_ms) VALUES ($1, $2)
    ON CONFLICT (user_id) DO UPDATE SET until_ms = excluded.until_ms";
const MAY_RESET: &str = "SELECT until_ms FROM cross_signing_resets WHERE user_id = $1";
const TAKE_RESET: &str = "DELETE FROM cross_signing_resets WHERE user_id = $1 RETURNING until_ms";

/// A browser in which somebody is signed in.
#[derive(Debug, Clone)]
pub struct BrowserRow {
    /// Who.
    pub user_id: OwnedUserId,
    /// Since when.
    pub begun_ms: i64,
    /// When they showed who they are; 0 where nobody knows.
    pub proven_ms: i64,
    /// From which session at an identity provider they came.
    pub origin: Option<Origin>,
}

/// Stands for a password as it is now: another password, another mark.
fn mark(password: Option<&str>) -> Vec<u8> {
    Sha256::digest(password.unwrap_or_default()).to_vec()
}

/// Notes that somebody signed in, when, and when they showed who they are.
pub async fn insert(
    tx: &mut CommitTx,
    hash: TokenHash,
    user: &UserId,
    origin: Option<&Origin>,
    (now_ms, proven_ms): (i64, Option<i64>),
) -> Result<(), StorageError> {
    let row = tx.sql().fetch_optional(PASSWORD, args![user.as_str()]).await?;
    let password = row.map(|row| row.opt_text(0)).transpose()?.flatten();
    let (provider, subject, sid) = Origin::columns(origin);
    let mark = mark(password.as_deref());
    let proven_ms = proven_ms.unwrap_or(0);
    let values = args![&hash.0[..], user.as_str(), mark, now_ms, provider, subject, sid, proven_ms];
    tx.sql().execute(INSERT, values).await?;
    Ok(())
}

/// Who is signed in in a browser. Nobody once the password is another, or the account is closed or locked.
pub async fn get(db: &Database, hash: TokenHash) -> Result<Option<BrowserRow>, StorageError> {
    let Some(row) = db.fetch_optional(GET, args![&hash.0[..]]).await? else { return Ok(None) };
    if row.blob(2)? != mark(row.opt_text(3)?.as_deref()) {
        return Ok(None);
    }
    let (user_id, origin) = (parse_user(&row.text(0)?)?, Origin::read(&row, 4)?);
    let (begun_ms, proven_ms) = (row.int(1)?, row.int(7)?);
    Ok(Some(BrowserRow { user_id, begun_ms, proven_ms, origin }))
}

/// Notes that somebody signed out.
pub async fn delete(tx: &mut CommitTx, hash: TokenHash) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![&hash.0[..]]).await?;
    Ok(())
}

/// Signs somebody out everywhere.
pub async fn delete_of_user(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(DELETE_OF_USER, args![user.as_str()]).await?;
    Ok(())
}

/// Sweeps out who signed in before then.
pub async fn sweep(tx: &mut CommitTx, before_ms: i64) -> Result<(), StorageError> {
    tx.sql().execute(SWEEP, args![before_ms]).await?;
    Ok(())
}

/// Lets a user replace their cross-signing keys until then.
pub async fn allow_reset(
    tx: &mut CommitTx,
    user: &UserId,
    until_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(ALLOW_RESET, args![user.as_str(), until_ms]).await?;
    Ok(())
}

/// Until when a user may replace their cross-signing keys.
pub async fn may_reset(db: &Database, user: &UserId) -> Result<Option<i64>, StorageError> {
    let row = db.fetch_optional(MAY_RESET, args![user.as_str()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}

/// Takes that away again; until when it would have been.
pub async fn take_reset(tx: &mut CommitTx, user: &UserId) -> Result<Option<i64>, StorageError> {
    let row = tx.sql().fetch_optional(TAKE_RESET, args![user.as_str()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?)
}
