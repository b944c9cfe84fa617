//! The inbox: what the network said, verbatim.

use landbridge_database::{Value, args};

use super::{Batch, Store, StoreError};

/// A raw event that was not decoded yet.
#[derive(Clone, Debug)]
pub(crate) struct InboxRow {
    pub(crate) seq: i64,
    pub(crate) login: String,
    pub(crate) key: String,
    pub(crate) raw: String,
}

impl Store {
    /// The oldest events that weren't decoded yet.
    pub(crate) async fn inbox_new(&self, limit: i64) -> Result<Vec<InboxRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                "SELECT seq, login_id, event_key, raw FROM inbox WHERE state = 'new' ORDER BY seq LIMIT $1",
                args![limit],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(InboxRow {
                    seq: row.int(0)?,
                    login: row.text(1)?,
                    key: row.text(2)?,
                    raw: row.text(3)?,
                })
            })
            .collect()
    }
    pub(crate) async fn inbox_row(&self, seq: i64) -> Result<Option<InboxRow>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT seq, login_id, event_key, raw FROM inbox WHERE seq = $1",
                args![seq],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(InboxRow {
            seq: row.int(0)?,
            login: row.text(1)?,
            key: row.text(2)?,
            raw: row.text(3)?,
        }))
    }
    /// How much of what the network said has not arrived in Matrix: what bounds the inbox.
    pub(crate) async fn inbox_depth(&self) -> Result<i64, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'new')
                      + (SELECT COUNT(*) FROM task WHERE state = 'ready')
                      + (SELECT COUNT(*) FROM mx_outbox WHERE state = 'ready')",
                args![],
            )
            .await?;
        row.map_or(Ok(0), |row| Ok(row.int(0)?))
    }
}

impl Batch {
    /// Adds an event, unless its login has put its key before; gives the statement's place.
    pub(crate) fn add_inbox(
        &mut self,
        seq: i64,
        login: &str,
        key: &str,
        raw: String,
        now: i64,
    ) -> usize {
        self.put_inbox("new", args![seq, login, key, raw, now])
    }
    /// The same with an event whose tasks are in this very batch.
    pub(crate) fn add_decoded(
        &mut self,
        seq: i64,
        login: &str,
        key: &str,
        raw: String,
        now: i64,
    ) -> usize {
        self.put_inbox("done", args![seq, login, key, raw, now])
    }
    /// Adds an event that somebody else decodes; after a crash before that is done, it is decoded as any other.
    pub(crate) fn hold_inbox(&mut self, seq: i64, login: &str, key: &str, raw: String, now: i64) {
        self.put_inbox("held", args![seq, login, key, raw, now]);
    }
    /// Adds an event in a state, unless its key is known.
    fn put_inbox(&mut self, state: &'static str, mut event: Vec<Value>) -> usize {
        event.push(state.into());
        self.push(
            "INSERT INTO inbox (seq, login_id, event_key, raw, received_at, state) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
            event,
        )
    }
    /// At start: what was held when the bridge ended.
    pub(crate) fn release_inbox(&mut self) {
        self.push("UPDATE inbox SET state = 'new' WHERE state = 'held'", args![]);
    }
    pub(crate) fn inbox_done(&mut self, seq: i64) {
        self.push("UPDATE inbox SET state = 'done' WHERE seq = $1", args![seq]);
    }
    pub(crate) fn inbox_dead(&mut self, seq: i64, error: &str) {
        self.push("UPDATE inbox SET state = 'dead', error = $2 WHERE seq = $1", args![seq, error]);
    }
}
