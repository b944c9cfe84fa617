//! What a device uploads: checked, then stored in one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use ruma::{DeviceId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commit::CommitTx;
use crate::http::error::{ApiError, ApiResult};
use crate::services::key_counts::KeyCounts;
use crate::services::sessions::announce;
use crate::storage::StorageError;
use crate::storage::keys::{self, Key};

/// Keys of one upload; far more than any client makes.
const MAX_KEYS: usize = 1_000;
/// One-time keys that a device may have here. Clients keep 50 to 100.
const MAX_STORED: i64 = 5_000;
/// Bytes of the parts of a key's name.
const MAX_NAME: usize = 255;
/// Bytes of a one-time or fallback key. Keys that resist quantum computers have a few thousand.
const MAX_KEY: usize = 16_384;
/// Bytes of the identity keys of a device.
const MAX_DEVICE_KEYS: usize = 65_536;

/// `POST /keys/upload`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct Upload {
    /// The identity keys of the device.
    pub device_keys: Option<Box<RawValue>>,
    /// One-time keys by `algorithm:id`.
    #[serde(default)]
    pub one_time_keys: Option<BTreeMap<String, Box<RawValue>>>,
    /// Fallback keys by `algorithm:id`.
    #[serde(default)]
    pub fallback_keys: Option<BTreeMap<String, Box<RawValue>>>,
}

struct NamedKey {
    algorithm: String,
    key: Key,
}

/// An upload whose keys are whole and belong to the device that uploads them.
pub(super) struct Checked {
    device_keys: Option<String>,
    one_time: Vec<NamedKey>,
    fallback: Vec<NamedKey>,
}

fn named(keys: Option<BTreeMap<String, Box<RawValue>>>) -> ApiResult<Vec<NamedKey>> {
    let keys = keys.unwrap_or_default();
    if keys.len() > MAX_KEYS {
        return Err(ApiError::invalid_param(format!(
            "At most {MAX_KEYS} keys can be uploaded at once"
        )));
    }
    keys.into_iter().map(|(name, key)| one(&name, &key)).collect()
}

fn one(name: &str, key: &RawValue) -> ApiResult<NamedKey> {
    let fits = |part: &str| !part.is_empty() && part.len() <= MAX_NAME;
    let Some((algorithm, key_id)) =
        name.split_once(':').filter(|(algorithm, id)| fits(algorithm) && fits(id))
    else {
        return Err(ApiError::invalid_param(format!("{name:?} is not of the form algorithm:id")));
    };
    if key.get().len() > MAX_KEY {
        return Err(ApiError::too_large(format!("A key may have {MAX_KEY} bytes")));
    }
    let is_key = match serde_json::from_str(key.get()) {
        Ok(Value::String(_)) => true,
        Ok(Value::Object(object)) => object.get("key").is_some_and(Value::is_string),
        _ => false,
    };
    if !is_key {
        return Err(ApiError::bad_json(format!("{name:?} is neither a key nor a signed key")));
    }
    let key = Key { key_id: key_id.to_owned(), key: key.get().to_owned() };
    Ok(NamedKey { algorithm: algorithm.to_owned(), key })
}

/// Checks that device keys are whole and belong to the device that uploads them.
fn check_device_keys(raw: &RawValue, user: &UserId, device: &DeviceId) -> ApiResult<()> {
    if raw.get().len() > MAX_DEVICE_KEYS {
        return Err(ApiError::too_large(format!("device_keys may have {MAX_DEVICE_KEYS} bytes")));
    }
    let keys: Map<String, Value> = serde_json::from_str(raw.get())
        .map_err(|_| ApiError::bad_json("device_keys must be an object"))?;
    let texts = |value: &Value| {
        value.as_object().is_some_and(|object| object.values().all(Value::is_string))
    };
    let algorithms =
        |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    let signatures =
        |value: &Value| value.as_object().is_some_and(|object| object.values().all(texts));
    let whole = keys.get("algorithms").is_some_and(algorithms)
        && keys.get("keys").is_some_and(texts)
        && keys.get("signatures").is_some_and(signatures);
    if !whole {
        return Err(ApiError::bad_json("device_keys needs algorithms, keys and signatures"));
    }
    let is = |field: &str, value: &str| keys.get(field).and_then(Value::as_str) == Some(value);
    if !is("user_id", user.as_str()) || !is("device_id", device.as_str()) {
        return Err(ApiError::invalid_param(
            "device_keys are for another user or device than yours",
        ));
    }
    Ok(())
}

/// Whether two uploads of a key mean the same key: signatures may differ.
fn same_key(a: &str, b: &str) -> bool {
    let strip = |text: &str| {
        let mut value: Value = serde_json::from_str(text).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.remove("signatures");
        }
        value
    };
    a == b || strip(a) == strip(b)
}

impl Checked {
    /// Checks what a device uploads.
    pub(super) fn new(user: &UserId, device: &DeviceId, upload: Upload) -> ApiResult<Self> {
        if let Some(keys) = &upload.device_keys {
            check_device_keys(keys, user, device)?;
        }
        Ok(Self {
            device_keys: upload.device_keys.map(|keys| keys.get().to_owned()),
            one_time: named(upload.one_time_keys)?,
            fallback: named(upload.fallback_keys)?,
        })
    }

    /// Whether there is nothing to store.
    pub(super) fn is_empty(&self) -> bool {
        self.device_keys.is_none() && self.one_time.is_empty() && self.fallback.is_empty()
    }

    /// Stores the keys, or nothing of them if one is refused.
    pub(super) async fn store(
        &self,
        tx: &mut CommitTx,
        counts: &Arc<KeyCounts>,
        of: (&UserId, &DeviceId),
    ) -> Result<ApiResult<()>, StorageError> {
        let (owner, id) = of;
        let mut fresh = Vec::new();
        for NamedKey { algorithm, key } in &self.one_time {
            match keys::one_time(tx, of, algorithm, &key.key_id).await? {
                Some(known) if same_key(&known, &key.key) => {}
                Some(_) => {
                    return Ok(Err(ApiError::unknown(format!(
                        "One-time key {algorithm}:{} exists already and is another key",
                        key.key_id
                    ))));
                }
                None => fresh.push((algorithm, key)),
            }
        }
        if !fresh.is_empty() {
            if keys::count_in(tx, owner, id).await? + fresh.len() as i64 > MAX_STORED {
                return Ok(Err(ApiError::too_large(format!(
                    "A device may have {MAX_STORED} one-time keys"
                ))));
            }
            // Keys are claimed in the order in which they came (MSC4225).
            let order = tx.next_pos();
            for (algorithm, key) in fresh {
                keys::add_one_time(tx, of, algorithm, key, order).await?;
            }
        }
        for NamedKey { algorithm, key } in &self.fallback {
            keys::set_fallback(tx, of, algorithm, key).await?;
        }
        if let Some(new) = &self.device_keys {
            let known = keys::device_in(tx, owner, id).await?;
            if known.as_ref() != Some(new) {
                if known.is_some_and(|known| !same_key(&known, new)) {
                    keys::unsign(tx, owner, id.as_str()).await?;
                }
                keys::set_device(tx, owner, id, new).await?;
                announce(tx, owner).await?;
            }
        }
        let (counts, owner, id) = (Arc::clone(counts), owner.to_owned(), id.to_owned());
        tx.on_commit(move || counts.invalidate(&owner, &id));
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, user_id};
    use serde_json::json;

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn device_keys_must_be_whole_and_ones_own() {
        let (user, device) = (user_id!("@a:x"), device_id!("D"));
        let whole = json!({
            "user_id": "@a:x", "device_id": "D", "algorithms": [], "keys": {}, "signatures": {}
        });
        check_device_keys(&raw(&whole), user, device).unwrap();
        let other = check_device_keys(&raw(&whole), user_id!("@b:x"), device).unwrap_err();
        assert_eq!(other.errcode, "M_INVALID_PARAM");
        let part = json!({ "user_id": "@a:x", "device_id": "D" });
        assert_eq!(check_device_keys(&raw(&part), user, device).unwrap_err().errcode, "M_BAD_JSON");
        for (field, value) in [
            ("algorithms", json!([1])),
            ("keys", json!({ "ed25519:D": 1 })),
            ("signatures", json!({ "@a:x": "s" })),
        ] {
            let mut odd = whole.clone();
            odd[field] = value;
            let error = check_device_keys(&raw(&odd), user, device).unwrap_err();
            assert_eq!(error.errcode, "M_BAD_JSON", "{field}");
        }
    }

    #[test]
    fn key_names_have_two_parts_and_keys_are_keys() {
        let keys =
            |name: &str, key: Value| named(Some(BTreeMap::from([(name.to_owned(), raw(&key))])));
        let signed = || json!({ "key": "k" });
        assert_eq!(
            keys("signed_curve25519:A", signed()).unwrap()[0].algorithm,
            "signed_curve25519"
        );
        assert!(keys("curve25519:A", json!("k")).is_ok());
        for name in ["signed_curve25519", ":x", "x:", &format!("x:{}", "y".repeat(300))] {
            let error = keys(name, signed()).err().unwrap();
            assert_eq!(error.errcode, "M_INVALID_PARAM", "{name}");
        }
        for key in [json!(null), json!(1), json!({}), json!({ "key": 1 })] {
            assert_eq!(keys("a:b", key.clone()).err().unwrap().errcode, "M_BAD_JSON", "{key}");
        }
        let large = json!("x".repeat(MAX_KEY));
        assert_eq!(keys("a:b", large).err().unwrap().errcode, "M_TOO_LARGE");
    }

    #[test]
    fn signatures_do_not_make_another_key() {
        assert!(same_key(r#"{"key":"a","signatures":{"x":1}}"#, r#"{"key":"a"}"#));
        assert!(!same_key(r#"{"key":"a"}"#, r#"{"key":"b"}"#));
    }
}
