//! Cross-signing keys, and how signatures of keys are checked (Client-Server API, "Cross-signing").

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use futures::FutureExt;
use http::StatusCode;
use ruma::{CanonicalJsonObject, DeviceId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Keys;
use crate::http::error::{ApiError, ApiResult};
use crate::services::sessions::announce;
use crate::storage::{cross_signing_grants, devices, keys};

pub(super) const MASTER: &str = "master";
pub(super) const SELF_SIGNING: &str = "self_signing";
pub(super) const USER_SIGNING: &str = "user_signing";

/// Unpadded base64 as Matrix writes it; padding is tolerated.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// `POST /keys/device_signing/upload`, without `auth`.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct CrossSigningKeys {
    /// The master key.
    pub master_key: Option<Box<RawValue>>,
    /// The key that signs one's own devices.
    pub self_signing_key: Option<Box<RawValue>>,
    /// The key that signs other users' master keys.
    pub user_signing_key: Option<Box<RawValue>>,
}

/// Bytes of a cross-signing key with its signatures.
const MAX_KEY: usize = 65_536;

/// What became of cross-signing keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// They are stored, or were before.
    Done,
    /// Nothing is stored: they change what there is, which the user has to confirm.
    NeedsConfirmation,
}

pub(super) fn invalid_signature(text: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "M_INVALID_SIGNATURE", text.into())
}

/// The one key of a cross-signing key object: its ID (`ed25519:...`) and itself.
pub(super) fn public_key(object: &Map<String, Value>) -> Option<(&str, &str)> {
    let mut keys = object.get("keys")?.as_object()?.iter();
    let (id, key) = keys.next()?;
    if keys.next().is_some() { None } else { Some((id, key.as_str()?)) }
}

/// Checks the Ed25519 signature that `object` carries of `user` with the key `key_id`.
pub(super) fn signed_by(
    object: &Map<String, Value>,
    user: &UserId,
    key_id: &str,
    key: &str,
) -> bool {
    let check = || {
        let signature = object.get("signatures")?.get(user.as_str())?.get(key_id)?.as_str()?;
        let signature = Ed25519Signature::from_slice(&BASE64.decode(signature).ok()?).ok()?;
        let key: [u8; 32] = BASE64.decode(key).ok()?.try_into().ok()?;
        let text = signed_part(object)?;
        VerifyingKey::from_bytes(&key).ok()?.verify_strict(text.as_bytes(), &signature).ok()
    };
    check().is_some()
}

/// The canonical JSON that is signed: without signatures and unsigned.
pub(super) fn signed_part(object: &Map<String, Value>) -> Option<String> {
    let mut object = object.clone();
    object.remove("signatures");
    object.remove("unsigned");
    let canonical: CanonicalJsonObject = ruma::canonical_json::try_from_json_map(object).ok()?;
    serde_json::to_string(&canonical).ok()
}

fn parse(raw: &RawValue, user: &UserId, usage: &str) -> ApiResult<Map<String, Value>> {
    if raw.get().len() > MAX_KEY {
        return Err(ApiError::too_large(format!("A cross-signing key may have {MAX_KEY} bytes")));
    }
    let object: Map<String, Value> = serde_json::from_str(raw.get())
        .map_err(|_| ApiError::bad_json("A cross-signing key must be an object"))?;
    if object.get("user_id").and_then(Value::as_str) != Some(user.as_str()) {
        return Err(ApiError::invalid_param("A cross-signing key is for another user than you"));
    }
    let fits = object
        .get("usage")
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|one| one == usage));
    if !fits {
        return Err(ApiError::invalid_param(format!(
            "The {usage} key lacks {usage:?} among its usage"
        )));
    }
    let is_ed25519 = |(id, key): (&str, &str)| {
        id.strip_prefix("ed25519:") == Some(key)
            && BASE64.decode(key).is_ok_and(|bytes| bytes.len() == 32)
    };
    if !public_key(&object).is_some_and(is_ed25519) {
        return Err(ApiError::invalid_param(format!(
            "The {usage} key needs exactly one public key, of Ed25519 and named for itself"
        )));
    }
    Ok(object)
}

/// What an upload changes of the keys that are `known`, by usage. The self-signing and user-signing keys must be signed by the
/// master key, and no key may be named like one of the user's devices.
fn changes(
    user: &UserId,
    devices: &[devices::Device],
    known: &BTreeMap<String, String>,
    new: &CrossSigningKeys,
) -> ApiResult<Vec<(&'static str, String)>> {
    let master = match &new.master_key {
        Some(raw) => parse(raw, user, MASTER)?,
        None => match known.get(MASTER) {
            Some(text) => serde_json::from_str(text).map_err(ApiError::internal)?,
            None => return Err(ApiError::missing_param("There is no master key yet: upload one")),
        },
    };
    let (master_id, master_key) = public_key(&master)
        .ok_or_else(|| ApiError::internal("a stored master key has no public key"))?;
    let mut changed = Vec::new();
    for (usage, raw) in [
        (MASTER, &new.master_key),
        (SELF_SIGNING, &new.self_signing_key),
        (USER_SIGNING, &new.user_signing_key),
    ] {
        let Some(raw) = raw else { continue };
        let key = parse(raw, user, usage)?;
        if usage != MASTER && !signed_by(&key, user, master_id, master_key) {
            return Err(invalid_signature(format!(
                "The {usage} key is not signed by the master key"
            )));
        }
        // Devices and cross-signing keys share the names of keys.
        let public = public_key(&key).map(|(_, public)| public);
        if devices.iter().any(|device| Some(device.device_id.as_str()) == public) {
            return Err(ApiError::forbidden("A device of yours is named like that key"));
        }
        let old = known.get(usage).and_then(|text| serde_json::from_str(text).ok());
        if old != Some(key) {
            changed.push((usage, raw.get().to_owned()));
        }
    }
    Ok(changed)
}

impl Keys {
    /// Stores cross-signing keys. What changes keys that are there has to be confirmed by the user before: the first keys and
    /// those that are there already need no confirmation (MSC3967).
    pub async fn set_cross_signing(
        &self,
        user: &UserId,
        new: &CrossSigningKeys,
        confirmed: bool,
    ) -> ApiResult<Stored> {
        let (owner, new) = (user.to_owned(), Arc::new(new.clone()));
        self.committer
            .run(move |tx| {
                let (owner, new) = (owner.clone(), new.clone());
                async move {
                    let known = keys::cross_signing_in(tx, &owner).await?;
                    let devices = devices::list_in(tx, &owner).await?;
                    let changed = match changes(&owner, &devices, &known, &new) {
                        Ok(changed) => changed,
                        Err(error) => return Ok(Err(error)),
                    };
                    if changed.is_empty() {
                        return Ok(Ok(Stored::Done));
                    }
                    if known.contains_key(MASTER) && !confirmed {
                        return Ok(Ok(Stored::NeedsConfirmation));
                    }
                    for (usage, text) in changed {
                        keys::set_cross_signing(tx, &owner, usage, &text).await?;
                    }
                    announce(tx, &owner).await?;
                    Ok(Ok(Stored::Done))
                }
                .boxed()
            })
            .await?
    }

    /// Lets a user replace the cross-signing keys without confirming it until a time; `false` for one who has none.
    pub async fn allow_replacement(&self, user: &UserId, until_ms: i64) -> ApiResult<bool> {
        if !keys::cross_signing(&self.db, user).await?.contains_key(MASTER) {
            return Ok(false);
        }
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let owner = owner.clone();
                async move { cross_signing_grants::set(tx, &owner, until_ms).await }.boxed()
            })
            .await?;
        Ok(true)
    }

    /// Whether that was allowed and holds.
    pub async fn may_replace(&self, user: &UserId, now_ms: i64) -> ApiResult<bool> {
        Ok(cross_signing_grants::holds(&self.db, user, now_ms).await?)
    }

    /// Whether a name for a device is taken by one of the user's cross-signing keys.
    pub async fn is_key(&self, user: &UserId, device: &DeviceId) -> ApiResult<bool> {
        let known = keys::cross_signing(&self.db, user).await?;
        Ok(known.values().any(|text| {
            serde_json::from_str::<Map<String, Value>>(text).is_ok_and(|object| {
                public_key(&object).is_some_and(|(_, public)| public == device.as_str())
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use ruma::user_id;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_signature_is_of_all_but_signatures_and_unsigned() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = BASE64.encode(key.verifying_key().as_bytes());
        let user = user_id!("@a:x");
        let mut object =
            json!({ "user_id": "@a:x", "usage": ["self_signing"], "keys": { "ed25519:k": "k" } });
        let text = signed_part(object.as_object().unwrap()).unwrap();
        object["signatures"]["@a:x"]["ed25519:m"] =
            json!(BASE64.encode(key.sign(text.as_bytes()).to_bytes()));
        object["unsigned"] = json!({ "any": 1 });
        let mut object = object.as_object().unwrap().clone();
        assert!(signed_by(&object, user, "ed25519:m", &public));
        assert!(!signed_by(&object, user, "ed25519:other", &public));
        object.insert("usage".to_owned(), json!(["master"]));
        assert!(!signed_by(&object, user, "ed25519:m", &public));
    }
}
