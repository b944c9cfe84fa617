//! A device: how it syncs, what it was told, and what it must have been told in the end.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::world::World;
use crate::sync::tests::rig::{Person, Rig};

const SLIDING: &str = "unstable/org.matrix.simplified_msc3575/sync";

/// How a device syncs.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// `/sync` with so many events of each room; perhaps with the state after the timeline, perhaps without topics in it.
    Full { limit: usize, after: bool, topics: bool },
    /// Sliding sync with a window of so many rooms, and so many events of each.
    Sliding { rooms: usize, limit: usize },
}

impl Kind {
    pub(super) fn random(random: &mut StdRng) -> Self {
        let limit = random.random_range(1..=6);
        if random.random_bool(0.5) {
            let (after, topics) = (random.random_bool(0.5), random.random_bool(0.7));
            Self::Full { limit, after, topics }
        } else {
            Self::Sliding { rooms: random.random_range(1..=3), limit }
        }
    }
}

/// What a device was told of a room.
#[derive(Debug, Default)]
struct Told {
    events: BTreeSet<String>,
    /// The lists in which they came.
    pieces: Vec<Vec<String>>,
    state: BTreeMap<(String, String), String>,
    /// Something before what it was told could not be read: its user had been asked in again, and was not inside.
    blind: bool,
}

/// The ids of the events in a list, but for what became of the user himself: that is told even of rooms that are not his to read.
fn ids<'e>(events: &'e Value, user: &str) -> Vec<&'e str> {
    let events = events.as_array().into_iter().flatten();
    events
        .filter(|event| !(event["type"] == "m.room.member" && event["state_key"] == user))
        .map(|event| event["event_id"].as_str().expect("an id"))
        .collect()
}

#[derive(Debug)]
pub(super) struct Device {
    seed: u64,
    pub(super) user: usize,
    pub(super) token: String,
    kind: Kind,
    pos: Option<String>,
    messages_since: Option<String>,
    rooms: BTreeMap<String, Told>,
    /// How often the user had come into each room when it was told last.
    epochs: Vec<u64>,
    messages: Vec<u64>,
    data: Option<u64>,
}

impl Device {
    pub(super) fn new(seed: u64, user: usize, token: String, kind: Kind, rooms: usize) -> Self {
        Self {
            seed,
            user,
            token,
            kind,
            pos: None,
            messages_since: None,
            rooms: BTreeMap::new(),
            epochs: vec![0; rooms],
            messages: Vec::new(),
            data: None,
        }
    }

    fn person<'r>(&self, rig: &'r Rig, world: &World) -> Person<'r> {
        rig.again((world.users[self.user].0.clone(), self.token.clone()))
    }

    pub(super) async fn id(&self, rig: &Rig, world: &World) -> String {
        let answer = self.person(rig, world).get("v3/account/whoami").await;
        answer["device_id"].as_str().expect("an id").to_owned()
    }

    fn name(&self) -> String {
        format!("seed {}, user {}, {:?}", self.seed, self.user, self.kind)
    }

    /// Asks what is new, and changes nothing.
    pub(super) async fn ask(&self, rig: &Rig, world: &World, all: bool) -> Value {
        let me = self.person(rig, world);
        match &self.kind {
            Kind::Full { limit, after, topics } => {
                let mut timeline = json!({ "limit": limit });
                if !topics {
                    timeline["not_types"] = json!(["m.room.topic"]);
                }
                let filter = json!({"room": {"timeline": timeline}});
                let more = if *after { "&use_state_after=true" } else { "" };
                me.sync_with(self.pos.as_deref(), filter, more).await.0
            }
            Kind::Sliding { rooms, limit } => {
                let last = if all { 99 } else { rooms - 1 };
                let body = json!({
                    "lists": {"all": {"ranges": [[0, last]], "timeline_limit": limit,
                        "required_state": [["*", "*"]]}},
                    "extensions": {
                        "to_device": {"enabled": true, "since": self.messages_since},
                        "account_data": {"enabled": true},
                    },
                });
                let query = self.pos.as_ref().map(|pos| format!("?pos={pos}")).unwrap_or_default();
                me.call(Method::POST, &format!("{SLIDING}{query}"), body).await
            }
        }
    }

    /// Takes an answer in. `epochs` is how often users had come into rooms before it was asked for. Says whether it told anything.
    pub(super) async fn take(
        &mut self,
        rig: &Rig,
        world: &World,
        answer: Value,
        epochs: &[Vec<u64>],
    ) -> bool {
        let told = self.rooms_in(world, &answer);
        let something = match self.kind {
            Kind::Full { .. } => self.take_full(rig, world, &answer).await,
            Kind::Sliding { .. } => self.take_sliding(rig, world, &answer).await,
        };
        for room in told {
            self.epochs[room] = epochs[self.user][room];
        }
        something
    }

    /// The rooms that an answer tells of.
    fn rooms_in(&self, world: &World, answer: &Value) -> Vec<usize> {
        let rooms = &answer["rooms"];
        let has = |room: &String| match self.kind {
            Kind::Full { .. } => ["join", "leave"].iter().any(|key| rooms[key].get(room).is_some()),
            Kind::Sliding { .. } => {
                rooms.get(room).is_some_and(|told| told.get("invite_state").is_none())
            }
        };
        let rooms = world.rooms.iter().enumerate();
        rooms.filter(|(_, room)| has(room)).map(|(at, _)| at).collect()
    }

    async fn take_full(&mut self, rig: &Rig, world: &World, answer: &Value) -> bool {
        self.pos = Some(answer["next_batch"].as_str().expect("a token").to_owned());
        self.take_messages(&answer["to_device"]["events"]);
        self.take_data(&answer["account_data"]["events"]);
        let mut something = false;
        for section in ["join", "leave"] {
            let Some(rooms) = answer["rooms"][section].as_object() else { continue };
            for (room, told) in rooms {
                something = true;
                let timeline = &told["timeline"];
                if timeline["events"].is_array() {
                    self.deliver(rig, world, room, &timeline["events"], timeline).await;
                }
                if let Some(state) = told.get("state_after") {
                    self.take_state(room, &state["events"]);
                } else {
                    self.take_state(room, &told["state"]["events"]);
                    self.take_state(room, &timeline["events"]);
                }
            }
        }
        something
    }

    async fn take_sliding(&mut self, rig: &Rig, world: &World, answer: &Value) -> bool {
        self.pos = Some(answer["pos"].as_str().expect("a position").to_owned());
        let messages = &answer["extensions"]["to_device"];
        self.take_messages(&messages["events"]);
        self.messages_since = messages["next_batch"].as_str().map(str::to_owned);
        self.take_data(&answer["extensions"]["account_data"]["global"]);
        let Some(rooms) = answer["rooms"].as_object() else { return false };
        for (room, told) in rooms.iter().filter(|(_, told)| told.get("invite_state").is_none()) {
            self.deliver(rig, world, room, &told["timeline"], told).await;
            self.take_state(room, &told["required_state"]);
        }
        true
    }

    fn take_messages(&mut self, events: &Value) {
        let events = events.as_array().into_iter().flatten();
        self.messages.extend(events.map(|event| event["content"]["n"].as_u64().expect("a number")));
    }

    fn take_data(&mut self, events: &Value) {
        for event in events.as_array().into_iter().flatten() {
            if event["type"] == "m.test" {
                self.data = event["content"]["n"].as_u64();
            }
        }
    }

    fn take_state(&mut self, room: &str, events: &Value) {
        let state = &mut self.rooms.entry(room.to_owned()).or_default().state;
        for event in events.as_array().into_iter().flatten() {
            if let Some(key) = event["state_key"].as_str() {
                let kind = event["type"].as_str().expect("a type").to_owned();
                let id = event["event_id"].as_str().expect("an id").to_owned();
                state.insert((kind, key.to_owned()), id);
            }
        }
    }

    /// Takes a piece of a room's timeline in, and reads back to what was known before where it says that there is more.
    async fn deliver(
        &mut self,
        rig: &Rig,
        world: &World,
        room: &str,
        events: &Value,
        about: &Value,
    ) {
        let me = world.users[self.user].0.as_str();
        let events: Vec<String> = ids(events, me).into_iter().map(str::to_owned).collect();
        let at = world.rooms.iter().position(|known| known == room).expect("a room of the case");
        let came = world.epochs[self.user][at] != self.epochs[at];
        let name = self.name();
        let told = self.rooms.entry(room.to_owned()).or_default();
        let again: Vec<&String> =
            events.iter().filter(|event| told.events.contains(*event)).collect();
        assert!(again.is_empty() || came, "{name}: told twice in {room}: {again:?}");
        let limited = about["limited"] == true;
        let must_read_back = limited && again.is_empty();
        let before = told.events.clone();
        told.events.extend(events.iter().cloned());
        told.pieces.push(events);
        if must_read_back {
            let from = about["prev_batch"].as_str().expect("where to go on").to_owned();
            self.read_back(rig, world, room, from, &before).await;
        }
    }

    async fn read_back(
        &mut self,
        rig: &Rig,
        world: &World,
        room: &str,
        mut from: String,
        before: &BTreeSet<String>,
    ) {
        loop {
            let (status, page) = self.page(rig, world, room, Some(&from)).await;
            let told = self.rooms.entry(room.to_owned()).or_default();
            if status == StatusCode::FORBIDDEN {
                told.blind = true;
                return;
            }
            let mut piece = Vec::new();
            let mut met = false;
            for id in ids(&page["chunk"], world.users[self.user].0.as_str()) {
                met = before.contains(id);
                if met {
                    break;
                }
                piece.push(id.to_owned());
            }
            told.events.extend(piece.iter().cloned());
            piece.reverse();
            told.pieces.push(piece);
            match page["end"].as_str() {
                Some(end) if !met => from = end.to_owned(),
                _ => return,
            }
        }
    }

    async fn page(
        &self,
        rig: &Rig,
        world: &World,
        room: &str,
        from: Option<&str>,
    ) -> (StatusCode, Value) {
        let filter = match self.kind {
            Kind::Full { topics: false, .. } => "%7B%22not_types%22:%5B%22m.room.topic%22%5D%7D",
            _ => "%7B%7D",
        };
        let from = from.map(|from| format!("&from={from}")).unwrap_or_default();
        let path = format!("v3/rooms/{room}/messages?dir=b&limit=20&filter={filter}{from}");
        self.person(rig, world).ask(Method::GET, &path, None).await
    }

    /// Syncs until nothing is new.
    pub(super) async fn catch_up(&mut self, rig: &Rig, world: &World) {
        for _ in 0..20 {
            let answer = self.ask(rig, world, true).await;
            if !self.take(rig, world, answer, &world.epochs).await {
                return;
            }
        }
        panic!("{}: there is always something new", self.name());
    }

    /// Holds what was told against what there is.
    pub(super) async fn check(&self, rig: &Rig, world: &World, sent: u64) {
        let name = self.name();
        assert_eq!(self.messages, (1..=sent).collect::<Vec<_>>(), "{name}: messages");
        assert_eq!(self.data, world.data(self.user), "{name}: account data");
        let me = self.person(rig, world);
        let joined = me.get("v3/joined_rooms").await;
        let joined: BTreeSet<&str> = joined["joined_rooms"]
            .as_array()
            .expect("rooms")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for (room, for_all) in world.rooms.iter().zip(&world.for_all) {
            let told = self.rooms.get(room);
            let inside = joined.contains(room.as_str());
            assert!(told.is_some() || !inside, "{name}: never told of {room}");
            let Some(told) = told else { continue };
            if inside {
                let state = me.get(&format!("v3/rooms/{room}/state")).await;
                let events = state.as_array().expect("state");
                let text =
                    |event: &Value, key: &str| event[key].as_str().expect("a text").to_owned();
                let current: BTreeMap<(String, String), String> = events
                    .iter()
                    .map(|event| {
                        let key = (text(event, "type"), text(event, "state_key"));
                        (key, text(event, "event_id"))
                    })
                    .collect();
                assert_eq!(told.state, current, "{name}: state of {room}");
            }
            // Of a room that anybody may read there is more than sync tells to whoever left.
            if told.events.is_empty() || told.blind || (*for_all && !inside) {
                continue;
            }
            let Some(all) = self.all(rig, world, room).await else { continue };
            let seen: Vec<&String> = all.iter().filter(|id| told.events.contains(*id)).collect();
            let missed: Vec<&String> = all.iter().filter(|id| !told.events.contains(*id)).collect();
            assert!(missed.is_empty(), "{name}: missed in {room}: {missed:?} of {all:?}; {told:?}");
            assert_eq!(seen.len(), told.events.len(), "{name}: more than there is in {room}");
            let place: BTreeMap<&String, usize> =
                all.iter().enumerate().map(|(at, id)| (id, at)).collect();
            for piece in &told.pieces {
                let places: Vec<usize> = piece.iter().map(|id| place[id]).collect();
                assert!(places.is_sorted(), "{name}: out of order in {room}: {piece:?}");
            }
        }
    }

    /// All that the user may see of a room, oldest first; `None` when he may see nothing of it now.
    async fn all(&self, rig: &Rig, world: &World, room: &str) -> Option<Vec<String>> {
        let mut all = Vec::new();
        let mut from = None;
        loop {
            let (status, page) = self.page(rig, world, room, from.as_deref()).await;
            if status == StatusCode::FORBIDDEN {
                return None;
            }
            assert_eq!(status, StatusCode::OK, "{page}");
            let me = world.users[self.user].0.as_str();
            all.extend(ids(&page["chunk"], me).into_iter().map(str::to_owned));
            match page["end"].as_str() {
                Some(end) => from = Some(end.to_owned()),
                None => break,
            }
        }
        all.reverse();
        Some(all)
    }
}
