//! What can go wrong between us and a database.

/// An error of the database or of its use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The URL names no engine we know.
    #[error("the database URL must begin with `sqlite:` or `postgres://`")]
    UnknownEngine,
    /// The engine refused, or could not be reached.
    #[error(transparent)]
    Engine(#[from] sqlx::Error),
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
            Self::Engine(sqlx::Error::Database(e)) => e.is_unique_violation(),
            _ => false,
        }
    }
}
