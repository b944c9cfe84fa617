//! Writing: a transaction of either engine.

use sqlx::{AssertSqlSafe, Executor as _, sqlite::SqliteConnection};
use tokio::sync::OwnedMutexGuard;

use crate::{DatabaseError, Row, Sql, Value, postgres, row::RowKind, sqlite, together::Together};

/// A transaction. Dropping it rolls it back.
pub struct Transaction(pub(crate) TransactionKind);

pub(crate) enum TransactionKind {
    Sqlite(OwnedMutexGuard<SqliteWriter>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// SQLite's one writing connection.
///
/// sqlx's own transaction borrows its connection; ours outlives the call that began it, so the
/// connection remembers whether a transaction is open and the next one rolls back what was dropped.
pub(crate) struct SqliteWriter {
    connection: SqliteConnection,
    open: bool,
    together: Together,
}

impl SqliteWriter {
    pub(crate) fn new(connection: SqliteConnection) -> Self {
        Self { connection, open: false, together: Together::default() }
    }

    pub(crate) async fn begin(&mut self) -> Result<(), DatabaseError> {
        if self.open {
            // Whoever dropped it may have been at its COMMIT, which ran nevertheless: then there is nothing to undo.
            let _ = self.run("ROLLBACK").await;
        }
        self.open = true;
        self.together.clear();
        self.run("BEGIN IMMEDIATE").await
    }

    async fn end(&mut self, statement: &'static str) -> Result<(), DatabaseError> {
        self.run(statement).await?;
        self.open = false;
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), DatabaseError> {
        for (text, args) in self.together.take() {
            sqlite::bound(text, args).execute(&mut self.connection).await?;
        }
        Ok(())
    }

    pub(crate) async fn finish(&mut self) {
        if std::mem::take(&mut self.open) {
            let _ = self.run("ROLLBACK").await;
        }
        let _ = self.run("PRAGMA wal_checkpoint(TRUNCATE)").await;
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), DatabaseError> {
        sqlite::query(Sql::Both(statement), Vec::new()).execute(&mut self.connection).await?;
        Ok(())
    }

    pub(crate) async fn define(&mut self, text: String) -> Result<(), DatabaseError> {
        self.connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
        Ok(())
    }
}

/// What Postgres would refuse, in words that callers understand.
fn without_zero(args: &[Value]) -> Result<(), DatabaseError> {
    if postgres::has_zero(args) { Err(DatabaseError::ZeroByte) } else { Ok(()) }
}

impl Transaction {
    /// Runs a statement before the next one whose answer is waited for, or with [`flush`](Self::flush), which bring its error.
    pub async fn later(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<(), DatabaseError> {
        let sql = sql.into();
        match &mut self.0 {
            TransactionKind::Sqlite(writer) => {
                if writer.together.add(sql, args) {
                    writer.flush().await?;
                }
            }
            TransactionKind::Postgres(tx) => {
                without_zero(&args)?;
                postgres::query(sql, args).execute(&mut **tx).await?;
            }
        }
        Ok(())
    }

    /// Runs what was put off.
    pub async fn flush(&mut self) -> Result<(), DatabaseError> {
        match &mut self.0 {
            TransactionKind::Sqlite(writer) => writer.flush().await,
            TransactionKind::Postgres(_) => Ok(()),
        }
    }

    /// Runs a statement; the number of rows it touched.
    pub async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<u64, DatabaseError> {
        let sql = sql.into();
        Ok(match &mut self.0 {
            TransactionKind::Sqlite(writer) => {
                writer.flush().await?;
                sqlite::query(sql, args).execute(&mut writer.connection).await?.rows_affected()
            }
            TransactionKind::Postgres(tx) => {
                without_zero(&args)?;
                postgres::query(sql, args).execute(&mut **tx).await?.rows_affected()
            }
        })
    }

    /// All rows of an answer, as this transaction sees them.
    pub async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<Vec<Row>, DatabaseError> {
        let sql = sql.into();
        Ok(match &mut self.0 {
            TransactionKind::Sqlite(writer) => {
                writer.flush().await?;
                let rows = sqlite::query(sql, args).fetch_all(&mut writer.connection).await?;
                rows.into_iter().map(|row| Row(RowKind::Sqlite(row))).collect()
            }
            TransactionKind::Postgres(tx) => {
                without_zero(&args)?;
                let rows = postgres::query(sql, args).fetch_all(&mut **tx).await?;
                rows.into_iter().map(|row| Row(RowKind::Postgres(row))).collect()
            }
        })
    }

    /// The first row of an answer, if any.
    pub async fn fetch_optional(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<Option<Row>, DatabaseError> {
        Ok(self.fetch(sql, args).await?.into_iter().next())
    }

    /// Makes it durable: on SQLite the log is synced to disk, on Postgres the server's setting holds.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        match self.0 {
            TransactionKind::Sqlite(mut writer) => {
                writer.flush().await?;
                writer.end("COMMIT").await
            }
            TransactionKind::Postgres(tx) => Ok(tx.commit().await?),
        }
    }

    /// Undoes it now instead of with the next transaction.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        match self.0 {
            TransactionKind::Sqlite(mut writer) => writer.end("ROLLBACK").await,
            TransactionKind::Postgres(tx) => Ok(tx.rollback().await?),
        }
    }
}
