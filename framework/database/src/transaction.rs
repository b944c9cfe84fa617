//! Writing: a transaction of either engine.

use tokio::sync::OwnedMutexGuard;
use tokio_rusqlite::{Connection, rusqlite};

use crate::{DatabaseError, Row, Sql, Value, postgres, row::RowKind, sqlite};

/// How many statements are put off at most.
const PUT_OFF: usize = 512;

/// Statements with their arguments.
type Statements = Vec<(Sql, Vec<Value>)>;

/// A transaction. Dropping it rolls it back.
pub struct Transaction(pub(crate) TransactionKind);

pub(crate) enum TransactionKind {
    Sqlite(OwnedMutexGuard<SqliteWriter>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// SQLite's one writing connection.
///
/// Its transaction begins with the first statement that runs. It may be dropped at any moment, also while its connection's thread
/// is at work: the connection remembers whether a transaction may be open, and the next one rolls it back.
pub(crate) struct SqliteWriter {
    connection: Connection,
    state: State,
    put_off: Vec<(&'static str, Vec<Value>)>,
}

/// How far the writer's transaction is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of it has run.
    Fresh,
    /// It runs, or did when it was dropped.
    Open,
    /// A statement of it failed: as on Postgres it takes nothing more, for what was put off with that statement is not in it.
    Failed,
}

impl SqliteWriter {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, state: State::Fresh, put_off: Vec::new() }
    }

    /// Leaves nothing of the transaction before.
    pub(crate) async fn clear(&mut self) {
        self.put_off.clear();
        if self.state != State::Fresh {
            // Whoever dropped it may have been at its COMMIT, which ran nevertheless: then there is nothing to undo.
            let _ = self.connection.call(|c| c.execute_batch("ROLLBACK")).await;
            self.state = State::Fresh;
        }
    }

    /// Runs what was put off, and then this, within the transaction, in one trip to the connection's thread.
    async fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DatabaseError> {
        if self.state == State::Failed {
            return Err(DatabaseError::Aborted);
        }
        let first = std::mem::replace(&mut self.state, State::Open) == State::Fresh;
        let put_off = std::mem::take(&mut self.put_off);
        let outcome = self.connection.call(move |c| {
            if first {
                sqlite::execute(c, "BEGIN IMMEDIATE", &[])?;
            }
            for (text, args) in &put_off {
                sqlite::execute(c, text, args)?;
            }
            work(c)
        });
        let outcome = outcome.await;
        if outcome.is_err() {
            self.state = State::Failed;
        }
        Ok(outcome?)
    }

    async fn flush(&mut self) -> Result<(), DatabaseError> {
        if self.put_off.is_empty() { Ok(()) } else { self.run(|_| Ok(())).await }
    }

    async fn commit(&mut self) -> Result<(), DatabaseError> {
        self.commit_after(Vec::new()).await.map(drop)
    }

    /// Runs these statements and commits, in one trip.
    async fn commit_after(&mut self, statements: Statements) -> Result<Vec<u64>, DatabaseError> {
        if self.state == State::Fresh && self.put_off.is_empty() && statements.is_empty() {
            return Ok(Vec::new());
        }
        let run = move |c: &rusqlite::Connection| {
            let run = |(sql, args): (Sql, Vec<Value>)| sqlite::execute(c, sql.for_sqlite(), &args);
            let touched = statements.into_iter().map(run).collect::<Result<_, _>>()?;
            sqlite::execute(c, "COMMIT", &[])?;
            Ok(touched)
        };
        let touched = self.run(run).await?;
        self.state = State::Fresh;
        Ok(touched)
    }

    pub(crate) async fn finish(&mut self) {
        self.clear().await;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        let _ = self.connection.call(move |c| sqlite::execute(c, checkpoint, &[])).await;
    }

    pub(crate) async fn define(&mut self, text: String) -> Result<(), DatabaseError> {
        self.run(move |c| c.execute_batch(&text)).await
    }
}

/// What Postgres would refuse, in words that callers understand.
fn without_zero(args: &[Value]) -> Result<(), DatabaseError> {
    if postgres::has_zero(args) { Err(DatabaseError::ZeroByte) } else { Ok(()) }
}

impl Transaction {
    /// Runs a statement before the next one whose answer is waited for, or with the commit, which bring its error.
    pub async fn later(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<(), DatabaseError> {
        let sql = sql.into();
        match &mut self.0 {
            TransactionKind::Sqlite(writer) => {
                writer.put_off.push((sql.for_sqlite(), args));
                if writer.put_off.len() >= PUT_OFF {
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

    /// Runs a statement; the number of rows it touched.
    pub async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        args: Vec<Value>,
    ) -> Result<u64, DatabaseError> {
        let sql = sql.into();
        Ok(match &mut self.0 {
            TransactionKind::Sqlite(writer) => {
                let text = sql.for_sqlite();
                writer.run(move |c| sqlite::execute(c, text, &args)).await?
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
                let text = sql.for_sqlite();
                let rows = writer.run(move |c| sqlite::fetch(c, text, &args, usize::MAX)).await?;
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
            TransactionKind::Sqlite(mut writer) => writer.commit().await,
            TransactionKind::Postgres(tx) => Ok(tx.commit().await?),
        }
    }

    /// Runs statements whose answers nobody waits for, and commits: on SQLite in one trip to its thread, where each [`execute`]
    /// is a trip of its own. The number of rows that each touched.
    ///
    /// [`execute`]: Self::execute
    pub async fn commit_after(self, statements: Statements) -> Result<Vec<u64>, DatabaseError> {
        match self.0 {
            TransactionKind::Sqlite(mut writer) => writer.commit_after(statements).await,
            TransactionKind::Postgres(mut tx) => {
                let mut touched = Vec::with_capacity(statements.len());
                for (sql, args) in statements {
                    without_zero(&args)?;
                    let done = postgres::query(sql, args).execute(&mut *tx).await?;
                    touched.push(done.rows_affected());
                }
                tx.commit().await?;
                Ok(touched)
            }
        }
    }

    /// Undoes it now instead of with the next transaction.
    pub async fn rollback(self) -> Result<(), DatabaseError> {
        match self.0 {
            TransactionKind::Sqlite(mut writer) => {
                writer.clear().await;
                Ok(())
            }
            TransactionKind::Postgres(tx) => Ok(tx.rollback().await?),
        }
    }
}
