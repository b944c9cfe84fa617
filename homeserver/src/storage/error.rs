//! What can go wrong in storage.

use landbridge_database::DatabaseError;

/// An error of storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The database refused or failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row does not hold what this program wrote.
    #[error("damaged database: {0}")]
    Damaged(String),
    /// What a write relied on is no longer so; the caller decides anew.
    #[error("{0}")]
    Conflict(&'static str),
}
