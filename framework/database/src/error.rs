//! What can go wrong between us and a database.

use tokio_rusqlite::rusqlite::{
    self,
    ffi::{SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE},
};

/// An error of the database or of its use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL names no engine we know.
    #[error("the database URL must begin with `sqlite:` or `postgres://`")]
    UnknownEngine,
    /// Postgres refused, or could not be reached.
    #[error(transparent)]
    Postgres(#[from] sqlx::Error),
    /// SQLite refused.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A statement of this transaction failed before.
    #[error("the transaction takes nothing more, because one of its statements failed")]
    Aborted,
    /// It was closed.
    #[error("the database is closed")]
    Closed,
    /// A column did not hold what the code expects, which is a bug or a damaged database.
    #[error("column {column}: expected {expected}")]
    Column {
        /// Place of the column in the row, from 0.
        column: usize,
        /// What the code asked for.
        expected: &'static str,
    },
    /// A text that is to be written, or that decides what is written, has a zero byte in it, which Postgres can't hold.
    #[error("a text has a zero byte in it")]
    ZeroByte,
    /// A newer program has written this database.
    #[error(
        "the {set} tables are of version {found}, this program knows versions up to {known}: \
         start the newer program again, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// Which set of migrations.
        set: &'static str,
        /// The version in the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// Another process has the database open.
    #[error("another process is using {0}: stop it first")]
    InUse(String),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program that a backup needs failed.
    #[error("{program} failed: {message}")]
    Program {
        /// `pg_dump` or `pg_restore`.
        program: &'static str,
        /// What it printed.
        message: String,
    },
}

impl DatabaseError {
    /// Whether a unique or primary key was violated.
    pub fn is_unique_violation(&self) -> bool {
        match self {
            Self::Postgres(sqlx::Error::Database(e)) => e.is_unique_violation(),
            Self::Sqlite(rusqlite::Error::SqliteFailure(e, _)) => {
                matches!(e.extended_code, SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY)
            }
            _ => false,
        }
    }
}

impl From<tokio_rusqlite::Error> for DatabaseError {
    fn from(error: tokio_rusqlite::Error) -> Self {
        match error {
            tokio_rusqlite::Error::Error(error) | tokio_rusqlite::Error::Close((_, error)) => {
                Self::Sqlite(error)
            }
            _ => Self::Closed,
        }
    }
}
