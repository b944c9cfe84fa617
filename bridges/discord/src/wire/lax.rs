//! Reading what may be missing, null, or of a form that came after this was written.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

/// The most items of a list that are looked at.
const MAX_ITEMS: usize = 2_000;

/// The value, or the default where it is null or can't be read.
pub(super) fn value<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// The items of a list that can be read.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let Value::Array(items) = value else { return Ok(Vec::new()) };
    Ok(items
        .into_iter()
        .take(MAX_ITEMS)
        .filter_map(|item| serde_json::from_value(item).ok())
        .collect())
}
