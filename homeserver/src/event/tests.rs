//! Events built here are what the general functions say they must be.

use proptest::prelude::*;
use ruma::{
    CanonicalJsonObject, RoomVersionId, UserId, event_id,
    events::TimelineEventType,
    room_id, server_name,
    signatures::{Ed25519KeyPair, hash_and_sign_event, reference_hash},
};
use serde_json::json;

use super::*;

fn key() -> ServerKey {
    ServerKey::new(server_name!("here.example"), "a_1", &[3; 32]).unwrap()
}

fn keys() -> ServerKeys {
    let mut keys = ServerKeys::new();
    keys.insert(server_name!("here.example"), "ed25519:a_1", &key().public());
    keys
}

fn versions() -> impl Strategy<Value = RoomVersionId> {
    (1_u8..=12).prop_map(|version| version.to_string().as_str().try_into().unwrap())
}

/// Contents of all kinds, as text.
fn contents() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        (-(1_i64 << 53) + 1..1_i64 << 53).prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
    ];
    let tree = leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| json!(list)),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|map| json!(map)),
        ]
    });
    let keys = prop_oneof![
        any::<String>(),
        Just("membership".to_owned()),
        Just("creator".to_owned()),
        Just("users".to_owned()),
        Just("join_rule".to_owned()),
        Just("redacts".to_owned()),
        Just("body".to_owned()),
    ];
    prop::collection::btree_map(keys, tree, 0..6).prop_map(|map| json!(map))
}

fn kinds() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "m.room.message",
        "m.room.encrypted",
        "m.room.member",
        "m.room.create",
        "m.room.power_levels",
        "m.room.join_rules",
        "m.room.history_visibility",
        "m.room.aliases",
        "m.room.redaction",
        "m.reaction",
        "org.example \"quoted\"",
    ])
}

proptest! {
    #[test]
    fn a_built_event_is_what_ruma_builds(
        version in versions(),
        kind in kinds(),
        state_key in prop::option::of("[a-z\"\\\\é]{0,8}"),
        content in contents(),
        redacts in any::<bool>(),
        sticky in prop::option::of(0..=3_600_000_i64),
        references in 0..4_usize,
    ) {
        let rules = version.rules().unwrap();
        let mut content: CanonicalJsonObject = serde_json::from_value(content).unwrap();
        if kind == "m.room.member" {
            // Which signatures a member event needs depends on it.
            content.insert("membership".to_owned(), "join".to_owned().into());
        }
        let references: Vec<Reference> = (0..references)
            .map(|_| Reference {
                id: event_id!("$someeventid").to_owned(),
                hash: Some("aGFzaA".to_owned()),
            })
            .collect();
        let template = Template {
            room_id: Some(room_id!("!room:here.example").to_owned()),
            sender: UserId::parse("@alice:here.example").unwrap(),
            kind: TimelineEventType::from(kind),
            state_key,
            content,
            origin_server_ts: 1_700_000_000_000,
            depth: 12,
            prev_events: references.clone(),
            auth_events: references,
            redacts: redacts.then(|| event_id!("$target").to_owned()),
            sticky,
        };
        let pdu = template.build(&rules, &key()).unwrap();
        let text = std::str::from_utf8(pdu.raw()).unwrap();
        let object = canonical_object(text).unwrap();
        prop_assert_eq!(canonical_string(&object), text, "the bytes are canonical");

        let mut again = object.clone();
        again.remove("hashes");
        again.remove("signatures");
        let mut document = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        document.extend([3; 32]);
        let pair = Ed25519KeyPair::from_der(&document, "a_1".to_owned()).unwrap();
        hash_and_sign_event("here.example", &pair, &mut again, &rules.redaction).unwrap();
        prop_assert_eq!(canonical_string(&again), text);
        if version != RoomVersionId::V1 && version != RoomVersionId::V2 {
            prop_assert_eq!(&pdu.event_id.as_str()[1..], reference_hash(&object, &rules).unwrap());
        }

        let received = verify(text, &rules, &keys()).unwrap();
        prop_assert!(!received.redacted);
        prop_assert_eq!(&received.pdu.event_id, &pdu.event_id);
        prop_assert_eq!(received.pdu.raw(), pdu.raw());
        prop_assert_eq!(&received.pdu.prev_events, &pdu.prev_events);

        let redacted = redact(&pdu, &rules).unwrap();
        let once = verify(std::str::from_utf8(redacted.raw()).unwrap(), &rules, &keys()).unwrap();
        prop_assert_eq!(once.pdu.event_id, pdu.event_id, "redaction keeps id and signature");
    }

    #[test]
    fn no_input_makes_verifying_panic(text in any::<String>(), version in versions()) {
        let _ = verify(&text, &version.rules().unwrap(), &keys());
    }
}

/// A message by Alice, alone in its room.
fn template(content: serde_json::Value) -> Template {
    Template {
        room_id: Some(room_id!("!room:here.example").to_owned()),
        sender: UserId::parse("@alice:here.example").unwrap(),
        kind: TimelineEventType::RoomMessage,
        state_key: None,
        content: serde_json::from_value(content).unwrap(),
        origin_server_ts: 5,
        depth: 1,
        prev_events: Vec::new(),
        auth_events: Vec::new(),
        redacts: None,
        sticky: None,
    }
}

fn built(content: serde_json::Value) -> Pdu {
    template(content).build(&RoomVersionId::V11.rules().unwrap(), &key()).unwrap()
}

#[test]
fn rooms_that_are_made_alike_are_two_rooms() {
    let rules = RoomVersionId::V12.rules().unwrap();
    let create = || {
        let create = Template {
            room_id: None,
            kind: TimelineEventType::RoomCreate,
            state_key: Some(String::new()),
            ..template(json!({ "room_version": "12" }))
        };
        create.build(&rules, &key()).unwrap()
    };
    let (one, other) = (create(), create());
    assert_ne!(one.room_id, other.room_id);
    let text = std::str::from_utf8(one.raw()).unwrap();
    assert_eq!(canonical_string(&canonical_object(text).unwrap()), text, "the bytes are canonical");
    let received = verify(text, &rules, &keys()).unwrap();
    assert!(!received.redacted);
    assert_eq!((&received.pdu.event_id, &received.pdu.room_id), (&one.event_id, &one.room_id));
    let redacted = redact(&one, &rules).unwrap();
    let again = verify(std::str::from_utf8(redacted.raw()).unwrap(), &rules, &keys()).unwrap();
    assert_eq!(again.pdu.room_id, one.room_id);
}

#[test]
fn a_changed_content_is_redacted_and_a_changed_rest_is_dropped() {
    let rules = RoomVersionId::V11.rules().unwrap();
    let text = std::str::from_utf8(built(json!({ "body": "true" })).raw()).unwrap().to_owned();
    let received = verify(&text.replace("true", "false"), &rules, &keys()).unwrap();
    assert!(received.redacted);
    assert_eq!(received.pdu.content().get(), "{}");
    let moved = text.replace("\"depth\":1", "\"depth\":2");
    assert!(matches!(verify(&moved, &rules, &keys()), Err(VerifyError::Signature(_))));
    let mut others = ServerKeys::new();
    others.insert(
        server_name!("here.example"),
        "ed25519:a_1",
        &ServerKey::new(server_name!("here.example"), "a_1", &[4; 32]).unwrap().public(),
    );
    assert!(matches!(verify(&text, &rules, &others), Err(VerifyError::Signature(_))));
    assert!(matches!(verify(&text, &rules, &ServerKeys::new()), Err(VerifyError::Signature(_))));
}

#[test]
fn the_form_for_clients_has_what_the_viewer_may_see() {
    let event = Event::new(EventNid(1), RoomNid(1), built(json!({ "body": "a \"b\"" })));
    let mut bare = String::new();
    event.write_client(&mut bare, false, &Unsigned::default());
    let bare: serde_json::Value = serde_json::from_str(&bare).unwrap();
    assert_eq!(bare["content"], json!({ "body": "a \"b\"" }));
    assert!(bare.get("room_id").is_none() && bare.get("unsigned").is_none());
    assert!(bare.get("hashes").is_none() && bare.get("state_key").is_none());
    let unsigned = Unsigned { age: Some(3), transaction_id: Some("t\"1"), ..Unsigned::default() };
    let full: serde_json::Value = serde_json::from_str(event.client_json(&unsigned).get()).unwrap();
    assert_eq!(full["room_id"], "!room:here.example");
    assert_eq!(full["unsigned"], json!({ "age": 3, "transaction_id": "t\"1" }));
}

#[test]
fn a_key_file_is_read_back_and_never_printed() {
    let key = key();
    let again = ServerKey::from_text(server_name!("here.example"), &key.to_text()).unwrap();
    assert_eq!(again.public(), key.public());
    let seed = key.to_text();
    let seed = seed.split_whitespace().last().unwrap();
    assert!(!format!("{key:?}").contains(seed));
    assert!(ServerKey::from_text(server_name!("here.example"), "ed25519 1 short").is_err());
    assert!(ServerKey::new(server_name!("here.example"), "a:b", &[0; 32]).is_err());
}
