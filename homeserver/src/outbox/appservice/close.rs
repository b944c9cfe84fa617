//! Closes transactions inside the running commit: fixes which items they hold, and their bytes.

use std::collections::BTreeSet;

use bytes::Bytes;
use landbridge_database::Database;
use landbridge_registration::Transaction;
use ruma::{DeviceId, UserId};
use serde_json::value::RawValue;

use super::queue::{Closed, DeviceRef, Queue};
use crate::commit::CommitTx;
use crate::services::appservices::Appservice;
use crate::storage::appservice_outbox::{self as rows, Item, ItemKind, TxnRow};
use crate::storage::{StorageError, keys};

/// The most items in one transaction.
const ITEMS: usize = 100;

/// Writes what a commit means for one service: forgets what it has taken, closes what may be closed, queues
/// the rest of `items`.
pub(super) async fn write(
    tx: &mut CommitTx,
    db: &Database,
    service: &Appservice,
    queue: &Queue,
    items: Vec<Item>,
) -> Result<(), StorageError> {
    let start = queue.begin();
    if let Some(last) = start.taken.last() {
        rows::taken(tx, service.id(), last.number).await?;
        for (user, device, pos) in start.taken.iter().flat_map(|txn| &txn.to_device) {
            rows::delete_to_device(tx, user, device, *pos).await?;
        }
    }
    let (mut queued, mut number, mut closed) = (start.queued, start.last_number, Vec::new());
    // What waits longer goes first.
    while queued > 0 && closed.len() < start.room {
        let waiting = rows::pop(tx, service.id(), ITEMS as i64).await?;
        if waiting.is_empty() {
            queued = 0;
            break;
        }
        queued -= waiting.len() as i64;
        number += 1;
        closed.push(close(tx, db, service, number, waiting).await?);
    }
    let mut items = items.into_iter().peekable();
    while queued == 0 && closed.len() < start.room && items.peek().is_some() {
        number += 1;
        let some = items.by_ref().take(ITEMS).collect();
        closed.push(close(tx, db, service, number, some).await?);
    }
    for item in items {
        rows::push(tx, service.id(), &item).await?;
        queued += 1;
    }
    queue.prepare(&start, closed, queued);
    Ok(())
}

async fn close(
    tx: &mut CommitTx,
    db: &Database,
    service: &Appservice,
    number: i64,
    items: Vec<Item>,
) -> Result<Closed, StorageError> {
    let mut transaction = Transaction::default();
    let mut to_device: Vec<DeviceRef> = Vec::new();
    let (mut changed, mut left) = (BTreeSet::new(), BTreeSet::new());
    for Item { pos, kind, item, device, .. } in items {
        match kind {
            ItemKind::Event => transaction.events.push(raw(item)?),
            ItemKind::ToDevice => {
                transaction.to_device.push(raw(item)?);
                to_device.extend(device.map(|(user, device)| (user, device, pos)));
            }
            ItemKind::DevicesChanged => {
                left.remove(&item);
                changed.insert(item);
            }
            ItemKind::DevicesLeft => {
                changed.remove(&item);
                left.insert(item);
            }
        }
    }
    transaction.device_lists.changed = changed.into_iter().collect();
    transaction.device_lists.left = left.into_iter().collect();
    if service.registration().msc3202 {
        let devices: BTreeSet<_> =
            to_device.iter().map(|(user, device, _)| (user, device)).collect();
        for (user, device) in devices {
            count_keys(db, &mut transaction, user, device).await?;
        }
    }
    let body = transaction.to_body(service.registration());
    let refs = serde_json::to_string(&to_device).unwrap_or_else(|_| "[]".to_owned());
    let row = TxnRow { number, body, to_device: refs };
    rows::close(tx, service.id(), &row).await?;
    Ok(Closed { number, body: Bytes::from(row.body), to_device })
}

/// Adds how many keys a device has left (MSC3202): a message to it may have cost one.
pub(super) async fn count_keys(
    db: &Database,
    transaction: &mut Transaction,
    user: &str,
    device: &str,
) -> Result<(), StorageError> {
    let Ok(user_id) = <&UserId>::try_from(user) else { return Ok(()) };
    let device_id = <&DeviceId>::from(device);
    let counts = keys::counts(db, user_id, device_id).await?;
    let counts = counts.into_iter().map(|(algorithm, count)| (algorithm, count.unsigned_abs()));
    let fallback = keys::unused_fallback(db, user_id, device_id).await?;
    let (user, device) = (user.to_owned(), device.to_owned());
    transaction
        .one_time_keys
        .entry(user.clone())
        .or_default()
        .insert(device.clone(), counts.collect());
    transaction.fallback_keys.entry(user).or_default().insert(device, fallback);
    Ok(())
}

fn raw(json: String) -> Result<Box<RawValue>, StorageError> {
    RawValue::from_string(json)
        .map_err(|error| StorageError::Damaged(format!("a queued item is not JSON: {error}")))
}
