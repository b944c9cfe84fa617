//! Dead letters: what could not be handled, in whichever queue. It can be seen, replayed and dropped; it never blocks
//! what comes after it.

use landbridge_database::args;
use serde::Serialize;

use super::{Batch, Store, StoreError};

/// The queue a dead letter lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Queue {
    /// Came from the network and could not be read.
    Inbox,
    /// Was read, and could not be made into Matrix events.
    Task,
    /// The homeserver refused it.
    MatrixOutbox,
    /// Came from Matrix and could not be handled.
    MatrixInbox,
    /// The network refused it, or it waited too long.
    RemoteOutbox,
}

impl Queue {
    /// All of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Inbox, Self::Task, Self::MatrixOutbox, Self::MatrixInbox, Self::RemoteOutbox];

    fn sql(self) -> [&'static str; 3] {
        match self {
            Self::Inbox => [
                "SELECT seq, received_at, error, event_key FROM inbox WHERE state = 'dead' ORDER BY seq LIMIT $1",
                "UPDATE inbox SET state = 'new', error = NULL WHERE seq = $1 AND state = 'dead'",
                "UPDATE inbox SET state = 'done' WHERE seq = $1 AND state = 'dead'",
            ],
            Self::Task => [
                "SELECT seq, decoded_at, error, event_key FROM task WHERE state = 'dead' ORDER BY seq LIMIT $1",
                "UPDATE task SET state = 'ready', attempts = 0, not_before = 0 WHERE seq = $1 AND state = 'dead'",
                "UPDATE task SET state = 'done' WHERE seq = $1 AND state = 'dead'",
            ],
            Self::MatrixOutbox => [
                "SELECT seq, created_at, error, kind FROM mx_outbox WHERE state = 'dead' ORDER BY seq LIMIT $1",
                "UPDATE mx_outbox SET state = 'ready', attempts = 0, not_before = 0 WHERE seq = $1 AND state = 'dead'",
                "UPDATE mx_outbox SET state = 'sent' WHERE seq = $1 AND state = 'dead'",
            ],
            Self::MatrixInbox => [
                "SELECT seq, received_at, error, event_id FROM mx_inbox WHERE state = 'dead' ORDER BY seq LIMIT $1",
                "UPDATE mx_inbox SET state = 'ready', attempts = 0, not_before = 0 WHERE seq = $1 AND state = 'dead'",
                "UPDATE mx_inbox SET state = 'done' WHERE seq = $1 AND state = 'dead'",
            ],
            Self::RemoteOutbox => [
                "SELECT seq, created_at, error, event_id FROM remote_outbox WHERE state = 'dead' ORDER BY seq LIMIT $1",
                "UPDATE remote_outbox SET state = 'ready', attempts = 0, not_before = 0,
                   expires_at = expires_at + 86400000 WHERE seq = $1 AND state = 'dead'",
                "UPDATE remote_outbox SET state = 'refused' WHERE seq = $1 AND state = 'dead'",
            ],
        }
    }
}

/// Something that could not be handled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Letter {
    /// Where it lies.
    pub(crate) queue: Queue,
    /// Its number in the queue.
    pub(crate) seq: i64,
    /// When it came, in milliseconds since the Unix epoch.
    pub(crate) at_ms: i64,
    /// What went wrong.
    pub(crate) error: String,
    /// What it is: an event's key or id.
    pub(crate) what: String,
}

impl Store {
    /// The oldest dead letters of all queues.
    pub(crate) async fn letters(&self, limit: i64) -> Result<Vec<Letter>, StoreError> {
        let mut letters = Vec::new();
        for queue in Queue::ALL {
            for row in self.db.fetch(queue.sql()[0], args![limit]).await? {
                letters.push(Letter {
                    queue,
                    seq: row.int(0)?,
                    at_ms: row.int(1)?,
                    error: row.opt_text(2)?.unwrap_or_default(),
                    what: row.text(3)?,
                });
            }
        }
        letters.sort_by_key(|letter| letter.seq);
        letters.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(letters)
    }
    /// Puts a dead letter back into its queue, at its old place; `false` if there is none such.
    pub(crate) async fn replay_letter(&self, queue: Queue, seq: i64) -> Result<bool, StoreError> {
        let mut batch = Batch::new();
        batch.push(queue.sql()[1], args![seq]);
        Ok(self.commit(batch).await?.first() == Some(&1))
    }
    /// Lets a dead letter go; `false` if there is none such.
    pub(crate) async fn drop_letter(&self, queue: Queue, seq: i64) -> Result<bool, StoreError> {
        let mut batch = Batch::new();
        batch.push(queue.sql()[2], args![seq]);
        Ok(self.commit(batch).await?.first() == Some(&1))
    }
}
