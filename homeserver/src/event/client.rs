//! The form of an event that clients get (Client-Server API, "Room event format").
//!
//! The part that is the same for everyone is serialised once and shared; what depends on the viewer
//! (`unsigned`, and `room_id`, which sync leaves out) is appended to it.

use std::fmt::Write as _;

use ruma::events::TimelineEventType;
use serde_json::value::RawValue;

use super::{Event, Pdu, STICKY, canonical::push_string};

/// The shared part: an object's text without its closing brace.
#[derive(Debug)]
pub struct ClientJson {
    open: Box<str>,
}

/// What `unsigned` says to one viewer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unsigned<'a> {
    /// How long ago the event was sent, in ms.
    pub age: Option<i64>,
    /// The viewer's membership when the event was sent.
    pub membership: Option<&'a str>,
    /// The content of the state event that this one replaced.
    pub prev_content: Option<&'a RawValue>,
    /// Who sent that state event.
    pub prev_sender: Option<&'a str>,
    /// Its id.
    pub replaces_state: Option<&'a str>,
    /// The transaction id, for the device that sent the event.
    pub transaction_id: Option<&'a str>,
    /// Bundled aggregations, the whole value of `m.relations`.
    pub relations: Option<&'a str>,
    /// For how long the event is sticky yet, in ms (MSC4354).
    pub sticky_for: Option<i64>,
}

impl ClientJson {
    /// Serialises the part of `pdu` that all viewers share.
    pub fn of(pdu: &Pdu) -> Self {
        let mut out = String::with_capacity(pdu.content().get().len() + 320);
        out.push_str("{\"content\":");
        push_content(&mut out, pdu);
        out.push_str(",\"event_id\":");
        push_string(&mut out, pdu.event_id.as_str());
        if let Some(ms) = pdu.sticky {
            // Writing to a string can't fail.
            let _ = write!(out, ",\"{STICKY}\":{{\"duration_ms\":{ms}}}");
        }
        out.push_str(",\"origin_server_ts\":");
        out.push_str(&pdu.origin_server_ts.to_string());
        if let Some(redacts) = &pdu.redacts {
            out.push_str(",\"redacts\":");
            push_string(&mut out, redacts.as_str());
        }
        out.push_str(",\"sender\":");
        push_string(&mut out, pdu.sender.as_str());
        if let Some(key) = &pdu.state_key {
            out.push_str(",\"state_key\":");
            push_string(&mut out, key);
        }
        out.push_str(",\"type\":");
        push_string(&mut out, &pdu.kind.to_string());
        Self { open: out.into_boxed_str() }
    }

    /// The text without the closing brace; a caller appends `,"key":value` and `}`.
    pub fn open(&self) -> &str {
        &self.open
    }
}

/// The content; redactions of room versions before 11 get `redacts` in it too (room version 11, "Moving the
/// `redacts` property").
fn push_content(out: &mut String, pdu: &Pdu) {
    let content = pdu.content().get();
    if let Some(redacts) = &pdu.redacts
        && pdu.kind == TimelineEventType::RoomRedaction
        && let Ok(mut object) =
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(content)
        && !object.contains_key("redacts")
    {
        object.insert("redacts".to_owned(), redacts.as_str().into());
        out.push_str(&serde_json::Value::Object(object).to_string());
    } else {
        out.push_str(content);
    }
}

impl Event {
    /// Appends the event to `out` as one viewer sees it; `room_id` is left out in sync's rooms.
    pub fn write_client(&self, out: &mut String, room_id: bool, unsigned: &Unsigned<'_>) {
        out.push_str(self.client().open());
        if room_id {
            out.push_str(",\"room_id\":");
            push_string(out, self.pdu.room_id.as_str());
        }
        let mark = out.len();
        out.push_str(",\"unsigned\":{");
        let empty = out.len();
        unsigned.write(out, empty);
        if let Some(because) = &self.redacted_because {
            comma(out, empty);
            out.push_str("\"redacted_because\":");
            because.write_client(out, true, &Unsigned::default());
        }
        if out.len() == empty {
            out.truncate(mark);
            out.push('}');
        } else {
            out.push_str("}}");
        }
    }

    /// The event as one viewer sees it, with its room id, as a value to put into a response.
    ///
    /// # Panics
    /// Never: what it puts together is JSON.
    pub fn client_json(&self, unsigned: &Unsigned<'_>) -> Box<RawValue> {
        let mut out = String::with_capacity(self.client().open().len() + 128);
        self.write_client(&mut out, true, unsigned);
        RawValue::from_string(out).expect("it was put together from valid JSON")
    }

    /// Appends the stripped form: type, state key, sender and content (Client-Server API, "Stripped state").
    pub fn write_stripped(&self, out: &mut String) {
        out.push_str("{\"content\":");
        out.push_str(self.pdu.content().get());
        out.push_str(",\"sender\":");
        push_string(out, self.pdu.sender.as_str());
        out.push_str(",\"state_key\":");
        push_string(out, self.pdu.state_key.as_deref().unwrap_or_default());
        out.push_str(",\"type\":");
        push_string(out, &self.pdu.kind.to_string());
        out.push('}');
    }
}

impl Unsigned<'_> {
    /// Appends the fields that are there; `empty` is the length of `out` before the first one.
    fn write(&self, out: &mut String, empty: usize) {
        if let Some(age) = self.age {
            comma(out, empty);
            out.push_str("\"age\":");
            out.push_str(&age.to_string());
        }
        if let Some(left) = self.sticky_for {
            comma(out, empty);
            out.push_str("\"msc4354_sticky_duration_ttl_ms\":");
            out.push_str(&left.to_string());
        }
        let raw = [
            ("prev_content", self.prev_content.map(RawValue::get)),
            ("m.relations", self.relations),
        ];
        for (name, value) in raw {
            if let Some(value) = value {
                comma(out, empty);
                push_string(out, name);
                out.push(':');
                out.push_str(value);
            }
        }
        let strings = [
            ("membership", self.membership),
            ("prev_sender", self.prev_sender),
            ("replaces_state", self.replaces_state),
            ("transaction_id", self.transaction_id),
        ];
        for (name, value) in strings {
            if let Some(value) = value {
                comma(out, empty);
                push_string(out, name);
                out.push(':');
                push_string(out, value);
            }
        }
    }
}

fn comma(out: &mut String, empty: usize) {
    if out.len() > empty {
        out.push(',');
    }
}
