//! Redaction: what is left of an event when its content is taken away (room versions, "Redactions").

use ruma::{canonical_json::redact_in_place, room_version_rules::RoomVersionRules};

use super::{
    Pdu, PduError,
    canonical::{canonical_object, canonical_string, exact_bytes},
};

/// What redaction leaves of `pdu`. Its id, hashes and signatures stay valid.
pub fn redact(pdu: &Pdu, rules: &RoomVersionRules) -> Result<Pdu, PduError> {
    let format = |error: &dyn std::fmt::Display| PduError::Format(error.to_string());
    let text = std::str::from_utf8(pdu.raw()).map_err(|error| format(&error))?;
    let mut object = canonical_object(text).map_err(|error| format(&error))?;
    redact_in_place(&mut object, &rules.redaction, None).map_err(|error| format(&error))?;
    let raw = exact_bytes(canonical_string(&object));
    let redacts = pdu.redacts.clone().filter(|_| rules.redaction.keep_room_redaction_redacts);
    Pdu::from_stored(raw, pdu.event_id.clone(), redacts)
}
