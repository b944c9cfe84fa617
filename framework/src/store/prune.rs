//! Forgetting what was handled long ago. Messages, tombstones and reactions stay: dedupe lives in them.

use landbridge_database::args;

use super::{Batch, Store, StoreError};

impl Store {
    /// Deletes handled rows of all queues from before a time, at most `limit` of each; gives how many went.
    pub(crate) async fn prune(&self, before: i64, limit: i64) -> Result<u64, StoreError> {
        let mut batch = Batch::new();
        // An inbox row goes after the last task that would decode it again.
        for sql in [
            "DELETE FROM mx_outbox WHERE seq IN (SELECT seq FROM mx_outbox
               WHERE state = 'sent' AND sent_at < $1 ORDER BY seq LIMIT $2)",
            "DELETE FROM task WHERE seq IN (SELECT seq FROM task
               WHERE state = 'done' AND decoded_at < $1 ORDER BY seq LIMIT $2)",
            "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox
               WHERE state = 'done' AND received_at < $1
                 AND NOT EXISTS (SELECT 1 FROM task WHERE task.inbox_seq = inbox.seq AND task.state <> 'done')
               ORDER BY seq LIMIT $2)",
            "DELETE FROM remote_outbox WHERE seq IN (SELECT seq FROM remote_outbox
               WHERE state IN ('sent', 'refused', 'unsure') AND done_at < $1 ORDER BY seq LIMIT $2)",
            "DELETE FROM mx_inbox WHERE seq IN (SELECT seq FROM mx_inbox
               WHERE state = 'done' AND received_at < $1
                 AND NOT EXISTS (SELECT 1 FROM remote_outbox WHERE remote_outbox.mx_seq = mx_inbox.seq)
               ORDER BY seq LIMIT $2)",
            "DELETE FROM as_txn WHERE txn_id IN (SELECT txn_id FROM as_txn WHERE received_at < $1 LIMIT $2)",
        ] {
            batch.push(sql, args![before, limit]);
        }
        Ok(self.commit(batch).await?.iter().sum())
    }
}
