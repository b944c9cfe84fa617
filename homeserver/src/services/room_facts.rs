//! What lists of all rooms say of each. A room's facts are read from its stored state, without taking the room into use, and kept
//! until something happens in it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::app::App;
use crate::event::Event;
use crate::http::error::ApiResult;
use crate::nid::{EventNid, Pos, RoomNid};
use crate::room::{Membership, StateMap};
use crate::storage::rooms::{self, RoomRow};

/// Rooms whose facts are kept.
const KEPT: usize = 50_000;
/// Rooms whose events are read in one query.
const AT_ONCE: usize = 64;
/// The state that the facts are in.
const KINDS: [&str; 10] = [
    "m.room.create",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.join_rules",
    "m.room.guest_access",
    "m.room.history_visibility",
    "m.room.tombstone",
];

/// A room, for administrators.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its number; 0 for no room.
    pub nid: i64,
    /// Its ID.
    pub room_id: String,
    /// Its version.
    pub version: String,
    /// `m.room.name`.
    pub name: Option<String>,
    /// `m.room.topic`.
    pub topic: Option<String>,
    /// `m.room.avatar`.
    pub avatar: Option<String>,
    /// `m.room.canonical_alias`.
    pub canonical_alias: Option<String>,
    /// How many users are in it.
    pub joined_members: u32,
    /// How many of this server.
    pub joined_local_members: u32,
    /// Who made it.
    pub creator: String,
    /// How messages in it are encrypted.
    pub encryption: Option<String>,
    /// Whether users of other servers might join it.
    pub federatable: bool,
    /// `m.room.join_rules`.
    pub join_rules: Option<String>,
    /// `m.room.guest_access`.
    pub guest_access: Option<String>,
    /// `m.room.history_visibility`.
    pub history_visibility: Option<String>,
    /// How many state events it has.
    pub state_events: usize,
    /// `m.space`, for example.
    pub room_type: Option<String>,
    /// Whether it was closed for good.
    pub tombstoned: bool,
    /// Where its people are to go.
    pub replacement_room: Option<String>,
}

/// The facts that are known.
#[derive(Debug, Default)]
pub struct RoomFacts(Mutex<HashMap<RoomNid, (Pos, Arc<Facts>)>>);

impl RoomFacts {
    /// The facts of all rooms.
    pub async fn all(&self, app: &App) -> ApiResult<Vec<Arc<Facts>>> {
        let mut rows = rooms::all(&app.db).await?;
        rows.retain(|row| !app.rooms.is_shut(&row.id));
        let mut found: HashMap<RoomNid, Arc<Facts>> = HashMap::with_capacity(rows.len());
        let mut missing = Vec::new();
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let mut kept = HashMap::with_capacity(known.len());
            for row in &rows {
                match known.remove(&row.nid) {
                    Some((pos, facts)) if pos == row.pos => {
                        found.insert(row.nid, Arc::clone(&facts));
                        kept.insert(row.nid, (pos, facts));
                    }
                    _ => missing.push(row),
                }
            }
            // Those of rooms that are gone go, too.
            *known = kept;
        }
        for some in missing.chunks(AT_ONCE) {
            for (row, facts) in read(app, some).await? {
                let facts = Arc::new(facts);
                found.insert(row.nid, Arc::clone(&facts));
                let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() < KEPT {
                    known.insert(row.nid, (row.pos, facts));
                }
            }
        }
        Ok(rows.iter().filter_map(|row| found.remove(&row.nid)).collect())
    }

    /// The facts of one room.
    pub async fn one(&self, app: &App, room: &crate::room::Room) -> ApiResult<Facts> {
        let snapshot = room.snapshot();
        let row = RoomRow {
            nid: room.nid(),
            id: room.id().to_string(),
            version: room.version().to_string(),
            state_group: None,
            pos: 0,
        };
        let events = app.rooms.events(&wanted(&snapshot.state)).await?;
        Ok(facts(app, &row, &snapshot.state, &events))
    }
}

/// The numbers of the events that the facts are in.
fn wanted(state: &StateMap) -> Vec<EventNid> {
    KINDS.iter().filter_map(|kind| state.nid(kind, "")).collect()
}

async fn read<'a>(app: &App, rows: &[&'a RoomRow]) -> ApiResult<Vec<(&'a RoomRow, Facts)>> {
    let mut states = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(group) = row.state_group {
            states.push((*row, app.rooms.state_of(group).await?));
        }
    }
    let nids: Vec<EventNid> = states.iter().flat_map(|(_, state)| wanted(state)).collect();
    let mut by_room: HashMap<RoomNid, Vec<Arc<Event>>> = HashMap::new();
    for event in app.rooms.events(&nids).await? {
        by_room.entry(event.room).or_default().push(event);
    }
    Ok(states
        .into_iter()
        .map(|(row, state)| {
            let events = by_room.remove(&row.nid).unwrap_or_default();
            (row, facts(app, row, &state, &events))
        })
        .collect())
}

fn facts(app: &App, row: &RoomRow, state: &StateMap, events: &[Arc<Event>]) -> Facts {
    let event = |kind: &str| events.iter().find(|event| event.kind().to_string() == kind);
    let text = |kind: &str, field: &str| {
        event(kind).and_then(|event| event.pdu.content_str(field)).filter(|text| !text.is_empty())
    };
    let create = event("m.room.create");
    let content: Map<String, Value> = create
        .and_then(|event| serde_json::from_str(event.pdu.content().get()).ok())
        .unwrap_or_default();
    let ours = format!(":{}", app.config.server_name);
    let local = state.members().filter(|(user, entry)| {
        entry.membership == Some(Membership::Join) && user.ends_with(&ours)
    });
    Facts {
        nid: row.nid.0,
        room_id: row.id.clone(),
        version: row.version.clone(),
        name: text("m.room.name", "name"),
        topic: text("m.room.topic", "topic"),
        avatar: text("m.room.avatar", "url"),
        canonical_alias: text("m.room.canonical_alias", "alias"),
        joined_members: state.count(Membership::Join),
        joined_local_members: u32::try_from(local.count()).unwrap_or(u32::MAX),
        creator: create.map(|event| event.pdu.sender.to_string()).unwrap_or_default(),
        encryption: text("m.room.encryption", "algorithm"),
        federatable: content.get("m.federate") != Some(&Value::Bool(false)),
        join_rules: text("m.room.join_rules", "join_rule"),
        guest_access: text("m.room.guest_access", "guest_access"),
        history_visibility: text("m.room.history_visibility", "history_visibility"),
        state_events: state.len(),
        room_type: text("m.room.create", "type"),
        tombstoned: event("m.room.tombstone").is_some(),
        replacement_room: text("m.room.tombstone", "replacement_room"),
    }
}
