//! Device keys, one-time and fallback keys, cross-signing keys and signatures: all kept as the JSON that was uploaded.

use std::collections::BTreeMap;

use landbridge_database::{Database, args};
use ruma::{DeviceId, UserId};

use crate::commit::CommitTx;
use crate::storage::StorageError;

const SET_DEVICE: &str = "INSERT INTO device_keys (user_id, device_id, keys) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, device_id) DO UPDATE SET keys = excluded.keys";
const GET_DEVICE_KEYS: &str = "SELECT keys FROM device_keys WHERE user_id = $1 AND device_id = $2";
const DEVICE_KEYS: &str = "SELECT k.device_id, k.keys, d.display_name FROM device_keys k
    LEFT JOIN devices d ON d.user_id = k.user_id AND d.device_id = k.device_id
    WHERE k.user_id = $1 ORDER BY k.device_id";
const GET_ONE_TIME: &str = "SELECT key FROM one_time_keys
    WHERE user_id = $1 AND device_id = $2 AND algorithm = $3 AND key_id = $4";
const ADD_ONE_TIME: &str =
    "INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, key, pos)
    VALUES ($1, $2, $3, $4, $5, $6)";
const COUNT: &str = "SELECT COUNT(*) FROM one_time_keys WHERE user_id = $1 AND device_id = $2";
const COUNTS: &str =
    "SELECT algorithm, COUNT(*) FROM one_time_keys WHERE user_id = $1 AND device_id = $2
    GROUP BY algorithm";
const CLAIM: &str = "DELETE FROM one_time_keys WHERE user_id = $1 AND device_id = $2 AND algorithm = $3 AND key_id =
    (SELECT key_id FROM one_time_keys WHERE user_id = $1 AND device_id = $2 AND algorithm = $3
     ORDER BY pos, key_id LIMIT 1) RETURNING key_id, key";
const SET_FALLBACK: &str =
    "INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, key, used)
    VALUES ($1, $2, $3, $4, $5, 0) ON CONFLICT (user_id, device_id, algorithm)
    DO UPDATE SET key_id = excluded.key_id, key = excluded.key, used = 0";
const GET_FALLBACK: &str = "SELECT key_id, key FROM fallback_keys
    WHERE user_id = $1 AND device_id = $2 AND algorithm = $3";
const USE_FALLBACK: &str = "UPDATE fallback_keys SET used = 1
    WHERE user_id = $1 AND device_id = $2 AND algorithm = $3 RETURNING key_id, key";
const UNUSED_FALLBACK: &str = "SELECT algorithm FROM fallback_keys
    WHERE user_id = $1 AND device_id = $2 AND used = 0 ORDER BY algorithm";
const SET_CROSS: &str = "INSERT INTO cross_signing_keys (user_id, usage, key) VALUES ($1, $2, $3)
    ON CONFLICT (user_id, usage) DO UPDATE SET key = excluded.key";
const CROSS: &str = "SELECT usage, key FROM cross_signing_keys WHERE user_id = $1";
const SIGN: &str =
    "INSERT INTO key_signatures (target_user, target_key, signer_user, signer_key, signature)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (target_user, target_key, signer_user, signer_key)
    DO UPDATE SET signature = excluded.signature";
const SIGNATURES: &str = "SELECT target_key, signer_user, signer_key, signature FROM key_signatures
    WHERE target_user = $1 AND (signer_user = $1 OR signer_user = $2)";
const UNSIGN: &str = "DELETE FROM key_signatures WHERE target_user = $1 AND target_key = $2";
const CLEAR: [&str; 3] = [
    "DELETE FROM cross_signing_keys WHERE user_id = $1",
    "DELETE FROM key_signatures WHERE target_user = $1",
    "DELETE FROM signed_users WHERE user_id = $1",
];

/// The keys of a device and the name to show with them.
#[derive(Debug, Clone)]
pub struct DeviceKeysRow {
    /// The device.
    pub device_id: String,
    /// Its keys as uploaded.
    pub keys: String,
    /// What its user calls it.
    pub display_name: Option<String>,
}

/// A one-time or fallback key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The part of its ID after the algorithm.
    pub key_id: String,
    /// The key as uploaded.
    pub key: String,
}

/// A signature uploaded for a key of a user.
#[derive(Debug, Clone)]
pub struct Signature {
    /// The device ID or public key that is signed.
    pub target_key: String,
    /// Who signed.
    pub signer_user: String,
    /// With which key (`ed25519:...`).
    pub signer_key: String,
    /// The signature.
    pub signature: String,
}

/// Sets the keys of a device.
pub async fn set_device(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
    keys: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_DEVICE, args![user.as_str(), device.as_str(), keys]).await?;
    Ok(())
}

/// The keys of one device, as the transaction sees them.
pub async fn device_in(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
) -> Result<Option<String>, StorageError> {
    let row =
        tx.sql().fetch_optional(GET_DEVICE_KEYS, args![user.as_str(), device.as_str()]).await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// The keys of all devices of a user.
pub async fn of_user(db: &Database, user: &UserId) -> Result<Vec<DeviceKeysRow>, StorageError> {
    let rows = db.fetch(DEVICE_KEYS, args![user.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(DeviceKeysRow {
                device_id: row.text(0)?,
                keys: row.text(1)?,
                display_name: row.opt_text(2)?,
            })
        })
        .collect()
}

/// A one-time key that was uploaded and not yet claimed.
pub async fn one_time(
    tx: &mut CommitTx,
    of: (&UserId, &DeviceId),
    algorithm: &str,
    key_id: &str,
) -> Result<Option<String>, StorageError> {
    let row = tx
        .sql()
        .fetch_optional(GET_ONE_TIME, args![of.0.as_str(), of.1.as_str(), algorithm, key_id])
        .await?;
    Ok(row.map(|row| row.text(0)).transpose()?)
}

/// Stores a one-time key. Keys are claimed in the order of `pos`.
pub async fn add_one_time(
    tx: &mut CommitTx,
    of: (&UserId, &DeviceId),
    algorithm: &str,
    key: &Key,
    pos: i64,
) -> Result<(), StorageError> {
    let values = args![of.0.as_str(), of.1.as_str(), algorithm, &key.key_id, &key.key, pos];
    tx.sql().execute(ADD_ONE_TIME, values).await?;
    Ok(())
}

/// How many one-time keys a device has left, as the transaction sees them.
pub async fn count_in(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
) -> Result<i64, StorageError> {
    let row = tx.sql().fetch_optional(COUNT, args![user.as_str(), device.as_str()]).await?;
    Ok(row.map(|row| row.int(0)).transpose()?.unwrap_or(0))
}

/// How many one-time keys of each algorithm a device has left.
pub async fn counts(
    db: &Database,
    user: &UserId,
    device: &DeviceId,
) -> Result<BTreeMap<String, i64>, StorageError> {
    let rows = db.fetch(COUNTS, args![user.as_str(), device.as_str()]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect()
}

/// Takes a one-time key out, so that nobody else gets it; else the fallback key, marked as used.
pub async fn claim(
    tx: &mut CommitTx,
    user: &UserId,
    device: &DeviceId,
    algorithm: &str,
) -> Result<Option<Key>, StorageError> {
    let values = args![user.as_str(), device.as_str(), algorithm];
    let row = match tx.sql().fetch_optional(CLAIM, values.clone()).await? {
        Some(row) => Some(row),
        None => tx.sql().fetch_optional(USE_FALLBACK, values).await?,
    };
    row.map(|row| Ok(Key { key_id: row.text(0)?, key: row.text(1)? })).transpose()
}

/// Sets the fallback key of an algorithm. The same key uploaded again stays used.
pub async fn set_fallback(
    tx: &mut CommitTx,
    of: (&UserId, &DeviceId),
    algorithm: &str,
    key: &Key,
) -> Result<(), StorageError> {
    let (user, device) = (of.0.as_str(), of.1.as_str());
    if let Some(row) = tx.sql().fetch_optional(GET_FALLBACK, args![user, device, algorithm]).await?
        && row.text(0)? == key.key_id
        && same(&row.text(1)?, &key.key)
    {
        return Ok(());
    }
    tx.sql().execute(SET_FALLBACK, args![user, device, algorithm, &key.key_id, &key.key]).await?;
    Ok(())
}

/// Whether two texts are the same JSON: a client that repeats itself may order its keys otherwise.
fn same(a: &str, b: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    a == b || value(a).is_some_and(|a| value(b) == Some(a))
}

/// The algorithms whose fallback key has not been given to anyone.
pub async fn unused_fallback(
    db: &Database,
    user: &UserId,
    device: &DeviceId,
) -> Result<Vec<String>, StorageError> {
    let rows = db.fetch(UNUSED_FALLBACK, args![user.as_str(), device.as_str()]).await?;
    rows.iter().map(|row| Ok(row.text(0)?)).collect()
}

/// Sets a cross-signing key; `usage` is `master`, `self_signing` or `user_signing`.
pub async fn set_cross_signing(
    tx: &mut CommitTx,
    user: &UserId,
    usage: &str,
    key: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(SET_CROSS, args![user.as_str(), usage, key]).await?;
    Ok(())
}

/// The cross-signing keys of a user by usage.
pub async fn cross_signing(
    db: &Database,
    user: &UserId,
) -> Result<BTreeMap<String, String>, StorageError> {
    let rows = db.fetch(CROSS, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// The cross-signing keys of a user, as the transaction sees them.
pub async fn cross_signing_in(
    tx: &mut CommitTx,
    user: &UserId,
) -> Result<BTreeMap<String, String>, StorageError> {
    let rows = tx.sql().fetch(CROSS, args![user.as_str()]).await?;
    rows.iter().map(|row| Ok((row.text(0)?, row.text(1)?))).collect()
}

/// Stores a signature of a key of `target`.
pub async fn sign(
    tx: &mut CommitTx,
    target: &UserId,
    signature: &Signature,
) -> Result<(), StorageError> {
    let Signature { target_key, signer_user, signer_key, signature } = signature;
    tx.sql()
        .execute(SIGN, args![target.as_str(), target_key, signer_user, signer_key, signature])
        .await?;
    Ok(())
}

/// Deletes the signatures of a key that is another one now.
pub async fn unsign(
    tx: &mut CommitTx,
    target: &UserId,
    target_key: &str,
) -> Result<(), StorageError> {
    tx.sql().execute(UNSIGN, args![target.as_str(), target_key]).await?;
    Ok(())
}

/// Signatures of a user's keys that `viewer` may see: the user's own and the viewer's.
pub async fn signatures(
    db: &Database,
    target: &UserId,
    viewer: &UserId,
) -> Result<Vec<Signature>, StorageError> {
    let rows = db.fetch(SIGNATURES, args![target.as_str(), viewer.as_str()]).await?;
    rows.iter()
        .map(|row| {
            Ok(Signature {
                target_key: row.text(0)?,
                signer_user: row.text(1)?,
                signer_key: row.text(2)?,
                signature: row.text(3)?,
            })
        })
        .collect()
}

/// Deletes the cross-signing keys and signatures of a user who is gone.
pub async fn clear(tx: &mut CommitTx, user: &UserId) -> Result<(), StorageError> {
    for sql in CLEAR {
        tx.sql().execute(sql, args![user.as_str()]).await?;
    }
    Ok(())
}
