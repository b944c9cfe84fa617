//! Bundles without a query, for a stretch of timeline that reaches up to now: what relates to an event comes after it, so
//! it is in the stretch, too.

use std::collections::HashMap;
use std::sync::Arc;

use ruma::UserId;

use super::bundle::{Bundles, ThreadBundle};
use super::relation_of;
use crate::event::Event;
use crate::nid::EventNid;
use crate::sync::viewer::Ignored;

/// What is bundled with these events, oldest first, of which the last is the newest of their room. What relates to them and is not the
/// user's to see is among `unseen`.
pub fn in_window(
    events: &[Arc<Event>],
    unseen: &[EventNid],
    user: &UserId,
    ignored: &Ignored,
) -> Bundles {
    let mut bundles = Bundles::default();
    let mut by_id: Option<HashMap<&str, &Arc<Event>>> = None;
    for event in events {
        let Some(relation) = relation_of(event) else { continue };
        let known = by_id.get_or_insert_with(|| {
            events.iter().map(|event| (event.pdu.event_id.as_str(), event)).collect()
        });
        let Some(parent) = known.get(&*relation.event_id) else { continue };
        if ignored.contains(event.pdu.sender.as_str()) || unseen.contains(&event.nid) {
            continue;
        }
        match &*relation.rel_type {
            "m.replace" => bundles.take_edit(parent, event),
            "m.reference" => {
                bundles.entry(&parent.pdu.event_id).references.push(event.pdu.event_id.clone());
            }
            "m.thread" => {
                let own = event.pdu.sender == *user;
                let began = parent.pdu.sender == *user;
                let thread = bundles.entry(&parent.pdu.event_id).thread.get_or_insert_with(|| {
                    ThreadBundle { latest: Arc::clone(event), count: 0, participated: began }
                });
                thread.latest = Arc::clone(event);
                thread.count += 1;
                thread.participated |= own;
            }
            _ => {}
        }
    }
    bundles
}
