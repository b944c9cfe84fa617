//! The framework's memory: the only place with SQL, on SQLite or Postgres.
//!
//! Reads go straight to a reader. Writes are collected in a [`Batch`] and committed by one task that puts all batches
//! waiting at the same time into one durable transaction: throughput is then not one sync of the disk per step.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use landbridge_database::{Database, DatabaseError, Sql, Value};
use tokio::sync::Notify;

mod backfill;
mod disappearing;
mod emoji;
mod galleries;
mod ghosts;
mod inbox;
mod kv;
mod letters;
mod logins;
mod matrix_inbox;
mod matrix_outbox;
mod messages;
mod polls;
mod portals;
mod prune;
mod reactions;
mod remote_outbox;
mod schema;
mod spaces;
mod tasks;
mod trace;
mod users;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use backfill::BackfillRow;
pub(crate) use emoji::EmojiRow;
pub(crate) use ghosts::GhostRow;
pub(crate) use inbox::InboxRow;
pub(crate) use letters::Queue;
pub(crate) use matrix_inbox::MatrixInboxRow;
pub(crate) use matrix_outbox::{MatrixOutboxRow, NewMatrixOutbox};
pub(crate) use messages::MessageRow;
pub(crate) use polls::{PollOptionRow, PollRow};
pub(crate) use portals::{KeptPin, PortalRow, PortalState};
pub(crate) use reactions::ReactionRow;
pub(crate) use remote_outbox::{RemoteOutboxRow, SendState};
pub(crate) use spaces::SpaceJob;
pub(crate) use tasks::{NewTask, TaskRow};

pub(crate) use users::UserRow;

/// How many numbers are left out at each start. A commit that was under way when the bridge before this one was killed may
/// still arrive: its rows must come before everything new, and no number may be given twice.
const GAP: i64 = 1 << 20;

/// The store failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database did.
    #[error("the bridge's database failed: {0}")]
    Database(Arc<DatabaseError>),
    /// The task that writes has ended: the bridge is stopping.
    #[error("the bridge's database is closed")]
    Closed,
    /// What is stored makes no sense.
    #[error("the bridge's database holds something unreadable: {0}")]
    Corrupt(String),
}
impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Arc::new(error))
    }
}

/// Statements that are committed together.
#[derive(Default)]
pub(crate) struct Batch {
    statements: Vec<(Sql, Vec<Value>)>,
    /// Whether it sets times at which something disappears.
    sets_times: bool,
    /// Whether it asks for history.
    asks_history: bool,
    /// How many rows it adds to the outbox to Matrix.
    to_matrix: usize,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self::default()
    }
    fn push(&mut self, sql: &'static str, args: Vec<Value>) -> usize {
        self.statements.push((sql.into(), args));
        self.statements.len() - 1
    }
    /// Adds another batch's statements after these.
    pub(crate) fn append(&mut self, other: Self) {
        self.statements.extend(other.statements);
        self.sets_times |= other.sets_times;
        self.asks_history |= other.asks_history;
        self.to_matrix += other.to_matrix;
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }
    /// How many rows it adds to the outbox to Matrix.
    pub(crate) fn to_matrix(&self) -> usize {
        self.to_matrix
    }
}

/// See the module.
pub(crate) struct Store {
    db: Database,
    writer: writer::Writer,
    ids: AtomicI64,
    /// Told once times are committed at which something disappears: before that who looks for them finds nothing.
    pub(crate) times: Notify,
    /// The same of history that is to be fetched.
    pub(crate) history: Notify,
}

impl Store {
    /// Opens the store, bringing its schema to this version.
    pub(crate) async fn open(db: Database) -> Result<Arc<Self>, StoreError> {
        db.migrate(&schema::MIGRATIONS).await?;
        let highest = schema::highest_id(&db).await?;
        let writer = writer::Writer::start(db.clone());
        Ok(Arc::new(Self {
            db,
            writer,
            ids: AtomicI64::new(highest + GAP),
            times: Notify::new(),
            history: Notify::new(),
        }))
    }

    /// A number that no row has yet. Numbers given later are higher: they are the order of all queues. One process owns the
    /// store (the database refuses a second), so they can be counted here.
    pub(crate) fn next_id(&self) -> i64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Leaves out as many numbers as it takes to move rows from `lowest` on behind everything there is; gives by how much.
    pub(crate) fn skip_ids(&self, lowest: i64) -> i64 {
        let step = self.ids.load(Ordering::Relaxed) - lowest + 1;
        self.ids.fetch_add(step + 1, Ordering::Relaxed);
        step
    }

    /// Commits a batch, durably; gives the number of rows that each of its statements touched.
    pub(crate) async fn commit(&self, batch: Batch) -> Result<Vec<u64>, StoreError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let touched = self.writer.commit(batch.statements).await?;
        if batch.sets_times {
            self.times.notify_one();
        }
        if batch.asks_history {
            self.history.notify_one();
        }
        Ok(touched)
    }
}
