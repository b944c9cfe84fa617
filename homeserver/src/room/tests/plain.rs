//! The quick check decides as the whole rules do.

use std::sync::Arc;

use proptest::prelude::*;
use ruma::{OwnedUserId, RoomVersionId, events::TimelineEventType, room_id, server_name};
use serde_json::{Value, json};

use super::rig::user;
use crate::{
    event::{Event, ServerKey, Template, canonical_object},
    nid::{EventNid, RoomNid},
    room::{PowerLevels, StateMap, check, resolve::entry_of},
};

fn event(
    version: &RoomVersionId,
    nid: i64,
    sender: OwnedUserId,
    kind: &str,
    key: Option<&str>,
    content: &Value,
) -> Arc<Event> {
    let rules = version.rules().unwrap();
    let create = kind == "m.room.create" && rules.authorization.room_create_event_id_as_room_id;
    let template = Template {
        room_id: (!create).then(|| room_id!("!room:here.example").to_owned()),
        sender,
        kind: kind.into(),
        state_key: key.map(ToOwned::to_owned),
        content: canonical_object(&content.to_string()).unwrap(),
        origin_server_ts: 1,
        depth: nid,
        prev_events: Vec::new(),
        auth_events: Vec::new(),
        redacts: None,
        sticky: None,
    };
    let key = ServerKey::new(server_name!("here.example"), "1", &[1; 32]).unwrap();
    Arc::new(Event::new(EventNid(nid), RoomNid(1), template.build(&rules, &key).unwrap()))
}

fn level() -> impl Strategy<Value = i64> {
    prop::sample::select(vec![-1, 0, 1, 25, 50, 75, 100])
}

/// Power levels with any of their parts missing.
fn levels() -> impl Strategy<Value = Option<Value>> {
    let named =
        prop::collection::btree_map(prop::sample::select(vec!["bob", "carol"]), level(), 0..3);
    let kinds = prop::collection::btree_map(
        prop::sample::select(vec!["m.room.message", "m.room.topic", "org.example.x"]),
        level(),
        0..3,
    );
    let parts = (
        prop::option::of(named),
        prop::option::of(kinds),
        prop::option::of(level()),
        prop::option::of(level()),
        prop::option::of(level()),
    );
    prop::option::of(parts.prop_map(
        |(users, events, users_default, events_default, state_default)| {
            let mut content = json!({});
            if let Some(users) = users {
                content["users"] = users
                    .into_iter()
                    .map(|(name, level)| (user(name).to_string(), json!(level)))
                    .collect();
            }
            let levels = [
                ("users_default", users_default),
                ("events_default", events_default),
                ("state_default", state_default),
            ];
            for (name, level) in levels {
                if let Some(level) = level {
                    content[name] = json!(level);
                }
            }
            if let Some(events) = events {
                content["events"] = json!(events);
            }
            content
        },
    ))
}

proptest! {
    #[test]
    fn the_quick_check_is_the_whole_one(
        version in 1_u8..=12,
        federate in prop::option::of(any::<bool>()),
        levels in levels(),
        memberships in prop::collection::vec(prop::sample::select(vec!["join", "invite", "leave", "ban", "knock", ""]), 3),
        sender in prop::sample::select(vec!["alice", "bob", "carol"]),
        kind in prop::sample::select(vec!["m.room.message", "m.room.topic", "org.example.x", "m.room.encrypted"]),
        key in prop::option::of(prop::sample::select(vec!["", "@bob:here.example", "@carol:here.example", "@", "x"])),
    ) {
        let version: RoomVersionId = version.to_string().as_str().try_into().unwrap();
        let rules = version.rules().unwrap().authorization;
        let mut created = json!({ "creator": user("alice").as_str(), "room_version": version.as_str() });
        if let Some(federate) = federate {
            created["m.federate"] = json!(federate);
        }
        let create = event(&version, 1, user("alice"), "m.room.create", Some(""), &created);
        let levels = levels.map(|content| event(&version, 2, user("alice"), "m.room.power_levels", Some(""), &content));
        let mut state = StateMap::new(Arc::new([5; 32]));
        let mut whole = check::Whole::new();
        for event in [Some(&create), levels.as_ref()].into_iter().flatten() {
            state.insert(&event.kind().to_string(), "", entry_of(event));
            whole.insert((event.kind().to_string(), String::new()), event.clone());
        }
        for (nid, (name, membership)) in (3..).zip(["alice", "bob", "carol"].iter().zip(&memberships)) {
            if !membership.is_empty() {
                let content = json!({ "membership": membership });
                let member = event(&version, nid, user(name), "m.room.member", Some(user(name).as_str()), &content);
                state.insert("m.room.member", user(name).as_str(), entry_of(&member));
            }
        }
        let candidate = event(&version, 9, user(sender), kind, key, &json!({}));
        let power = PowerLevels::of(&create, levels.as_deref(), &rules);
        let quick = check::plain(&TimelineEventType::from(kind), &user(sender), key, &state, &power, &create);
        let slow = check::by_state(&candidate, &state, &whole, &rules);
        prop_assert_eq!(quick.map(|result| result.is_ok()), Some(slow.is_ok()), "{:?}", slow);
    }
}
