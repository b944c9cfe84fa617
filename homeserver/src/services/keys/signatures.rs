//! Signatures that users add to keys (Client-Server API, `POST /keys/signatures/upload`).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt;
use ruma::{OwnedUserId, UserId};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::Keys;
use super::signing::{
    MASTER, SELF_SIGNING, USER_SIGNING, invalid_signature, public_key, signed_by, signed_part,
};
use crate::feed::Change;
use crate::http::error::{ApiError, ApiResult};
use crate::services::sessions::announce;
use crate::storage::devices;
use crate::storage::keys::{self, Signature};

/// Signed objects by user and key.
pub type SignedObjects = BTreeMap<OwnedUserId, BTreeMap<String, Box<RawValue>>>;

impl Keys {
    /// Stores signatures of keys; what could not be taken, by user and key, with the reason.
    pub async fn sign(
        &self,
        signer: &UserId,
        objects: SignedObjects,
    ) -> ApiResult<BTreeMap<OwnedUserId, Map<String, Value>>> {
        let mut failures: BTreeMap<OwnedUserId, Map<String, Value>> = BTreeMap::new();
        let mut good: BTreeMap<OwnedUserId, Vec<Signature>> = BTreeMap::new();
        for (target, objects) in objects {
            let known = self.known(&target).await?;
            for (key, raw) in objects {
                match self.check_signatures(signer, &target, &known, &key, &raw).await {
                    Ok(signatures) => good.entry(target.clone()).or_default().extend(signatures),
                    Err(error) if error.status.is_server_error() => return Err(error),
                    Err(error) => {
                        let reason = json!({ "errcode": error.errcode, "error": error.error });
                        failures.entry(target.clone()).or_default().insert(key, reason);
                    }
                }
            }
        }
        if !good.is_empty() {
            let (good, signer) = (Arc::new(good), signer.to_owned());
            self.committer
                .run(move |tx| {
                    let (good, signer) = (good.clone(), signer.clone());
                    async move {
                        for (target, signatures) in good.iter() {
                            for signature in signatures {
                                keys::sign(tx, target, signature).await?;
                            }
                            if *target == signer {
                                announce(tx, target).await?;
                            } else {
                                // Whom somebody trusts is for that one's own devices to know.
                                let pos = tx.next_pos();
                                devices::signed(tx, &signer, target, pos).await?;
                                tx.publish(pos, Change::Signed { user: signer.clone() });
                            }
                        }
                        Ok(())
                    }
                    .boxed()
                })
                .await?;
        }
        Ok(failures)
    }

    async fn known(&self, user: &UserId) -> ApiResult<Known> {
        let cross = keys::cross_signing(&self.db, user).await?;
        let object = |usage: &str| serde_json::from_str(cross.get(usage)?).ok();
        let devices = keys::of_user(&self.db, user).await?;
        Ok(Known {
            master: object(MASTER),
            self_signing: object(SELF_SIGNING),
            devices: devices
                .into_iter()
                .filter_map(|row| Some((row.device_id, serde_json::from_str(&row.keys).ok()?)))
                .collect(),
        })
    }

    /// The valid signatures by `signer` on a key of `target`. One's own devices are signed by the self-signing key, one's
    /// own master key by a device, others' master keys by the user-signing key.
    async fn check_signatures(
        &self,
        signer: &UserId,
        target: &UserId,
        known: &Known,
        key: &str,
        raw: &RawValue,
    ) -> ApiResult<Vec<Signature>> {
        let object: Map<String, Value> = serde_json::from_str(raw.get())
            .map_err(|_| ApiError::bad_json("A signed key must be an object"))?;
        let master = known
            .master
            .as_ref()
            .filter(|master| public_key(master).is_some_and(|(_, public)| public == key));
        let stored = match master {
            Some(master) => master,
            None => known
                .devices
                .get(key)
                .filter(|_| signer == target)
                .ok_or_else(|| ApiError::not_found("There is no such key"))?,
        };
        if signed_part(stored) != signed_part(&object) {
            return Err(invalid_signature("The signed key is not the one that is stored"));
        }
        let mut signers: Vec<(String, String)> = Vec::new();
        let of = |object: &Map<String, Value>| {
            public_key(object).map(|(id, key)| (id.to_owned(), key.to_owned()))
        };
        if signer != target {
            let own = keys::cross_signing(&self.db, signer).await?;
            let own = own.get(USER_SIGNING).and_then(|text| serde_json::from_str(text).ok());
            signers.extend(own.as_ref().and_then(of));
        } else if master.is_some() {
            signers.extend(known.devices.iter().filter_map(|(device, keys)| {
                let id = format!("ed25519:{device}");
                let key = keys.get("keys")?.get(&id)?.as_str()?.to_owned();
                Some((id, key))
            }));
        } else {
            signers.extend(known.self_signing.as_ref().and_then(of));
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

/// The keys of a user that can be signed, and that sign.
struct Known {
    master: Option<Map<String, Value>>,
    self_signing: Option<Map<String, Value>>,
    devices: BTreeMap<String, Map<String, Value>>,
}
