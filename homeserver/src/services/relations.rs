//! What is told of an event together with it: its edit, the references to it, the thread on it
//! ([Aggregations of child events](https://spec.matrix.org/v1.19/client-server-api/#aggregations-of-child-events)).

mod bundle;
mod window;

use std::borrow::Cow;

pub use self::bundle::{Bundles, Reader, bundles};
pub use self::window::in_window;
use crate::event::{Event, Flags};

/// How an event relates to another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation<'a> {
    /// `m.thread`, `m.replace`...
    pub rel_type: Cow<'a, str>,
    /// The event related to.
    pub event_id: Cow<'a, str>,
}

/// The relation that an event's content names, if it is a whole one.
pub fn relation_of(event: &Event) -> Option<Relation<'_>> {
    #[derive(serde::Deserialize)]
    struct Content<'a> {
        #[serde(borrow, rename = "m.relates_to")]
        relates_to: Option<RelatesTo<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct RelatesTo<'a> {
        #[serde(borrow)]
        rel_type: Option<Cow<'a, str>>,
        #[serde(borrow)]
        event_id: Option<Cow<'a, str>>,
    }
    let content = event.pdu.content().get();
    // Most events have none, and searching is a tenth of the cost of parsing.
    if !content.contains("m.relates_to") {
        return None;
    }
    let relates_to = serde_json::from_str::<Content<'_>>(content).ok()?.relates_to?;
    Some(Relation { rel_type: relates_to.rel_type?, event_id: relates_to.event_id? })
}

/// Whether `edit`, which relates to `original` by `m.replace`, is a valid replacement of it
/// ([Validity of replacement events](https://spec.matrix.org/v1.19/client-server-api/#validity-of-replacement-events)).
pub fn is_valid_edit(original: &Event, edit: &Event) -> bool {
    original.room == edit.room
        && original.pdu.sender == edit.pdu.sender
        && original.pdu.kind == edit.pdu.kind
        && !original.flags.has(Flags::REDACTED)
        && !original.is_state()
        && !edit.is_state()
        && relation_of(original).is_none_or(|relation| relation.rel_type != "m.replace")
        // What is encrypted has its new content inside.
        && (edit.kind().to_string() == "m.room.encrypted" || has_new_content(edit))
}

fn has_new_content(edit: &Event) -> bool {
    #[derive(serde::Deserialize)]
    struct Content {
        #[serde(rename = "m.new_content")]
        _new: serde::de::IgnoredAny,
    }
    let content = edit.pdu.content().get();
    // Searching is a tenth of the cost of parsing.
    content.contains("m.new_content") && serde_json::from_str::<Content>(content).is_ok()
}
