//! The homeserver that a connector's tests from end to end run with: the simulated one, or a real one where the environment names its
//! launcher. The tests are the same.

use std::{path::Path, sync::Arc};

use axum::Router;
use landbridge_registration::Registration;
use serde_json::Value;

use super::{
    contents,
    faults::Faults,
    homeserver::{Kind, SimHomeserver},
    real::RealHomeserver,
};
use crate::{config::BridgeConfig, matrix::Carrier};

/// The variable that names the launcher of a real homeserver: a program that starts one in the foreground and reads what
/// `tests/launch-homeserver` reads.
const LAUNCHER: &str = "LANDBRIDGE_TEST_HOMESERVER";

/// What both kinds of homeserver are asked; the rest follows from it.
pub(super) trait Backend: Send + Sync {
    /// Gives somebody an account, or finds it; the access token.
    fn account(&self, user_id: &str) -> String;
    /// Whether a bridge may act for its people, by nothing but its registration.
    fn lets_bridges_puppet(&self) -> bool;
    /// Whether it takes history from before what a room has.
    fn imports_history(&self) -> bool;
    /// The bridge's way to it.
    fn carrier(&self) -> Arc<dyn Carrier>;
    /// Its way to the bridge; none while that is gone.
    fn bridge_is(&self, appservice: Option<Router>);
    /// Somebody says whether they are there: `online`, `unavailable`, `offline`.
    fn presence(&self, user_id: &str, state: &str);
    /// The event that `whom` has read up to, as somebody in the room sees it.
    fn seen_read(&self, user_id: &str, room_id: &str, whom: &str) -> Option<String>;
    /// What somebody keeps about a room.
    fn account_data(&self, user_id: &str, room_id: &str, kind: &str) -> Option<Value>;
    fn all_rooms(&self) -> Vec<String>;
    fn timeline(&self, room_id: &str) -> Vec<Value>;
    fn state(&self, room_id: &str, kind: &str, state_key: &str) -> Option<Value>;
    fn profile(&self, user_id: &str) -> Value;
    fn uploads(&self) -> usize;
    fn join(&self, user_id: &str, room_id: &str) -> bool;
    fn send(&self, user_id: &str, room_id: &str, kind: &str, content: &Value) -> Option<String>;
    /// Sets state; `entry` is its type and its key.
    fn set_state(
        &self,
        user_id: &str,
        room_id: &str,
        entry: (&str, &str),
        content: &Value,
    ) -> Option<String>;
    fn create_room(&self, user_id: &str, body: &Value) -> Option<String>;
    /// What the last part of `POST /rooms/{roomId}/...` names, done to somebody: `invite`, `kick`, `ban`, `unban`.
    fn moderate(&self, user_id: &str, room_id: &str, action: &str, whom: &str) -> bool;
    fn leave(&self, user_id: &str, room_id: &str) -> bool;
    fn typing(&self, user_id: &str, room_id: &str);
    fn read(&self, user_id: &str, room_id: &str, event_id: &str);
    fn seen_typing(&self, user_id: &str, room_id: &str) -> Vec<String>;
    fn seen_presence(&self, user_id: &str, whom: &str) -> Value;
    fn redact(&self, user_id: &str, room_id: &str, event_id: &str) -> Option<String>;
    fn upload(&self, user_id: &str, mime: &str, bytes: &[u8]) -> Option<String>;
    fn download(&self, user_id: &str, mxc: &str) -> Option<(String, Vec<u8>)>;
}

/// A homeserver with one bridge. Cheap to clone; it ends with its last clone.
#[derive(Clone)]
pub struct TestHomeserver {
    backend: Arc<dyn Backend>,
}

impl TestHomeserver {
    /// Starts one with nobody on it and the bridge of this configuration registered: the simulated one, which behaves as ours does, or that
    /// of the launcher in `LANDBRIDGE_TEST_HOMESERVER`, as a process of its own with a folder of its own. `config` is told whether the
    /// homeserver keeps what it has accepted, where that is known. Must be called inside a runtime.
    ///
    /// # Panics
    ///
    /// When the configuration makes no valid registration, or the homeserver does not start.
    pub fn start(
        server_name: &str,
        network: &str,
        config: &mut BridgeConfig,
        faults: Faults,
    ) -> (Self, Registration) {
        let registered = |config: &BridgeConfig, url: Option<&str>| {
            config
                .registration(network, server_name, url, &mut rand::rng())
                .expect("the configuration makes a valid registration")
        };
        let Some(launcher) = std::env::var_os(LAUNCHER) else {
            config.homeserver_is_durable = Some(true);
            let registration = registered(config, None);
            let sim = SimHomeserver::new(server_name, registration.clone(), Kind::Ours, faults);
            return (Self { backend: Arc::new(sim) }, registration);
        };
        // The bridge asks it.
        config.homeserver_is_durable = None;
        let (real, registration) =
            RealHomeserver::start(Path::new(&launcher), server_name, |url| {
                registered(config, Some(url))
            });
        (Self { backend: Arc::new(real) }, registration)
    }

    /// The bridge's way to it.
    pub fn carrier(&self) -> Arc<dyn Carrier> {
        self.backend.carrier()
    }

    /// The bridge is up, and answers here.
    pub fn attach(&self, appservice: Router) {
        self.backend.bridge_is(Some(appservice));
    }

    /// The bridge is gone.
    pub fn detach(&self) {
        self.backend.bridge_is(None);
    }

    /// Somebody with an account here, who acts without any fault.
    pub fn user(&self, user_id: &str) -> TestUser {
        let token = self.backend.account(user_id);
        TestUser { homeserver: self.clone(), user_id: user_id.to_owned(), token }
    }

    /// The rooms that somebody is in or invited to.
    pub fn rooms(&self, user_id: &str) -> Vec<String> {
        let there = |room: &String| {
            matches!(self.membership(room, user_id).as_deref(), Some("join" | "invite"))
        };
        self.all_rooms().into_iter().filter(there).collect()
    }

    /// All rooms.
    pub fn all_rooms(&self) -> Vec<String> {
        self.backend.all_rooms()
    }

    /// The events of a room, oldest first.
    pub fn timeline(&self, room_id: &str) -> Vec<Value> {
        self.backend.timeline(room_id)
    }

    /// Sender and body of the messages of a room, oldest first; edits count as their new text where the message stands,
    /// redacted messages are left out.
    pub fn messages(&self, room_id: &str) -> Vec<(String, String)> {
        contents::messages(&self.timeline(room_id))
    }

    /// The content of a state event.
    pub fn state(&self, room_id: &str, kind: &str, state_key: &str) -> Option<Value> {
        self.backend.state(room_id, kind, state_key)
    }

    /// Somebody's membership of a room.
    pub fn membership(&self, room_id: &str, user_id: &str) -> Option<String> {
        let member = self.state(room_id, "m.room.member", user_id)?;
        member["membership"].as_str().map(ToOwned::to_owned)
    }

    /// Somebody's profile.
    pub fn profile(&self, user_id: &str) -> Value {
        self.backend.profile(user_id)
    }

    /// Whether bridges can put history before what a room has.
    pub fn imports_history(&self) -> bool {
        self.backend.imports_history()
    }

    /// How many files were uploaded.
    pub fn uploads(&self) -> usize {
        self.backend.uploads()
    }
}

/// Somebody with an account.
#[derive(Clone)]
pub struct TestUser {
    homeserver: TestHomeserver,
    user_id: String,
    token: String,
}

impl TestUser {
    /// Who.
    pub fn id(&self) -> &str {
        &self.user_id
    }

    /// The access token that they must give to a bridge to be puppeted by it; none where the homeserver lets bridges do that anyway.
    pub fn puppet_token(&self) -> Option<&str> {
        (!self.homeserver.backend.lets_bridges_puppet()).then_some(self.token.as_str())
    }

    /// Says whether they are there: `online`, `unavailable`, `offline`.
    pub fn presence(&self, state: &str) {
        self.homeserver.backend.presence(&self.user_id, state);
    }

    /// The event that somebody has read a room up to, as this person sees it.
    pub fn seen_read(&self, room_id: &str, whom: &str) -> Option<String> {
        self.homeserver.backend.seen_read(&self.user_id, room_id, whom)
    }

    /// What they keep about a room.
    pub fn account_data(&self, room_id: &str, kind: &str) -> Option<Value> {
        self.homeserver.backend.account_data(&self.user_id, room_id, kind)
    }

    /// Joins a room, by invitation or because it is open; says whether that worked.
    pub fn join(&self, room_id: &str) -> bool {
        self.homeserver.backend.join(&self.user_id, room_id)
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

    /// Sends any event.
    pub fn send(&self, room_id: &str, kind: &str, content: &Value) -> Option<String> {
        self.homeserver.backend.send(&self.user_id, room_id, kind, content)
    }

    /// Makes a room; gives its ID. `body` is that of `POST /createRoom`.
    pub fn create_room(&self, body: &Value) -> Option<String> {
        self.homeserver.backend.create_room(&self.user_id, body)
    }

    /// Sets state of a room; gives the event ID.
    pub fn set_state(
        &self,
        room_id: &str,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Option<String> {
        self.homeserver.backend.set_state(&self.user_id, room_id, (kind, key), content)
    }

    /// Invites somebody; says whether that worked.
    pub fn invite(&self, room_id: &str, whom: &str) -> bool {
        self.homeserver.backend.moderate(&self.user_id, room_id, "invite", whom)
    }

    /// Puts somebody out; says whether that worked.
    pub fn kick(&self, room_id: &str, whom: &str) -> bool {
        self.homeserver.backend.moderate(&self.user_id, room_id, "kick", whom)
    }

    /// Puts somebody out for good; says whether that worked.
    pub fn ban(&self, room_id: &str, whom: &str) -> bool {
        self.homeserver.backend.moderate(&self.user_id, room_id, "ban", whom)
    }

    /// Takes that back; says whether that worked.
    pub fn unban(&self, room_id: &str, whom: &str) -> bool {
        self.homeserver.backend.moderate(&self.user_id, room_id, "unban", whom)
    }

    /// Leaves a room; says whether that worked.
    pub fn leave(&self, room_id: &str) -> bool {
        self.homeserver.backend.leave(&self.user_id, room_id)
    }

    /// Types.
    pub fn typing(&self, room_id: &str) {
        self.homeserver.backend.typing(&self.user_id, room_id);
    }

    /// Has read a room up to an event.
    pub fn read(&self, room_id: &str, event_id: &str) {
        self.homeserver.backend.read(&self.user_id, room_id, event_id);
    }

    /// Who types in a room, as this person sees it.
    pub fn seen_typing(&self, room_id: &str) -> Vec<String> {
        self.homeserver.backend.seen_typing(&self.user_id, room_id)
    }

    /// Whether somebody is there, as this person sees it: the answer of `GET /presence/{userId}/status`.
    pub fn seen_presence(&self, whom: &str) -> Value {
        self.homeserver.backend.seen_presence(&self.user_id, whom)
    }

    /// Deletes something.
    pub fn redact(&self, room_id: &str, event_id: &str) -> Option<String> {
        self.homeserver.backend.redact(&self.user_id, room_id, event_id)
    }

    /// Uploads a file; gives its address.
    pub fn upload(&self, mime: &str, bytes: &[u8]) -> Option<String> {
        self.homeserver.backend.upload(&self.user_id, mime, bytes)
    }

    /// The type and the bytes of a file.
    pub fn download(&self, mxc: &str) -> Option<(String, Vec<u8>)> {
        self.homeserver.backend.download(&self.user_id, mxc)
    }
}
