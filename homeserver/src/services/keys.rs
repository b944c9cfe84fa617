//! End-to-end encryption keys (Client-Server API, "End-to-end encryption"): the server keeps them, hands them out, and
//! checks what signatures it can.

mod merge;
mod signing;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use landbridge_database::Database;
use ruma::{DeviceId, OwnedUserId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::commit::Committer;
use crate::http::error::{ApiError, ApiResult};
use crate::services::key_counts::KeyCounts;
use crate::services::sessions::announce;
use crate::storage::keys::{self, Key};

pub use signing::{CrossSigningKeys, SignedObjects};

/// Keys of one upload; far more than any client makes.
const MAX_KEYS: usize = 1_000;

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

/// The answer to `POST /keys/query`, without what other servers would add.
#[derive(Debug, Default, serde::Serialize)]
pub struct Found {
    /// Keys by user and device.
    pub device_keys: BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>,
    /// Master keys by user.
    pub master_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// Self-signing keys by user.
    pub self_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// The asker's own user-signing key.
    pub user_signing_keys: BTreeMap<OwnedUserId, Box<RawValue>>,
    /// Servers that could not be asked.
    pub failures: BTreeMap<String, Map<String, Value>>,
}

/// Claimed one-time keys by user, device and `algorithm:id`.
pub type Claimed = BTreeMap<OwnedUserId, BTreeMap<String, BTreeMap<String, Box<RawValue>>>>;

/// The keys of this server's users.
pub struct Keys {
    db: Database,
    committer: Committer,
    counts: Arc<KeyCounts>,
}

struct NamedKey {
    algorithm: String,
    key: Key,
}

fn named(keys: Option<BTreeMap<String, Box<RawValue>>>) -> ApiResult<Vec<NamedKey>> {
    let keys = keys.unwrap_or_default();
    if keys.len() > MAX_KEYS {
        return Err(ApiError::invalid_param(format!(
            "At most {MAX_KEYS} keys can be uploaded at once"
        )));
    }
    let split = |(name, key): (String, Box<RawValue>)| {
        let Some((algorithm, id)) =
            name.split_once(':').filter(|(a, id)| !a.is_empty() && !id.is_empty())
        else {
            return Err(ApiError::invalid_param(format!(
                "{name:?} is not of the form algorithm:id"
            )));
        };
        Ok(NamedKey {
            algorithm: algorithm.to_owned(),
            key: Key { key_id: id.to_owned(), key: key.get().to_owned() },
        })
    };
    keys.into_iter().map(split).collect()
}

/// Checks that device keys are whole and belong to the device that uploads them.
fn check_device_keys(raw: &RawValue, user: &UserId, device: &DeviceId) -> ApiResult<()> {
    let keys: Map<String, Value> = serde_json::from_str(raw.get())
        .map_err(|_| ApiError::bad_json("device_keys must be an object"))?;
    let whole = keys.get("algorithms").is_some_and(Value::is_array)
        && keys.get("keys").is_some_and(Value::is_object)
        && keys.get("signatures").is_some_and(Value::is_object);
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

impl Keys {
    /// The keys in a database.
    pub fn new(db: Database, committer: Committer, counts: Arc<KeyCounts>) -> Self {
        Self { db, committer, counts }
    }

    /// Stores what a device uploads; the counts of its one-time keys by algorithm.
    pub async fn upload(
        &self,
        user: &UserId,
        device: &DeviceId,
        upload: Upload,
    ) -> ApiResult<BTreeMap<String, i64>> {
        let one_time = Arc::new(named(upload.one_time_keys)?);
        let fallback = Arc::new(named(upload.fallback_keys)?);
        if let Some(keys) = &upload.device_keys {
            check_device_keys(keys, user, device)?;
        }
        if upload.device_keys.is_some() || !one_time.is_empty() || !fallback.is_empty() {
            let device_keys = upload.device_keys.map(|keys| keys.get().to_owned());
            let (owner, id) = (user.to_owned(), device.to_owned());
            let counts = self.counts.clone();
            let clash = self
                .committer
                .run(move |tx| {
                    let (owner, id, device_keys) = (owner.clone(), id.clone(), device_keys.clone());
                    let (one_time, fallback) = (one_time.clone(), fallback.clone());
                    let counts = counts.clone();
                    async move {
                        let of = (&*owner, &*id);
                        let mut fresh = Vec::new();
                        for NamedKey { algorithm, key } in one_time.iter() {
                            match keys::one_time(tx, of, algorithm, &key.key_id).await? {
                                Some(known) if same_key(&known, &key.key) => {}
                                Some(_) => return Ok(Some(format!("{algorithm}:{}", key.key_id))),
                                None => fresh.push((algorithm, key)),
                            }
                        }
                        if !fresh.is_empty() {
                            // Keys are claimed in the order in which they came (MSC4225).
                            let order = tx.next_pos();
                            for (algorithm, key) in fresh {
                                keys::add_one_time(tx, of, algorithm, key, order).await?;
                            }
                        }
                        for NamedKey { algorithm, key } in fallback.iter() {
                            keys::set_fallback(tx, of, algorithm, key).await?;
                        }
                        if let Some(new) = device_keys
                            && keys::device_in(tx, &owner, &id).await?.as_deref() != Some(&new)
                        {
                            keys::set_device(tx, &owner, &id, &new).await?;
                            announce(tx, &owner).await?;
                        }
                        tx.on_commit(move || counts.invalidate(&owner, &id));
                        Ok(None)
                    }
                    .boxed()
                })
                .await?;
            if let Some(name) = clash {
                return Err(ApiError::unknown(format!(
                    "One-time key {name} exists already and is another key"
                )));
            }
        }
        self.counts(user, device).await
    }

    /// How many one-time keys of each algorithm a device has left.
    pub async fn counts(
        &self,
        user: &UserId,
        device: &DeviceId,
    ) -> ApiResult<BTreeMap<String, i64>> {
        let mut counts = keys::counts(&self.db, user, device).await?;
        // Clients take a missing count for "unknown" and don't upload more.
        counts.entry("signed_curve25519".to_owned()).or_insert(0);
        Ok(counts)
    }

    /// Collects the keys of users' devices (of all devices where the list is empty) as `viewer` may see them.
    pub async fn query(
        &self,
        viewer: &UserId,
        wanted: BTreeMap<OwnedUserId, Vec<String>>,
    ) -> ApiResult<Found> {
        let mut found = Found::default();
        for (user, devices) in wanted {
            if user.server_name() != viewer.server_name() {
                found.failures.entry(user.server_name().to_string()).or_default();
                continue;
            }
            let signatures = keys::signatures(&self.db, &user, viewer).await?;
            let mut by_device = BTreeMap::new();
            for row in keys::of_user(&self.db, &user).await? {
                if devices.is_empty() || devices.contains(&row.device_id) {
                    let keys = merge::device(&row, &signatures)?;
                    by_device.insert(row.device_id, keys);
                }
            }
            for (usage, key) in keys::cross_signing(&self.db, &user).await? {
                let key = merge::cross_signing(&key, &signatures)?;
                let kind = match usage.as_str() {
                    signing::MASTER => &mut found.master_keys,
                    signing::SELF_SIGNING => &mut found.self_signing_keys,
                    _ if user == viewer => &mut found.user_signing_keys,
                    _ => continue,
                };
                kind.insert(user.clone(), key);
            }
            found.device_keys.insert(user, by_device);
        }
        Ok(found)
    }

    /// Claims one key for each user, device and algorithm. No key is given out twice, but for fallback keys.
    pub async fn claim(
        &self,
        wanted: BTreeMap<OwnedUserId, BTreeMap<String, String>>,
    ) -> ApiResult<Claimed> {
        let wanted = Arc::new(wanted);
        let counts = self.counts.clone();
        let claimed = self
            .committer
            .run(move |tx| {
                let (wanted, counts) = (wanted.clone(), counts.clone());
                async move {
                    let mut claimed = Vec::new();
                    for (user, devices) in wanted.iter() {
                        for (device, algorithm) in devices {
                            let id: &DeviceId = device.as_str().into();
                            if let Some(key) = keys::claim(tx, user, id, algorithm).await? {
                                let (counts, owner, id) =
                                    (counts.clone(), user.clone(), id.to_owned());
                                tx.on_commit(move || counts.invalidate(&owner, &id));
                                claimed.push((
                                    user.clone(),
                                    device.clone(),
                                    algorithm.clone(),
                                    key,
                                ));
                            }
                        }
                    }
                    Ok(claimed)
                }
                .boxed()
            })
            .await?;
        let mut answer = Claimed::new();
        for (user, device, algorithm, Key { key_id, key }) in claimed {
            let raw = RawValue::from_string(key).map_err(ApiError::internal)?;
            let keys = answer.entry(user).or_default().entry(device).or_default();
            keys.insert(format!("{algorithm}:{key_id}"), raw);
        }
        Ok(answer)
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ruma::{device_id, user_id};

    use super::*;

    fn raw(value: &Value) -> Box<RawValue> {
        serde_json::value::to_raw_value(value).unwrap()
    }

    #[test]
    fn device_keys_must_be_whole_and_ones_own() {
        let (user, device) = (user_id!("@a:x"), device_id!("D"));
        let whole = serde_json::json!({
            "user_id": "@a:x", "device_id": "D", "algorithms": [], "keys": {}, "signatures": {}
        });
        check_device_keys(&raw(&whole), user, device).unwrap();
        let other = check_device_keys(&raw(&whole), user_id!("@b:x"), device).unwrap_err();
        assert_eq!(other.errcode, "M_INVALID_PARAM");
        let part = serde_json::json!({ "user_id": "@a:x", "device_id": "D" });
        assert_eq!(check_device_keys(&raw(&part), user, device).unwrap_err().errcode, "M_BAD_JSON");
    }

    #[test]
    fn key_names_have_two_parts() {
        let keys = |name: &str| named(Some(BTreeMap::from([(name.to_owned(), raw(&Value::Null))])));
        assert_eq!(keys("signed_curve25519:AAAA").unwrap()[0].algorithm, "signed_curve25519");
        assert!(keys("signed_curve25519").is_err());
        assert!(keys(":x").is_err());
    }

    #[test]
    fn signatures_do_not_make_another_key() {
        assert!(same_key(r#"{"key":"a","signatures":{"x":1}}"#, r#"{"key":"a"}"#));
        assert!(!same_key(r#"{"key":"a"}"#, r#"{"key":"b"}"#));
    }
}
