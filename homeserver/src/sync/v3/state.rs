//! The state that an answer tells of a room: what a client needs to make sense of the timeline that it is told with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ruma::UserId;

use crate::app::App;
use crate::event::Event;
use crate::nid::{EventNid, Pos, RoomNid, StateGroup};
use crate::room::{MEMBER, Membership, Room, RoomError, RoomSnapshot, StateMap};
use crate::sync::changes::{Changed, State, changed_since};
use crate::sync::filter::RoomEventFilter;
use crate::sync::lazy::Session;
use crate::sync::window::{Window, event_at};

/// Which state is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// All of it.
    Full,
    /// What changed after a position.
    Since(Pos),
}

/// The room's state after the last event that the answer may tell.
pub(super) struct End {
    pub(super) state: StateMap,
    pub(super) group: Option<StateGroup>,
}

/// What is asked of the state.
pub(super) struct Ask<'a> {
    pub(super) scope: Scope,
    /// The state after the timeline is wanted, not the one before it
    /// (`use_state_after`, [MSC4222](https://github.com/matrix-org/matrix-spec-proposals/pull/4222)).
    pub(super) after: bool,
    pub(super) filter: &'a RoomEventFilter,
    pub(super) user: &'a UserId,
    /// Users that the room is named after, if the answer tells them.
    pub(super) heroes: &'a [String],
}

/// What is told of the state, and what it says of members beside.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The events to tell, by number.
    pub(super) nids: Vec<EventNid>,
    /// Members whose membership changed in a gap before the timeline, with what they are now. The timeline tells of others.
    pub(super) moved: Vec<(String, Membership)>,
}

/// One entry of a state.
struct Entry {
    kind: String,
    key: String,
    nid: EventNid,
}

/// Chooses the state events to tell.
pub(super) async fn state(
    app: &App,
    room: &Room,
    snapshot: &RoomSnapshot,
    window: &Window,
    end: &End,
    ask: &Ask<'_>,
    lazy: &mut Session,
) -> Result<Told, RoomError> {
    let mut told = Told::default();
    let mut entries: Vec<Entry> = match ask.scope {
        Scope::Full if ask.after => entries_of(&end.state, None, &[]),
        Scope::Full => full_at_start(room, window, end).await?,
        Scope::Since(pos) if ask.after => {
            let whole = (!window.limited).then_some(window);
            let end = State { map: end.state.clone(), group: end.group };
            let changed = changed_since(app, room, snapshot, whole, &end, pos).await?;
            if window.limited {
                let moved = changed.iter().filter(|changed| changed.kind == MEMBER);
                told.moved = moved
                    .filter_map(|changed| Some((changed.key.clone(), changed.membership?)))
                    .collect();
            }
            let entry =
                |changed: Changed| Entry { kind: changed.kind, key: changed.key, nid: changed.nid };
            changed.into_iter().map(entry).collect()
        }
        Scope::Since(pos) if window.limited => {
            let before = match event_at(app, snapshot, pos).await? {
                Some(event) => state_after(room, &event).await?,
                None => None,
            };
            let start = start(room, window).await?;
            let target = match &start {
                Start::Beginning => None,
                Start::End => Some(&end.state),
                Start::State(state) => Some(state),
            };
            let added = match (before, target) {
                (Some(before), Some(target)) => before.changes(target).added,
                (None, Some(target)) => {
                    target.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect()
                }
                (_, None) => Vec::new(),
            };
            let moved = added.iter().filter(|(key, _)| key.kind() == MEMBER);
            told.moved = moved
                .filter_map(|(key, entry)| Some((key.key().to_owned(), entry.membership?)))
                .collect();
            added
                .into_iter()
                .map(|(key, entry)| Entry {
                    kind: key.kind().to_owned(),
                    key: key.key().to_owned(),
                    nid: entry.nid,
                })
                .collect()
        }
        Scope::Since(_) => Vec::new(),
    };
    if !ask.after {
        overlay_dropped(&mut entries, window);
        let in_timeline: HashSet<EventNid> =
            window.events.iter().map(|(event, _)| event.nid).collect();
        entries.retain(|entry| !in_timeline.contains(&entry.nid));
    }
    if ask.filter.lazy_load_members {
        choose_members(&mut entries, snapshot.info.nid, window, end, ask, lazy);
    }
    told.nids = entries.into_iter().map(|entry| entry.nid).collect();
    Ok(told)
}

/// The whole state before the first event of the window.
async fn full_at_start(room: &Room, window: &Window, end: &End) -> Result<Vec<Entry>, RoomError> {
    let mut dag = window.dag();
    let Some(first) = dag.next() else { return Ok(entries_of(&end.state, None, &[])) };
    if first.state_before.is_some() && first.state_before == end.group {
        return Ok(entries_of(&end.state, None, &[]));
    }
    // Where each event follows on the one before it, the way back from the state at the end needs no look-up.
    let linear = window.all.windows(2).all(|pair| pair[0].state_after == pair[1].state_before)
        && window
            .all
            .last()
            .is_some_and(|last| last.state_after.is_some() && last.state_after == end.group);
    if linear {
        let mut before: HashMap<(String, &str), Option<EventNid>> = HashMap::new();
        for event in window.dag().rev() {
            if let Some(key) = event.pdu.state_key() {
                before.insert((event.kind().to_string(), key), event.replaces);
            }
        }
        let gone: Vec<_> =
            before.into_iter().map(|((kind, key), nid)| (kind, key.to_owned(), nid)).collect();
        let changed: HashSet<(&str, &str)> =
            gone.iter().map(|(kind, key, _)| (kind.as_str(), key.as_str())).collect();
        return Ok(entries_of(&end.state, Some(&changed), &gone));
    }
    Ok(match start(room, window).await? {
        Start::Beginning => Vec::new(),
        Start::End => entries_of(&end.state, None, &[]),
        Start::State(state) => entries_of(&state, None, &[]),
    })
}

/// The entries of a state, with some of them as they were earlier.
fn entries_of(
    state: &StateMap,
    changed: Option<&HashSet<(&str, &str)>>,
    earlier: &[(String, String, Option<EventNid>)],
) -> Vec<Entry> {
    let current = state
        .iter()
        .filter(|(key, _)| {
            changed.is_none_or(|changed| !changed.contains(&(key.kind(), key.key())))
        })
        .map(|(key, entry)| Entry {
            kind: key.kind().to_owned(),
            key: key.key().to_owned(),
            nid: entry.nid,
        });
    let earlier = earlier.iter().filter_map(|(kind, key, nid)| {
        Some(Entry { kind: kind.clone(), key: key.clone(), nid: (*nid)? })
    });
    current.chain(earlier).collect()
}

/// State that changed within the window but that the filter keeps out of the timeline would otherwise never be told.
fn overlay_dropped(entries: &mut Vec<Entry>, window: &Window) {
    let mut dropped: HashMap<(String, String), EventNid> = HashMap::new();
    for event in window.dropped_state() {
        if let Some(key) = event.pdu.state_key() {
            dropped.insert((event.kind().to_string(), key.to_owned()), event.nid);
        }
    }
    if dropped.is_empty() {
        return;
    }
    for entry in entries.iter_mut() {
        if let Some(nid) = dropped.remove(&(entry.kind.clone(), entry.key.clone())) {
            entry.nid = nid;
        }
    }
    entries.extend(dropped.into_iter().map(|((kind, key), nid)| Entry { kind, key, nid }));
}

/// Keeps of the members those that the client needs now and does not have, and adds those that are missing.
fn choose_members(
    entries: &mut Vec<Entry>,
    room: RoomNid,
    window: &Window,
    end: &End,
    ask: &Ask<'_>,
    lazy: &mut Session,
) {
    let mut needed: HashSet<&str> =
        window.events.iter().map(|(event, _)| event.pdu.sender.as_str()).collect();
    needed.extend(ask.heroes.iter().map(String::as_str));
    let full = ask.scope == Scope::Full;
    if full {
        needed.insert(ask.user.as_str());
    }
    for (event, _) in &window.events {
        if event.kind().to_string() != MEMBER {
            continue;
        }
        if let Some(key) = event.pdu.state_key() {
            if ask.after {
                // Clients take no state from the timeline (MSC4222), so what it shows of members is told here.
                needed.insert(key);
            } else {
                // The timeline tells this member itself.
                needed.remove(key);
                lazy.tell(room, event.nid);
            }
        }
    }
    if full {
        entries.retain(|entry| entry.kind != MEMBER || needed.contains(entry.key.as_str()));
    }
    // Members who moved in the gap are told even where they are redundant.
    let present: HashSet<String> = entries
        .iter()
        .filter(|entry| entry.kind == MEMBER)
        .map(|entry| entry.key.clone())
        .collect();
    for user in needed {
        if present.contains(user) {
            continue;
        }
        let Some(nid) = end.state.nid(MEMBER, user) else { continue };
        if ask.filter.include_redundant_members || full || !lazy.knows(room, nid) {
            entries.push(Entry { kind: MEMBER.to_owned(), key: user.to_owned(), nid });
        }
    }
    for entry in entries.iter().filter(|entry| entry.kind == MEMBER) {
        lazy.tell(room, entry.nid);
    }
}

/// The state before a window.
enum Start {
    /// None: it begins with the create event.
    Beginning,
    /// The one at the end: the window is empty.
    End,
    /// This one.
    State(StateMap),
}

async fn start(room: &Room, window: &Window) -> Result<Start, RoomError> {
    Ok(match window.dag().next() {
        None => Start::End,
        Some(first) => match first.state_before {
            Some(group) => Start::State(room.state_of(group).await?),
            None => Start::Beginning,
        },
    })
}

async fn state_after(room: &Room, event: &Arc<Event>) -> Result<Option<StateMap>, RoomError> {
    match event.state_after {
        Some(group) => Ok(Some(room.state_of(group).await?)),
        None => Ok(None),
    }
}
