//! The sections of one room.

use std::collections::HashMap;
use std::sync::Arc;

use super::build::Build;
use super::plan::{Asked, RoomPlan};
use crate::event::Event;
use crate::nid::EventNid;
use crate::storage::account_data;
use crate::sync::account_data::write_account_data;
use crate::sync::json::Writer;
use crate::sync::token::PageToken;
use crate::sync::viewer::{Form, Surroundings};

/// The state that whoever is asked into a room is shown of it
/// ([Stripped state](https://spec.matrix.org/v1.19/client-server-api/#stripped-state)).
pub(in crate::sync) const STRIPPED: [&str; 8] = [
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.history_visibility",
];

/// Events that were looked up for an answer.
pub(super) struct Loaded(pub(super) HashMap<EventNid, Arc<Event>>);

pub(super) fn form<'a>(build: &'a Build<'_>) -> Form<'a> {
    let filter = &build.request.filter;
    Form { room_id: false, federation: filter.federation_format, fields: filter.fields.as_ref() }
}

/// Appends the timeline.
pub(super) fn timeline(
    build: &Build<'_>,
    out: &mut Writer,
    plan: &RoomPlan,
    around: &Surroundings,
) {
    let window = &plan.window;
    if window.events.is_empty() && !window.limited && !plan.whole {
        return;
    }
    out.open_at("timeline");
    out.open_list_at("events");
    for (event, membership) in &window.events {
        build.viewer.write(out, event, Some(*membership), form(build), around);
    }
    out.close_list();
    out.key("limited");
    out.bool(window.limited);
    out.key("prev_batch");
    out.text(&PageToken(window.start).to_string());
    out.close();
}

/// Appends the state, before the timeline or after it as the client wants.
pub(super) fn room_state(build: &Build<'_>, out: &mut Writer, plan: &RoomPlan, loaded: &Loaded) {
    let filter = &build.request.filter.room.state;
    let admitted = filter.admits_room(plan.room.id());
    let around = Surroundings::default();
    let key = build.request.state_after.unwrap_or("state");
    let mark = out.len();
    out.open_at(key);
    out.open_list_at("events");
    let empty = out.len();
    for nid in plan.told.nids.iter().filter(|_| admitted) {
        let Some(event) = loaded.0.get(nid) else { continue };
        if filter.passes_everything()
            || filter.admits(&event.kind().to_string(), &event.pdu.sender, event.pdu.content())
        {
            build.viewer.write(out, event, None, form(build), &around);
        }
    }
    // A client that asked for the state after the timeline sees by the section that it gets it.
    let expected =
        plan.whole || (build.request.state_after.is_some() && !plan.window.events.is_empty());
    if out.len() == empty && !expected {
        out.truncate(mark);
        return;
    }
    out.close_list();
    out.close();
}

/// Appends the user's account data of the room: all of it when he has nothing of the room, else what changed.
pub(super) fn whole_account_data(
    build: &Build<'_>,
    out: &mut Writer,
    plan: &RoomPlan,
    entries: &[account_data::Entry],
) {
    let filter = &build.request.filter.room.account_data;
    if !filter.admits_room(plan.room.id()) {
        return;
    }
    let section = out.open_events("account_data");
    for entry in entries.iter().filter(|entry| {
        entry.room_id == plan.room.id().as_str() && filter.event().admits_type(&entry.kind)
    }) {
        write_account_data(out, entry);
    }
    out.close_events(section);
}

/// Appends what whoever is asked into a room is shown of it.
pub(super) fn asked(build: &Build<'_>, out: &mut Writer, key: &str, room: &Asked, loaded: &Loaded) {
    out.open_at(key);
    out.open_list_at("events");
    for kind in STRIPPED {
        let event = room.snapshot.state_nid(kind, "").and_then(|nid| loaded.0.get(&nid));
        if let Some(event) = event {
            event.write_stripped(out.value());
        }
    }
    if let Some(member) = loaded.0.get(&room.member) {
        build.viewer.write(
            out,
            member,
            None,
            Form { fields: None, federation: false, room_id: false },
            &Surroundings::default(),
        );
    }
    out.close_list();
    out.close();
}
