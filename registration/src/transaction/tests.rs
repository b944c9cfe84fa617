use super::*;
use crate::Blueprint;
use serde_json::{Value, json};

fn raw(value: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

fn full() -> Transaction {
    let keys = |what: &str| {
        BTreeMap::from([(
            "@a:hs".to_owned(),
            BTreeMap::from([("DEV".to_owned(), what.to_owned())]),
        )])
    };
    Transaction {
        events: vec![raw(&json!({"type": "m.room.message", "n": 1.0}))],
        ephemeral: vec![raw(&json!({"type": "m.typing"}))],
        to_device: vec![raw(
            &json!({"type": "m.room_key", "to_user_id": "@a:hs", "to_device_id": "DEV"}),
        )],
        device_lists: DeviceLists { changed: vec!["@b:hs".into()], left: vec![] },
        one_time_keys: keys("signed_curve25519")
            .into_iter()
            .map(|(user, devices)| {
                (
                    user,
                    devices
                        .into_iter()
                        .map(|(device, key)| (device, BTreeMap::from([(key, 5)])))
                        .collect(),
                )
            })
            .collect(),
        fallback_keys: keys("signed_curve25519")
            .into_iter()
            .map(|(user, devices)| {
                (user, devices.into_iter().map(|(device, key)| (device, vec![key])).collect())
            })
            .collect(),
    }
}

#[test]
fn a_plain_service_gets_events_alone() {
    let plain = Blueprint::new("a", None, "a").generate(&mut rand::rng()).unwrap();
    let body: Value = serde_json::from_slice(&full().to_body(&plain)).unwrap();
    assert_eq!(body, json!({"events": [{"type": "m.room.message", "n": 1.0}]}));
}

#[test]
fn an_encrypting_service_gets_every_name() {
    let registration =
        Blueprint::new("a", None, "a").encryption().generate(&mut rand::rng()).unwrap();
    let bytes = full().to_body(&registration);
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    for (stable, unstable) in [
        ("ephemeral", "de.sorunome.msc2409.ephemeral"),
        ("to_device", "de.sorunome.msc2409.to_device"),
        ("device_lists", "org.matrix.msc3202.device_lists"),
        ("device_one_time_keys_count", "org.matrix.msc3202.device_one_time_keys_count"),
        ("device_one_time_keys_count", "org.matrix.msc3202.device_one_time_key_counts"),
        ("device_unused_fallback_key_types", "org.matrix.msc3202.device_unused_fallback_key_types"),
    ] {
        assert!(!body[stable].is_null() && body[stable] == body[unstable], "{stable} {unstable}");
    }
    let read = Transaction::from_slice(&bytes).unwrap();
    assert_eq!(read.to_body(&registration), bytes);
}

#[test]
fn numbers_keep_their_spelling() {
    let body = br#"{"events":[{"n":1.0,"m":12345678901234567890123}]}"#;
    assert_eq!(
        Transaction::from_slice(body).unwrap().events[0].get(),
        r#"{"n":1.0,"m":12345678901234567890123}"#
    );
}

#[test]
fn faults_are_told_apart() {
    assert!(matches!(
        Transaction::from_slice(b"{\"events\":[}"),
        Err(TransactionError::NotJson(_))
    ));
    assert!(matches!(
        Transaction::from_slice(b"{\"events\":5}"),
        Err(TransactionError::BadJson(_))
    ));
}
