//! An event as this server holds it: the PDU, what was decided about it, and its form for clients.
//!
//! An [`Event`] never changes once it is shared. What is learnt later (a redaction) makes a new one that takes
//! its place in the caches.

mod build;
mod canonical;
mod client;
mod key;
mod pdu;
mod redact;
mod verify;

use std::sync::{Arc, OnceLock};

use ruma::{RoomVersionId, events::TimelineEventType};

pub use self::{
    build::{BuildError, Reference, Template},
    canonical::{CanonicalError, canonical_object, canonical_string},
    client::{ClientJson, Unsigned},
    key::{KeyError, ServerKey},
    pdu::{ID_MAX_BYTES, MAX_PDU_BYTES, MAX_STICKY_MS, Pdu, PduError, STICKY},
    redact::redact,
    verify::{Received, ServerKeys, VerifyError, verify},
};
use crate::nid::{EventNid, Pos, RoomNid, StateGroup, TimelineOrd};

/// What was decided about an event, as a set of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u32);

impl Flags {
    /// Known without the state before it: only its auth events were checked.
    pub const OUTLIER: Self = Self(1);
    /// Failed authorisation by its auth events or by the state before it.
    pub const REJECTED: Self = Self(2);
    /// Passed those, but not the room's current state (Server-Server API, "Soft failure").
    pub const SOFT_FAILED: Self = Self(4);
    /// Imported history: outside the DAG.
    pub const IMPORTED: Self = Self(8);
    /// The stored event is what redaction left of it.
    pub const REDACTED: Self = Self(16);
    /// Accepted, but nothing for clients: a merge of the DAG's ends, history that came late, a redaction whose target
    /// isn't here yet.
    pub const HIDDEN: Self = Self(32);

    /// Imported history that notifies people like a new message.
    pub const NOTIFIES: Self = Self(64);

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These bits and those of `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether clients may be shown the event in a timeline.
    pub const fn is_shown(self) -> bool {
        self.0 & (Self::OUTLIER.0 | Self::REJECTED.0 | Self::SOFT_FAILED.0 | Self::HIDDEN.0) == 0
    }
}

/// Where an event stands, known once it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its position in the server's stream.
    pub pos: Pos,
    /// Its place in the room's timeline.
    pub ord: TimelineOrd,
}

/// Who sent an event with which transaction id, for `unsigned.transaction_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnEcho {
    /// The user and device, or the appservice, that sent it (see `room::TxnKey`).
    pub scope: String,
    /// The transaction id as the client gave it.
    pub id: String,
}

/// One event of one room.
#[derive(Debug)]
pub struct Event {
    /// Its number.
    pub nid: EventNid,
    /// Its room's number.
    pub room: RoomNid,
    /// The event itself; what redaction left of it if it was redacted.
    pub pdu: Pdu,
    /// What was decided about it.
    pub flags: Flags,
    /// The room's state before it; `None` for outliers and imported history.
    pub state_before: Option<StateGroup>,
    /// The room's state after it.
    pub state_after: Option<StateGroup>,
    /// The state event of the same type and key in the state before it.
    pub replaces: Option<EventNid>,
    /// The redaction that was applied to it.
    pub redacted_because: Option<Arc<Event>>,
    /// The transaction it was sent with, if it was sent by a client of ours.
    pub txn: Option<TxnEcho>,
    /// Until when it is sticky, in ms since 1970, if it ever was (MSC4354). Redaction ends it.
    pub sticky_until: Option<i64>,
    place: OnceLock<Place>,
    client: OnceLock<ClientJson>,
}

impl Event {
    /// An event with nothing decided about it yet and no place.
    pub const fn new(nid: EventNid, room: RoomNid, pdu: Pdu) -> Self {
        Self {
            nid,
            room,
            pdu,
            flags: Flags(0),
            state_before: None,
            state_after: None,
            replaces: None,
            redacted_because: None,
            txn: None,
            sticky_until: None,
            place: OnceLock::new(),
            client: OnceLock::new(),
        }
    }

    /// The same event after `because` was applied to it; `pdu` is what is left.
    #[must_use]
    pub fn redacted(&self, pdu: Pdu, because: Arc<Self>) -> Self {
        Self {
            pdu,
            flags: self.flags.with(Flags::REDACTED),
            redacted_because: Some(because),
            sticky_until: None,
            ..self.again()
        }
    }

    /// What is told of it to those for whom its sender is erased; `None` if what is stored is damaged.
    pub fn erased(&self) -> Option<Self> {
        // Newer versions leave no more than this one, and older ones little more.
        let rules = RoomVersionId::V11.rules()?;
        Some(Self { pdu: redact(&self.pdu, &rules).ok()?, ..self.again() })
    }

    /// The same event when clients may see it.
    #[must_use]
    pub fn unhidden(&self) -> Self {
        Self { flags: Flags(self.flags.0 & !Flags::HIDDEN.0), ..self.again() }
    }

    /// The same event, before its form for clients is made.
    fn again(&self) -> Self {
        Self {
            nid: self.nid,
            room: self.room,
            pdu: self.pdu.clone(),
            flags: self.flags,
            state_before: self.state_before,
            state_after: self.state_after,
            replaces: self.replaces,
            redacted_because: self.redacted_because.clone(),
            txn: self.txn.clone(),
            sticky_until: self.sticky_until,
            place: self.place.clone(),
            client: OnceLock::new(),
        }
    }

    /// Where it stands; `None` before it is durable, and for events that no timeline holds.
    pub fn place(&self) -> Option<Place> {
        self.place.get().copied()
    }

    /// Tells where it stands; once it is told, later calls change nothing.
    pub fn set_place(&self, place: Place) {
        let _ = self.place.set(place);
    }

    /// Its form for clients without `unsigned` and `room_id`, serialised at the first call.
    pub fn client(&self) -> &ClientJson {
        self.client.get_or_init(|| ClientJson::of(&self.pdu))
    }

    /// About how many bytes of memory it takes, for bounded caches.
    pub fn weight(&self) -> usize {
        // The raw bytes, the content inside them once more, the client form, and the fixed part.
        600 + self.pdu.raw().len() * 3
    }

    /// Its type.
    pub const fn kind(&self) -> &TimelineEventType {
        &self.pdu.kind
    }

    /// For how long it is sticky yet, in ms; `None` when it isn't.
    pub fn sticky_for(&self, now_ms: i64) -> Option<i64> {
        self.sticky_until.map(|until| until.saturating_sub(now_ms)).filter(|left| *left > 0)
    }

    /// Whether it is a state event.
    pub const fn is_state(&self) -> bool {
        self.pdu.state_key.is_some()
    }
}

#[cfg(test)]
mod tests;
