//! History still to be fetched: one row per portal and direction.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// History to be fetched.
#[derive(Clone, Debug)]
pub(crate) struct BackfillRow {
    pub(crate) portal: i64,
    /// `newer`: what was missed; `older`: what was before.
    pub(crate) dir: String,
    pub(crate) login: String,
    pub(crate) cursor: Option<String>,
    pub(crate) anchor: Option<String>,
    /// How many events may still be fetched.
    pub(crate) remaining: i64,
    pub(crate) not_before: i64,
    pub(crate) attempts: i64,
}

impl Store {
    /// What is to be fetched next.
    pub(crate) async fn ready_backfill(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<Vec<BackfillRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT portal_id, dir, login_id, cursor, anchor, remaining, not_before, attempts FROM backfill
                 WHERE state = 'ready' AND not_before <= $1 ORDER BY dir, not_before, portal_id LIMIT $2",
                args![now, limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(BackfillRow {
                    portal: row.int(0)?,
                    dir: row.text(1)?,
                    login: row.text(2)?,
                    cursor: row.opt_text(3)?,
                    anchor: row.opt_text(4)?,
                    remaining: row.int(5)?,
                    not_before: row.int(6)?,
                    attempts: row.int(7)?,
                })
            })
            .collect()
    }
}

impl Batch {
    /// Asks for history; a request of the same direction that is done or under way begins anew.
    pub(crate) fn save_backfill(&mut self, b: &BackfillRow) {
        self.asks_history = true;
        self.push(
            "INSERT INTO backfill (portal_id, dir, login_id, cursor, anchor, remaining, state, not_before, attempts)
             VALUES ($1, $2, $3, $4, $5, $6, 'ready', $7, $8)
             ON CONFLICT (portal_id, dir) DO UPDATE SET login_id = excluded.login_id, cursor = excluded.cursor,
               anchor = excluded.anchor, remaining = excluded.remaining, state = 'ready',
               not_before = excluded.not_before, attempts = excluded.attempts",
            args![b.portal, &b.dir, &b.login, b.cursor.clone(), b.anchor.clone(), b.remaining, b.not_before, b.attempts],
        );
    }
    pub(crate) fn backfill_done(&mut self, portal: i64, dir: &str, error: Option<&str>) {
        self.push(
            "UPDATE backfill SET state = 'done', error = $3 WHERE portal_id = $1 AND dir = $2",
            args![portal, dir, error],
        );
    }
}
