//! What a connection has been told, kept durably under a number that its `pos` names.
//!
//! A state holds for whoever comes with its number, however often: an answer that was lost is given again from the same state. States
//! change seldom. What is told of a room that stays in sight needs no new state, since the position stands in the `pos` itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use imbl::OrdMap;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::request::Details;
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::{Pos, RoomNid};
use crate::storage::StorageError;
use crate::storage::sliding::{self as table, ConnectionKey};

/// Rooms in all states that are kept in memory.
const MAX_ROOMS: u64 = 1_000_000;
/// Connections of one device. Beyond it the oldest is forgotten, and its client starts over.
const MAX_CONNECTIONS: usize = 16;

/// The account data of a room was told.
pub(super) const ACCOUNT_DATA: u8 = 1;
/// The receipts of a room were told.
pub(super) const RECEIPTS: u8 = 2;

/// Subscriptions to threads were told.
pub(super) const THREADS: u8 = 4;

/// What was told of one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Up to where; `None` when it is in sight, which means up to the connection's position.
    pub(super) bound: Option<Pos>,
    /// How much of it.
    pub(super) details: Arc<Details>,
    /// Which extensions told of it up to there.
    pub(super) extensions: u8,
}

/// What was told of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToldList {
    /// A hash of what was asked.
    pub(super) asked: u64,
    /// How many rooms it had.
    pub(super) count: usize,
}

/// What a connection has been told.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) rooms: OrdMap<RoomNid, Told>,
    pub(super) lists: BTreeMap<String, ToldList>,
    /// Which extensions told what belongs to no room.
    pub(super) extensions: u8,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    details: Vec<Details>,
    /// Room, bound, index into `details`, extensions.
    rooms: Vec<(i64, Option<Pos>, usize, u8)>,
    lists: BTreeMap<String, ToldList>,
    extensions: u8,
}

impl State {
    fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut details: Vec<Details> = Vec::new();
        let mut known: HashMap<*const Details, usize> = HashMap::new();
        let mut rooms = Vec::with_capacity(self.rooms.len());
        for (room, told) in &self.rooms {
            let index = *known.entry(Arc::as_ptr(&told.details)).or_insert_with(|| {
                let same = details.iter().position(|known| *known == *told.details);
                same.unwrap_or_else(|| {
                    details.push(Details::clone(&told.details));
                    details.len() - 1
                })
            });
            rooms.push((room.0, told.bound, index, told.extensions));
        }
        let (lists, extensions) = (self.lists.clone(), self.extensions);
        serde_json::to_string(&Stored { details, rooms, lists, extensions })
    }

    fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let stored: Stored = serde_json::from_str(text)?;
        let details: Vec<Arc<Details>> = stored.details.into_iter().map(Arc::new).collect();
        let rooms = stored.rooms.into_iter().filter_map(|(room, bound, index, extensions)| {
            let details = Arc::clone(details.get(index)?);
            Some((RoomNid(room), Told { bound, details, extensions }))
        });
        Ok(Self { rooms: rooms.collect(), lists: stored.lists, extensions: stored.extensions })
    }
}

#[derive(Clone)]
struct ByRooms;

impl Weighter<(ConnectionKey, i64), Arc<State>> for ByRooms {
    fn weight(&self, _: &(ConnectionKey, i64), state: &Arc<State>) -> u64 {
        // What a state takes beside its rooms is worth some more.
        state.rooms.len() as u64 + 16
    }
}

/// The states of connections that are in use.
pub struct Connections(Cache<(ConnectionKey, i64), Arc<State>, ByRooms>);

impl Default for Connections {
    fn default() -> Self {
        Self(Cache::with_weighter(10_000, MAX_ROOMS, ByRooms))
    }
}

impl Connections {
    /// The state that a connection comes with; `None` when it is not known, or not any more.
    pub(super) async fn load(
        &self,
        app: &App,
        key: &ConnectionKey,
        number: i64,
    ) -> ApiResult<Option<Arc<State>>> {
        let cached = (key.clone(), number);
        if let Some(state) = self.0.get(&cached) {
            return Ok(Some(state));
        }
        let Some(json) = table::load(&app.db, key, number).await? else { return Ok(None) };
        let state = State::from_json(&json)
            .map_err(|error| StorageError::Damaged(format!("sliding sync: {error}")))?;
        let state = Arc::new(state);
        self.0.insert(cached, Arc::clone(&state));
        Ok(Some(state))
    }

    /// Keeps a new state, and gives its number once it is durable. All states of the connection are forgotten but this one and the one
    /// that the client came with.
    pub(super) async fn save(
        &self,
        app: &App,
        key: &ConnectionKey,
        came_with: Option<i64>,
        state: State,
    ) -> ApiResult<i64> {
        // Not counted up: two requests with the same `pos` at once must not take one number for two states.
        let number = i64::from(rand::random::<u32>());
        let json = Arc::new(state.to_json().map_err(ApiError::internal)?);
        let (row, now) = (key.clone(), app.clock.now_ms());
        app.committer
            .run(move |tx| {
                let (row, json) = (row.clone(), Arc::clone(&json));
                Box::pin(async move {
                    table::save(tx, &row, came_with, number, &json, now, MAX_CONNECTIONS).await
                })
            })
            .await?;
        self.0.insert((key.clone(), number), Arc::new(state));
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_survives_the_trip() {
        let details = Arc::new(Details { limit: 7, ..Details::default() });
        let told = |bound, details: &Arc<Details>| Told {
            bound,
            details: Arc::clone(details),
            extensions: RECEIPTS,
        };
        let mut state = State::default();
        state.rooms.insert(RoomNid(1), told(None, &details));
        state.rooms.insert(RoomNid(2), told(Some(9), &details));
        state.rooms.insert(RoomNid(3), told(None, &Arc::new(Details::default())));
        state.lists.insert("all".to_owned(), ToldList { asked: u64::MAX, count: 3 });
        let read = State::from_json(&state.to_json().expect("JSON")).expect("a state");
        assert_eq!((read.rooms, read.lists), (state.rooms, state.lists));
    }
}
