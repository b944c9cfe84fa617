//! Facts about the server itself, and the head of the stream.

use landbridge_database::{Database, args};

use super::StorageError;
use crate::{commit::CommitTx, nid::Pos};

const GET: &str = "SELECT value FROM server WHERE name = $1";
const SET: &str = "INSERT INTO server (name, value) VALUES ($1, $2)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const STREAM: &str = "SELECT head, commits FROM stream WHERE id = 1";
const ADVANCE: &str = "UPDATE stream SET head = $1, commits = $2 WHERE id = 1";

/// The head of the stream and the number of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The newest durable position.
    pub head: Pos,
    /// How many group commits there have been.
    pub commits: i64,
}

/// A fact by its name.
pub async fn get(db: &Database, name: &str) -> Result<Option<String>, StorageError> {
    let row = db.fetch_optional(GET, args![name]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Writes a fact.
pub async fn set(tx: &mut CommitTx, name: &str, value: &str) -> Result<(), StorageError> {
    tx.sql().execute(SET, args![name, value]).await?;
    Ok(())
}

/// Where the stream stands.
pub async fn stream(db: &Database) -> Result<Stream, StorageError> {
    let row = db.fetch_optional(STREAM, args![]).await?;
    let row = row.ok_or_else(|| StorageError::Damaged("no stream row".into()))?;
    Ok(Stream { head: row.int(0)?, commits: row.int(1)? })
}

/// Moves the stream, within the commit that gave out the positions.
pub async fn advance(tx: &mut CommitTx, to: Stream) -> Result<(), StorageError> {
    tx.sql().later(ADVANCE, args![to.head, to.commits]).await?;
    Ok(())
}
