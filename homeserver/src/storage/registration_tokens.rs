//! Tokens that let people register, made by administrators.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;

macro_rules! columns {
    () => {
        "SELECT token, uses_allowed, completed, expiry_ms FROM registration_tokens "
    };
}

const ALL: &str = concat!(columns!(), "ORDER BY token");
const GET: &str = concat!(columns!(), "WHERE token = $1");
const ANY: &str = "SELECT 1 FROM registration_tokens
    WHERE (uses_allowed IS NULL OR completed < uses_allowed) AND (expiry_ms IS NULL OR expiry_ms > $1)
    LIMIT 1";
const INSERT: &str = "INSERT INTO registration_tokens (token, uses_allowed, expiry_ms)
    VALUES ($1, $2, $3) ON CONFLICT (token) DO NOTHING";
const SET: &str =
    "UPDATE registration_tokens SET uses_allowed = $2, expiry_ms = $3 WHERE token = $1";
const DELETE: &str = "DELETE FROM registration_tokens WHERE token = $1";
const USE: &str = "UPDATE registration_tokens SET completed = completed + 1
    WHERE token = $1 AND (uses_allowed IS NULL OR completed < uses_allowed)
        AND (expiry_ms IS NULL OR expiry_ms > $2)";

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken {
    /// What is shown.
    pub token: String,
    /// How many may register with it; `None` for any number.
    pub uses_allowed: Option<i64>,
    /// How many have.
    pub completed: i64,
    /// Until when it is good, in milliseconds since 1970; `None` for ever.
    pub expiry_ms: Option<i64>,
}

impl RegistrationToken {
    /// Whether one more may register with it while `pending` others are about to.
    pub fn is_good(&self, now_ms: i64, pending: i64) -> bool {
        self.uses_allowed.is_none_or(|allowed| self.completed.saturating_add(pending) < allowed)
            && self.expiry_ms.is_none_or(|until| until > now_ms)
    }
}

fn token(row: &Row) -> Result<RegistrationToken, StorageError> {
    Ok(RegistrationToken {
        token: row.text(0)?,
        uses_allowed: row.opt_int(1)?,
        completed: row.int(2)?,
        expiry_ms: row.opt_int(3)?,
    })
}

/// All of them.
pub async fn all(db: &Database) -> Result<Vec<RegistrationToken>, StorageError> {
    db.fetch(ALL, args![]).await?.iter().map(token).collect()
}

/// One of them.
pub async fn get(db: &Database, name: &str) -> Result<Option<RegistrationToken>, StorageError> {
    db.fetch_optional(GET, args![name]).await?.as_ref().map(token).transpose()
}

/// One of them, inside a transaction.
pub async fn get_in(
    tx: &mut CommitTx,
    name: &str,
) -> Result<Option<RegistrationToken>, StorageError> {
    tx.sql().fetch_optional(GET, args![name]).await?.as_ref().map(token).transpose()
}

/// Whether anybody could register with any of them.
pub async fn any_is_good(db: &Database, now_ms: i64) -> Result<bool, StorageError> {
    Ok(db.fetch_optional(ANY, args![now_ms]).await?.is_some())
}

/// Makes a token; `false` when there is one of that name.
pub async fn insert(tx: &mut CommitTx, new: &RegistrationToken) -> Result<bool, StorageError> {
    let values = args![&new.token, new.uses_allowed, new.expiry_ms];
    Ok(tx.sql().execute(INSERT, values).await? == 1)
}

/// Sets for how many and until when a token is good.
pub async fn set(tx: &mut CommitTx, changed: &RegistrationToken) -> Result<(), StorageError> {
    let values = args![&changed.token, changed.uses_allowed, changed.expiry_ms];
    tx.sql().execute(SET, values).await?;
    Ok(())
}

/// Deletes a token; `false` when there is none of that name.
pub async fn delete(tx: &mut CommitTx, name: &str) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(DELETE, args![name]).await? == 1)
}

/// Counts somebody who registers; `false` when the token is good for nobody any more.
pub async fn take(tx: &mut CommitTx, name: &str, now_ms: i64) -> Result<bool, StorageError> {
    Ok(tx.sql().execute(USE, args![name, now_ms]).await? == 1)
}
