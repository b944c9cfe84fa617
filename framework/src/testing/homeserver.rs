//! A homeserver in memory, good enough for a bridge: what an appservice calls, with the checks that matter to it, and
//! transactions pushed in order until they are acknowledged.

mod backend;
mod push;
mod room;
mod routes;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::Router;
use http::{Request, Response};
use landbridge_registration::Registration;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::carrier::FaultyCarrier;
use super::contents;
use super::faults::Faults;
use crate::matrix::{Body, ByteStream, Carrier, CarrierError, RouterCarrier};
use state::State;

/// Which homeserver is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours: what it acknowledged survives everything, transaction IDs and events for appservices too.
    Ours,
    /// Synapse: a restart loses the events that wait for the appservice and the memory of its transaction IDs.
    Synapse,
}

/// The homeserver. Cheap to clone; it outlives the bridge's crashes. It stops with its last clone.
#[derive(Clone)]
pub struct SimHomeserver {
    shared: Arc<Shared>,
    /// Ends the pushing when the last handle goes; the pushing itself holds none.
    _pusher: Arc<AbortOnDrop>,
}

struct Shared {
    state: Mutex<State>,
    target: Mutex<Option<Router>>,
    news: Notify,
    faults: Faults,
    /// Counts how often it was killed.
    kills: watch::Sender<u64>,
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Returns when the homeserver is killed after this call.
    fn killed(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut kills = self.kills.subscribe();
        async move {
            if kills.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Requests end with the process that answers them.
struct MortalCarrier {
    inner: RouterCarrier,
    shared: Arc<Shared>,
}

#[async_trait]
impl Carrier for MortalCarrier {
    async fn call(&self, request: Request<Body>) -> Result<Response<ByteStream>, CarrierError> {
        tokio::select! {
            biased;
            () = self.shared.killed() => Err(CarrierError::NoAnswer("the connection broke".into())),
            answer = self.inner.call(request) => answer,
        }
    }
}

impl SimHomeserver {
    /// An empty homeserver with one appservice. Must be called inside a runtime, where it pushes transactions.
    pub fn new(server_name: &str, registration: Registration, kind: Kind, faults: Faults) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::new(State::new(server_name, registration, kind)),
            target: Mutex::new(None),
            news: Notify::new(),
            faults,
            kills: watch::Sender::new(0),
        });
        let pusher = Arc::new(AbortOnDrop(tokio::spawn(push::run(shared.clone()))));
        Self { shared, _pusher: pusher }
    }

    /// Its HTTP surface.
    pub fn router(&self) -> Router {
        routes::router(self.shared.clone())
    }

    /// The way to it, with faults.
    pub fn carrier(&self) -> Arc<dyn Carrier> {
        let mortal =
            MortalCarrier { inner: RouterCarrier::new(self.router()), shared: self.shared.clone() };
        Arc::new(FaultyCarrier::new(Arc::new(mortal), self.shared.faults.clone()))
    }

    /// The bridge is up, and answers here.
    pub fn attach(&self, appservice: Router) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(appservice);
        self.shared.news.notify_waiters();
    }

    /// The bridge is gone.
    pub fn detach(&self) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It is killed and started again at once: requests under way break off, and what else that loses depends on its
    /// [`Kind`].
    pub fn restart(&self) {
        self.shared.state().restart();
        self.shared.kills.send_modify(|kills| *kills += 1);
        self.shared.news.notify_waiters();
    }

    /// The next transaction is never sent, as Synapse's are that come up just when it tries again after a failure.
    pub fn lose_transaction(&self) {
        self.shared.state().lose_next = true;
    }

    /// From now on application services can't `/sync`: some homeservers refuse it.
    pub fn refuse_sync(&self) {
        self.shared.state().no_sync = true;
    }

    /// Somebody with an account here, who acts without any fault.
    pub fn user(&self, user_id: &str) -> SimUser {
        self.shared.state().register(user_id);
        SimUser { homeserver: self.clone(), user_id: user_id.to_owned() }
    }

    /// An access token of somebody's.
    pub fn token(&self, user_id: &str) -> String {
        self.shared.state().token(user_id)
    }

    /// The rooms that somebody is in or invited to.
    pub fn rooms(&self, user_id: &str) -> Vec<String> {
        let state = self.shared.state();
        let there =
            |room: &&room::Room| matches!(room.membership(user_id), Some("join" | "invite"));
        state.rooms.values().filter(there).map(|room| room.id.clone()).collect()
    }

    /// All rooms.
    pub fn all_rooms(&self) -> Vec<String> {
        self.shared.state().rooms.keys().cloned().collect()
    }

    /// The events of a room, oldest first.
    pub fn timeline(&self, room_id: &str) -> Vec<Value> {
        let state = self.shared.state();
        state
            .rooms
            .get(room_id)
            .map(|room| room.timeline.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Sender and body of the messages of a room, oldest first; edits count as their new text where the message stands,
    /// redacted messages are left out.
    pub fn messages(&self, room_id: &str) -> Vec<(String, String)> {
        contents::messages(&self.timeline(room_id))
    }

    /// The content of a state event.
    pub fn state(&self, room_id: &str, kind: &str, state_key: &str) -> Option<Value> {
        Some(self.shared.state().rooms.get(room_id)?.state_content(kind, state_key)?.clone())
    }

    /// How many files were uploaded.
    pub fn uploads(&self) -> usize {
        self.shared.state().media.len()
    }

    /// Somebody's membership of a room.
    pub fn membership(&self, room_id: &str, user_id: &str) -> Option<String> {
        self.shared.state().rooms.get(room_id)?.membership(user_id).map(ToOwned::to_owned)
    }

    /// Somebody's profile.
    pub fn profile(&self, user_id: &str) -> Value {
        self.shared.state().profiles.get(user_id).cloned().map_or(Value::Null, Value::Object)
    }

    /// Events that the bridge hasn't acknowledged yet.
    pub fn undelivered(&self) -> usize {
        let state = self.shared.state();
        state.queue.len() + state.in_flight.as_ref().map_or(0, |t| t.count)
    }

    /// What was typed, read and the like, in order: type, room, user.
    pub fn passing(&self) -> Vec<(String, String, String)> {
        self.shared.state().passing.clone()
    }

    /// How many requests were answered.
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }
}

/// Somebody with an account.
#[derive(Clone)]
pub struct SimUser {
    homeserver: SimHomeserver,
    user_id: String,
}

impl SimUser {
    /// Who.
    pub fn id(&self) -> &str {
        &self.user_id
    }

    /// Joins a room, by invitation or because it is open; says whether that worked.
    pub fn join(&self, room_id: &str) -> bool {
        self.moderate(room_id, &self.user_id, "join")
    }

    /// Leaves a room.
    pub fn leave(&self, room_id: &str) -> bool {
        self.moderate(room_id, &self.user_id, "leave")
    }

    /// Invites somebody.
    pub fn invite(&self, room_id: &str, user_id: &str) -> bool {
        self.moderate(room_id, user_id, "invite")
    }

    /// Removes somebody.
    pub fn kick(&self, room_id: &str, user_id: &str) -> bool {
        self.moderate(room_id, user_id, "kick")
    }

    /// Removes somebody for good.
    pub fn ban(&self, room_id: &str, user_id: &str) -> bool {
        self.moderate(room_id, user_id, "ban")
    }

    /// Lets somebody come back.
    pub fn unban(&self, room_id: &str, user_id: &str) -> bool {
        self.moderate(room_id, user_id, "unban")
    }

    /// Types.
    pub fn typing(&self, room_id: &str) {
        let content = json!({ "user_ids": [self.user_id] });
        self.homeserver
            .shared
            .state()
            .ephemeral
            .push(json!({ "type": "m.typing", "room_id": room_id, "content": content }));
        self.homeserver.shared.news.notify_waiters();
    }

    /// Creates a room with this body of `createRoom`.
    pub fn create_room(&self, body: &Value) -> Option<String> {
        let room = self.homeserver.shared.state().create_room(&self.user_id, body).ok();
        self.homeserver.shared.news.notify_waiters();
        room
    }

    /// Says something; gives the event ID.
    pub fn say(&self, room_id: &str, text: &str) -> Option<String> {
        self.send(room_id, "m.room.message", &contents::text(text))
    }

    /// Changes what they said.
    pub fn edit(&self, room_id: &str, event_id: &str, text: &str) -> Option<String> {
        self.send(room_id, "m.room.message", &contents::edit(event_id, text))
    }

    /// Reacts to something.
    pub fn react(&self, room_id: &str, event_id: &str, key: &str) -> Option<String> {
        self.send(room_id, "m.reaction", &contents::reaction(event_id, key))
    }

    /// Deletes something.
    pub fn redact(&self, room_id: &str, event_id: &str) -> Option<String> {
        let result = self.homeserver.shared.state().redact(
            room_id,
            &self.user_id,
            event_id,
            json!({}),
            None,
        );
        self.homeserver.shared.news.notify_waiters();
        result.ok()
    }

    /// Has read a room up to an event.
    pub fn read(&self, room_id: &str, event_id: &str) {
        let content = json!({ event_id: { "m.read": { &self.user_id: { "ts": 0 } } } });
        self.homeserver
            .shared
            .state()
            .ephemeral
            .push(json!({ "type": "m.receipt", "room_id": room_id, "content": content }));
        self.homeserver.shared.news.notify_waiters();
    }

    /// Says whether they are there.
    pub fn presence(&self, state: &str) {
        self.homeserver.shared.state().ephemeral.push(json!({
            "type": "m.presence", "sender": self.user_id, "content": { "presence": state },
        }));
        self.homeserver.shared.news.notify_waiters();
    }

    /// Sends any event.
    pub fn send(&self, room_id: &str, kind: &str, content: &Value) -> Option<String> {
        let result = self.homeserver.shared.state().send(
            room_id,
            &self.user_id,
            kind,
            None,
            content.clone(),
            None,
        );
        self.homeserver.shared.news.notify_waiters();
        result.ok()
    }

    /// Sets state.
    pub fn set_state(
        &self,
        room_id: &str,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Option<String> {
        let result = self.homeserver.shared.state().send(
            room_id,
            &self.user_id,
            kind,
            Some(key),
            content.clone(),
            None,
        );
        self.homeserver.shared.news.notify_waiters();
        result.ok()
    }

    fn moderate(&self, room_id: &str, user_id: &str, action: &str) -> bool {
        let mut state = self.homeserver.shared.state();
        let result = state.moderate(room_id, &self.user_id, user_id, action, None);
        drop(state);
        self.homeserver.shared.news.notify_waiters();
        result.is_ok()
    }
}
