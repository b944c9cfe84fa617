//! Cross-signing keys and the signatures between keys (Client-Server API, "Cross-signing").

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_dalek::{Signature as Ed25519Signature, VerifyingKey};
use futures::FutureExt;
use http::StatusCode;
use ruma::{CanonicalJsonObject, OwnedUserId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Keys;
use crate::http::error::{ApiError, ApiResult};
use crate::services::sessions::announce;
use crate::storage::keys::{self, Signature};

pub(super) const MASTER: &str = "master";
pub(super) const SELF_SIGNING: &str = "self_signing";
const USER_SIGNING: &str = "user_signing";

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

/// `POST /keys/signatures/upload`: signed objects by user and key.
pub type SignedObjects = BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>;

fn invalid_signature(text: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "M_INVALID_SIGNATURE", text.into())
}

/// The one key of a cross-signing key object: its ID (`ed25519:...`) and itself.
pub(super) fn public_key(object: &Map<String, Value>) -> Option<(&str, &str)> {
    let mut keys = object.get("keys")?.as_object()?.iter();
    let (id, key) = keys.next()?;
    if keys.next().is_some() { None } else { Some((id, key.as_str()?)) }
}

/// Checks the Ed25519 signature that `object` carries of `user` with the key `key_id`.
fn signed_by(object: &Map<String, Value>, user: &UserId, key_id: &str, key: &str) -> bool {
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
fn signed_part(object: &Map<String, Value>) -> Option<String> {
    let mut object = object.clone();
    object.remove("signatures");
    object.remove("unsigned");
    let canonical: CanonicalJsonObject = ruma::canonical_json::try_from_json_map(object).ok()?;
    serde_json::to_string(&canonical).ok()
}

fn parse(raw: &RawValue, user: &UserId, usage: &str) -> ApiResult<Map<String, Value>> {
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
    if public_key(&object).is_none() {
        return Err(ApiError::invalid_param(format!(
            "The {usage} key needs exactly one public key"
        )));
    }
    Ok(object)
}

impl Keys {
    /// Whether an upload of cross-signing keys has to be authorised anew: not when there are none yet, nor when nothing
    /// changes (MSC3967).
    pub async fn cross_signing_needs_auth(
        &self,
        user: &UserId,
        new: &CrossSigningKeys,
    ) -> ApiResult<bool> {
        let known = keys::cross_signing(&self.db, user).await?;
        if !known.contains_key(MASTER) {
            return Ok(false);
        }
        let same = |usage: &str, raw: &Option<Box<RawValue>>| match raw {
            None => true,
            Some(raw) => known.get(usage).is_some_and(|old| {
                serde_json::from_str::<Value>(old).ok()
                    == serde_json::from_str::<Value>(raw.get()).ok()
            }),
        };
        Ok(!(same(MASTER, &new.master_key)
            && same(SELF_SIGNING, &new.self_signing_key)
            && same(USER_SIGNING, &new.user_signing_key)))
    }

    /// Stores cross-signing keys. The self-signing and user-signing keys must be signed by the master key.
    pub async fn set_cross_signing(&self, user: &UserId, new: CrossSigningKeys) -> ApiResult<()> {
        let known = keys::cross_signing(&self.db, user).await?;
        let master = match &new.master_key {
            Some(raw) => parse(raw, user, MASTER)?,
            None => match known.get(MASTER) {
                Some(text) => serde_json::from_str(text).map_err(ApiError::internal)?,
                None => {
                    return Err(ApiError::missing_param("There is no master key yet: upload one"));
                }
            },
        };
        let (master_id, master_key) = public_key(&master)
            .ok_or_else(|| ApiError::internal("a stored master key has no public key"))?;
        for (usage, raw) in
            [(SELF_SIGNING, &new.self_signing_key), (USER_SIGNING, &new.user_signing_key)]
        {
            if let Some(raw) = raw {
                let key = parse(raw, user, usage)?;
                if !signed_by(&key, user, master_id, master_key) {
                    return Err(invalid_signature(format!(
                        "The {usage} key is not signed by the master key"
                    )));
                }
            }
        }
        let rows: Arc<Vec<(&'static str, String)>> = Arc::new(
            [
                (MASTER, new.master_key),
                (SELF_SIGNING, new.self_signing_key),
                (USER_SIGNING, new.user_signing_key),
            ]
            .into_iter()
            .filter_map(|(usage, raw)| raw.map(|raw| (usage, raw.get().to_owned())))
            .filter(|(usage, text)| known.get(*usage) != Some(text))
            .collect(),
        );
        if rows.is_empty() {
            return Ok(());
        }
        let owner = user.to_owned();
        self.committer
            .run(move |tx| {
                let (owner, rows) = (owner.clone(), rows.clone());
                async move {
                    for (usage, text) in rows.iter() {
                        keys::set_cross_signing(tx, &owner, usage, text).await?;
                    }
                    announce(tx, &owner).await
                }
                .boxed()
            })
            .await?;
        Ok(())
    }

    /// Stores signatures of keys; what could not be taken, by user and key, with the reason.
    pub async fn sign(
        &self,
        signer: &UserId,
        objects: SignedObjects,
    ) -> ApiResult<BTreeMap<OwnedUserId, Map<String, Value>>> {
        let mut failures: BTreeMap<OwnedUserId, Map<String, Value>> = BTreeMap::new();
        let mut good: BTreeMap<OwnedUserId, Vec<Signature>> = BTreeMap::new();
        for (target, objects) in objects {
            for (key, raw) in objects {
                match self.check_signatures(signer, &target, &key, &raw).await {
                    Ok(signatures) => good.entry(target.clone()).or_default().extend(signatures),
                    Err(error) => {
                        let reason = json!({ "errcode": error.errcode, "error": error.error });
                        failures.entry(target.clone()).or_default().insert(key, reason);
                    }
                }
            }
        }
        if !good.is_empty() {
            let good = Arc::new(good);
            self.committer
                .run(move |tx| {
                    let good = good.clone();
                    async move {
                        for (target, signatures) in good.iter() {
                            for signature in signatures {
                                keys::sign(tx, target, signature).await?;
                            }
                            announce(tx, target).await?;
                        }
                        Ok(())
                    }
                    .boxed()
                })
                .await?;
        }
        Ok(failures)
    }

    /// The valid signatures by `signer` on a key of `target`. One's own devices are signed by the self-signing key, one's
    /// own master key by a device, others' master keys by the user-signing key.
    async fn check_signatures(
        &self,
        signer: &UserId,
        target: &UserId,
        key: &str,
        raw: &RawValue,
    ) -> ApiResult<Vec<Signature>> {
        let object: Map<String, Value> = serde_json::from_str(raw.get())
            .map_err(|_| ApiError::bad_json("A signed key must be an object"))?;
        let cross = keys::cross_signing(&self.db, target).await?;
        let devices = keys::of_user(&self.db, target).await?;
        let master = cross
            .get(MASTER)
            .and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
        let is_master =
            master.as_ref().and_then(public_key).is_some_and(|(_, public)| public == key);
        let stored = match (&master, is_master) {
            (Some(master), true) => master.clone(),
            _ => devices
                .iter()
                .find(|row| row.device_id == key && signer == target)
                .and_then(|row| serde_json::from_str(&row.keys).ok())
                .ok_or_else(|| ApiError::not_found("There is no such key"))?,
        };
        if signed_part(&stored) != signed_part(&object) {
            return Err(invalid_signature("The signed key is not the one that is stored"));
        }
        let mut signers: Vec<(String, String)> = Vec::new();
        if signer != target {
            let own = keys::cross_signing(&self.db, signer).await?;
            signers.extend(own.get(USER_SIGNING).and_then(|text| key_of(text)));
        } else if is_master {
            signers.extend(devices.iter().filter_map(|row| {
                let keys: Map<String, Value> = serde_json::from_str(&row.keys).ok()?;
                let id = format!("ed25519:{}", row.device_id);
                let key = keys.get("keys")?.get(&id)?.as_str()?.to_owned();
                Some((id, key))
            }));
        } else {
            signers.extend(cross.get(SELF_SIGNING).and_then(|text| key_of(text)));
        }
        let mut signatures = Vec::new();
        for (id, public) in signers {
            let Some(signature) = object
                .get("signatures")
                .and_then(|all| all.get(signer.as_str())?.get(&id)?.as_str())
            else {
                continue;
            };
            if !signed_by(&object, signer, &id, &public) {
                return Err(invalid_signature(format!("The signature by {id} is not valid")));
            }
            signatures.push(Signature {
                target_key: key.to_owned(),
                signer_user: signer.to_string(),
                signer_key: id,
                signature: signature.to_owned(),
            });
        }
        if signatures.is_empty() {
            return Err(invalid_signature("There is no signature by a key that may sign this one"));
        }
        Ok(signatures)
    }
}

fn key_of(text: &str) -> Option<(String, String)> {
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    public_key(&object).map(|(id, key)| (id.to_owned(), key.to_owned()))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signer, SigningKey};
    use ruma::user_id;

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
