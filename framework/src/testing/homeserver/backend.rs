//! The simulated homeserver as one of those that tests may run with.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use serde_json::Value;

use super::{SimHomeserver, SimUser};
use crate::{matrix::Carrier, testing::chosen::Backend};

impl SimHomeserver {
    fn somebody(&self, user_id: &str) -> SimUser {
        SimUser { homeserver: self.clone(), user_id: user_id.to_owned() }
    }
}

impl Backend for SimHomeserver {
    fn account(&self, user_id: &str) -> String {
        self.token(user_id)
    }

    fn lets_bridges_puppet(&self) -> bool {
        self.shared.state().is_ours()
    }

    fn imports_history(&self) -> bool {
        self.shared.state().is_ours()
    }

    fn carrier(&self) -> Arc<dyn Carrier> {
        SimHomeserver::carrier(self)
    }

    fn bridge_is(&self, appservice: Option<Router>) {
        match appservice {
            Some(router) => self.attach(router),
            None => self.detach(),
        }
    }

    fn presence(&self, user_id: &str, state: &str) {
        self.somebody(user_id).presence(state);
    }

    fn seen_read(&self, _: &str, room_id: &str, whom: &str) -> Option<String> {
        let place = (room_id.to_owned(), whom.to_owned());
        self.shared.state().receipts.get(&place).cloned()
    }

    fn account_data(&self, user_id: &str, room_id: &str, kind: &str) -> Option<Value> {
        let key = (user_id.to_owned(), room_id.to_owned(), kind.to_owned());
        self.shared.state().account_data.get(&key).cloned()
    }

    fn all_rooms(&self) -> Vec<String> {
        SimHomeserver::all_rooms(self)
    }

    fn timeline(&self, room_id: &str) -> Vec<Value> {
        SimHomeserver::timeline(self, room_id)
    }

    fn state(&self, room_id: &str, kind: &str, state_key: &str) -> Option<Value> {
        SimHomeserver::state(self, room_id, kind, state_key)
    }

    fn profile(&self, user_id: &str) -> Value {
        SimHomeserver::profile(self, user_id)
    }

    fn uploads(&self) -> usize {
        SimHomeserver::uploads(self)
    }

    fn join(&self, user_id: &str, room_id: &str) -> bool {
        self.somebody(user_id).join(room_id)
    }

    fn send(&self, user_id: &str, room_id: &str, kind: &str, content: &Value) -> Option<String> {
        self.somebody(user_id).send(room_id, kind, content)
    }

    fn set_state(
        &self,
        user_id: &str,
        room_id: &str,
        (kind, key): (&str, &str),
        content: &Value,
    ) -> Option<String> {
        self.somebody(user_id).set_state(room_id, kind, key, content)
    }

    fn create_room(&self, user_id: &str, body: &Value) -> Option<String> {
        self.somebody(user_id).create_room(body)
    }

    fn moderate(&self, user_id: &str, room_id: &str, action: &str, whom: &str) -> bool {
        self.somebody(user_id).moderate(room_id, whom, action)
    }

    fn leave(&self, user_id: &str, room_id: &str) -> bool {
        self.somebody(user_id).leave(room_id)
    }

    fn typing(&self, user_id: &str, room_id: &str) {
        self.somebody(user_id).typing(room_id);
    }

    fn read(&self, user_id: &str, room_id: &str, event_id: &str) {
        self.somebody(user_id).read(room_id, event_id);
    }

    fn seen_typing(&self, _: &str, room_id: &str) -> Vec<String> {
        let state = self.shared.state();
        let here = state.typing.iter().filter(|(room, _)| room == room_id);
        here.map(|(_, user)| user.clone()).collect()
    }

    fn seen_presence(&self, _: &str, whom: &str) -> Value {
        self.shared.state().presences.get(whom).cloned().unwrap_or_default()
    }

    fn redact(&self, user_id: &str, room_id: &str, event_id: &str) -> Option<String> {
        self.somebody(user_id).redact(room_id, event_id)
    }

    fn upload(&self, _: &str, mime: &str, bytes: &[u8]) -> Option<String> {
        let mut state = self.shared.state();
        let mxc = state.new_mxc();
        state.media.insert(mxc.clone(), Some((mime.to_owned(), Bytes::copy_from_slice(bytes))));
        Some(mxc)
    }

    fn download(&self, _: &str, mxc: &str) -> Option<(String, Vec<u8>)> {
        let (mime, bytes) = self.shared.state().media.get(mxc)?.clone()?;
        Some((mime, bytes.to_vec()))
    }
}
