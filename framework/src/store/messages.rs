//! Messages, part by part, on both sides.

use landbridge_database::{Row, Value, args};

use super::{Batch, Store, StoreError};
use crate::plain::PlainMeta;

/// One part of a message.
#[derive(Clone)]
pub(crate) struct MessageRow {
    pub(crate) portal: i64,
    pub(crate) remote_id: String,
    pub(crate) part: String,
    pub(crate) place: i64,
    pub(crate) event_id: String,
    pub(crate) sender: String,
    pub(crate) order: Option<i64>,
    pub(crate) ts: i64,
    pub(crate) edit_version: i64,
    pub(crate) thread_root: Option<String>,
    pub(crate) tombstone: bool,
    pub(crate) meta: PlainMeta,
}

fn read(row: &Row) -> Result<MessageRow, StoreError> {
    Ok(MessageRow {
        portal: row.int(0)?,
        remote_id: row.text(1)?,
        part: row.text(2)?,
        place: row.int(3)?,
        event_id: row.text(4)?,
        sender: row.text(5)?,
        order: row.opt_int(6)?,
        ts: row.int(7)?,
        edit_version: row.int(8)?,
        thread_root: row.opt_text(9)?,
        tombstone: row.bool(10)?,
        meta: PlainMeta { version: u32::try_from(row.int(11)?).unwrap_or(0), json: row.text(12)? },
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT portal_id, remote_id, part, place, event_id, sender, remote_order, ts, edit_version, thread_root, ",
            "tombstone, meta_version, meta FROM message ",
            $rest
        )
    };
}

impl Store {
    async fn messages_where(
        &self,
        sql: &'static str,
        args: Vec<Value>,
    ) -> Result<Vec<MessageRow>, StoreError> {
        self.db.fetch(sql, args).await?.iter().map(read).collect()
    }
    /// The parts of a message, in order; of a deleted one too.
    pub(crate) async fn message_parts(
        &self,
        portal: i64,
        remote_id: &str,
    ) -> Result<Vec<MessageRow>, StoreError> {
        self.messages_where(
            select!("WHERE portal_id = $1 AND remote_id = $2 ORDER BY place"),
            args![portal, remote_id],
        )
        .await
    }
    /// The messages an event stands for: several, if the network took it as several.
    pub(crate) async fn messages_of_event(
        &self,
        event_id: &str,
    ) -> Result<Vec<MessageRow>, StoreError> {
        self.messages_where(
            select!("WHERE event_id = $1 ORDER BY place, remote_id"),
            args![event_id],
        )
        .await
    }
    /// The newest message of a thread, which replies fall back to (MSC3440).
    pub(crate) async fn last_in_thread(
        &self,
        portal: i64,
        root: &str,
    ) -> Result<Option<MessageRow>, StoreError> {
        Ok(self
            .messages_where(
                select!("WHERE portal_id = $1 AND thread_root = $2 AND tombstone = 0 ORDER BY ts DESC LIMIT 1"),
                args![portal, root],
            )
            .await?
            .pop())
    }
    /// The newest (or oldest) message of a portal that came from the network.
    pub(crate) async fn edge_message(
        &self,
        portal: i64,
        newest: bool,
    ) -> Result<Option<MessageRow>, StoreError> {
        let sql = if newest {
            select!("WHERE portal_id = $1 ORDER BY ts DESC LIMIT 1")
        } else {
            select!("WHERE portal_id = $1 ORDER BY ts LIMIT 1")
        };
        Ok(self.messages_where(sql, args![portal]).await?.pop())
    }
}

impl Batch {
    /// Records a part, unless it is known; gives the statement's place.
    pub(crate) fn add_message(&mut self, m: &MessageRow) {
        self.push(
            "INSERT INTO message (portal_id, remote_id, part, place, event_id, sender, remote_order, ts, edit_version,
               thread_root, tombstone, meta_version, meta)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
            args![
                m.portal,
                &m.remote_id,
                &m.part,
                m.place,
                &m.event_id,
                &m.sender,
                m.order,
                m.ts,
                m.edit_version,
                m.thread_root.clone(),
                m.tombstone,
                i64::from(m.meta.version),
                &m.meta.json
            ],
        );
    }
    /// A message's place among those of its event is another.
    pub(crate) fn message_placed(&mut self, portal: i64, remote_id: &str, place: i64) {
        self.push(
            "UPDATE message SET place = $3 WHERE portal_id = $1 AND remote_id = $2 AND part = ''",
            args![portal, remote_id, place],
        );
    }
    /// An edit was taken: older ones that come later are dropped.
    pub(crate) fn message_edited(&mut self, portal: i64, remote_id: &str, version: i64) {
        self.push(
            "UPDATE message SET edit_version = $3 WHERE portal_id = $1 AND remote_id = $2 AND edit_version < $3",
            args![portal, remote_id, version],
        );
    }
    /// A message, or one part, was deleted.
    pub(crate) fn bury_message(&mut self, portal: i64, remote_id: &str, part: Option<&str>) {
        self.push(
            "UPDATE message SET tombstone = 1 WHERE portal_id = $1 AND remote_id = $2 AND ($3 = '*' OR part = $4)",
            args![portal, remote_id, if part.is_some() { "" } else { "*" }, part.unwrap_or("")],
        );
    }
}
