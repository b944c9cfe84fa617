//! A persistent data unit: an event as servers exchange, hash, sign and store it.

use std::borrow::Cow;

use bytes::Bytes;
use ruma::{
    CanonicalJsonObject, EventId, MilliSecondsSinceUnixEpoch, OwnedEventId, OwnedRoomId,
    OwnedUserId, RoomId, UInt, UserId,
    events::TimelineEventType,
    room_version_rules::{EventIdFormatVersion, RoomIdFormatVersion, RoomVersionRules},
    signatures::reference_hash,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::canonical::{canonical_string, exact_bytes};
use crate::room::Membership;

/// The greatest size of a PDU in bytes, signatures included (Client-Server API, "Size limits").
pub const MAX_PDU_BYTES: usize = 65_535;

/// The greatest length in bytes of a user id, room id, event id, state key and event type.
pub const ID_MAX_BYTES: usize = 255;

/// The field of a sticky event that says for how long it is one, as it is called before
/// [MSC4354](https://github.com/matrix-org/matrix-spec-proposals/pull/4354) is in the specification.
pub const STICKY: &str = "msc4354_sticky";

/// The longest that an event can be sticky, in ms.
pub const MAX_STICKY_MS: i64 = 3_600_000;

/// What is wrong with the form of an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    /// Not as the room version's event format has it.
    #[error("{0}")]
    Format(String),
    /// Greater than [`MAX_PDU_BYTES`], or a field longer than [`ID_MAX_BYTES`].
    #[error("{0}")]
    TooLarge(String),
}

/// A PDU: its fields, and the exact bytes they came from.
#[derive(Clone, Debug)]
pub struct Pdu {
    /// Its id: given by the server in room versions 1 and 2, its reference hash since.
    pub event_id: OwnedEventId,
    /// Its room. Room version 12's create events don't carry it: there it follows from the event id.
    pub room_id: OwnedRoomId,
    /// Who sent it.
    pub sender: OwnedUserId,
    /// Its type.
    pub kind: TimelineEventType,
    /// Its state key; it is a state event if there is one.
    pub state_key: Option<String>,
    /// When its server says it was sent, in ms since 1970.
    pub origin_server_ts: i64,
    /// One more than the greatest depth of its predecessors.
    pub depth: i64,
    /// Its predecessors.
    pub prev_events: Vec<OwnedEventId>,
    /// The events that give its sender permission.
    pub auth_events: Vec<OwnedEventId>,
    /// The event it redacts, wherever its room version puts that.
    pub redacts: Option<OwnedEventId>,
    /// For how long its sender wants it to be sticky, in ms.
    pub sticky: Option<i64>,
    pub(super) content: Box<RawValue>,
    pub(super) raw: Bytes,
    /// Whether the room id isn't in the JSON.
    pub(super) room_id_implied: bool,
}

/// The fields of a PDU as they stand in its JSON.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    room_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    sender: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    state_key: Option<String>,
    origin_server_ts: i64,
    #[serde(default)]
    depth: i64,
    #[serde(default)]
    prev_events: Vec<Reference>,
    #[serde(default)]
    auth_events: Vec<Reference>,
    content: Box<RawValue>,
    // The value of `STICKY`.
    #[serde(default, rename = "msc4354_sticky")]
    sticky: Option<serde_json::Value>,
}

/// The duration of a sticky event; what has another form makes no event sticky.
fn sticky_ms(field: &serde_json::Value) -> Option<i64> {
    field.get("duration_ms")?.as_i64().filter(|ms| *ms >= 0).map(|ms| ms.min(MAX_STICKY_MS))
}

/// A reference to an event: its id, or in room versions 1 and 2 the id and its hashes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Reference {
    Id(OwnedEventId),
    WithHashes(OwnedEventId, IgnoredAny),
}

/// Where a redaction says what it redacts: at the top, or in the content.
#[derive(Deserialize)]
struct Redacts {
    redacts: Option<serde_json::Value>,
}

impl Pdu {
    /// Reads an event that came from elsewhere: checks its form (Server-Server API, "Checks performed on receipt of a
    /// PDU", 1) and computes its id. `object` is kept without `unsigned`, which no hash or signature covers.
    pub fn from_object(
        mut object: CanonicalJsonObject,
        rules: &RoomVersionRules,
    ) -> Result<Self, PduError> {
        object.remove("unsigned");
        ruma::state_res::check_pdu_format(&object, &rules.event_format).map_err(|error| {
            if error.contains("larger than") {
                PduError::TooLarge(error)
            } else {
                PduError::Format(error)
            }
        })?;
        let event_id = if rules.event_id_format == EventIdFormatVersion::V1 {
            EventId::parse(object.get("event_id").and_then(|id| id.as_str()).unwrap_or_default())
        } else {
            let hash = reference_hash(&object, rules)
                .map_err(|error| PduError::Format(error.to_string()))?;
            EventId::new_v2_or_v3(&hash)
        };
        let event_id = event_id.map_err(|error| format_error("event_id", error))?;
        Self::read(exact_bytes(canonical_string(&object)), event_id, rules)
    }

    /// Reads an event that this server stored; `redacts` was stored beside it.
    pub fn from_stored(
        raw: Bytes,
        event_id: OwnedEventId,
        redacts: Option<OwnedEventId>,
    ) -> Result<Self, PduError> {
        let fields: Fields<'_> =
            serde_json::from_slice(&raw).map_err(|error| PduError::Format(error.to_string()))?;
        let kind = TimelineEventType::from(fields.kind.as_ref());
        let room_id_implied = fields.room_id.is_none() && kind == TimelineEventType::RoomCreate;
        let room_id = match fields.room_id {
            Some(id) => RoomId::parse(id.as_ref()),
            None if room_id_implied => RoomId::new_v2(event_id.as_str().trim_start_matches('$')),
            None => return Err(PduError::Format("missing `room_id` field".to_owned())),
        };
        if !fields.content.get().starts_with('{') {
            return Err(PduError::Format("`content` is not an object".to_owned()));
        }
        Ok(Self {
            room_id: room_id.map_err(|error| format_error("room_id", error))?,
            sender: UserId::parse(fields.sender.as_ref())
                .map_err(|error| format_error("sender", error))?,
            event_id,
            kind,
            state_key: fields.state_key,
            origin_server_ts: fields.origin_server_ts,
            depth: fields.depth,
            prev_events: ids(fields.prev_events),
            auth_events: ids(fields.auth_events),
            redacts,
            sticky: fields.sticky.as_ref().and_then(sticky_ms),
            content: fields.content,
            raw,
            room_id_implied,
        })
    }

    /// Reads an event that has its id already.
    fn read(
        raw: Bytes,
        event_id: OwnedEventId,
        rules: &RoomVersionRules,
    ) -> Result<Self, PduError> {
        let mut pdu = Self::from_stored(raw, event_id, None)?;
        if pdu.room_id_implied && rules.room_id_format != RoomIdFormatVersion::V2 {
            return Err(PduError::Format("missing `room_id` field".to_owned()));
        }
        if pdu.kind == TimelineEventType::RoomRedaction {
            let place = if rules.redaction.content_field_redacts {
                pdu.content.get().as_bytes()
            } else {
                &*pdu.raw
            };
            pdu.redacts = serde_json::from_slice::<Redacts>(place)
                .ok()
                .and_then(|place| EventId::parse(place.redacts?.as_str()?).ok());
        }
        Ok(pdu)
    }

    /// The canonical bytes: what was hashed, signed and is stored.
    pub const fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Its content.
    pub fn content(&self) -> &RawValue {
        &self.content
    }

    /// One field of its content as a string.
    pub fn content_str(&self, field: &str) -> Option<String> {
        let content: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(self.content.get()).ok()?;
        content.get(field)?.as_str().map(ToOwned::to_owned)
    }

    /// What a member event says that its user is.
    pub fn membership(&self) -> Option<Membership> {
        let member = self.kind == TimelineEventType::RoomMember && self.state_key.is_some();
        member.then(|| self.content_str("membership"))?.and_then(|text| Membership::parse(&text))
    }

    /// Until when it is sticky, if this server got it at `received`, in ms since 1970.
    pub fn sticky_until(&self, received: i64) -> Option<i64> {
        let ms = self.sticky?;
        Some(self.origin_server_ts.min(received).saturating_add(ms))
    }

    /// Its state key, if it is a state event.
    pub fn state_key(&self) -> Option<&str> {
        self.state_key.as_deref()
    }
}

fn ids(references: Vec<Reference>) -> Vec<OwnedEventId> {
    references
        .into_iter()
        .map(|reference| match reference {
            Reference::Id(id) | Reference::WithHashes(id, _) => id,
        })
        .collect()
}

fn format_error(field: &str, error: impl std::fmt::Display) -> PduError {
    PduError::Format(format!("invalid `{field}` field: {error}"))
}

/// What ruma's authorisation rules and state resolution see of an event.
impl ruma::state_res::Event for super::Event {
    type Id = OwnedEventId;

    fn event_id(&self) -> &OwnedEventId {
        &self.pdu.event_id
    }

    fn room_id(&self) -> Option<&RoomId> {
        (!self.pdu.room_id_implied).then_some(&*self.pdu.room_id)
    }

    fn sender(&self) -> &UserId {
        &self.pdu.sender
    }

    fn origin_server_ts(&self) -> MilliSecondsSinceUnixEpoch {
        MilliSecondsSinceUnixEpoch(UInt::new_saturating(
            self.pdu.origin_server_ts.max(0).cast_unsigned(),
        ))
    }

    fn event_type(&self) -> &TimelineEventType {
        &self.pdu.kind
    }

    fn content(&self) -> &RawValue {
        &self.pdu.content
    }

    fn state_key(&self) -> Option<&str> {
        self.pdu.state_key.as_deref()
    }

    fn prev_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.pdu.prev_events.iter())
    }

    fn auth_events(&self) -> Box<dyn DoubleEndedIterator<Item = &OwnedEventId> + '_> {
        Box::new(self.pdu.auth_events.iter())
    }

    fn redacts(&self) -> Option<&OwnedEventId> {
        self.pdu.redacts.as_ref()
    }

    fn rejected(&self) -> bool {
        self.flags.has(super::Flags::REJECTED)
    }
}
