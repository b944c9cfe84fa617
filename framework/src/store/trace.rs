//! Where is my message? The way of one message through the queues, with the time of each hop.

use landbridge_database::args;
use serde::Serialize;

use super::{Store, StoreError};

/// One stage that a message has passed, or waits in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Hop {
    /// Which stage.
    pub(crate) stage: &'static str,
    /// How it stands there.
    pub(crate) state: String,
    /// When it got there, in milliseconds since the Unix epoch.
    pub(crate) at_ms: Option<i64>,
    /// What went wrong there.
    pub(crate) error: Option<String>,
}

/// The way of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Trace {
    /// Its event's id on Matrix, if it has one.
    pub(crate) event_id: Option<String>,
    /// Its key on the network, if it came from there; its id there, if it went there.
    pub(crate) remote: Option<String>,
    /// The stages, in order.
    pub(crate) hops: Vec<Hop>,
}

impl Store {
    /// The way of a message, by its Matrix event id or its event key on the network.
    pub(crate) async fn trace(&self, id: &str) -> Result<Option<Trace>, StoreError> {
        if let Some(trace) = self.trace_from_matrix(id).await? {
            return Ok(Some(trace));
        }
        let task = self
            .db
            .fetch_optional(
                "SELECT task.seq, task.event_key FROM task WHERE event_key = $1
                 UNION ALL SELECT task.seq, task.event_key FROM mx_outbox
                   JOIN task ON task.seq = mx_outbox.task_seq WHERE mx_outbox.event_id = $1 LIMIT 1",
                args![id],
            )
            .await?;
        let Some(task) = task else { return Ok(None) };
        let seq = task.int(0)?;
        let mut trace = Trace { remote: Some(task.text(1)?), ..Trace::default() };
        let rows = self
            .db
            .fetch(
                "SELECT inbox.state, inbox.received_at, inbox.error, task.state, task.decoded_at, task.error
                 FROM task JOIN inbox ON inbox.seq = task.inbox_seq WHERE task.seq = $1",
                args![seq],
            )
            .await?;
        for row in &rows {
            for (stage, at) in [("received from the network", 0), ("waiting for its portal", 3)] {
                trace.hops.push(Hop {
                    stage,
                    state: row.text(at)?,
                    at_ms: Some(row.int(at + 1)?),
                    error: row.opt_text(at + 2)?,
                });
            }
        }
        let rows = self
            .db
            .fetch(
                "SELECT state, created_at, sent_at, error, event_id FROM mx_outbox WHERE task_seq = $1 ORDER BY seq",
                args![seq],
            )
            .await?;
        for row in &rows {
            trace.event_id = trace.event_id.or(row.opt_text(4)?);
            let error = row.opt_text(3)?;
            trace.hops.push(Hop {
                stage: "converted",
                state: "done".into(),
                at_ms: row.opt_int(1)?,
                error: None,
            });
            trace.hops.push(Hop {
                stage: "sent to Matrix",
                state: row.text(0)?,
                at_ms: row.opt_int(2)?,
                error,
            });
        }
        Ok(Some(trace))
    }

    async fn trace_from_matrix(&self, event_id: &str) -> Result<Option<Trace>, StoreError> {
        let row = self
            .db
            .fetch_optional(
                "SELECT state, received_at, error FROM mx_inbox WHERE event_id = $1",
                args![event_id],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let mut trace = Trace { event_id: Some(event_id.to_owned()), ..Trace::default() };
        trace.hops.push(Hop {
            stage: "received from Matrix",
            state: row.text(0)?,
            at_ms: Some(row.int(1)?),
            error: row.opt_text(2)?,
        });
        let rows = self
            .db
            .fetch(
                "SELECT state, created_at, first_sent_at, done_at, error, remote_id FROM remote_outbox
                 WHERE event_id = $1 ORDER BY seq",
                args![event_id],
            )
            .await?;
        for row in &rows {
            trace.remote = trace.remote.or(row.opt_text(5)?);
            trace.hops.push(Hop {
                stage: "queued for the network",
                state: "done".into(),
                at_ms: row.opt_int(1)?,
                error: None,
            });
            trace.hops.push(Hop {
                stage: "handed to the network",
                state: row.text(0)?,
                at_ms: row.opt_int(2)?,
                error: row.opt_text(4)?,
            });
            if let Some(at_ms) = row.opt_int(3)? {
                trace.hops.push(Hop {
                    stage: "settled",
                    state: row.text(0)?,
                    at_ms: Some(at_ms),
                    error: None,
                });
            }
        }
        Ok(Some(trace))
    }
}
