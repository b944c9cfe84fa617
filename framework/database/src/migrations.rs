//! Schema versions. They only go forward.

use sqlx::{AssertSqlSafe, Executor as _};

use crate::{
    Database, DatabaseError, Transaction, args,
    sql::{definition_for_postgres, definition_for_sqlite},
    transaction::TransactionKind,
};

/// The schema of one component: text number `n` leads from version `n` to `n + 1`.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    name: &'static str,
    steps: &'static [&'static str],
}

impl Migrations {
    /// A schema named `name`, so that several can share a database. A step that has been released
    /// never changes: what comes later is a step of its own.
    pub const fn new(name: &'static str, steps: &'static [&'static str]) -> Self {
        Self { name, steps }
    }
}

impl Database {
    /// Brings the schema to this program's version, each step in a transaction of its own. A database
    /// that a newer program has written is refused.
    pub async fn migrate(&self, set: &Migrations) -> Result<(), DatabaseError> {
        let mut tx = self.begin().await?;
        tx.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (name TEXT PRIMARY KEY, version BIGINT NOT NULL)",
            args![],
        )
        .await?;
        let found = version(&mut tx, set.name).await?;
        tx.commit().await?;

        let known = set.steps.len() as i64;
        if found > known {
            return Err(DatabaseError::NewerSchema { set: set.name, found, known });
        }
        for (step, text) in set.steps.iter().enumerate().skip(found as usize) {
            let mut tx = self.begin().await?;
            tx.define(text).await?;
            tx.execute(
                "INSERT INTO schema_version (name, version) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET version = excluded.version",
                args![set.name, step as i64 + 1],
            )
            .await?;
            tx.commit().await?;
            tracing::info!(schema = set.name, version = step + 1, "migrated");
        }
        Ok(())
    }
}

async fn version(tx: &mut Transaction, name: &str) -> Result<i64, DatabaseError> {
    let row = tx
        .fetch_optional("SELECT version FROM schema_version WHERE name = $1", args![name])
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

impl Transaction {
    /// Runs the statements of a migration, which take no arguments.
    async fn define(&mut self, text: &'static str) -> Result<(), DatabaseError> {
        match &mut self.0 {
            TransactionKind::Sqlite(writer) => writer.define(definition_for_sqlite(text)).await,
            TransactionKind::Postgres(tx) => {
                let text = definition_for_postgres(text);
                tx.execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
                Ok(())
            }
        }
    }
}
