//! A Discord of our own, as far as a bot sees it: gateway, REST and CDN on a loopback port, with faults on demand. It speaks the wire protocol
//! of the API reference; that its requests are Discord's is checked by the suite `discord`, which shows them to Discord's own schema.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};

use crate::{fake_gateway, fake_oauth, fake_rest, fake_server};

/// The server, its channels, the bot and its application.
pub(crate) const GUILD: &str = "500";
pub(crate) const CHANNEL: &str = "600";
pub(crate) const OTHER: &str = "601";
pub(crate) const FORUM: &str = "602";
/// A tag of the forum's.
pub(crate) const HELP_WANTED: &str = "90";
pub(crate) const BOT: &str = "700";
pub(crate) const APPLICATION: &str = "701";
pub(crate) const TOKEN: &str = "bot-token";
/// A time after everything else.
const LATE: &str = "2100-01-01T00:00:00.000000+00:00";

/// In a message's `flags`: a thread began with it.
const HAS_THREAD: u64 = 1 << 5;

/// What goes wrong.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each goes wrong by itself")]
pub(crate) struct Faults {
    /// So many messages are taken, but the answer is lost.
    pub(crate) lose_answers: u32,
    /// So many messages are answered by an error of the server, and not taken.
    pub(crate) fail: u32,
    /// So many messages are refused because of a limit.
    pub(crate) limit: u32,
    /// Sessions can't be resumed.
    pub(crate) refuse_resume: bool,
    /// Connections stay open but say nothing more, not even to heartbeats.
    pub(crate) mute: bool,
    /// Every event is said twice.
    pub(crate) double: bool,
    /// Nothing is told by the gateway, though it happens: as while nobody is connected.
    pub(crate) deaf: bool,
    /// The bot may not make webhooks.
    pub(crate) no_webhooks: bool,
}

/// A gateway session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// What was said in it: number, name, data.
    pub(crate) log: Vec<(u64, String, Value)>,
}

/// Everything there is.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) last: u64,
    /// The server without its channels, and who is in it.
    pub(crate) server: Value,
    pub(crate) members: Vec<Value>,
    /// What sorts of events the bot has asked for.
    pub(crate) intents: u64,
    pub(crate) messages: BTreeMap<String, Vec<Value>>,
    pub(crate) channels: BTreeMap<String, Value>,
    pub(crate) webhooks: BTreeMap<String, Value>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) pins: BTreeMap<String, Vec<String>>,
    pub(crate) answers: Vec<Value>,
    /// People's tokens that are good.
    pub(crate) tokens: BTreeSet<String>,
    pub(crate) faults: Faults,
    pub(crate) connected: u32,
    pub(crate) identified: u32,
    pub(crate) resumed: u32,
    pub(crate) nonces: BTreeMap<String, String>,
}

impl State {
    /// The next snowflake: later than all others.
    pub(crate) fn next_id(&mut self) -> u64 {
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        self.last = (self.last + 1).max((ms - 1_420_070_400_000) << 22);
        self.last
    }
}

/// The stand-in. It ends with its last clone.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) state: Arc<Mutex<State>>,
    /// Told to all connections.
    pub(crate) news: broadcast::Sender<(String, u64, String, Value)>,
    /// Raised to break all connections.
    pub(crate) cut: watch::Sender<u64>,
    /// Requests, for the schema check.
    pub(crate) requests: Arc<Mutex<Vec<Value>>>,
    pub(crate) address: String,
    _serving: Arc<Serving>,
}

struct Serving(tokio::task::JoinHandle<()>);
impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut state = State { server: fake_server::founded(), ..State::default() };
        for (id, kind, name) in [(CHANNEL, 0, "general"), (OTHER, 0, "other"), (FORUM, 15, "forum")]
        {
            state.channels.insert(
                id.into(),
                json!({ "id": id, "type": kind, "guild_id": GUILD, "name": name, "position": 0, "permission_overwrites": [] }),
            );
        }
        state.channels.get_mut(FORUM).unwrap()["available_tags"] = json!([
            { "id": HELP_WANTED, "name": "Help wanted", "moderated": false, "emoji_id": null, "emoji_name": "🛟" },
            { "id": "91", "name": "Solved", "moderated": true, "emoji_id": null, "emoji_name": null },
        ]);
        let (news, _) = broadcast::channel(10_000);
        let (ready, wait) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(async move {
            let Ok(fake) = wait.await else { return };
            let router =
                fake_rest::router().merge(fake_server::router()).merge(fake_oauth::router());
            let rest = fake_rest::noting(router, &fake);
            let router: axum::Router = rest.merge(fake_gateway::router()).with_state(fake);
            axum::serve(listener, router).await.unwrap();
        });
        let fake = Self {
            state: Arc::new(Mutex::new(state)),
            news,
            cut: watch::Sender::new(0),
            requests: Arc::default(),
            address,
            _serving: Arc::new(Serving(task)),
        };
        // The served copy must not keep the server alive by itself.
        let served = Self { _serving: Arc::new(Serving(tokio::spawn(async {}))), ..fake.clone() };
        let _ = ready.send(served);
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn faults(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.state().faults);
    }

    /// Breaks all connections of the gateway.
    pub(crate) fn cut(&self) {
        self.cut.send_modify(|cut| *cut += 1);
    }

    /// Forgets all sessions, as Discord does after a while.
    pub(crate) fn forget_sessions(&self) {
        self.state().sessions.clear();
        self.cut();
    }

    /// Something happened: every session is told, and every connection.
    pub(crate) fn dispatch(&self, name: &str, data: &Value) {
        let mut state = self.state();
        if state.faults.deaf || !fake_server::is_asked_for(name, state.intents) {
            return;
        }
        let double = state.faults.double;
        let sessions: Vec<String> = state.sessions.keys().cloned().collect();
        for id in sessions {
            let session = state.sessions.get_mut(&id).unwrap();
            let sequence = session.log.last().map_or(0, |(sequence, ..)| *sequence) + 1;
            session.log.push((sequence, name.to_owned(), data.clone()));
            for _ in 0..=u32::from(double) {
                let _ = self.news.send((id.clone(), sequence, name.to_owned(), data.clone()));
            }
        }
    }

    /// Somebody's words.
    pub(crate) fn user(name: &str) -> Value {
        let id = 10_000 + name.bytes().map(u64::from).sum::<u64>();
        json!({ "id": id.to_string(), "username": name, "global_name": name, "discriminator": "0", "avatar": null })
    }

    /// Adds a message and tells of it; gives its identifier.
    pub(crate) fn post(&self, channel: &str, message: Value) -> String {
        let id = self.state().next_id().to_string();
        self.put(channel, &id, message);
        id
    }

    fn put(&self, channel: &str, id: &str, mut message: Value) {
        {
            let mut state = self.state();
            message["id"] = id.into();
            message["channel_id"] = channel.into();
            for (key, value) in [
                ("type", json!(0)),
                ("attachments", json!([])),
                ("embeds", json!([])),
                ("mentions", json!([])),
                ("timestamp", json!("2026-01-01T00:00:00+00:00")),
            ] {
                if message.get(key).is_none() {
                    message[key] = value;
                }
            }
            state.messages.entry(channel.into()).or_default().push(message.clone());
            if let Some(known) = state.channels.get_mut(channel) {
                known["last_message_id"] = id.into();
            }
        }
        message["guild_id"] = GUILD.into();
        self.dispatch("MESSAGE_CREATE", &message);
    }

    /// The address of a file of the stand-in's.
    pub(crate) fn file(&self, path: &str) -> String {
        format!("http://{}/cdn/{path}", self.address)
    }

    /// The bodies of the requests of a method whose path ends so, oldest first.
    pub(crate) fn bodies(&self, method: &str, end: &str) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let path = |request: &Value| {
            request["path"].as_str().unwrap().split('?').next().unwrap().to_owned()
        };
        let fits = |request: &&Value| request["method"] == method && path(request).ends_with(end);
        requests.iter().filter(fits).map(fake_rest::body_of).collect()
    }

    /// The messages that the bridge has sent, as it sent them, oldest first.
    pub(crate) fn sent(&self) -> Vec<Value> {
        let requests = self.requests.lock().unwrap();
        let is_message = |request: &&Value| {
            let path = request["path"].as_str().unwrap();
            let path = path.split('?').next().unwrap();
            let by_hook = path.contains("/webhooks/") && !path.contains("/channels/");
            request["method"] == "POST" && (by_hook || path.ends_with("/messages"))
        };
        requests.iter().filter(is_message).map(fake_rest::body_of).collect()
    }

    /// Begins a thread with a message.
    pub(crate) fn begin_thread(&self, channel: &str, message: &str, name: &str) -> Value {
        self.begin_tagged(channel, message, name, &json!([]))
    }

    fn begin_tagged(&self, channel: &str, message: &str, name: &str, tags: &Value) -> Value {
        let made = json!({
            "id": message, "type": 11, "guild_id": GUILD, "parent_id": channel, "name": name,
            "thread_metadata": { "archived": false }, "applied_tags": tags,
        });
        {
            let mut state = self.state();
            state.channels.insert(message.to_owned(), made.clone());
            let all = state.messages.entry(channel.to_owned()).or_default();
            if let Some(root) = all.iter_mut().find(|root| root["id"] == *message) {
                root["thread"] = made.clone();
                root["flags"] = HAS_THREAD.into();
            }
        }
        self.dispatch("THREAD_CREATE", &made);
        made
    }

    /// Changes what is known of a channel or thread.
    pub(crate) fn change(&self, channel: &str, key: &str, value: Value) {
        let changed = {
            let mut state = self.state();
            let known = state.channels.get_mut(channel).unwrap();
            known[key] = value;
            known.clone()
        };
        let name = if changed["type"] == 11 { "THREAD_UPDATE" } else { "CHANNEL_UPDATE" };
        self.dispatch(name, &changed);
    }

    /// Puts a thread away.
    pub(crate) fn put_away(&self, thread: &str) {
        let mut state = self.state();
        let known = state.channels.get_mut(thread).unwrap();
        known["thread_metadata"] = json!({ "archived": true, "archive_timestamp": LATE });
    }

    /// Somebody pins a message.
    pub(crate) fn pin(&self, channel: &str, message: &str) {
        self.change_pins(channel, |pins| pins.push(message.to_owned()));
    }

    /// Somebody takes that back.
    pub(crate) fn unpin(&self, channel: &str, message: &str) {
        self.change_pins(channel, |pins| pins.retain(|pinned| pinned != message));
    }

    fn change_pins(&self, channel: &str, change: impl FnOnce(&mut Vec<String>)) {
        {
            let mut state = self.state();
            change(state.pins.entry(channel.to_owned()).or_default());
            if let Some(known) = state.channels.get_mut(channel) {
                known["last_pin_timestamp"] = LATE.into();
            }
        }
        let data = json!({ "guild_id": GUILD, "channel_id": channel, "last_pin_timestamp": LATE });
        self.dispatch("CHANNEL_PINS_UPDATE", &data);
    }

    /// The threads of a channel, in order.
    fn threads(&self, channel: &str) -> Vec<Value> {
        let state = self.state();
        state.channels.values().filter(|known| known["parent_id"] == *channel).cloned().collect()
    }

    /// What the posts of a forum are called.
    pub(crate) fn posts(&self, forum: &str) -> Vec<String> {
        let name = |post: &Value| post["name"].as_str().unwrap().to_owned();
        self.threads(forum).iter().map(name).collect()
    }

    /// The first thread of a channel.
    pub(crate) fn thread_of(&self, channel: &str) -> Option<String> {
        Some(self.threads(channel).first()?["id"].as_str()?.to_owned())
    }

    /// Begins a post of a forum with a message; gives its identifier, which is the message's too.
    pub(crate) fn begin(&self, forum: &str, name: &str, tags: &Value, message: Value) -> String {
        let id = self.state().next_id().to_string();
        self.begin_tagged(forum, &id, name, tags);
        self.put(&id, &id, message);
        id
    }

    /// Somebody says something.
    pub(crate) fn say(&self, channel: &str, name: &str, text: &str) -> String {
        self.post(channel, json!({ "author": Self::user(name), "content": text }))
    }

    /// Somebody changes what they said.
    pub(crate) fn edit(&self, channel: &str, id: &str, text: &str) {
        let message = {
            let mut state = self.state();
            let all = state.messages.get_mut(channel).unwrap();
            let message = all.iter_mut().find(|message| message["id"] == id).unwrap();
            message["content"] = text.into();
            message["edited_timestamp"] = "2026-01-01T00:00:01+00:00".into();
            message.clone()
        };
        self.dispatch("MESSAGE_UPDATE", &message);
    }

    /// Discord has found out what is behind the links of a message.
    pub(crate) fn unfurl(&self, channel: &str, id: &str, embeds: Value) {
        let message = {
            let mut state = self.state();
            let all = state.messages.get_mut(channel).unwrap();
            let message = all.iter_mut().find(|message| message["id"] == id).unwrap();
            message["embeds"] = embeds;
            message.clone()
        };
        self.dispatch("MESSAGE_UPDATE", &message);
    }

    /// A message is deleted.
    pub(crate) fn remove(&self, channel: &str, id: &str) {
        if let Some(all) = self.state().messages.get_mut(channel) {
            all.retain(|message| message["id"] != id);
        }
        let data = json!({ "id": id, "channel_id": channel, "guild_id": GUILD });
        self.dispatch("MESSAGE_DELETE", &data);
    }

    /// Name and text of the messages of a channel that came from the bridge.
    pub(crate) fn heard(&self, channel: &str) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.state()
            .messages
            .get(channel)
            .into_iter()
            .flatten()
            .filter(|message| message.get("webhook_id").is_some() || message["author"]["id"] == BOT)
            .map(|message| (text(&message["author"]["username"]), text(&message["content"])))
            .collect()
    }
}
