//! The outbox to the network: one row per thing to do, in order per portal.

use std::sync::Arc;

use landbridge_database::{Row, args};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{Batch, Store, StoreError};

/// How something to be sent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendState {
    /// Waits for its turn.
    Ready,
    /// Its handler was called; found after a crash, it may have been sent.
    Sending,
    /// The network has taken it and will echo it.
    AwaitingEcho,
    /// It may have been sent.
    Unknown,
    /// It is there.
    Sent,
    /// It never will be.
    Refused,
    /// Nobody will ever know.
    Unsure,
    /// Given up; in the dead letters.
    Dead,
}

impl SendState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Sending => "sending",
            Self::AwaitingEcho => "awaiting_echo",
            Self::Unknown => "unknown",
            Self::Sent => "sent",
            Self::Refused => "refused",
            Self::Unsure => "unsure",
            Self::Dead => "dead",
        }
    }
    fn read(text: &str) -> Self {
        match text {
            "ready" => Self::Ready,
            "sending" => Self::Sending,
            "awaiting_echo" => Self::AwaitingEcho,
            "unknown" => Self::Unknown,
            "sent" => Self::Sent,
            "refused" => Self::Refused,
            "unsure" => Self::Unsure,
            _ => Self::Dead,
        }
    }
}

/// Something that waits, or is under way.
#[derive(Clone, Debug)]
pub(crate) struct RemoteOutboxRow {
    pub(crate) seq: i64,
    pub(crate) mx_seq: i64,
    pub(crate) event_id: String,
    pub(crate) login: String,
    pub(crate) op: String,
    pub(crate) key: String,
    pub(crate) state: SendState,
    pub(crate) attempts: i64,
    pub(crate) not_before: i64,
    pub(crate) first_sent_at: Option<i64>,
    pub(crate) expires_at: i64,
    pub(crate) checkpoint: Option<String>,
    pub(crate) portal: i64,
    /// Its event on Matrix, once somebody has asked for it.
    pub(crate) event: OnceCell<Arc<Value>>,
}

fn read(row: &Row) -> Result<RemoteOutboxRow, StoreError> {
    Ok(RemoteOutboxRow {
        seq: row.int(0)?,
        mx_seq: row.int(1)?,
        event_id: row.text(2)?,
        login: row.text(3)?,
        op: row.text(4)?,
        key: row.text(5)?,
        state: SendState::read(&row.text(6)?),
        attempts: row.int(7)?,
        not_before: row.int(8)?,
        first_sent_at: row.opt_int(9)?,
        expires_at: row.int(10)?,
        checkpoint: row.opt_text(11)?,
        portal: row.int(12)?,
        event: OnceCell::new(),
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, mx_seq, event_id, login_id, op, idem_key, state, attempts, not_before, first_sent_at, ",
            "expires_at, checkpoint, portal_id FROM remote_outbox ",
            $rest
        )
    };
}

impl Store {
    /// What of a portal is not settled, in order.
    pub(crate) async fn open_remote_outbox(
        &self,
        portal: i64,
        limit: i64,
    ) -> Result<Vec<RemoteOutboxRow>, StoreError> {
        let rows = self
            .db
            .fetch(
                select!(
                    "WHERE portal_id = $1 AND state IN ('ready', 'sending', 'awaiting_echo', 'unknown') \
                     ORDER BY seq LIMIT $2"
                ),
                args![portal, limit],
            )
            .await?;
        rows.iter().map(read).collect()
    }
    /// What was sent with a key of which this is the beginning, in whatever portal.
    pub(crate) async fn remote_outbox_by_key(
        &self,
        prefix: &str,
    ) -> Result<Option<RemoteOutboxRow>, StoreError> {
        // `g` sorts right after the hexadecimal digits.
        let end = format!("{prefix}g");
        let row = self
            .db
            .fetch_optional(
                select!("WHERE idem_key >= $1 AND idem_key < $2 ORDER BY idem_key LIMIT 1"),
                args![prefix, end],
            )
            .await?;
        row.as_ref().map(read).transpose()
    }
    /// How operations for an event stand.
    pub(crate) async fn remote_outbox_of_event(
        &self,
        event_id: &str,
    ) -> Result<Vec<RemoteOutboxRow>, StoreError> {
        let rows =
            self.db.fetch(select!("WHERE event_id = $1 ORDER BY seq"), args![event_id]).await?;
        rows.iter().map(read).collect()
    }
}

impl Batch {
    /// Adds something to be done, ready, unless one with its key is known.
    pub(crate) fn add_remote_outbox(&mut self, o: &RemoteOutboxRow, now: i64) {
        self.push(
            "INSERT INTO remote_outbox (seq, mx_seq, portal_id, event_id, login_id, op, idem_key, state, expires_at,
               created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 'ready', $8, $9) ON CONFLICT DO NOTHING",
            args![
                o.seq,
                o.mx_seq,
                o.portal,
                &o.event_id,
                &o.login,
                &o.op,
                &o.key,
                o.expires_at,
                now
            ],
        );
    }
    /// Its handler is about to be called; gives the statement's place.
    pub(crate) fn remote_sending(&mut self, seq: i64, now: i64) -> usize {
        self.push(
            "UPDATE remote_outbox SET state = 'sending', attempts = attempts + 1,
               first_sent_at = COALESCE(first_sent_at, $2) WHERE seq = $1 AND state <> 'sent'",
            args![seq, now],
        )
    }
    /// It has come to an end, or to wait for its echo.
    pub(crate) fn remote_settled(
        &mut self,
        seq: i64,
        state: SendState,
        remote_id: Option<&str>,
        error: Option<&str>,
        now: i64,
    ) {
        self.push(
            "UPDATE remote_outbox SET state = $2, remote_id = $3, error = $4, done_at = $5
             WHERE seq = $1 AND state <> 'sent'",
            args![seq, state.as_str(), remote_id, error, now],
        );
    }
    /// It waits, in a state, for a time.
    pub(crate) fn remote_later(
        &mut self,
        seq: i64,
        state: SendState,
        not_before: i64,
        error: &str,
    ) {
        self.push(
            "UPDATE remote_outbox SET state = $2, not_before = $3, error = $4
             WHERE seq = $1 AND state <> 'sent'",
            args![seq, state.as_str(), not_before, error],
        );
    }
    pub(crate) fn remote_checkpoint(&mut self, seq: i64, note: &str) {
        self.push("UPDATE remote_outbox SET checkpoint = $2 WHERE seq = $1", args![seq, note]);
    }
}
