//! One room: its timeline, its state, and the few authorization rules that a bridge runs into.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

/// A room.
pub(super) struct Room {
    pub(super) id: String,
    /// Events by place; imported history has negative places.
    pub(super) timeline: BTreeMap<i64, Value>,
    by_id: HashMap<String, i64>,
    state: BTreeMap<(String, String), i64>,
}

impl Room {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            timeline: BTreeMap::new(),
            by_id: HashMap::new(),
            state: BTreeMap::new(),
        }
    }

    /// The place after the newest event.
    pub(super) fn end(&self) -> i64 {
        self.timeline.last_key_value().map_or(0, |(at, _)| at + 1)
    }

    /// The place before the oldest event.
    pub(super) fn start(&self) -> i64 {
        self.timeline.first_key_value().map_or(-1, |(at, _)| at - 1)
    }

    pub(super) fn event(&self, id: &str) -> Option<&Value> {
        self.timeline.get(self.by_id.get(id)?)
    }

    pub(super) fn event_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.timeline.get_mut(self.by_id.get(id)?)
    }

    /// Puts an event at a place; state counts where it comes at the end.
    pub(super) fn put(&mut self, at: i64, mut event: Value) -> Value {
        if let (Some(kind), Some(key)) = (event["type"].as_str(), event["state_key"].as_str()) {
            let slot = (kind.to_owned(), key.to_owned());
            if at == self.end()
                && let Some(old) = self.state.insert(slot, at)
                && let Some(old) = self.timeline.get(&old)
            {
                let (content, id) = (old["content"].clone(), old["event_id"].clone());
                event["unsigned"]["prev_content"] = content;
                event["unsigned"]["replaces_state"] = id;
            }
        }
        self.by_id.insert(event["event_id"].as_str().unwrap_or_default().to_owned(), at);
        self.timeline.insert(at, event.clone());
        event
    }

    pub(super) fn state_event(&self, kind: &str, key: &str) -> Option<&Value> {
        self.timeline.get(self.state.get(&(kind.to_owned(), key.to_owned()))?)
    }

    pub(super) fn state_content(&self, kind: &str, key: &str) -> Option<&Value> {
        self.state_event(kind, key).map(|event| &event["content"])
    }

    pub(super) fn all_state(&self) -> impl Iterator<Item = &Value> {
        self.state.values().filter_map(|at| self.timeline.get(at))
    }

    pub(super) fn membership(&self, user: &str) -> Option<&str> {
        self.state_content("m.room.member", user)?["membership"].as_str()
    }

    /// Users with this membership.
    pub(super) fn members<'a>(&'a self, membership: &'a str) -> impl Iterator<Item = &'a str> {
        self.all_state()
            .filter(move |e| {
                e["type"] == "m.room.member" && e["content"]["membership"] == membership
            })
            .filter_map(|e| e["state_key"].as_str())
    }

    fn levels(&self) -> Map<String, Value> {
        self.state_content("m.room.power_levels", "")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    /// Somebody's power level.
    pub(super) fn power(&self, user: &str) -> i64 {
        let levels = self.levels();
        let own = levels.get("users").and_then(|users| users.get(user)).and_then(Value::as_i64);
        own.or_else(|| levels.get("users_default").and_then(Value::as_i64)).unwrap_or(0)
    }

    /// The level that an action (`kick`, `ban`, `invite`, `redact`) needs.
    pub(super) fn needed_for(&self, action: &str, default: i64) -> i64 {
        self.levels().get(action).and_then(Value::as_i64).unwrap_or(default)
    }

    /// The level that sending an event needs.
    pub(super) fn needed_to_send(&self, kind: &str, is_state: bool) -> i64 {
        let levels = self.levels();
        if levels.is_empty() {
            return 0;
        }
        let own = levels.get("events").and_then(|events| events.get(kind)).and_then(Value::as_i64);
        own.unwrap_or_else(|| {
            if is_state {
                self.needed_for("state_default", 50)
            } else {
                self.needed_for("events_default", 0)
            }
        })
    }
}
