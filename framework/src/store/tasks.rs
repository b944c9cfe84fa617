//! Tasks: decoded events, each waiting for its portal.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

/// A task to be added.
pub(crate) struct NewTask<'a> {
    pub(crate) seq: i64,
    pub(crate) portal: i64,
    pub(crate) key: &'a str,
    pub(crate) inbox_seq: i64,
    pub(crate) place: i64,
    pub(crate) now: i64,
}

/// Stands before the keys of events from before a chat gave its messages new identifiers.
const BEFORE: &str = "before:";

/// A task that waits.
#[derive(Clone, Debug)]
pub(crate) struct TaskRow {
    pub(crate) seq: i64,
    pub(crate) key: String,
    pub(crate) inbox_seq: i64,
    pub(crate) place: usize,
    pub(crate) attempts: i64,
    pub(crate) not_before: i64,
    pub(crate) decoded_at: i64,
}

impl TaskRow {
    /// Whether it is of the event with this key.
    pub(crate) fn is_of(&self, key: &str) -> bool {
        self.key == key || self.key.strip_prefix(BEFORE) == Some(key)
    }
}

impl Store {
    pub(crate) async fn ready_tasks(
        &self,
        portal: i64,
        limit: i64,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT seq, event_key, inbox_seq, place, attempts, not_before, decoded_at FROM task
                 WHERE portal_id = $1 AND state = 'ready' ORDER BY seq LIMIT $2",
                args![portal, limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(TaskRow {
                    seq: row.int(0)?,
                    key: row.text(1)?,
                    inbox_seq: row.int(2)?,
                    place: usize::try_from(row.int(3)?).unwrap_or(0),
                    attempts: row.int(4)?,
                    not_before: row.int(5)?,
                    decoded_at: row.int(6)?,
                })
            })
            .collect()
    }
    /// Portals that have something to do, in any queue.
    pub(crate) async fn busy_portals(&self) -> Result<Vec<i64>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT portal_id FROM task WHERE state = 'ready'
                 UNION SELECT portal_id FROM mx_outbox WHERE state = 'ready'
                 UNION SELECT portal_id FROM mx_inbox WHERE state = 'ready' AND portal_id IS NOT NULL
                 UNION SELECT portal_id FROM remote_outbox
                   WHERE state IN ('ready', 'sending', 'awaiting_echo', 'unknown')",
                args![],
            )
            .await?;
        rows.iter().map(|row| Ok(row.int(0)?)).collect()
    }
    /// Portals with parked tasks whose time is up.
    pub(crate) async fn overdue_parked(
        &self,
        now: i64,
        limit: i64,
    ) -> Result<Vec<i64>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT seq FROM task WHERE state = 'parked' AND not_before <= $1 LIMIT $2",
                args![now, limit],
            )
            .await?;
        rows.iter().map(|row| Ok(row.int(0)?)).collect()
    }
}

impl Batch {
    /// Makes room for events whose keys a portal's events have had before. See [`TaskRow::is_of`].
    pub(crate) fn age_tasks(&mut self, portal: i64) {
        self.push(
            "UPDATE task SET event_key = $2 || event_key WHERE portal_id = $1",
            args![portal, BEFORE],
        );
    }
    /// Adds a task, unless its portal had its key before, by whatever login, or its raw event was not taken in because it had
    /// come before.
    pub(crate) fn add_task(&mut self, t: &NewTask<'_>) {
        self.push(
            "INSERT INTO task (seq, portal_id, event_key, inbox_seq, place, state, decoded_at)
             SELECT $1, $2, $3, seq, $5, 'ready', $6 FROM inbox WHERE seq = $4 ON CONFLICT DO NOTHING",
            args![t.seq, t.portal, t.key, t.inbox_seq, t.place, t.now],
        );
    }
    /// Puts what waits in a portal behind what was added since `first`; `step` is free room for its numbers.
    pub(crate) fn requeue_tasks(&mut self, portal: i64, first: i64, step: i64) {
        self.push(
            "UPDATE task SET seq = seq + $3 WHERE portal_id = $1 AND state = 'ready' AND seq < $2",
            args![portal, first, step],
        );
    }
    pub(crate) fn task_done(&mut self, seq: i64) {
        self.push("UPDATE task SET state = 'done', error = NULL WHERE seq = $1", args![seq]);
    }
    pub(crate) fn task_dead(&mut self, seq: i64, error: &str) {
        self.push("UPDATE task SET state = 'dead', error = $2 WHERE seq = $1", args![seq, error]);
    }
    pub(crate) fn task_later(&mut self, seq: i64, not_before: i64, error: &str) {
        self.push(
            "UPDATE task SET attempts = attempts + 1, not_before = $2, error = $3 WHERE seq = $1",
            args![seq, not_before, error],
        );
    }
    /// Parks a task until a message is there, or the time is up.
    pub(crate) fn park_task(&mut self, seq: i64, depends_on: &str, until: i64) {
        self.push(
            "UPDATE task SET state = 'parked', depends_on = $2, not_before = $3 WHERE seq = $1",
            args![seq, depends_on, until],
        );
    }
    /// The message is there: what waited for it goes on, in its old order.
    pub(crate) fn unpark_tasks(&mut self, portal: i64, message: &str) {
        self.push(
            "UPDATE task SET state = 'ready', depends_on = NULL, not_before = 0
             WHERE portal_id = $1 AND depends_on = $2 AND state = 'parked'",
            args![portal, message],
        );
    }
    pub(crate) fn drop_parked(&mut self, seq: i64) {
        self.push(
            "UPDATE task SET state = 'done', error = 'what it refers to never came' WHERE seq = $1 AND state = 'parked'",
            args![seq],
        );
    }
}
