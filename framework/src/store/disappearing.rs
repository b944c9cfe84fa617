//! Events that disappear, and when. A row goes in the very transaction that queues its redaction.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// An event whose time is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DueRow {
    pub(crate) event_id: String,
    pub(crate) portal: i64,
}

impl Store {
    /// Events whose time is up, those that are due longest first.
    pub(crate) async fn due_disappearing(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<Vec<DueRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT event_id, portal_id FROM disappearing WHERE due_at IS NOT NULL AND due_at <= $1
                 ORDER BY due_at LIMIT $2",
                args![now, limit],
            )
            .await?;
        rows.iter().map(|row| Ok(DueRow { event_id: row.text(0)?, portal: row.int(1)? })).collect()
    }
    /// When the next one is due.
    pub(crate) async fn next_disappearing(&self) -> Result<Option<i64>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT due_at FROM disappearing WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1",
                args![],
            )
            .await?;
        row.map(|row| Ok(row.int(0)?)).transpose()
    }
    /// Whether something waits for being read.
    pub(crate) async fn waits_for_reading(&self) -> Result<bool, StoreError> {
        let row = self
            .db
            .fetch_optional("SELECT 1 FROM disappearing WHERE due_at IS NULL LIMIT 1", args![])
            .await?;
        Ok(row.is_some())
    }
}

impl Batch {
    /// An event disappears: at a time, or `timer` milliseconds after it was read.
    pub(crate) fn add_disappearing(
        &mut self,
        event_id: &str,
        portal: i64,
        ts: i64,
        timer: i64,
        due_at: Option<i64>,
    ) {
        self.sets_times |= due_at.is_some();
        self.push(
            "INSERT INTO disappearing (event_id, portal_id, ts, timer, due_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
            args![event_id, portal, ts, timer, due_at],
        );
    }
    /// A portal was read up to an event: what waited for that has its time now.
    pub(crate) fn read_up_to(&mut self, portal: i64, event_id: &str, now: i64) {
        self.sets_times = true;
        self.push(
            "UPDATE disappearing SET due_at = $3 + timer WHERE portal_id = $1 AND due_at IS NULL
               AND ts <= (SELECT MAX(ts) FROM message WHERE portal_id = $1 AND event_id = $2)",
            args![portal, event_id, now],
        );
    }
    /// All of a portal was read.
    pub(crate) fn read_all(&mut self, portal: i64, now: i64) {
        self.sets_times = true;
        self.push(
            "UPDATE disappearing SET due_at = $2 + timer WHERE portal_id = $1 AND due_at IS NULL",
            args![portal, now],
        );
    }
    pub(crate) fn disappeared(&mut self, event_id: &str) {
        self.push("DELETE FROM disappearing WHERE event_id = $1", args![event_id]);
    }
}
