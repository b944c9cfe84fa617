//! The inbox from Matrix: transactions and their events.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// An event from Matrix that waits.
#[derive(Clone, Debug)]
pub(crate) struct MatrixInboxRow {
    pub(crate) seq: i64,
    pub(crate) event_id: String,
    pub(crate) room_id: String,
    pub(crate) body: String,
    pub(crate) attempts: i64,
    pub(crate) not_before: i64,
}

impl Store {
    /// What the transaction of this number was that came last, if one did.
    pub(crate) async fn digest_of_txn(&self, txn_id: &str) -> Result<Option<String>, StoreError> {
        let row = self
            .db
            .fetch_optional("SELECT digest FROM as_txn WHERE txn_id = $1", args![txn_id])
            .await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
    /// Events of a portal that wait; `None`: of rooms that are no portals.
    pub(crate) async fn ready_matrix_inbox(
        &self,
        portal: Option<i64>,
        limit: i64,
    ) -> Result<Vec<MatrixInboxRow>, StoreError> {
        let rows =
            match portal {
                Some(portal) => self
                    .db
                    .fetch(
                        "SELECT seq, event_id, room_id, body, attempts, not_before FROM mx_inbox
                         WHERE portal_id = $1 AND state = 'ready' ORDER BY seq LIMIT $2",
                        args![portal, limit],
                    )
                    .await?,
                None => self
                    .db
                    .fetch(
                        "SELECT seq, event_id, room_id, body, attempts, not_before FROM mx_inbox
                         WHERE portal_id IS NULL AND state = 'ready' ORDER BY seq LIMIT $1",
                        args![limit],
                    )
                    .await?,
            };
        rows.iter()
            .map(|row| {
                Ok(MatrixInboxRow {
                    seq: row.int(0)?,
                    event_id: row.text(1)?,
                    room_id: row.text(2)?,
                    body: row.text(3)?,
                    attempts: row.int(4)?,
                    not_before: row.int(5)?,
                })
            })
            .collect()
    }
    pub(crate) async fn matrix_inbox_body(&self, seq: i64) -> Result<Option<String>, StoreError> {
        let row =
            self.db.fetch_optional("SELECT body FROM mx_inbox WHERE seq = $1", args![seq]).await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
    pub(crate) async fn matrix_inbox_event(
        &self,
        event_id: &str,
    ) -> Result<Option<String>, StoreError> {
        let row = self
            .db
            .fetch_optional("SELECT body FROM mx_inbox WHERE event_id = $1", args![event_id])
            .await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }
}

impl Batch {
    pub(crate) fn add_txn(&mut self, txn_id: &str, digest: &str, now: i64) {
        self.push(
            "INSERT INTO as_txn (txn_id, digest, received_at) VALUES ($1, $2, $3)
             ON CONFLICT (txn_id) DO UPDATE SET digest = excluded.digest, received_at = excluded.received_at",
            args![txn_id, digest, now],
        );
    }
    /// Adds an event, unless it is known.
    pub(crate) fn add_matrix_inbox(
        &mut self,
        seq: i64,
        event_id: &str,
        room_id: &str,
        portal: Option<i64>,
        body: String,
        now: i64,
    ) {
        self.push(
            "INSERT INTO mx_inbox (seq, event_id, room_id, portal_id, body, state, received_at)
             VALUES ($1, $2, $3, $4, $5, 'ready', $6) ON CONFLICT DO NOTHING",
            args![seq, event_id, room_id, portal, body, now],
        );
    }
    pub(crate) fn matrix_inbox_done(&mut self, seq: i64) {
        self.push("UPDATE mx_inbox SET state = 'done', error = NULL WHERE seq = $1", args![seq]);
    }
    /// Somebody outside portals takes it on, unless it has become a portal's; gives the statement's place.
    pub(crate) fn matrix_inbox_taken(&mut self, seq: i64) -> usize {
        self.push(
            "UPDATE mx_inbox SET state = 'done', error = NULL WHERE seq = $1 AND portal_id IS NULL AND state = 'ready'",
            args![seq],
        )
    }
    /// A room becomes a portal's, with what waits of it.
    pub(crate) fn adopt_matrix_inbox(&mut self, portal: i64, room_id: &str) {
        self.push(
            "UPDATE mx_inbox SET portal_id = $1 WHERE room_id = $2 AND portal_id IS NULL AND state = 'ready'",
            args![portal, room_id],
        );
    }
    pub(crate) fn matrix_inbox_dead(&mut self, seq: i64, error: &str) {
        self.push(
            "UPDATE mx_inbox SET state = 'dead', error = $2 WHERE seq = $1",
            args![seq, error],
        );
    }
    pub(crate) fn matrix_inbox_later(&mut self, seq: i64, not_before: i64, error: &str) {
        self.push(
            "UPDATE mx_inbox SET attempts = attempts + 1, not_before = $2, error = $3 WHERE seq = $1",
            args![seq, not_before, error],
        );
    }
}
