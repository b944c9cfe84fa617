//! What identity servers publish of this server's users, and what they are to forget.

use landbridge_database::{Database, Row, args};
use ruma::{OwnedUserId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;
use crate::storage::accounts::parse_user;

const BIND: &str = "INSERT INTO threepid_binds (user_id, medium, address, id_server)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id, medium, address, id_server) DO UPDATE SET unbind_ms = NULL, tries = 0";
const BINDS: &str =
    "SELECT medium, address, id_server FROM threepid_binds WHERE user_id = $1 ORDER BY address";
const UNBIND: &str = "DELETE FROM threepid_binds
    WHERE user_id = $1 AND medium = $2 AND address = $3 AND id_server = $4";
const LATER: &str = "UPDATE threepid_binds SET unbind_ms = $5
    WHERE user_id = $1 AND medium = $2 AND address = $3 AND id_server = $4 AND unbind_ms IS NULL";
const ALL_LATER: &str =
    "UPDATE threepid_binds SET unbind_ms = $2 WHERE user_id = $1 AND unbind_ms IS NULL";
const ALL_FROM: &str = "INSERT INTO threepid_binds (user_id, medium, address, id_server, unbind_ms)
    SELECT DISTINCT user_id, medium, address, $2, $3 FROM threepid_binds WHERE user_id = $1
    ON CONFLICT DO NOTHING";
const POSTPONE: &str = "UPDATE threepid_binds SET unbind_ms = $5, tries = tries + 1
    WHERE user_id = $1 AND medium = $2 AND address = $3 AND id_server = $4
        AND unbind_ms IS NOT NULL";
const DUE: &str = "SELECT medium, address, id_server, user_id, tries FROM threepid_binds
    WHERE unbind_ms <= $1 ORDER BY unbind_ms LIMIT $2";

/// An identifier that an identity server publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// `email` or `msisdn`.
    pub medium: String,
    /// The address.
    pub address: String,
    /// The identity server.
    pub id_server: String,
}

/// What an identity server is to forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub user: OwnedUserId,
    /// What, and where.
    pub bind: Bind,
    /// How often the identity server was asked before.
    pub tries: i64,
}

fn bind_of(row: &Row) -> Result<Bind, StorageError> {
    Ok(Bind { medium: row.text(0)?, address: row.text(1)?, id_server: row.text(2)? })
}

/// Notes that an identity server publishes an identifier, and is to.
pub async fn bind(tx: &mut CommitTx, user: &UserId, bind: &Bind) -> Result<(), StorageError> {
    let (medium, address) = (bind.medium.as_str(), bind.address.as_str());
    tx.sql().execute(BIND, args![user.as_str(), medium, address, bind.id_server.as_str()]).await?;
    Ok(())
}

/// What identity servers publish of a user.
pub async fn binds(db: &Database, user: &UserId) -> Result<Vec<Bind>, StorageError> {
    db.fetch(BINDS, args![user.as_str()]).await?.iter().map(bind_of).collect()
}

/// The same, as the transaction sees it.
pub async fn binds_in(tx: &mut CommitTx, user: &UserId) -> Result<Vec<Bind>, StorageError> {
    tx.sql().fetch(BINDS, args![user.as_str()]).await?.iter().map(bind_of).collect()
}

/// Forgets that an identity server publishes an identifier.
pub async fn unbind(tx: &mut CommitTx, user: &UserId, bind: &Bind) -> Result<(), StorageError> {
    let (medium, address) = (bind.medium.as_str(), bind.address.as_str());
    let values = args![user.as_str(), medium, address, bind.id_server.as_str()];
    tx.sql().execute(UNBIND, values).await?;
    Ok(())
}

/// Writes down that an identity server is to forget an identifier, and when it is asked.
pub async fn unbind_later(
    tx: &mut CommitTx,
    user: &UserId,
    bind: &Bind,
    at_ms: i64,
) -> Result<(), StorageError> {
    set_time(tx, LATER, user, bind, at_ms).await
}

async fn set_time(
    tx: &mut CommitTx,
    sql: &'static str,
    user: &UserId,
    bind: &Bind,
    at_ms: i64,
) -> Result<(), StorageError> {
    let (medium, address) = (bind.medium.as_str(), bind.address.as_str());
    let values = args![user.as_str(), medium, address, bind.id_server.as_str(), at_ms];
    tx.sql().execute(sql, values).await?;
    Ok(())
}

/// The same of all identifiers of a user.
pub async fn unbind_all_later(
    tx: &mut CommitTx,
    user: &UserId,
    at_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(ALL_LATER, args![user.as_str(), at_ms]).await?;
    Ok(())
}

/// Has one more identity server forget what others publish of a user.
pub async fn unbind_all_from(
    tx: &mut CommitTx,
    user: &UserId,
    id_server: &str,
    at_ms: i64,
) -> Result<(), StorageError> {
    tx.sql().execute(ALL_FROM, args![user.as_str(), id_server, at_ms]).await?;
    Ok(())
}

/// Writes down that an identity server did not forget an identifier, and when it is asked again.
pub async fn postpone(
    tx: &mut CommitTx,
    user: &UserId,
    bind: &Bind,
    at_ms: i64,
) -> Result<(), StorageError> {
    set_time(tx, POSTPONE, user, bind, at_ms).await
}

/// What identity servers are to be asked to forget by now, the oldest first.
pub async fn due(db: &Database, now_ms: i64, limit: i64) -> Result<Vec<Due>, StorageError> {
    let read = |row: &Row| {
        Ok(Due { bind: bind_of(row)?, user: parse_user(&row.text(3)?)?, tries: row.int(4)? })
    };
    db.fetch(DUE, args![now_ms, limit]).await?.iter().map(read).collect()
}
