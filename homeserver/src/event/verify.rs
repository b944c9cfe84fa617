//! Signatures and hashes of events that came from elsewhere (Server-Server API, "Signing Events").

use std::collections::BTreeMap;

use ruma::{
    CanonicalJsonObject, ServerName,
    canonical_json::redact_in_place,
    room_version_rules::RoomVersionRules,
    serde::Base64,
    signatures::{PublicKeyMap, Verified, verify_event},
};

use super::{Pdu, PduError, canonical::canonical_object};

/// Why a PDU is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// Not a valid event of the room version.
    #[error(transparent)]
    Format(#[from] PduError),
    /// A signature that must be there isn't, or is wrong.
    #[error("signature check failed: {0}")]
    Signature(String),
}

/// The public keys of servers.
#[derive(Clone, Debug, Default)]
pub struct ServerKeys(PublicKeyMap);

impl ServerKeys {
    /// No keys.
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Adds a server's key: `id` as in `ed25519:1`, the public key in base64. Keys that don't parse are left out:
    /// what they signed then fails.
    pub fn insert(&mut self, server: &ServerName, id: &str, public: &str) {
        if let Ok(key) = Base64::parse(public) {
            self.0.entry(server.as_str().to_owned()).or_default().insert(id.to_owned(), key);
        }
    }
}

/// A PDU that passed the checks 1 to 3 on receipt.
#[derive(Clone, Debug)]
pub struct Received {
    /// The event; what redaction leaves of it if its content hash was wrong.
    pub pdu: Pdu,
    /// Whether its content hash was wrong.
    pub redacted: bool,
}

/// Checks an event's form, signatures and content hash. Pure CPU work: callers do it before a room's mailbox.
pub fn verify(
    raw: &str,
    rules: &RoomVersionRules,
    keys: &ServerKeys,
) -> Result<Received, VerifyError> {
    let mut object: CanonicalJsonObject =
        canonical_object(raw).map_err(|error| PduError::Format(error.to_string()))?;
    object.remove("unsigned");
    let pdu = Pdu::from_object(object.clone(), rules)?;
    let verified = verify_event(&keys.0, &object, rules)
        .map_err(|error| VerifyError::Signature(error.to_string()))?;
    if verified == Verified::All {
        return Ok(Received { pdu, redacted: false });
    }
    redact_in_place(&mut object, &rules.redaction, None)
        .map_err(|error| PduError::Format(error.to_string()))?;
    Ok(Received { pdu: Pdu::from_object(object, rules)?, redacted: true })
}
