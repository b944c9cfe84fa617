//! A workspace of the test's own: two channels, four people, one of whom has a direct conversation and a token, one app. It speaks as much of the Web API and of Socket Mode as the bridge uses.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use crate::kept;
use axum::{
    Router,
    body::to_bytes,
    extract::{
        Request, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::mpsc};

/// The first message's second: after the bridge's own clock, whenever the test runs.
pub(crate) const BEGIN: u64 = 4_000_000_000;
/// The token of U07.
pub(crate) const PERSON: &str = "xoxp-ann";
/// The token of the app in another workspace.
pub(crate) const SECOND: &str = "xoxb-second";

#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) address: String,
    pub(crate) count: u64,
    pub(crate) messages: Vec<Value>,
    pub(crate) sockets: Vec<mpsc::UnboundedSender<String>>,
    pub(crate) closed: bool,
    pub(crate) sent: usize,
    pub(crate) acknowledged: usize,
    pub(crate) calls: BTreeMap<String, usize>,
    pub(crate) lose: usize,
    pub(crate) limit: usize,
    pub(crate) no_history: bool,
    /// Conversations that were begun.
    pub(crate) made: BTreeMap<String, Value>,
    /// People, channels, the workspace's own emoji, and what is pinned.
    pub(crate) people: BTreeMap<String, Value>,
    pub(crate) channels: BTreeMap<String, Value>,
    pub(crate) emoji: Value,
    pub(crate) pins: Vec<String>,
    /// What Slack keeps of files: what is said of them, and their bytes.
    pub(crate) files: BTreeMap<String, Value>,
    pub(crate) contents: BTreeMap<String, Vec<u8>>,
    /// Each call of a method, and what it asked for.
    pub(crate) asked: Vec<(String, Value)>,
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) base: String,
    inside: Arc<Mutex<Inside>>,
}

pub(crate) type Shared = Arc<Mutex<Inside>>;

impl Workspace {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let inside = Arc::new(Mutex::new(kept::furnished(&address)));
        let router = Router::new()
            .route("/link", get(link))
            .merge(kept::router())
            .fallback(call)
            .with_state(inside.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base: format!("http://{address}/api"), inside }
    }

    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Conversations that were begun.
    pub(crate) fn made(&self) -> BTreeMap<String, Value> {
        self.inside().made.clone()
    }
    /// What is in the channel, oldest first.
    pub(crate) fn messages(&self) -> Vec<Value> {
        self.inside().messages.clone()
    }
    /// Its texts.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages()
            .iter()
            .map(|it| it["text"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
    /// How many sockets are open.
    pub(crate) fn connections(&self) -> usize {
        self.inside().sockets.iter().filter(|socket| !socket.is_closed()).count()
    }
    /// Events that were sent and not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        let inside = self.inside();
        inside.sent.saturating_sub(inside.acknowledged)
    }
    /// How often a method was called.
    pub(crate) fn called(&self, method: &str) -> usize {
        self.inside().calls.get(method).copied().unwrap_or_default()
    }

    /// What the calls of a method asked for, oldest first.
    pub(crate) fn asked(&self, method: &str) -> Vec<Value> {
        let inside = self.inside();
        let calls = inside.asked.iter().filter(|(called, _)| called == method);
        calls.map(|(_, asked)| asked.clone()).collect()
    }

    /// Somebody says something; gives its `ts`.
    pub(crate) fn say(&self, user: &str, mut message: Value) -> String {
        let mut inside = self.inside();
        message["type"] = "message".into();
        message["user"] = user.into();
        let message = inside.add(message);
        let ts = message["ts"].as_str().unwrap().to_owned();
        inside.tell(&with_channel(message));
        ts
    }

    /// Somebody says something, and the event of it never comes.
    pub(crate) fn say_unheard(&self, user: &str, text: &str) {
        self.inside().add(json!({ "type": "message", "user": user, "text": text }));
    }

    /// Somebody changes what they said.
    pub(crate) fn change(&self, ts: &str, text: &str) {
        self.alter(ts, |message, at| {
            message["text"] = text.into();
            message["edited"] = json!({ "user": message["user"], "ts": at });
        });
    }

    /// Something about a message is different now.
    pub(crate) fn alter(&self, ts: &str, change: impl FnOnce(&mut Value, &str)) {
        let mut inside = self.inside();
        let at = inside.next_ts();
        let message = inside.messages.iter_mut().find(|it| it["ts"] == ts).unwrap();
        let before = message.clone();
        change(message, &at);
        let after = message.clone();
        inside.tell(&changed(&at, &before, &after));
    }

    /// Somebody deletes what they said.
    pub(crate) fn delete(&self, ts: &str) {
        let mut inside = self.inside();
        inside.remove(ts);
    }

    /// Somebody reacts.
    pub(crate) fn react(&self, user: &str, ts: &str, name: &str, set: bool) {
        let mut inside = self.inside();
        inside.react(user, ts, name, set);
    }

    /// Anything else happens.
    pub(crate) fn emit(&self, event: &Value) {
        self.inside().tell(event);
    }

    /// The connections break, and none can be made.
    pub(crate) fn cut(&self) {
        let mut inside = self.inside();
        inside.closed = true;
        inside.sockets.clear();
        // What nobody heard is not sent again.
        inside.sent = inside.acknowledged;
    }
    /// They can be made again.
    pub(crate) fn mend(&self) {
        self.inside().closed = false;
    }
    /// So many messages are taken, and their answers lost.
    pub(crate) fn lose_answers(&self, count: usize) {
        self.inside().lose = count;
    }
    /// So many messages are told to wait a second.
    pub(crate) fn limit(&self, count: usize) {
        self.inside().limit = count;
    }
    /// Whether the history fails.
    pub(crate) fn refuse_history(&self, refuse: bool) {
        self.inside().no_history = refuse;
    }
}

pub(crate) fn with_channel(mut message: Value) -> Value {
    message["channel"] = channel_of(&message).into();
    message
}

/// Where a message is.
pub(crate) fn channel_of(message: &Value) -> String {
    message["channel"].as_str().unwrap_or("C01").to_owned()
}

pub(crate) fn changed(at: &str, before: &Value, after: &Value) -> Value {
    json!({ "type": "message", "subtype": "message_changed", "hidden": true, "channel": "C01", "ts": at,
        "message": after, "previous_message": before })
}

impl Inside {
    pub(crate) fn make(&mut self, sort: &str, made: Value) -> String {
        let id = format!("{sort}9{}", self.made.len());
        self.made.insert(id.clone(), made);
        id
    }

    pub(crate) fn next_ts(&mut self) -> String {
        self.count += 1;
        format!("{}.{:06}", BEGIN + self.count, self.count)
    }

    pub(crate) fn add(&mut self, mut message: Value) -> Value {
        message["ts"] = self.next_ts().into();
        if let Some(root) = message["thread_ts"].as_str().map(ToOwned::to_owned)
            && let Some(root) = self.messages.iter_mut().find(|it| it["ts"] == root.as_str())
        {
            let replies = root["reply_count"].as_u64().unwrap_or_default() + 1;
            root["reply_count"] = replies.into();
            root["thread_ts"] = root["ts"].clone();
            root["latest_reply"] = message["ts"].clone();
        }
        self.messages.push(message.clone());
        message
    }

    pub(crate) fn remove(&mut self, ts: &str) -> bool {
        let Some(place) = self.messages.iter().position(|it| it["ts"] == ts) else { return false };
        let before = self.messages.remove(place);
        let at = self.next_ts();
        self.tell(&json!({ "type": "message", "subtype": "message_deleted", "hidden": true, "channel": "C01",
            "ts": at, "deleted_ts": ts, "previous_message": before }));
        true
    }

    pub(crate) fn react(&mut self, user: &str, ts: &str, name: &str, set: bool) {
        let at = self.next_ts();
        let message = self.messages.iter_mut().find(|it| it["ts"] == ts).unwrap();
        message["reactions"] =
            if set { json!([{ "name": name, "users": [user], "count": 1 }]) } else { json!([]) };
        let kind = if set { "reaction_added" } else { "reaction_removed" };
        self.tell(&json!({ "type": kind, "user": user, "reaction": name, "event_ts": at,
            "item": { "type": "message", "channel": "C01", "ts": ts } }));
    }

    /// What happened, as Slack tells it.
    pub(crate) fn callback(&mut self, event: &Value) -> Value {
        self.count += 1;
        let id = self.count;
        // The app sees the channel; only who is in it sees a direct or group conversation.
        let seer = if channel_of(event).starts_with(['D', 'G']) {
            json!({ "team_id": "T01", "user_id": "U07", "is_bot": false })
        } else {
            json!({ "team_id": "T01", "user_id": "UBOT", "is_bot": true })
        };
        json!({ "type": "event_callback", "team_id": "T01", "api_app_id": "A01", "event_id": format!("Ev{id}"),
            "event": event, "authorizations": [seer] })
    }

    /// Tells the app what happened.
    pub(crate) fn tell(&mut self, event: &Value) {
        let payload = self.callback(event);
        let id = self.count;
        self.sockets.retain(|socket| !socket.is_closed());
        let envelope = json!({ "type": "events_api", "envelope_id": format!("e{id}"),
            "accepts_response_payload": false, "payload": payload });
        // One of the connections gets it.
        if let Some(socket) = self.sockets.last()
            && socket.send(envelope.to_string()).is_ok()
        {
            self.sent += 1;
        }
    }
}

async fn link(State(inside): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    if inside.lock().unwrap().closed {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    upgrade.on_upgrade(move |socket| carry(inside, socket))
}

async fn carry(inside: Shared, mut socket: WebSocket) {
    let (sender, mut envelopes) = mpsc::unbounded_channel();
    let hello = json!({ "type": "hello", "num_connections": 1 }).to_string();
    if socket.send(Message::Text(hello.into())).await.is_err() {
        return;
    }
    inside.lock().unwrap().sockets.push(sender);
    loop {
        tokio::select! {
            envelope = envelopes.recv() => {
                let Some(envelope) = envelope else { return };
                if socket.send(Message::Text(envelope.into())).await.is_err() {
                    return;
                }
            }
            frame = socket.recv() => match frame {
                Some(Ok(Message::Text(text))) if text.contains("envelope_id") => {
                    inside.lock().unwrap().acknowledged += 1;
                }
                Some(Ok(_)) => {}
                _ => return,
            },
        }
    }
}

async fn call(State(inside): State<Shared>, request: Request) -> Response {
    let method = request.uri().path().trim_start_matches("/api/").to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    let token = request.headers().get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let token = token.and_then(|it| it.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_else(|_| {
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        let pairs: Map<String, Value> =
            pairs.map(|(key, value)| (key.into_owned(), value.into_owned().into())).collect();
        Value::Object(pairs)
    });
    let mut inside = inside.lock().unwrap();
    *inside.calls.entry(method.clone()).or_default() += 1;
    inside.asked.push((method.clone(), asked.clone()));
    match inside.answer(&method, &asked, &token) {
        Ok(mut answer) => {
            answer["ok"] = true.into();
            axum::Json(answer).into_response()
        }
        Err("lost") => StatusCode::BAD_GATEWAY.into_response(),
        Err("limited") => {
            (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")], "{}").into_response()
        }
        Err(code) => axum::Json(json!({ "ok": false, "error": code })).into_response(),
    }
}
