//! Another server in the same process: its key signs events, and it answers for those that are missing here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use ruma::{
    EventId, OwnedEventId, OwnedUserId, RoomId, UserId, events::TimelineEventType,
    room_version_rules::RoomVersionRules, server_name,
};
use serde_json::{Value, json};

use super::rig::{Rig, raw};
use crate::{
    event::{Event, Pdu, Received, Reference, ServerKey, ServerKeys, Template, canonical_object},
    room::{MissingEvents, Outcome, Room, StateMap, check},
};

pub(super) fn key() -> ServerKey {
    ServerKey::new(server_name!("there.example"), "p1", &[9; 32]).unwrap()
}

pub(super) fn keys() -> ServerKeys {
    let mut keys = ServerKeys::new();
    keys.insert(server_name!("there.example"), "ed25519:p1", &key().public());
    keys
}

pub(super) fn peer(name: &str) -> OwnedUserId {
    UserId::parse(format!("@{name}:there.example")).unwrap()
}

/// What is to be in an event.
pub(super) struct Words {
    pub(super) sender: OwnedUserId,
    pub(super) kind: &'static str,
    pub(super) state_key: Option<String>,
    pub(super) content: Value,
}

impl Words {
    pub(super) fn message(name: &str, body: &str) -> Self {
        let content = json!({ "msgtype": "m.text", "body": body });
        Self { sender: peer(name), kind: "m.room.message", state_key: None, content }
    }

    pub(super) fn state(name: &str, kind: &'static str, key: &str, content: Value) -> Self {
        Self { sender: peer(name), kind, state_key: Some(key.to_owned()), content }
    }

    pub(super) fn member(name: &str, target: &UserId, membership: &str) -> Self {
        Self::state(name, "m.room.member", target.as_str(), json!({ "membership": membership }))
    }
}

/// The events that authorise `words` in a state.
pub(super) async fn auth_of(
    rig: &Rig,
    room: &Room,
    words: &Words,
    state: &StateMap,
) -> Vec<Arc<Event>> {
    let keys = check::auth_keys(
        &TimelineEventType::from(words.kind),
        &words.sender,
        words.state_key.as_deref(),
        &raw(&words.content),
        &room.rules().authorization,
    )
    .unwrap();
    let nids: Vec<_> =
        keys.iter().filter_map(|(kind, key)| state.nid(&kind.to_string(), key)).collect();
    rig.rooms.events(&nids).await.unwrap()
}

/// Signs an event on these predecessors.
pub(super) fn sign(room: &Room, words: Words, prev: &[&Pdu], auth: &[&Pdu]) -> Pdu {
    let rules = room.rules();
    let references = |pdus: &[&Pdu]| {
        pdus.iter().map(|pdu| Reference::to(pdu, rules).unwrap()).collect::<Vec<_>>()
    };
    let redacts = words.content["redacts"].as_str().map(|id| EventId::parse(id).unwrap());
    let template = Template {
        room_id: Some(room.id().to_owned()),
        sender: words.sender,
        kind: words.kind.into(),
        state_key: words.state_key,
        content: canonical_object(&words.content.to_string()).unwrap(),
        origin_server_ts: 1_700_000_000_000,
        depth: prev.iter().map(|pdu| pdu.depth).max().unwrap_or(0) + 1,
        prev_events: references(prev),
        auth_events: references(auth),
        redacts,
        sticky: None,
    };
    template.build(rules, &key()).unwrap()
}

/// Signs an event on the room's newest state and ends, as a well-behaved server would.
pub(super) async fn next(rig: &Rig, room: &Room, words: Words) -> Pdu {
    let snapshot = room.snapshot();
    let ends: Vec<_> = snapshot.extremities.iter().map(|end| end.nid).collect();
    let ends = rig.rooms.events(&ends).await.unwrap();
    let auth = auth_of(rig, room, &words, &snapshot.state).await;
    let pdus =
        |events: &[Arc<Event>]| events.iter().map(|event| event.pdu.clone()).collect::<Vec<_>>();
    let (ends, auth) = (pdus(&ends), pdus(&auth));
    sign(room, words, &ends.iter().collect::<Vec<_>>(), &auth.iter().collect::<Vec<_>>())
}

pub(super) async fn deliver(room: &Room, pdu: &Pdu) -> Outcome {
    room.receive(std::str::from_utf8(pdu.raw()).unwrap(), &keys()).await.unwrap()
}

/// Joins a user of the other server.
pub(super) async fn join(rig: &Rig, room: &Room, name: &str) -> Pdu {
    let pdu = next(rig, room, Words::member(name, &peer(name), "join")).await;
    assert_eq!(deliver(room, &pdu).await, Outcome::Accepted);
    pdu
}

/// The events that the other server has, to be asked for.
#[derive(Clone, Default)]
pub(super) struct Library(pub(super) Arc<Mutex<HashMap<OwnedEventId, Pdu>>>);

impl Library {
    pub(super) fn add(&self, pdu: &Pdu) {
        self.0.lock().unwrap().insert(pdu.event_id.clone(), pdu.clone());
    }

    fn get(&self, ids: &[OwnedEventId]) -> Vec<Received> {
        let pdus = self.0.lock().unwrap();
        ids.iter()
            .filter_map(|id| pdus.get(id))
            .map(|pdu| Received { pdu: pdu.clone(), redacted: false })
            .collect()
    }
}

#[async_trait]
impl MissingEvents for Library {
    async fn between(
        &self,
        _: &RoomId,
        _: &RoomVersionRules,
        earliest: &[OwnedEventId],
        latest: &[OwnedEventId],
    ) -> Vec<Received> {
        let mut found: Vec<Received> = Vec::new();
        let mut open: Vec<OwnedEventId> = latest.to_vec();
        while let Some(id) = open.pop() {
            for Received { pdu, .. } in self.get(std::slice::from_ref(&id)) {
                for prev in pdu.prev_events {
                    if !earliest.contains(&prev)
                        && !found.iter().any(|known| known.pdu.event_id == prev)
                    {
                        found.extend(self.get(std::slice::from_ref(&prev)));
                        open.push(prev);
                    }
                }
            }
        }
        found.sort_by_key(|received| received.pdu.depth);
        found
    }

    async fn events(
        &self,
        _: &RoomId,
        _: &RoomVersionRules,
        ids: &[OwnedEventId],
    ) -> Vec<Received> {
        self.get(ids)
    }

    async fn state_before(&self, _: &RoomId, _: &EventId) -> Option<Vec<OwnedEventId>> {
        None
    }
}
