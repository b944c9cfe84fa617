//! The handle on a database.

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::PgPool;
use tokio::sync::Mutex as AsyncMutex;

use crate::{
    DatabaseError, Row, Sql, Transaction, Value, postgres,
    row::RowKind,
    sqlite::{self, Readers},
    transaction::{SqliteWriter, TransactionKind},
};

/// Which engine is behind a [`Database`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite, embedded.
    Sqlite,
    /// PostgreSQL, over the network.
    Postgres,
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections that read at the same time.
    pub readers: u32,
    /// On Postgres: the schema that holds our tables, created where it is missing. Several services can
    /// so share one database.
    pub schema: Option<String>,
    /// On SQLite: whether to refuse a file that another process has open. Only one process may write,
    /// so only a tool that reads turns this off.
    pub exclusive: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { readers: 4, schema: None, exclusive: true }
    }
}

/// A database. Clones share the connections.
#[derive(Clone)]
pub struct Database(Arc<Kind>);

pub(crate) enum Kind {
    Sqlite {
        path: PathBuf,
        writer: Arc<AsyncMutex<SqliteWriter>>,
        readers: Readers,
        lock: Mutex<Option<File>>,
    },
    Postgres {
        url: String,
        schema: Option<String>,
        pool: PgPool,
    },
}

impl Database {
    /// Opens `sqlite:PATH` (the file is created where it is missing) or `postgres://...`.
    pub async fn open(url: &str, options: &Options) -> Result<Self, DatabaseError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let pool = postgres::open(url, options).await?;
            let (url, schema) = (url.to_owned(), options.schema.clone());
            return Ok(Self(Arc::new(Kind::Postgres { url, schema, pool })));
        }
        let path = url.strip_prefix("sqlite:").ok_or(DatabaseError::UnknownEngine)?;
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        let lock = if options.exclusive { Some(sqlite::lock(&path)?) } else { None };
        // The writer comes first: it creates the file.
        let writer = SqliteWriter::new(sqlite::writer(&path).await?);
        let writer = Arc::new(AsyncMutex::new(writer));
        let readers = Readers::new(&path, options.readers);
        Ok(Self(Arc::new(Kind::Sqlite { path, writer, readers, lock: Mutex::new(lock) })))
    }

    pub(crate) fn kind(&self) -> &Kind {
        &self.0
    }

    /// The engine behind it.
    pub fn engine(&self) -> Engine {
        match &*self.0 {
            Kind::Sqlite { .. } => Engine::Sqlite,
            Kind::Postgres { .. } => Engine::Postgres,
        }
    }

    /// All rows of an answer, read outside any transaction. None where an argument has a zero byte in it, on either engine: no row holds
    /// such a text.
    pub async fn fetch(
        &self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        let sql = sql.into();
        Ok(match &*self.0 {
            Kind::Sqlite { readers, .. } => {
                let rows = readers.fetch(sql.for_sqlite(), args, usize::MAX).await?;
                rows.into_iter().map(|row| Row(RowKind::Sqlite(row))).collect()
            }
            Kind::Postgres { .. } if postgres::has_zero(&args) => Vec::new(),
            Kind::Postgres { pool, .. } => {
                let rows = postgres::query(sql, args).fetch_all(pool).await?;
                rows.into_iter().map(|row| Row(RowKind::Postgres(row))).collect()
            }
        })
    }

    /// The first row of an answer, if any.
    pub async fn fetch_optional(
        &self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<Option<Row>, DatabaseError> {
        let sql = sql.into();
        Ok(match &*self.0 {
            Kind::Sqlite { readers, .. } => {
                let rows = readers.fetch(sql.for_sqlite(), args, 1).await?;
                rows.into_iter().next().map(|row| Row(RowKind::Sqlite(row)))
            }
            Kind::Postgres { .. } if postgres::has_zero(&args) => None,
            Kind::Postgres { pool, .. } => {
                let row = postgres::query(sql, args).fetch_optional(pool).await?;
                row.map(|row| Row(RowKind::Postgres(row)))
            }
        })
    }

    /// Begins to write. On SQLite there is one writer: a second caller waits for the first to finish.
    /// A transaction that is dropped is rolled back.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        Ok(Transaction(match &*self.0 {
            Kind::Sqlite { writer, .. } => {
                let mut guard = Arc::clone(writer).lock_owned().await;
                guard.clear().await;
                TransactionKind::Sqlite(guard)
            }
            Kind::Postgres { pool, .. } => TransactionKind::Postgres(pool.begin().await?),
        }))
    }

    /// Closes all connections, after what they are doing; SQLite folds its log into the file.
    pub async fn close(&self) {
        match &*self.0 {
            Kind::Sqlite { writer, readers, lock, .. } => {
                readers.close().await;
                writer.lock().await.finish().await;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
            Kind::Postgres { pool, .. } => pool.close().await,
        }
    }
}
