//! Keys as they are shown: the upload, with the signatures that came later and the device's name.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::http::error::{ApiError, ApiResult};
use crate::storage::keys::{DeviceKeysRow, Signature};

/// The keys of a device.
pub(super) fn device(row: &DeviceKeysRow, signatures: &[Signature]) -> ApiResult<Box<RawValue>> {
    let mut own =
        signatures.iter().filter(|signature| signature.target_key == row.device_id).peekable();
    if own.peek().is_none() && row.display_name.is_none() {
        return RawValue::from_string(row.keys.clone()).map_err(ApiError::internal);
    }
    let mut keys = object(&row.keys)?;
    add(&mut keys, own);
    if let Some(name) = &row.display_name {
        let unsigned = keys.entry("unsigned").or_insert_with(|| Value::Object(Map::new()));
        if let Some(unsigned) = unsigned.as_object_mut() {
            unsigned.insert("device_display_name".to_owned(), Value::from(name.as_str()));
        }
    }
    to_raw_value(&keys).map_err(ApiError::internal)
}

/// A cross-signing key.
pub(super) fn cross_signing(key: &str, signatures: &[Signature]) -> ApiResult<Box<RawValue>> {
    let mut keys = object(key)?;
    let public = super::signing::public_key(&keys).map(|(_, key)| key.to_owned());
    add(
        &mut keys,
        signatures.iter().filter(|signature| Some(&signature.target_key) == public.as_ref()),
    );
    to_raw_value(&keys).map_err(ApiError::internal)
}

fn object(text: &str) -> ApiResult<Map<String, Value>> {
    serde_json::from_str(text).map_err(ApiError::internal)
}

fn add<'a>(keys: &mut Map<String, Value>, signatures: impl Iterator<Item = &'a Signature>) {
    for Signature { signer_user, signer_key, signature, .. } in signatures {
        let all = keys.entry("signatures").or_insert_with(|| Value::Object(Map::new()));
        let Some(all) = all.as_object_mut() else { return };
        let of_user = all.entry(signer_user.as_str()).or_insert_with(|| Value::Object(Map::new()));
        if let Some(of_user) = of_user.as_object_mut() {
            of_user.insert(signer_key.clone(), Value::from(signature.as_str()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_signatures_and_the_name_are_added() {
        let row = DeviceKeysRow {
            device_id: "D".to_owned(),
            keys: r#"{"signatures":{"@a:x":{"ed25519:D":"s1"}}}"#.to_owned(),
            display_name: Some("Phone".to_owned()),
        };
        let later = Signature {
            target_key: "D".to_owned(),
            signer_user: "@a:x".to_owned(),
            signer_key: "ed25519:ssk".to_owned(),
            signature: "s2".to_owned(),
        };
        let shown: Value = serde_json::from_str(device(&row, &[later]).unwrap().get()).unwrap();
        assert_eq!(shown["signatures"]["@a:x"]["ed25519:D"], "s1");
        assert_eq!(shown["signatures"]["@a:x"]["ed25519:ssk"], "s2");
        assert_eq!(shown["unsigned"]["device_display_name"], "Phone");
    }
}
