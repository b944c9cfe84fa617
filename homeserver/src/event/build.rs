//! Builds an event of this server: content hash, signature, reference hash, canonical bytes.
//!
//! The bytes are written directly in canonical order, so that an event costs one pass per form (hashed, signed,
//! whole) and no intermediate tree. A property test holds it against ruma's general functions.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use rand::RngExt as _;
use ruma::{
    CanonicalJsonObject, EventId, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId,
    canonical_json::redact_content_in_place,
    events::TimelineEventType,
    room_version_rules::{
        EventIdFormatVersion, EventsReferenceFormatVersion, RedactionRules, RoomVersionRules,
    },
    signatures::reference_hash,
};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    ID_MAX_BYTES, MAX_PDU_BYTES, Pdu, STICKY, ServerKey,
    canonical::{canonical_object, canonical_string, exact_bytes, push_string},
};

/// The most predecessors an event may have (room versions, "Event format").
const MAX_PREV_EVENTS: usize = 20;

/// The most auth events an event may have.
const MAX_AUTH_EVENTS: usize = 10;

/// Why an event can't be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The event or one of its fields is greater than the limits allow.
    #[error("{0}")]
    TooLarge(String),
    /// More predecessors or auth events than an event may have, or ids that don't parse.
    #[error("{0}")]
    Format(String),
}

/// What the caller decides about an event.
#[derive(Clone, Debug)]
pub struct Template {
    /// Its room; `None` for the create event of a room whose id is that event's hash.
    pub room_id: Option<OwnedRoomId>,
    /// Who sends it.
    pub sender: OwnedUserId,
    /// Its type.
    pub kind: TimelineEventType,
    /// Its state key, if it is a state event.
    pub state_key: Option<String>,
    /// Its content.
    pub content: CanonicalJsonObject,
    /// In ms since 1970.
    pub origin_server_ts: i64,
    /// One more than the greatest depth of its predecessors.
    pub depth: i64,
    /// Its predecessors.
    pub prev_events: Vec<Reference>,
    /// The events that give its sender permission.
    pub auth_events: Vec<Reference>,
    /// The event it redacts; written where the room version wants it.
    pub redacts: Option<OwnedEventId>,
    /// For how long it is sticky, in ms, if it is (MSC4354).
    pub sticky: Option<i64>,
}

/// A reference to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The event's id.
    pub id: OwnedEventId,
    /// Its reference hash in unpadded base64, which room versions 1 and 2 write beside the id.
    pub hash: Option<String>,
}

impl Reference {
    /// The reference that a room of these rules writes to `pdu`.
    pub fn to(pdu: &Pdu, rules: &RoomVersionRules) -> Result<Self, BuildError> {
        let hash = match rules.events_reference_format {
            EventsReferenceFormatVersion::V1 => {
                let text = std::str::from_utf8(pdu.raw())
                    .map_err(|error| BuildError::Format(error.to_string()))?;
                let object = canonical_object(text)
                    .map_err(|error| BuildError::Format(error.to_string()))?;
                Some(
                    reference_hash(&object, rules)
                        .map_err(|error| BuildError::Format(error.to_string()))?,
                )
            }
            _ => None,
        };
        Ok(Self { id: pdu.event_id.clone(), hash })
    }
}

impl Template {
    /// Hashes and signs the event.
    ///
    /// # Panics
    /// Never: what it puts together is JSON.
    pub fn build(mut self, rules: &RoomVersionRules, key: &ServerKey) -> Result<Pdu, BuildError> {
        self.check()?;
        if rules.redaction.content_field_redacts
            && let Some(redacts) = &self.redacts
        {
            self.content.insert("redacts".to_owned(), redacts.as_str().to_owned().into());
        }
        let content = canonical_string(&self.content);
        let given_id = (rules.event_id_format == EventIdFormatVersion::V1).then(|| random_id(key));
        // Two rooms that somebody makes in the same millisecond, or at a time that a bridge says, are two rooms.
        let nonce = self.room_id.is_none().then(random);
        let mut form = Form {
            template: &self,
            given_id: given_id.as_deref(),
            nonce: nonce.as_deref(),
            top_level_redacts: self
                .redacts
                .as_ref()
                .filter(|_| !rules.redaction.content_field_redacts),
            sticky: self.sticky,
            pairs: rules.events_reference_format == EventsReferenceFormatVersion::V1,
            hash: None,
        };
        let hash = STANDARD_NO_PAD.encode(Sha256::digest(form.write(&content, None)));
        form.hash = Some(&hash);

        // Redaction takes them away; the hash stays.
        let taken = (form.top_level_redacts.take(), form.sticky.take(), form.nonce.take());
        let signed = form.write(&self.redacted_content(&rules.redaction), None);
        let signature = key.sign(signed.as_bytes());
        (form.top_level_redacts, form.sticky, form.nonce) = taken;
        let raw = form.write(&content, Some((key, &signature)));
        if raw.len() > MAX_PDU_BYTES {
            return Err(BuildError::TooLarge(format!(
                "the event would have {} bytes, and {MAX_PDU_BYTES} is the most",
                raw.len()
            )));
        }

        let event_id = match given_id {
            Some(id) => EventId::parse(id),
            None => EventId::new_v2_or_v3(&encode_reference(&signed, rules)),
        };
        let event_id = event_id.map_err(|error| BuildError::Format(error.to_string()))?;
        let (room_id, room_id_implied) = match self.room_id {
            Some(room_id) => (room_id, false),
            None => (
                RoomId::new_v2(event_id.as_str().trim_start_matches('$'))
                    .map_err(|error| BuildError::Format(error.to_string()))?,
                true,
            ),
        };
        Ok(Pdu {
            event_id,
            room_id,
            sender: self.sender,
            kind: self.kind,
            state_key: self.state_key,
            origin_server_ts: self.origin_server_ts,
            depth: self.depth,
            prev_events: self.prev_events.into_iter().map(|reference| reference.id).collect(),
            auth_events: self.auth_events.into_iter().map(|reference| reference.id).collect(),
            redacts: self.redacts,
            sticky: self.sticky,
            content: RawValue::from_string(content).expect("canonical JSON is JSON"),
            raw: exact_bytes(raw),
            room_id_implied,
        })
    }

    fn check(&self) -> Result<(), BuildError> {
        let fields = [
            ("sender", self.sender.as_str()),
            ("room_id", self.room_id.as_ref().map_or("", |id| id.as_str())),
            ("state_key", self.state_key.as_deref().unwrap_or_default()),
        ];
        let kind = self.kind.to_string();
        for (name, value) in fields.into_iter().chain([("type", kind.as_str())]) {
            if value.len() > ID_MAX_BYTES {
                return Err(BuildError::TooLarge(format!(
                    "`{name}` is longer than {ID_MAX_BYTES} bytes"
                )));
            }
        }
        if self.prev_events.len() > MAX_PREV_EVENTS || self.auth_events.len() > MAX_AUTH_EVENTS {
            return Err(BuildError::Format("too many predecessors or auth events".to_owned()));
        }
        Ok(())
    }

    /// The content after redaction, which is what the signature and the event id cover.
    fn redacted_content(&self, rules: &RedactionRules) -> String {
        let kind = self.kind.to_string();
        // Every type that keeps any content is an `m.room.` one; these two are most events of most rooms.
        if !kind.starts_with("m.room.") || kind == "m.room.message" || kind == "m.room.encrypted" {
            return "{}".to_owned();
        }
        let mut content = self.content.clone();
        redact_content_in_place(&mut content, rules, &kind);
        canonical_string(&content)
    }
}

/// The hash of an event's redacted form, as its id has it.
fn encode_reference(signed: &str, rules: &RoomVersionRules) -> String {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let hash = Sha256::digest(signed);
    if rules.event_id_format == EventIdFormatVersion::V2 {
        STANDARD_NO_PAD.encode(hash)
    } else {
        URL_SAFE_NO_PAD.encode(hash)
    }
}

/// An id for an event of room versions 1 and 2.
fn random_id(key: &ServerKey) -> String {
    format!("${}:{}", random(), key.server())
}

fn random() -> String {
    let bytes: [u8; 18] = rand::rng().random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Writes an event's canonical text in its different forms.
struct Form<'a> {
    template: &'a Template,
    given_id: Option<&'a str>,
    /// Tells a create event from every other where its hash is the room's id.
    nonce: Option<&'a str>,
    top_level_redacts: Option<&'a OwnedEventId>,
    sticky: Option<i64>,
    pairs: bool,
    hash: Option<&'a str>,
}

impl Form<'_> {
    fn write(&self, content: &str, signature: Option<(&ServerKey, &str)>) -> String {
        let template = self.template;
        let mut out = String::with_capacity(content.len() + 900);
        out.push_str("{\"auth_events\":");
        self.push_references(&mut out, &template.auth_events);
        out.push_str(",\"content\":");
        out.push_str(content);
        // Writing to a string can't fail.
        let _ = write!(out, ",\"depth\":{}", template.depth);
        if let Some(id) = self.given_id {
            out.push_str(",\"event_id\":");
            push_string(&mut out, id);
        }
        if let Some(hash) = self.hash {
            let _ = write!(out, ",\"hashes\":{{\"sha256\":\"{hash}\"}}");
        }
        if let Some(ms) = self.sticky {
            let _ = write!(out, ",\"{STICKY}\":{{\"duration_ms\":{ms}}}");
        }
        if let Some(nonce) = self.nonce {
            let _ = write!(out, ",\"nonce\":\"{nonce}\"");
        }
        let _ = write!(out, ",\"origin_server_ts\":{},\"prev_events\":", template.origin_server_ts);
        self.push_references(&mut out, &template.prev_events);
        if let Some(redacts) = self.top_level_redacts {
            out.push_str(",\"redacts\":");
            push_string(&mut out, redacts.as_str());
        }
        if let Some(room_id) = &template.room_id {
            out.push_str(",\"room_id\":");
            push_string(&mut out, room_id.as_str());
        }
        out.push_str(",\"sender\":");
        push_string(&mut out, template.sender.as_str());
        if let Some((key, signature)) = signature {
            out.push_str(",\"signatures\":{");
            push_string(&mut out, key.server().as_str());
            let _ = write!(out, ":{{\"{}\":\"{signature}\"}}}}", key.id());
        }
        if let Some(state_key) = &template.state_key {
            out.push_str(",\"state_key\":");
            push_string(&mut out, state_key);
        }
        out.push_str(",\"type\":");
        push_string(&mut out, &template.kind.to_string());
        out.push('}');
        out
    }

    fn push_references(&self, out: &mut String, references: &[Reference]) {
        out.push('[');
        for (index, reference) in references.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            if self.pairs {
                out.push('[');
                push_string(out, reference.id.as_str());
                let _ = write!(
                    out,
                    ",{{\"sha256\":\"{}\"}}]",
                    reference.hash.as_deref().unwrap_or_default()
                );
            } else {
                push_string(out, reference.id.as_str());
            }
        }
        out.push(']');
    }
}
