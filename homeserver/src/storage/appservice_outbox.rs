//! What waits for application services: items in a queue, and closed transactions.

use landbridge_database::{Database, Row, args};

use super::StorageError;
use crate::commit::CommitTx;
use crate::nid::Pos;

const LAST: &str = "SELECT last_txn FROM appservice_state WHERE service = $1";
const SET_LAST: &str = "INSERT INTO appservice_state (service, last_txn) VALUES ($1, $2)
    ON CONFLICT (service) DO UPDATE SET last_txn = excluded.last_txn";
const TXNS: &str =
    "SELECT number, body, to_device FROM appservice_txn WHERE service = $1 ORDER BY number";
const INSERT_TXN: &str =
    "INSERT INTO appservice_txn (service, number, body, to_device) VALUES ($1, $2, $3, $4)";
const DELETE_TXNS: &str = "DELETE FROM appservice_txn WHERE service = $1 AND number <= $2";
const QUEUED: &str = "SELECT count(*) FROM appservice_queue WHERE service = $1";
const INSERT_ITEM: &str =
    "INSERT INTO appservice_queue (service, pos, part, kind, item, user_id, device_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const ITEMS: &str = "SELECT pos, part, kind, item, user_id, device_id FROM appservice_queue
    WHERE service = $1 ORDER BY pos, part LIMIT $2";
const DELETE_ITEMS: &str = "DELETE FROM appservice_queue
    WHERE service = $1 AND (pos < $2 OR (pos = $2 AND part <= $3))";
const DELETE_TO_DEVICE: &str =
    "DELETE FROM to_device WHERE user_id = $1 AND device_id = $2 AND pos = $3";
const TO_DEVICE: &str =
    "SELECT message FROM to_device WHERE user_id = $1 AND device_id = $2 AND pos = $3";

/// A transaction whose contents are fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnRow {
    /// Its number; they count up without end.
    pub number: i64,
    /// The exact body.
    pub body: Vec<u8>,
    /// The to-device messages in it, as JSON.
    pub to_device: String,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A room event.
    Event,
    /// A to-device message.
    ToDevice,
    /// A user whose devices changed.
    DevicesChanged,
    /// A user whose devices concern the service no longer.
    DevicesLeft,
}

impl ItemKind {
    const ALL: [Self; 4] = [Self::Event, Self::ToDevice, Self::DevicesChanged, Self::DevicesLeft];
}

/// One thing to tell a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its position.
    pub pos: Pos,
    /// Its place among those of the same position.
    pub part: i64,
    /// What it is.
    pub kind: ItemKind,
    /// The event's or message's JSON, or the user id.
    pub item: String,
    /// The user and device of a to-device message.
    pub device: Option<(String, String)>,
}

/// Where a service stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The number of its newest transaction; 0 if there was none.
    pub last_txn: i64,
    /// Transactions that it has not taken yet, in order.
    pub txns: Vec<TxnRow>,
    /// How many items wait in the queue.
    pub queued: i64,
}

/// Where a service stands.
pub async fn standing(tx: &mut CommitTx, service: &str) -> Result<Standing, StorageError> {
    let last = tx.sql().fetch_optional(LAST, args![service]).await?;
    let txns = tx.sql().fetch(TXNS, args![service]).await?;
    let queued = tx.sql().fetch_optional(QUEUED, args![service]).await?;
    Ok(Standing {
        last_txn: last.map_or(Ok(0), |row| row.int(0))?,
        txns: txns
            .iter()
            .map(|row| {
                Ok(TxnRow { number: row.int(0)?, body: row.blob(1)?, to_device: row.text(2)? })
            })
            .collect::<Result<_, StorageError>>()?,
        queued: queued.map_or(Ok(0), |row| row.int(0))?,
    })
}

/// How many items wait for a service, for the administrator.
pub async fn queued(db: &Database, service: &str) -> Result<i64, StorageError> {
    let row = db.fetch_optional(QUEUED, args![service]).await?;
    row.map_or(Ok(0), |row| Ok(row.int(0)?))
}

/// Fixes a transaction.
pub async fn close(tx: &mut CommitTx, service: &str, txn: &TxnRow) -> Result<(), StorageError> {
    let values = args![service, txn.number, txn.body.as_slice(), txn.to_device.as_str()];
    tx.sql().later(INSERT_TXN, values).await?;
    tx.sql().later(SET_LAST, args![service, txn.number]).await?;
    Ok(())
}

/// Forgets the transactions up to `number`, which the service has taken.
pub async fn taken(tx: &mut CommitTx, service: &str, number: i64) -> Result<(), StorageError> {
    tx.sql().later(DELETE_TXNS, args![service, number]).await?;
    Ok(())
}

/// Puts an item into a service's queue.
pub async fn push(tx: &mut CommitTx, service: &str, item: &Item) -> Result<(), StorageError> {
    let kind = ItemKind::ALL.iter().position(|kind| *kind == item.kind).unwrap_or(0) as i64;
    let (user, device) = item.device.clone().unzip();
    let values = args![service, item.pos, item.part, kind, item.item.as_str(), user, device];
    tx.sql().later(INSERT_ITEM, values).await?;
    Ok(())
}

/// Takes the oldest items out of a service's queue.
pub async fn pop(tx: &mut CommitTx, service: &str, limit: i64) -> Result<Vec<Item>, StorageError> {
    let rows = tx.sql().fetch(ITEMS, args![service, limit]).await?;
    let items = rows.iter().map(read_item).collect::<Result<Vec<_>, _>>()?;
    if let Some(last) = items.last() {
        tx.sql().execute(DELETE_ITEMS, args![service, last.pos, last.part]).await?;
    }
    Ok(items)
}

fn read_item(row: &Row) -> Result<Item, StorageError> {
    let kind = usize::try_from(row.int(2)?).ok().and_then(|kind| ItemKind::ALL.get(kind).copied());
    Ok(Item {
        pos: row.int(0)?,
        part: row.int(1)?,
        kind: kind.ok_or_else(|| StorageError::Damaged("an unknown kind of queued item".into()))?,
        item: row.text(3)?,
        device: row.opt_text(4)?.zip(row.opt_text(5)?),
    })
}

/// The to-device message at a position, as the transaction sees it.
pub async fn to_device(
    tx: &mut CommitTx,
    user: &str,
    device: &str,
    pos: Pos,
) -> Result<Option<String>, StorageError> {
    let row = tx.sql().fetch_optional(TO_DEVICE, args![user, device, pos]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Deletes a to-device message, which its service has taken.
pub async fn delete_to_device(
    tx: &mut CommitTx,
    user: &str,
    device: &str,
    pos: Pos,
) -> Result<(), StorageError> {
    tx.sql().execute(DELETE_TO_DEVICE, args![user, device, pos]).await?;
    Ok(())
}
