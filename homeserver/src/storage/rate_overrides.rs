//! Rate limits that administrators set for single users.

use landbridge_database::{Database, args};
use ruma::{OwnedUserId, UserId};

use super::StorageError;
use super::accounts::parse_user;
use crate::commit::CommitTx;

const SET: &str = "INSERT INTO rate_overrides (user_id, per_second, burst) VALUES ($1, $2, $3)
    ON CONFLICT (user_id) DO UPDATE SET per_second = excluded.per_second, burst = excluded.burst";
const DELETE: &str = "DELETE FROM rate_overrides WHERE user_id = $1";
const ALL: &str = "SELECT user_id, per_second, burst FROM rate_overrides";

/// A user's own limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Override {
    /// Requests per second; 0 with a burst of 0 is without limit.
    pub per_second: u32,
    /// Requests at once.
    pub burst: u32,
}

/// Sets a user's own limit.
pub async fn set(tx: &mut CommitTx, user: &UserId, limit: Override) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![user.as_str(), limit.per_second, limit.burst]).await?;
    Ok(())
}

/// The user is limited as everybody else again.
pub async fn delete(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    tx.sql().execute(DELETE, args![user.as_str()]).await?;
    Ok(())
}

/// All of them.
pub async fn all(db: &Database) -> Result<Vec<(OwnedUserId, Override)>, StorageError> {
    let rows = db.fetch(ALL, args![]).await?;
    rows.iter()
        .map(|row| {
            let number = |column| {
                let value = row.int(column)?;
                u32::try_from(value)
                    .map_err(|_| StorageError::Damaged(format!("rate_overrides: {value}")))
            };
            let limit = Override { per_second: number(1)?, burst: number(2)? };
            Ok((parse_user(&row.text(0)?)?, limit))
        })
        .collect()
}
