//! Power levels, read once per `m.room.power_levels` event and asked for every message.

use std::collections::HashMap;

use ruma::{OwnedUserId, UserId, room_version_rules::AuthorizationRules};
use serde_json::{Map, Value};

use crate::event::Event;

/// A level above every number: what room version 12 gives to creators.
pub const CREATOR: i64 = i64::MAX;

/// Who may do what in a room (Client-Server API, `m.room.power_levels`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerLevels {
    users: HashMap<OwnedUserId, i64>,
    events: HashMap<String, i64>,
    notifications: HashMap<String, i64>,
    creators: Vec<OwnedUserId>,
    /// The level of users that aren't named.
    pub users_default: i64,
    /// The level for message events that aren't named.
    pub events_default: i64,
    /// The level for state events that aren't named.
    pub state_default: i64,
    /// The level to invite.
    pub invite: i64,
    /// The level to kick.
    pub kick: i64,
    /// The level to ban.
    pub ban: i64,
    /// The level to redact what others sent.
    pub redact: i64,
}

impl PowerLevels {
    /// The levels of a room with this create event and, if it has one, power levels event.
    pub fn of(create: &Event, levels: Option<&Event>, rules: &AuthorizationRules) -> Self {
        let creators = creators(create, rules);
        let content = levels
            .and_then(|event| {
                serde_json::from_str::<Map<String, Value>>(event.pdu.content().get()).ok()
            })
            .unwrap_or_default();
        let level = |field: &str, default: i64| {
            content
                .get(field)
                .and_then(|value| number(value, rules.integer_power_levels))
                .unwrap_or(default)
        };
        let table = |field: &str| -> HashMap<String, i64> {
            let entries = content.get(field).and_then(Value::as_object).into_iter().flatten();
            entries
                .filter_map(|(name, value)| {
                    Some((name.clone(), number(value, rules.integer_power_levels)?))
                })
                .collect()
        };
        let mut users: HashMap<OwnedUserId, i64> = table("users")
            .into_iter()
            .filter_map(|(user, level)| Some((UserId::parse(user).ok()?, level)))
            .collect();
        if levels.is_none() && !rules.explicitly_privilege_room_creators {
            users.extend(creators.iter().map(|creator| (creator.clone(), 100)));
        }
        Self {
            users,
            events: table("events"),
            notifications: table("notifications"),
            creators: if rules.explicitly_privilege_room_creators { creators } else { Vec::new() },
            users_default: level("users_default", 0),
            events_default: level("events_default", 0),
            state_default: level("state_default", 50),
            invite: level("invite", 0),
            kick: level("kick", 50),
            ban: level("ban", 50),
            redact: level("redact", 50),
        }
    }

    /// A user's level; [`CREATOR`] for the creators of a room of version 12.
    pub fn user(&self, user: &UserId) -> i64 {
        if self.creators.iter().any(|creator| creator == user) {
            return CREATOR;
        }
        self.users.get(user).copied().unwrap_or(self.users_default)
    }

    /// The level needed to send an event of a type.
    pub fn event(&self, kind: &str, is_state: bool) -> i64 {
        let default = if is_state { self.state_default } else { self.events_default };
        self.events.get(kind).copied().unwrap_or(default)
    }

    /// The level needed to notify a group of people, such as `room` (50 if unset).
    pub fn notification(&self, key: &str) -> i64 {
        self.notifications.get(key).copied().unwrap_or(50)
    }

    /// Whether a user may send events of a type.
    pub fn may_send(&self, user: &UserId, kind: &str, is_state: bool) -> bool {
        self.user(user) >= self.event(kind, is_state)
    }

    /// The users that the event names, with their levels.
    pub fn named_users(&self) -> impl Iterator<Item = (&UserId, i64)> {
        self.users.iter().map(|(user, level)| (&**user, *level))
    }
}

/// The creators of a room: the create event's sender, its `creator` before room version 11, and the additional ones.
pub fn creators(create: &Event, rules: &AuthorizationRules) -> Vec<OwnedUserId> {
    let content: Map<String, Value> =
        serde_json::from_str(create.pdu.content().get()).unwrap_or_default();
    let user = |value: &Value| value.as_str().and_then(|id| UserId::parse(id).ok());
    let mut creators = Vec::new();
    if rules.use_room_create_sender {
        creators.push(create.pdu.sender.clone());
    } else {
        creators.extend(content.get("creator").and_then(user));
    }
    if rules.additional_room_creators {
        let more =
            content.get("additional_creators").and_then(Value::as_array).into_iter().flatten();
        creators.extend(more.filter_map(user));
    }
    creators
}

/// A level: an integer, or in room versions before 10 a string of one or a number with a fraction.
fn number(value: &Value, integers_only: bool) -> Option<i64> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().filter(|_| !integers_only).map(|number| number as i64)),
        Value::String(text) if !integers_only => text.trim().parse().ok(),
        _ => None,
    }
}
