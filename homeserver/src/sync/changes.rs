//! What changed in a room's state between two positions, whatever the timeline shows of it: state resolution changes state without an
//! event of its own, and filters and limits keep state events out of timelines.

use std::collections::HashSet;
use std::sync::Arc;

use super::window::{Window, event_at};
use crate::app::App;
use crate::event::Event;
use crate::nid::{EventNid, Pos, StateGroup};
use crate::room::{Membership, Room, RoomError, RoomSnapshot, StateMap};

/// A room's state at some position.
#[derive(Debug, Clone)]
pub(in crate::sync) struct State {
    /// The state.
    pub map: StateMap,
    /// The number of its stored form.
    pub group: Option<StateGroup>,
}

/// An entry of a state that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sync) struct Changed {
    /// The event type.
    pub kind: String,
    /// The state key.
    pub key: String,
    /// The event it is now.
    pub nid: EventNid,
    /// What that makes of its user, if it is a member event.
    pub membership: Option<Membership>,
}

/// The room's state after the newest event at or before a position.
pub(in crate::sync) async fn state_at(
    app: &App,
    room: &Room,
    snapshot: &RoomSnapshot,
    pos: Pos,
) -> Result<State, RoomError> {
    if snapshot.head().is_some_and(|head| head.pos > pos)
        && let Some(event) = event_at(app, snapshot, pos).await?
        && let Some(group) = event.state_after
    {
        return Ok(State { map: room.state_of(group).await?, group: Some(group) });
    }
    Ok(State { map: snapshot.state.clone(), group: snapshot.state_group() })
}

/// What changed after a position. `window` is the stretch of timeline from there to the end, if it holds all of it: where its events
/// follow one another, nothing else needs to be looked at.
pub(in crate::sync) async fn changed_since(
    app: &App,
    room: &Room,
    snapshot: &RoomSnapshot,
    window: Option<&Window>,
    end: &State,
    pos: Pos,
) -> Result<Vec<Changed>, RoomError> {
    let before = event_at(app, snapshot, pos).await?.and_then(|event| event.state_after);
    if before.is_some() && before == end.group {
        return Ok(Vec::new());
    }
    if let Some(window) = window
        && follows(window, before, end.group)
    {
        return Ok(changed_in(window, &end.map));
    }
    let changed = |kind: &str, key: &str, nid, membership| Changed {
        kind: kind.to_owned(),
        key: key.to_owned(),
        nid,
        membership,
    };
    let Some(before) = before else {
        let all = end.map.iter();
        return Ok(all
            .map(|(key, entry)| changed(key.kind(), key.key(), entry.nid, entry.membership))
            .collect());
    };
    let before = room.state_of(before).await?;
    let added = before.changes(&end.map).added;
    Ok(added
        .iter()
        .map(|(key, entry)| changed(key.kind(), key.key(), entry.nid, entry.membership))
        .collect())
}

/// Whether the events of a window lead from one state to another, one after the other.
fn follows(window: &Window, from: Option<StateGroup>, to: Option<StateGroup>) -> bool {
    let dag: Vec<&Arc<Event>> = window.dag().collect();
    let (Some(first), Some(last)) = (dag.first(), dag.last()) else { return false };
    first.state_before.is_some()
        && first.state_before == from
        && last.state_after.is_some()
        && last.state_after == to
        && dag.windows(2).all(|pair| pair[0].state_after == pair[1].state_before)
}

/// What a window changed, as it is at the end.
fn changed_in(window: &Window, end: &StateMap) -> Vec<Changed> {
    let mut seen = HashSet::new();
    window
        .all
        .iter()
        .filter_map(|event| {
            let (kind, key) = (event.kind().to_string(), event.pdu.state_key()?.to_owned());
            let entry = end.get(&kind, &key)?;
            let (nid, membership) = (entry.nid, entry.membership);
            seen.insert(nid).then_some(Changed { kind, key, nid, membership })
        })
        .collect()
}
