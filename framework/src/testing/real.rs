//! A real homeserver: a process of its own, asked over the Client-Server API as people do, and over Synapse's admin API (which ours has, too) for
//! what nobody in the rooms would see.

mod appservice;
mod http;
mod process;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use landbridge_registration::Registration;
use reqwest::Method;
use serde_json::{Value, json};

use super::chosen::Backend;
use crate::matrix::{Carrier, HttpCarrier};
use appservice::Listener;
use http::{Content, Http};
use process::{Process, Setting};

/// Events per page of a timeline.
const PAGE: &str = "500";
/// How long somebody types, in milliseconds.
const TYPING_MS: u64 = 30_000;

/// See the module.
pub(super) struct RealHomeserver {
    // First: the homeserver ends before what answers for the bridge.
    process: Process,
    http: Http,
    listener: Listener,
    secret: String,
    /// Everybody's access token.
    tokens: Mutex<BTreeMap<String, String>>,
    /// That of an administrator, who sees everything.
    admin: String,
    puppets: bool,
    imports: bool,
    transactions: AtomicU64,
}

impl RealHomeserver {
    /// Starts it with the appservice of the registration that `registration` makes for a URL.
    pub(super) fn start(
        launcher: &Path,
        server_name: &str,
        registration: impl FnOnce(&str) -> Registration,
    ) -> (Self, Registration) {
        let http = Http::new();
        let listener = Listener::start(&http.runtime());
        let registration = registration(&listener.url());
        let secret = format!("{:032x}", rand::random::<u128>());
        let setting = Setting { launcher, server_name, secret: &secret };
        let mut process = Process::start(&setting, &registration);
        let http = http.to(process.base());
        process.wait_ready(|| http.try_ask(&["_matrix", "client", "versions"]).is_some());
        let versions = http.try_ask(&["_matrix", "client", "versions"]).unwrap_or_default();
        let features = &versions["unstable_features"];
        let admin = http.register(&secret, "overseer", true);
        let real = Self {
            process,
            http,
            listener,
            secret,
            tokens: Mutex::default(),
            admin,
            // Only ours does, and it says what it is.
            puppets: features["org.landbridge.durable_appservice"] == true,
            imports: features["com.beeper.batch_sending"] == true,
            transactions: AtomicU64::new(0),
        };
        (real, registration)
    }

    fn token(&self, user_id: &str) -> String {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let localpart = user_id.trim_start_matches('@').split(':').next().unwrap_or_default();
            self.http.register(&self.secret, localpart, false)
        };
        tokens.entry(user_id.to_owned()).or_insert_with(made).clone()
    }

    fn transaction(&self) -> String {
        format!("t{}", self.transactions.fetch_add(1, Ordering::Relaxed))
    }

    /// What the administrator is told; nothing when it is refused.
    fn told(&self, segments: &[&str], query: &[(&str, &str)]) -> Option<Value> {
        self.http.call(&Method::GET, segments, query, &self.admin, Content::None)
    }

    /// What passes in a room, as somebody in it sees it: who types, who has read what.
    fn passing(&self, user_id: &str, room_id: &str) -> Vec<Value> {
        // Synapse gives who asks the same for the first time once more what it gave before: each filter is another.
        let nobody = format!("@{}:nowhere", self.transaction());
        let filter = json!({
            "room": { "rooms": [room_id], "timeline": { "limit": 1 } },
            "presence": { "types": [], "not_senders": [nobody] },
        });
        let filter = filter.to_string();
        let query = [("filter", filter.as_str()), ("set_presence", "offline"), ("timeout", "0")];
        let path = ["_matrix", "client", "v3", "sync"];
        let token = self.token(user_id);
        let mut seen =
            self.http.call(&Method::GET, &path, &query, &token, Content::None).unwrap_or_default();
        let passing = seen["rooms"]["join"][room_id]["ephemeral"]["events"].take();
        serde_json::from_value(passing).unwrap_or_default()
    }

    /// What somebody does.
    fn does(
        &self,
        user_id: &str,
        method: &Method,
        segments: &[&str],
        body: &Value,
    ) -> Option<Value> {
        self.http.call(method, segments, &[], &self.token(user_id), Content::Json(body))
    }
}

fn text(answer: &Value, field: &str) -> Option<String> {
    answer[field].as_str().map(ToOwned::to_owned)
}

impl Backend for RealHomeserver {
    fn account(&self, user_id: &str) -> String {
        self.token(user_id)
    }

    fn lets_bridges_puppet(&self) -> bool {
        self.puppets
    }

    fn imports_history(&self) -> bool {
        self.imports
    }

    fn carrier(&self) -> Arc<dyn Carrier> {
        let client = HttpCarrier::client(Duration::from_secs(10)).expect("a client of HTTP");
        let base = self.process.base().parse().expect("its address is a URL");
        Arc::new(HttpCarrier::new(client, base))
    }

    fn bridge_is(&self, appservice: Option<Router>) {
        self.listener.bridge_is(appservice);
    }

    fn presence(&self, user_id: &str, state: &str) {
        let path = ["_matrix", "client", "v3", "presence", user_id, "status"];
        self.does(user_id, &Method::PUT, &path, &json!({ "presence": state }));
    }

    fn seen_read(&self, user_id: &str, room_id: &str, whom: &str) -> Option<String> {
        let passing = self.passing(user_id, room_id);
        let receipts = passing.iter().filter(|event| event["type"] == "m.receipt");
        let mut events = receipts.filter_map(|receipt| receipt["content"].as_object()).flatten();
        let read = events.find(|(_, receipts)| receipts["m.read"].get(whom).is_some());
        read.map(|(event_id, _)| event_id.clone())
    }

    fn account_data(&self, user_id: &str, room_id: &str, kind: &str) -> Option<Value> {
        let path =
            ["_matrix", "client", "v3", "user", user_id, "rooms", room_id, "account_data", kind];
        self.http.call(&Method::GET, &path, &[], &self.token(user_id), Content::None)
    }

    fn all_rooms(&self) -> Vec<String> {
        let path = ["_synapse", "admin", "v1", "rooms"];
        let answer = self.told(&path, &[("limit", "1000")]).unwrap_or_default();
        let rooms = answer["rooms"].as_array().into_iter().flatten();
        rooms.filter_map(|room| text(room, "room_id")).collect()
    }

    fn timeline(&self, room_id: &str) -> Vec<Value> {
        let path = ["_synapse", "admin", "v1", "rooms", room_id, "messages"];
        let mut timeline = Vec::new();
        let mut from = None;
        loop {
            let mut query = vec![("dir", "b"), ("limit", PAGE)];
            query.extend(from.as_deref().map(|from| ("from", from)));
            let Some(mut page) = self.told(&path, &query) else { break };
            let events = page["chunk"].as_array_mut().map(std::mem::take).unwrap_or_default();
            let done = events.is_empty();
            timeline.extend(events);
            from = text(&page, "end");
            if done || from.is_none() {
                break;
            }
        }
        timeline.reverse();
        timeline
    }

    fn state(&self, room_id: &str, kind: &str, state_key: &str) -> Option<Value> {
        let path = ["_synapse", "admin", "v1", "rooms", room_id, "state"];
        let mut answer = self.told(&path, &[])?;
        let events = answer["state"].as_array_mut()?;
        let event = events.iter_mut().find(|it| it["type"] == kind && it["state_key"] == state_key);
        event.map(|event| event["content"].take())
    }

    fn profile(&self, user_id: &str) -> Value {
        self.told(&["_matrix", "client", "v3", "profile", user_id], &[]).unwrap_or_default()
    }

    fn uploads(&self) -> usize {
        let path = ["_synapse", "admin", "v1", "statistics", "users", "media"];
        let answer = self.told(&path, &[("limit", "1000")]).unwrap_or_default();
        let users = answer["users"].as_array().into_iter().flatten();
        let count: u64 = users.filter_map(|user| user["media_count"].as_u64()).sum();
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn join(&self, user_id: &str, room_id: &str) -> bool {
        let path = ["_matrix", "client", "v3", "rooms", room_id, "join"];
        self.does(user_id, &Method::POST, &path, &json!({})).is_some()
    }

    fn send(&self, user_id: &str, room_id: &str, kind: &str, content: &Value) -> Option<String> {
        let txn = self.transaction();
        let path = ["_matrix", "client", "v3", "rooms", room_id, "send", kind, &txn];
        text(&self.does(user_id, &Method::PUT, &path, content)?, "event_id")
    }

    fn set_state(
        &self,
        user_id: &str,
        room_id: &str,
        (kind, key): (&str, &str),
        content: &Value,
    ) -> Option<String> {
        let path = ["_matrix", "client", "v3", "rooms", room_id, "state", kind, key];
        text(&self.does(user_id, &Method::PUT, &path, content)?, "event_id")
    }

    fn create_room(&self, user_id: &str, body: &Value) -> Option<String> {
        let path = ["_matrix", "client", "v3", "createRoom"];
        text(&self.does(user_id, &Method::POST, &path, body)?, "room_id")
    }

    fn moderate(&self, user_id: &str, room_id: &str, action: &str, whom: &str) -> bool {
        let path = ["_matrix", "client", "v3", "rooms", room_id, action];
        self.does(user_id, &Method::POST, &path, &json!({ "user_id": whom })).is_some()
    }

    fn leave(&self, user_id: &str, room_id: &str) -> bool {
        let path = ["_matrix", "client", "v3", "rooms", room_id, "leave"];
        self.does(user_id, &Method::POST, &path, &json!({})).is_some()
    }

    fn typing(&self, user_id: &str, room_id: &str) {
        let path = ["_matrix", "client", "v3", "rooms", room_id, "typing", user_id];
        let body = json!({ "typing": true, "timeout": TYPING_MS });
        self.does(user_id, &Method::PUT, &path, &body);
    }

    fn read(&self, user_id: &str, room_id: &str, event_id: &str) {
        let path = ["_matrix", "client", "v3", "rooms", room_id, "receipt", "m.read", event_id];
        self.does(user_id, &Method::POST, &path, &json!({}));
    }

    fn seen_typing(&self, user_id: &str, room_id: &str) -> Vec<String> {
        let passing = self.passing(user_id, room_id);
        let typing = passing.iter().filter(|event| event["type"] == "m.typing");
        let users = typing.filter_map(|event| event["content"]["user_ids"].as_array()).flatten();
        users.filter_map(|user| user.as_str().map(ToOwned::to_owned)).collect()
    }

    fn seen_presence(&self, user_id: &str, whom: &str) -> Value {
        let path = ["_matrix", "client", "v3", "presence", whom, "status"];
        let token = self.token(user_id);
        self.http.call(&Method::GET, &path, &[], &token, Content::None).unwrap_or_default()
    }

    fn redact(&self, user_id: &str, room_id: &str, event_id: &str) -> Option<String> {
        let txn = self.transaction();
        let path = ["_matrix", "client", "v3", "rooms", room_id, "redact", event_id, &txn];
        text(&self.does(user_id, &Method::PUT, &path, &json!({}))?, "event_id")
    }

    fn upload(&self, user_id: &str, mime: &str, bytes: &[u8]) -> Option<String> {
        let path = ["_matrix", "media", "v3", "upload"];
        let content = Content::File(mime, bytes);
        let answer = self.http.call(&Method::POST, &path, &[], &self.token(user_id), content)?;
        text(&answer, "content_uri")
    }

    fn download(&self, user_id: &str, mxc: &str) -> Option<(String, Vec<u8>)> {
        let (server, id) = mxc.strip_prefix("mxc://")?.split_once('/')?;
        let path = ["_matrix", "client", "v1", "media", "download", server, id];
        self.http.file(&path, &self.token(user_id))
    }
}
