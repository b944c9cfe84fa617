//! Random DAGs, delivered in random orders, end with the states that a naive model computes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use proptest::prelude::*;
use ruma::{
    EventId, OwnedEventId, RoomVersionId,
    events::StateEventType,
    room_version_rules::{RoomVersionRules, StateResolutionVersion},
    state_res::{
        StateMap as RumaMap, check_state_dependent_auth_rules, utils::event_id_set::EventIdSet,
    },
};
use serde_json::json;

use super::{
    peer::{Library, Words, join, peer, sign},
    rig::{Options, Rig, user},
};
use crate::{
    event::{Event, Flags, Pdu},
    nid::{EventNid, RoomNid},
    room::{Outcome, Room, check},
};

type Map = RumaMap<OwnedEventId>;

/// Everything as simple as it can be: whole maps, whole chains, nothing remembered but the results.
struct Model {
    rules: RoomVersionRules,
    events: HashMap<OwnedEventId, Arc<Event>>,
    after: HashMap<OwnedEventId, Map>,
    rejected: HashSet<OwnedEventId>,
}

impl Model {
    fn chain(&self, ids: impl IntoIterator<Item = OwnedEventId>) -> HashSet<OwnedEventId> {
        let mut chain = HashSet::new();
        let mut open: Vec<OwnedEventId> = ids.into_iter().collect();
        while let Some(id) = open.pop() {
            for auth in &self.events[&id].pdu.auth_events {
                if chain.insert(auth.clone()) {
                    open.push(auth.clone());
                }
            }
        }
        chain
    }

    fn subgraph(&self, conflicted: &HashSet<OwnedEventId>) -> EventIdSet<OwnedEventId> {
        let mut set = EventIdSet::new();
        for id in
            self.chain(conflicted.iter().cloned()).into_iter().chain(conflicted.iter().cloned())
        {
            let reaches = self.chain([id.clone()]).iter().any(|below| conflicted.contains(below));
            if conflicted.contains(&id) || reaches {
                set.insert(id);
            }
        }
        set
    }

    fn resolve(&self, maps: &[Map]) -> Map {
        let StateResolutionVersion::V2(v2) = &self.rules.state_res else {
            unreachable!("not version 1")
        };
        let chains = maps
            .iter()
            .map(|map| {
                let mut set = EventIdSet::new();
                for id in self.chain(map.values().cloned()) {
                    set.insert(id);
                }
                set
            })
            .collect();
        ruma::state_res::resolve(
            &self.rules.authorization,
            v2,
            maps,
            chains,
            |id| self.events.get(id).cloned(),
            |conflicted| Some(self.subgraph(&conflicted.values().flatten().cloned().collect())),
        )
        .unwrap()
    }

    fn before(&self, prev: &[OwnedEventId]) -> Map {
        let maps: Vec<Map> = prev.iter().map(|id| self.after[id].clone()).collect();
        if maps.len() == 1 { maps[0].clone() } else { self.resolve(&maps) }
    }

    fn allowed(&self, event: &Event, state: &Map) -> bool {
        check_state_dependent_auth_rules(&self.rules.authorization, event, |kind, key| {
            self.events.get(state.get(&(kind.clone(), key.to_owned()))?).cloned()
        })
        .is_ok()
    }

    fn add(&mut self, pdu: &Pdu) {
        let mut state = self.before(&pdu.prev_events);
        let mut event = Event::new(EventNid(0), RoomNid(0), pdu.clone());
        let by_auth = check::by_auth_events(
            &event,
            |id: &EventId| self.events.get(id).cloned(),
            &self.rules.authorization,
        );
        if by_auth.is_err() || !self.allowed(&event, &state) {
            self.rejected.insert(pdu.event_id.clone());
            event.flags = Flags::REJECTED;
        } else if let Some(key) = pdu.state_key() {
            state.insert((event.kind().to_string().into(), key.to_owned()), pdu.event_id.clone());
        }
        self.after.insert(pdu.event_id.clone(), state);
        self.events.insert(pdu.event_id.clone(), Arc::new(event));
    }
}

/// A random event: on what, by whom, what.
#[derive(Clone, Debug)]
struct Choice {
    prev: Vec<prop::sample::Index>,
    who: usize,
    what: usize,
    target: usize,
    level: i64,
}

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    let one = (
        prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        0..PEOPLE.len(),
        0..8_usize,
        0..PEOPLE.len(),
        prop::sample::select(vec![0, 25, 50, 100]),
    );
    let one =
        one.prop_map(|(prev, who, what, target, level)| Choice { prev, who, what, target, level });
    prop::collection::vec(one, 1..14)
}

const PEOPLE: [&str; 4] = ["eve", "fred", "gina", "hugo"];

fn words(choice: &Choice, state: &Map, model: &Model) -> Words {
    let (who, target) = (PEOPLE[choice.who], peer(PEOPLE[choice.target]));
    match choice.what {
        0 => Words::message(who, "words"),
        1 => Words::state(who, "m.room.topic", "", json!({ "topic": choice.level.to_string() })),
        2 => Words::state(who, "m.room.name", "", json!({ "name": choice.target.to_string() })),
        3 => {
            let rule = if choice.level >= 50 { "public" } else { "invite" };
            Words::state(who, "m.room.join_rules", "", json!({ "join_rule": rule }))
        }
        4 => Words::member(who, &peer(who), if choice.level >= 50 { "join" } else { "leave" }),
        5 => Words::member(who, &target, if choice.level >= 50 { "ban" } else { "leave" }),
        6 => Words::member(who, &target, "invite"),
        _ => {
            let levels = &state[&(StateEventType::RoomPowerLevels, String::new())];
            let content = model.events[levels].pdu.content().get();
            let mut content: serde_json::Value = serde_json::from_str(content).unwrap();
            content["users"][target.as_str()] = json!(choice.level);
            Words::state(who, "m.room.power_levels", "", content)
        }
    }
}

async fn base(rig: &Rig, version: RoomVersionId) -> (Room, Model, Pdu) {
    let room = rig.room(version).await;
    for name in &PEOPLE[..3] {
        join(rig, &room, name).await;
    }
    let mut users = json!({ peer("eve").as_str(): 100, peer("fred").as_str(): 50 });
    if !room.rules().authorization.explicitly_privilege_room_creators {
        users[user("alice").as_str()] = json!(100);
    }
    room.set("alice", "m.room.power_levels", "", &json!({ "users": users })).await.unwrap();
    let last = room.say("alice", "begin").await.unwrap().event.unwrap();
    let mut model = Model {
        rules: room.rules().clone(),
        events: HashMap::new(),
        after: HashMap::new(),
        rejected: HashSet::new(),
    };
    let rows =
        crate::storage::timeline::forward(&rig.db, room.nid(), 0, i64::MAX, 100).await.unwrap();
    for event in rig.rooms.cache().read(rows, rig.rooms.cache().mark()).await.unwrap() {
        model.events.insert(event.pdu.event_id.clone(), event);
    }
    let state = room.snapshot().state.clone();
    let map = state.iter().map(|(key, entry)| {
        ((StateEventType::from(key.kind()), key.key().to_owned()), entry.event_id().to_owned())
    });
    model.after.insert(last.pdu.event_id.clone(), map.collect());
    (room, model, last.pdu.clone())
}

/// The state as the server has it, in the model's form.
fn map_of(state: &crate::room::StateMap) -> BTreeMap<(String, String), OwnedEventId> {
    state
        .iter()
        .map(|(key, entry)| {
            ((key.kind().to_owned(), key.key().to_owned()), entry.event_id().to_owned())
        })
        .collect()
}

fn plain(map: &Map) -> BTreeMap<(String, String), OwnedEventId> {
    map.iter().map(|((kind, key), id)| ((kind.to_string(), key.clone()), id.clone())).collect()
}

async fn run(version: RoomVersionId, choices: Vec<Choice>, order: Vec<prop::sample::Index>) {
    let library = Library::default();
    let options = Options { missing: Arc::new(library.clone()), ..Options::default() };
    let rig = Rig::with(options).await;
    let (room, mut model, origin) = base(&rig, version).await;
    let mut pdus = vec![origin];
    for choice in &choices {
        let mut prev: Vec<&Pdu> = choice.prev.iter().map(|index| index.get(&pdus)).collect();
        prev.sort_by(|a, b| a.event_id.cmp(&b.event_id));
        prev.dedup_by(|a, b| a.event_id == b.event_id);
        let state = model.before(&prev.iter().map(|pdu| pdu.event_id.clone()).collect::<Vec<_>>());
        let words = words(choice, &state, &model);
        let keys = check::auth_keys(
            &words.kind.into(),
            &words.sender,
            words.state_key.as_deref(),
            &super::rig::raw(&words.content),
            &model.rules.authorization,
        );
        let auth: Vec<Pdu> = keys
            .unwrap()
            .into_iter()
            .filter_map(|key| Some(model.events[state.get(&key)?].pdu.clone()))
            .collect();
        let pdu = sign(&room, words, &prev, &auth.iter().collect::<Vec<_>>());
        if !model.events.contains_key(&pdu.event_id) {
            model.add(&pdu);
            library.add(&pdu);
            pdus.push(pdu);
        }
    }
    let mut waiting: Vec<&Pdu> = pdus[1..].iter().collect();
    for index in order {
        if waiting.is_empty() {
            break;
        }
        let next = waiting.swap_remove(index.index(waiting.len()));
        super::peer::deliver(&room, next).await;
    }
    for pdu in waiting {
        super::peer::deliver(&room, pdu).await;
    }
    let mut soft_failed = 0;
    for pdu in &pdus[1..] {
        let event = rig.rooms.event(&pdu.event_id).await.unwrap().unwrap();
        let rejected = event.flags.has(Flags::REJECTED);
        assert_eq!(
            rejected,
            model.rejected.contains(&pdu.event_id),
            "{} {:?}",
            event.kind(),
            pdu.state_key()
        );
        soft_failed += usize::from(event.flags.has(Flags::SOFT_FAILED));
        let state = room.state_of(event.state_after.unwrap()).await.unwrap();
        assert_eq!(map_of(&state), plain(&model.after[&pdu.event_id]));
    }
    let snapshot = room.snapshot();
    let ends: Vec<OwnedEventId> =
        snapshot.extremities.iter().map(|end| end.reference.id.clone()).collect();
    if ends.iter().all(|id| model.after.contains_key(id)) {
        assert_eq!(
            map_of(&snapshot.state),
            plain(&model.before(&ends)),
            "{soft_failed} soft-failed"
        );
    }
    // What a restart finds is what memory had.
    let id = room.id().to_owned();
    let before = snapshot.state.clone();
    drop((room, snapshot));
    let rig = rig.reopen().await;
    assert_eq!(rig.rooms.get(&id).await.unwrap().snapshot().state, before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn states_are_the_models(
        version in 2_u8..=12,
        choices in choices(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 14),
    ) {
        let version = version.to_string().as_str().try_into().unwrap();
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
            .block_on(run(version, choices, order));
    }
}

/// Version 1 has no model here: what is shown is that the order of delivery doesn't matter to the states of events.
#[tokio::test]
async fn version_1_comes_to_one_state_in_any_order() {
    let mut states = Vec::new();
    for reverse in [false, true] {
        let library = Library::default();
        let options = Options { missing: Arc::new(library.clone()), ..Options::default() };
        let rig = Rig::with(options).await;
        let room = rig.room(RoomVersionId::V1).await;
        join(&rig, &room, "eve").await;
        let users = json!({ peer("eve").as_str(): 100, user("alice").as_str(): 100 });
        room.set("alice", "m.room.power_levels", "", &json!({ "users": users })).await.unwrap();
        let origin = room.say("alice", "origin").await.unwrap().event.unwrap().pdu.clone();
        let state = room.snapshot().state.clone();
        let mut branches = Vec::new();
        let topics = ["one", "two"].map(|text| ("m.room.topic", json!({ "topic": text })));
        let rules =
            ["invite", "public"].map(|rule| ("m.room.join_rules", json!({ "join_rule": rule })));
        for (kind, content) in topics.into_iter().chain(rules) {
            let words = Words::state("eve", kind, "", content.clone());
            let auth = super::peer::auth_of(&rig, &room, &words, &state).await;
            let auth: Vec<Pdu> = auth.iter().map(|event| event.pdu.clone()).collect();
            branches.push(sign(&room, words, &[&origin], &auth.iter().collect::<Vec<_>>()));
        }
        if reverse {
            branches.reverse();
        }
        for branch in &branches {
            assert_eq!(super::peer::deliver(&room, branch).await, Outcome::Accepted);
        }
        let state = room.snapshot().state.clone();
        let topic = state.get("m.room.topic", "").unwrap().event_id().to_owned();
        let topic = rig.rooms.event(&topic).await.unwrap().unwrap();
        let rule = room.snapshot().join_rule();
        // Ids are random in version 1, so the winner is told by the rule itself: the depth is equal, the hash decides.
        let lowest = branches
            .iter()
            .filter(|pdu| pdu.kind.to_string() == "m.room.topic")
            .min_by_key(|pdu| {
                <sha1::Sha1 as sha1::Digest>::digest(pdu.event_id.as_bytes()).to_vec()
            })
            .unwrap();
        assert_eq!(topic.pdu.event_id, lowest.event_id);
        let highest_last = branches
            .iter()
            .filter(|pdu| pdu.kind.to_string() == "m.room.join_rules")
            .min_by_key(|pdu| {
                <sha1::Sha1 as sha1::Digest>::digest(pdu.event_id.as_bytes()).to_vec()
            })
            .unwrap();
        assert_eq!(highest_last.content_str("join_rule"), Some(rule));
        states.push(state.len());
    }
    assert_eq!(states[0], states[1]);
}
