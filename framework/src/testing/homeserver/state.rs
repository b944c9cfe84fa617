//! Everything the simulated homeserver knows, and what may be done to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bytes::Bytes;
use landbridge_registration::{NamespaceIndex, Registration};
use serde_json::{Map, Value, json};

use super::Kind;
use super::room::Room;

/// A Matrix error: status, errcode, text.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str, pub(super) String);

pub(super) fn forbidden(why: &str) -> Refusal {
    Refusal(403, "M_FORBIDDEN", why.to_owned())
}

pub(super) fn not_found(what: &str) -> Refusal {
    Refusal(404, "M_NOT_FOUND", format!("no such {what}"))
}

/// A transaction that is on its way to the appservice.
pub(super) struct InFlight {
    pub(super) id: String,
    pub(super) body: Bytes,
    pub(super) count: usize,
}

pub(super) struct State {
    pub(super) server_name: String,
    pub(super) registration: Registration,
    pub(super) bot: String,
    kind: Kind,
    index: NamespaceIndex,
    next: u64,
    users: BTreeSet<String>,
    tokens: HashMap<String, String>,
    pub(super) profiles: BTreeMap<String, Map<String, Value>>,
    pub(super) account_data: HashMap<(String, String, String), Value>,
    pub(super) rooms: BTreeMap<String, Room>,
    pub(super) aliases: BTreeMap<String, String>,
    /// (user, path) of a send to the event it made.
    pub(super) txns: HashMap<(String, String), String>,
    pub(super) media: HashMap<String, Option<(String, Bytes)>>,
    pub(super) queue: VecDeque<Value>,
    /// Typing, receipts and the like, for the next transaction.
    pub(super) ephemeral: Vec<Value>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) next_txn: u64,
    /// The next transaction is numbered and never sent.
    pub(super) lose_next: bool,
    /// There is no `/sync` for application services.
    pub(super) no_sync: bool,
    pub(super) passing: Vec<(String, String, String)>,
    /// Who types, by room.
    pub(super) typing: BTreeSet<(String, String)>,
    /// The events that people have read up to, by room and person.
    pub(super) receipts: BTreeMap<(String, String), String>,
    /// Whether somebody is there, as they said it.
    pub(super) presences: BTreeMap<String, Value>,
    pub(super) requests: u64,
}

impl State {
    pub(super) fn new(server_name: &str, registration: Registration, kind: Kind) -> Self {
        let index = NamespaceIndex::build(server_name, [(0, &registration)])
            .expect("a registration whose namespaces are valid patterns");
        let bot = registration.sender(server_name);
        Self {
            server_name: server_name.to_owned(),
            users: BTreeSet::from([bot.clone()]),
            bot,
            registration,
            kind,
            index,
            next: 0,
            tokens: HashMap::new(),
            profiles: BTreeMap::new(),
            account_data: HashMap::new(),
            rooms: BTreeMap::new(),
            aliases: BTreeMap::new(),
            txns: HashMap::new(),
            media: HashMap::new(),
            queue: VecDeque::new(),
            ephemeral: Vec::new(),
            in_flight: None,
            next_txn: 0,
            lose_next: false,
            no_sync: false,
            passing: Vec::new(),
            typing: BTreeSet::new(),
            receipts: BTreeMap::new(),
            presences: BTreeMap::new(),
            requests: 0,
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.kind == Kind::Ours
    }

    /// What a restart loses.
    pub(super) fn restart(&mut self) {
        if self.kind == Kind::Synapse {
            self.queue.clear();
            self.txns.clear();
            // On SQLite it counts on from what is on its way, and else from one.
            self.next_txn =
                self.in_flight.as_ref().and_then(|t| t.id.parse().ok()).unwrap_or_default();
        }
    }

    /// A new media address.
    pub(super) fn new_mxc(&mut self) -> String {
        let number = self.number();
        format!("mxc://{}/media{number}", self.server_name)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn register(&mut self, user: &str) -> bool {
        self.users.insert(user.to_owned())
    }

    pub(super) fn token(&mut self, user: &str) -> String {
        self.register(user);
        let token = format!("token-{}", self.number());
        self.tokens.insert(token.clone(), user.to_owned());
        token
    }

    /// Whether a user is the appservice's.
    pub(super) fn is_appservice_user(&self, user: &str) -> bool {
        user == self.bot || !self.index.user(user).interested.is_empty()
    }

    /// Who makes a request.
    pub(super) fn authenticate(
        &self,
        token: &str,
        as_user: Option<&str>,
    ) -> Result<String, Refusal> {
        if self.registration.as_token.matches(token) {
            let user = as_user.unwrap_or(&self.bot);
            // Ours lets its bridges double puppet anybody.
            if !self.is_appservice_user(user) && !self.is_ours() {
                return Err(forbidden("that user is not in the namespace"));
            }
            if !self.users.contains(user) {
                return Err(forbidden("the application service has not registered this user"));
            }
            return Ok(user.to_owned());
        }
        let known = self.tokens.get(token).cloned();
        known.ok_or_else(|| Refusal(401, "M_UNKNOWN_TOKEN", "that token is not known".into()))
    }

    pub(super) fn room(&self, id: &str) -> Result<&Room, Refusal> {
        self.rooms.get(id).ok_or_else(|| not_found("room"))
    }

    /// Sends an event after the checks, and queues it for the appservice.
    pub(super) fn send(
        &mut self,
        room_id: &str,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: Value,
        ts: Option<i64>,
    ) -> Result<String, Refusal> {
        let room = self.room(room_id)?;
        if kind == "m.room.member" && state_key.is_some() {
            let target = state_key.unwrap_or_default().to_owned();
            let membership = content["membership"].as_str().unwrap_or_default().to_owned();
            return self.set_member(room_id, sender, &target, &membership, Some(content));
        }
        if room.membership(sender) != Some("join") {
            return Err(forbidden(&format!("{sender} is not in the room")));
        }
        if room.power(sender) < room.needed_to_send(kind, state_key.is_some()) {
            return Err(forbidden(&format!("{sender} may not send {kind}")));
        }
        Ok(self.append(room_id, sender, kind, state_key, &content, ts, None))
    }

    /// Does what a call of this name does to a membership (Client-Server API, `/join`, `/invite`, `/kick`, `/ban`, `/unban`, `/leave`): nobody
    /// is put out who is shut out, or let in again who is not.
    pub(super) fn moderate(
        &mut self,
        room_id: &str,
        sender: &str,
        target: &str,
        action: &str,
        reason: Option<&Value>,
    ) -> Result<String, Refusal> {
        let banned = self.room(room_id)?.membership(target) == Some("ban");
        if matches!(action, "kick" | "unban") && banned != (action == "unban") {
            return Err(forbidden(&format!(
                "{target} is{} banned",
                if banned { "" } else { " not" }
            )));
        }
        let membership = match action {
            "invite" | "ban" | "join" => action,
            _ => "leave",
        };
        let mut content = json!({ "membership": membership });
        if let Some(reason) = reason {
            content["reason"] = reason.clone();
        }
        self.set_member(room_id, sender, target, membership, Some(content))
    }

    /// Changes a membership after the checks.
    pub(super) fn set_member(
        &mut self,
        room_id: &str,
        sender: &str,
        target: &str,
        membership: &str,
        content: Option<Value>,
    ) -> Result<String, Refusal> {
        let room = self.room(room_id)?;
        let (own, of_target) = (room.membership(sender), room.membership(target));
        let rules = room.state_content("m.room.join_rules", "").cloned().unwrap_or_default();
        let inside = |allow: &Value| {
            let room = allow["room_id"].as_str().and_then(|room| self.room(room).ok());
            room.is_some_and(|room| room.membership(target) == Some("join"))
        };
        let public = match rules["join_rule"].as_str() {
            Some("public") => true,
            Some("restricted") => rules["allow"].as_array().into_iter().flatten().any(inside),
            _ => false,
        };
        let stronger = room.power(sender) > room.power(target);
        let allowed = match membership {
            "join" => {
                sender == target
                    && (matches!(of_target, Some("join" | "invite"))
                        || public && of_target != Some("ban"))
            }
            "invite" => {
                own == Some("join")
                    && !matches!(of_target, Some("join" | "ban"))
                    && room.power(sender) >= room.needed_for("invite", 0)
            }
            "leave" if sender == target => matches!(of_target, Some("join" | "invite" | "knock")),
            "leave" => {
                own == Some("join") && stronger && room.power(sender) >= room.needed_for("kick", 50)
            }
            "ban" => {
                own == Some("join") && stronger && room.power(sender) >= room.needed_for("ban", 50)
            }
            _ => false,
        };
        if !allowed {
            return Err(forbidden(&format!("{sender} may not set {target} to {membership}")));
        }
        let mut content = content.unwrap_or_else(|| json!({ "membership": membership }));
        if let Some(profile) = self.profiles.get(target).filter(|_| membership == "join") {
            for field in ["displayname", "avatar_url"] {
                if let Some(value) = profile.get(field)
                    && content.get(field).is_none()
                {
                    content[field] = value.clone();
                }
            }
        }
        let unchanged = of_target == Some(membership)
            && room.state_content("m.room.member", target).is_some_and(|old| *old == content);
        if unchanged && let Some(event) = room.state_event("m.room.member", target) {
            return Ok(event["event_id"].as_str().unwrap_or_default().to_owned());
        }
        Ok(self.append(room_id, sender, "m.room.member", Some(target), &content, None, None))
    }

    /// Redacts an event after the checks.
    pub(super) fn redact(
        &mut self,
        room_id: &str,
        sender: &str,
        target: &str,
        mut content: Value,
        ts: Option<i64>,
    ) -> Result<String, Refusal> {
        let room = self.room(room_id)?;
        let event = room.event(target).ok_or_else(|| not_found("event"))?;
        let own = event["sender"] == sender;
        if room.membership(sender) != Some("join")
            || !own && room.power(sender) < room.needed_for("redact", 50)
        {
            return Err(forbidden(&format!("{sender} may not redact this")));
        }
        content["redacts"] = target.into();
        let id = self.append(room_id, sender, "m.room.redaction", None, &content, ts, Some(target));
        if let Some(event) = self.rooms.get_mut(room_id).and_then(|room| room.event_mut(target)) {
            event["content"] = json!({});
            event["unsigned"]["redacted_because"] = json!({ "event_id": id, "sender": sender });
        }
        Ok(id)
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of an event")]
    fn append(
        &mut self,
        room_id: &str,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: &Value,
        ts: Option<i64>,
        redacts: Option<&str>,
    ) -> String {
        let number = self.number();
        let id = format!("$event{number}");
        let mut event = json!({
            "type": kind, "room_id": room_id, "sender": sender, "event_id": id, "content": content,
            "origin_server_ts": ts.unwrap_or(1_700_000_000_000 + number as i64), "unsigned": {},
        });
        if let Some(key) = state_key {
            event["state_key"] = key.into();
        }
        if let Some(redacts) = redacts {
            event["redacts"] = redacts.into();
        }
        let mut interesting =
            state_key.is_some_and(|key| self.is_appservice_user(key)) || self.is_bridged(room_id);
        if let Some(room) = self.rooms.get_mut(room_id) {
            event = room.put(room.end(), event);
        }
        interesting |= self.is_bridged(room_id);
        if interesting {
            self.queue.push_back(event);
        }
        id
    }

    /// Whether a user of the appservice is in the room.
    fn is_bridged(&self, room_id: &str) -> bool {
        let Some(room) = self.rooms.get(room_id) else { return false };
        room.members("join").any(|user| self.is_appservice_user(user))
    }

    /// `POST /createRoom`.
    pub(super) fn create_room(&mut self, creator: &str, body: &Value) -> Result<String, Refusal> {
        let alias =
            body["room_alias_name"].as_str().map(|name| format!("#{name}:{}", self.server_name));
        if alias.as_ref().is_some_and(|alias| self.aliases.contains_key(alias)) {
            return Err(Refusal(400, "M_ROOM_IN_USE", "that alias is taken".into()));
        }
        let id = format!("!room{}:{}", self.number(), self.server_name);
        self.rooms.insert(id.clone(), Room::new(&id));
        let preset = body["preset"].as_str().unwrap_or("private_chat");
        let mut create = body.get("creation_content").cloned().unwrap_or_else(|| json!({}));
        create["creator"] = creator.into();
        create["room_version"] = json!("11");
        self.append(&id, creator, "m.room.create", Some(""), &create, None, None);
        let mut own = json!({ "membership": "join" });
        for (field, value) in self.profiles.get(creator).into_iter().flatten() {
            own[field] = value.clone();
        }
        self.append(&id, creator, "m.room.member", Some(creator), &own, None, None);
        let mut levels = json!({
            "users": { creator: 100 }, "users_default": 0, "events_default": 0, "state_default": 50,
            "ban": 50, "kick": 50, "redact": 50, "invite": 0, "events": {},
        });
        let overrides = body.get("power_level_content_override").and_then(Value::as_object);
        for (key, value) in overrides.into_iter().flatten() {
            levels[key] = value.clone();
        }
        self.append(&id, creator, "m.room.power_levels", Some(""), &levels, None, None);
        let rule = if preset == "public_chat" { "public" } else { "invite" };
        self.append(
            &id,
            creator,
            "m.room.join_rules",
            Some(""),
            &json!({ "join_rule": rule }),
            None,
            None,
        );
        for event in body["initial_state"].as_array().into_iter().flatten() {
            let (kind, key) = (
                event["type"].as_str().unwrap_or_default(),
                event["state_key"].as_str().unwrap_or(""),
            );
            self.append(&id, creator, kind, Some(key), &event["content"], None, None);
        }
        for (field, kind) in [("name", "m.room.name"), ("topic", "m.room.topic")] {
            if let Some(text) = body[field].as_str() {
                self.append(&id, creator, kind, Some(""), &json!({ field: text }), None, None);
            }
        }
        if let Some(alias) = alias {
            self.aliases.insert(alias.clone(), id.clone());
            self.append(
                &id,
                creator,
                "m.room.canonical_alias",
                Some(""),
                &json!({ "alias": alias }),
                None,
                None,
            );
        }
        let autojoin = body["com.beeper.auto_join_invites"] == true;
        let invited: Vec<&str> =
            body["invite"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for user in invited {
            let direct = body["is_direct"] == true;
            let mut content = json!({ "membership": "invite" });
            if direct {
                content["is_direct"] = true.into();
            }
            self.append(&id, creator, "m.room.member", Some(user), &content, None, None);
            if autojoin && self.is_ours() {
                self.register(user);
                self.set_member(&id, user, user, "join", None)?;
            }
        }
        Ok(id)
    }

    /// `com.beeper.batch_sending`: history, before everything or (forward) after it.
    pub(super) fn import(&mut self, room_id: &str, body: &Value) -> Result<Vec<String>, Refusal> {
        let events = body["events"].as_array().cloned().unwrap_or_default();
        let room = self.room(room_id)?;
        let messages = room.timeline.values().any(|e| e["type"] == "m.room.message");
        let forward =
            body["forward"] == true || body["forward_if_no_messages"] == true && !messages;
        let mut ids = Vec::with_capacity(events.len());
        let mut at = if forward { room.end() } else { room.start() - events.len() as i64 + 1 };
        for mut event in events {
            let known = event["event_id"].as_str().map(ToOwned::to_owned);
            let id = known.unwrap_or_else(|| format!("$event{}", self.number()));
            event["event_id"] = id.as_str().into();
            event["room_id"] = room_id.into();
            ids.push(id);
            if let Some(room) = self.rooms.get_mut(room_id) {
                room.put(at, event);
                at += 1;
            }
        }
        Ok(ids)
    }
}
