//! The outbox to Matrix: one row per event to send, in order.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// An event to be sent.
pub(crate) struct NewMatrixOutbox<'a> {
    pub(crate) seq: i64,
    pub(crate) portal: i64,
    pub(crate) task: i64,
    pub(crate) sender: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) body: String,
    pub(crate) txn_id: &'a str,
    pub(crate) now: i64,
}

/// An event that waits.
#[derive(Clone, Debug)]
pub(crate) struct MatrixOutboxRow {
    pub(crate) seq: i64,
    pub(crate) sender: String,
    pub(crate) body: String,
    pub(crate) txn_id: String,
    pub(crate) attempts: i64,
}

impl Store {
    pub(crate) async fn ready_matrix_outbox(
        &self,
        portal: i64,
        limit: i64,
    ) -> Result<Vec<MatrixOutboxRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT seq, sender, body, txn_id, attempts FROM mx_outbox
                 WHERE portal_id = $1 AND state = 'ready' ORDER BY seq LIMIT $2",
                args![portal, limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(MatrixOutboxRow {
                    seq: row.int(0)?,
                    sender: row.text(1)?,
                    body: row.text(2)?,
                    txn_id: row.text(3)?,
                    attempts: row.int(4)?,
                })
            })
            .collect()
    }
    /// Whether an event was sent with this transaction id: the answer may not have come yet.
    pub(crate) async fn is_sent_as(
        &self,
        txn_id: &str,
        event_id: &str,
    ) -> Result<bool, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT 1 FROM mx_outbox WHERE txn_id = $1 AND (event_id IS NULL OR event_id = $2)",
                args![txn_id, event_id],
            )
            .await?;
        Ok(row.is_some())
    }
    /// The event that was confirmed last in a portal: nothing that is unconfirmed can lie before it.
    pub(crate) async fn last_confirmed(&self, portal: i64) -> Result<Option<String>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT event_id FROM mx_outbox WHERE portal_id = $1 AND state = 'sent' AND kind = 'event'
                 ORDER BY seq DESC LIMIT 1",
                args![portal],
            )
            .await?;
        Ok(row.map(|row| row.opt_text(0)).transpose()?.flatten())
    }
}

impl Batch {
    /// Adds an event, unless one with its transaction id is known; gives the statement's place.
    pub(crate) fn add_matrix_outbox(&mut self, o: NewMatrixOutbox<'_>) -> usize {
        self.to_matrix += 1;
        self.push(
            "INSERT INTO mx_outbox (seq, portal_id, task_seq, sender, kind, body, txn_id, state, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'ready', $8) ON CONFLICT DO NOTHING",
            args![o.seq, o.portal, o.task, o.sender, o.kind, o.body, o.txn_id, o.now],
        )
    }
    pub(crate) fn matrix_outbox_sent(&mut self, seq: i64, event_id: Option<&str>, now: i64) {
        self.push(
            "UPDATE mx_outbox SET state = 'sent', event_id = $2, sent_at = $3, error = NULL WHERE seq = $1",
            args![seq, event_id, now],
        );
    }
    pub(crate) fn matrix_outbox_later(&mut self, seq: i64, not_before: i64, error: &str) {
        self.push(
            "UPDATE mx_outbox SET attempts = attempts + 1, not_before = $2, error = $3 WHERE seq = $1",
            args![seq, not_before, error],
        );
    }
    pub(crate) fn matrix_outbox_dead(&mut self, seq: i64, error: &str) {
        self.push(
            "UPDATE mx_outbox SET state = 'dead', error = $2 WHERE seq = $1",
            args![seq, error],
        );
    }
}
