//! The body of a transaction: what a homeserver tells an application service.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Registration;

/// Unclaimed one-time keys: user, device, algorithm, count (MSC3202).
pub type KeyCounts = BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>;
/// Algorithms with an unused fallback key: user, device (MSC3202).
pub type FallbackKeyTypes = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// Whose devices changed, and whose no longer concern the service (MSC3202; as in `/sync`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLists {
    /// Users whose devices or keys changed.
    #[serde(default)]
    pub changed: Vec<String>,
    /// Users who share no encrypted room with the service any more.
    #[serde(default)]
    pub left: Vec<String>,
}

impl DeviceLists {
    /// Whether it tells nothing.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.left.is_empty()
    }
}

/// The body of `PUT /_matrix/app/v1/transactions/{txnId}`.
///
/// Events stay as the bytes they came in. Read by [`from_slice`](Self::from_slice), the unstable names of
/// MSC2409, MSC3202 and MSC4203 count like the stable ones, which win where both are there.
///
/// ```
/// use landbridge_registration::Transaction;
/// let body = br#"{"events":[],"de.sorunome.msc2409.ephemeral":[{"type":"m.typing"}]}"#;
/// assert_eq!(Transaction::from_slice(body)?.ephemeral.len(), 1);
/// # Ok::<(), landbridge_registration::TransactionError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Room events in the client format, in order.
    pub events: Vec<Box<RawValue>>,
    /// Typing, receipts and presence.
    pub ephemeral: Vec<Box<RawValue>>,
    /// To-device messages, each with `to_user_id` and `to_device_id`.
    pub to_device: Vec<Box<RawValue>>,
    /// Changed device lists.
    pub device_lists: DeviceLists,
    /// One-time keys left.
    pub one_time_keys: KeyCounts,
    /// Unused fallback keys.
    pub fallback_keys: FallbackKeyTypes,
}

/// A body is not a transaction.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Not JSON at all: `M_NOT_JSON`.
    #[error("the body is not JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// JSON of another form: `M_BAD_JSON`.
    #[error("the body is not a transaction: {0}")]
    BadJson(#[source] serde_json::Error),
}

type Raws<'a> = Option<Vec<&'a RawValue>>;

/// Every name on the wire. The unstable ones are written by homeservers of the field to this day.
#[derive(Default, Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    events: Vec<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ephemeral: Raws<'a>,
    #[serde(
        borrow,
        default,
        rename = "de.sorunome.msc2409.ephemeral",
        skip_serializing_if = "Option::is_none"
    )]
    msc2409_ephemeral: Raws<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    to_device: Raws<'a>,
    #[serde(
        borrow,
        default,
        rename = "de.sorunome.msc2409.to_device",
        skip_serializing_if = "Option::is_none"
    )]
    msc2409_to_device: Raws<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_lists: Option<DeviceLists>,
    #[serde(
        default,
        rename = "org.matrix.msc3202.device_lists",
        skip_serializing_if = "Option::is_none"
    )]
    msc3202_device_lists: Option<DeviceLists>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_one_time_keys_count: Option<KeyCounts>,
    #[serde(
        default,
        rename = "org.matrix.msc3202.device_one_time_keys_count",
        skip_serializing_if = "Option::is_none"
    )]
    msc3202_device_one_time_keys_count: Option<KeyCounts>,
    #[serde(
        default,
        rename = "org.matrix.msc3202.device_one_time_key_counts",
        skip_serializing_if = "Option::is_none"
    )]
    msc3202_device_one_time_key_counts: Option<KeyCounts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_unused_fallback_key_types: Option<FallbackKeyTypes>,
    #[serde(
        default,
        rename = "org.matrix.msc3202.device_unused_fallback_key_types",
        skip_serializing_if = "Option::is_none"
    )]
    msc3202_device_unused_fallback_key_types: Option<FallbackKeyTypes>,
}

impl Transaction {
    /// Reads a body under stable and unstable names.
    pub fn from_slice(body: &[u8]) -> Result<Self, TransactionError> {
        let wire: Wire<'_> =
            serde_json::from_slice(body).map_err(|error| match error.classify() {
                serde_json::error::Category::Data => TransactionError::BadJson(error),
                _ => TransactionError::NotJson(error),
            })?;
        let own =
            |raws: Vec<&RawValue>| raws.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>();
        Ok(Self {
            events: own(wire.events),
            ephemeral: own(wire.ephemeral.or(wire.msc2409_ephemeral).unwrap_or_default()),
            to_device: own(wire.to_device.or(wire.msc2409_to_device).unwrap_or_default()),
            device_lists: wire.device_lists.or(wire.msc3202_device_lists).unwrap_or_default(),
            one_time_keys: wire
                .device_one_time_keys_count
                .or(wire.msc3202_device_one_time_keys_count)
                .or(wire.msc3202_device_one_time_key_counts)
                .unwrap_or_default(),
            fallback_keys: wire
                .device_unused_fallback_key_types
                .or(wire.msc3202_device_unused_fallback_key_types)
                .unwrap_or_default(),
        })
    }

    /// Writes the body for a service, under the names its registration asks for. What it did not ask for
    /// is left out.
    #[expect(clippy::missing_panics_doc, reason = "cannot happen")]
    pub fn to_body(&self, registration: &Registration) -> Vec<u8> {
        let to_device = registration.wants_to_device();
        let keys = registration.msc3202;
        let lists = (keys && !self.device_lists.is_empty()).then(|| self.device_lists.clone());
        let counts = (keys && !self.one_time_keys.is_empty()).then(|| self.one_time_keys.clone());
        let fallback = (keys && !self.fallback_keys.is_empty()).then(|| self.fallback_keys.clone());
        let wire = Wire {
            events: refs(&self.events),
            ephemeral: wanted(registration.receive_ephemeral, &self.ephemeral),
            msc2409_ephemeral: wanted(registration.push_ephemeral, &self.ephemeral),
            to_device: wanted(to_device, &self.to_device),
            msc2409_to_device: wanted(to_device, &self.to_device),
            device_lists: lists.clone(),
            msc3202_device_lists: lists,
            device_one_time_keys_count: counts.clone(),
            msc3202_device_one_time_keys_count: counts.clone(),
            msc3202_device_one_time_key_counts: counts,
            device_unused_fallback_key_types: fallback.clone(),
            msc3202_device_unused_fallback_key_types: fallback,
        };
        // Only strings, numbers and JSON that was valid before: nothing here can fail to be written.
        serde_json::to_vec(&wire).expect("a transaction is writable as JSON")
    }
}

fn refs(raws: &[Box<RawValue>]) -> Vec<&RawValue> {
    raws.iter().map(AsRef::as_ref).collect()
}

/// The list, if it is wanted and has something in it.
fn wanted(wanted: bool, raws: &[Box<RawValue>]) -> Option<Vec<&RawValue>> {
    (wanted && !raws.is_empty()).then(|| refs(raws))
}

#[cfg(test)]
mod tests;
