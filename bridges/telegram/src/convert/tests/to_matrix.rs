//! Each case's events, compared with its golden file.

use grammers_tl_types as tl;
use landbridge_framework::Login;
use serde_json::{Value, json};

use super::{cases, fixtures::ME, golden, place_cases, render, service_cases, update_cases};
use crate::{
    Telegram,
    config::{Albums, Topics},
    connector::Credentials,
    convert::to_matrix::Reader,
    raw::Raw,
};

fn login() -> Login<Telegram> {
    Login { id: ME, meta: Credentials::default(), owner: Some("@me:example.org".into()) }
}

pub(super) fn read(raw: &Raw, topics: Topics) -> Vec<Value> {
    let login = login();
    // As it is after having been stored: what can't be read back must not pass.
    let text = serde_json::to_string(raw).unwrap();
    let stored: Raw = serde_json::from_str(&text).unwrap();
    assert_eq!(&stored, raw, "what is stored is what came");
    let first = Reader::new(&login, topics).read(&stored).unwrap();
    let again = Reader::new(&login, topics).read(&stored).unwrap();
    let shown: Vec<Value> = first.iter().map(render::event).collect();
    assert_eq!(shown, again.iter().map(render::event).collect::<Vec<_>>(), "reading is pure");
    shown
}

fn check(name: &str, raw: &Raw) {
    let tl = serde_json::to_value(raw).unwrap();
    golden("to_matrix", name, &json!({ "in": tl, "out": read(raw, Topics::Rooms) }));
}

#[test]
fn messages() {
    for (name, raw) in cases::all().into_iter().chain(place_cases::all()) {
        check(&format!("message_{name}"), &raw);
    }
}

#[test]
fn service_messages() {
    for (name, raw) in service_cases::all() {
        check(&format!("service_{name}"), &raw);
    }
}

#[test]
fn updates() {
    for (name, raw) in update_cases::all() {
        check(&format!("update_{name}"), &raw);
    }
}

#[test]
fn topics_may_be_threads() {
    let raw = cases::in_topic();
    let rooms = read(&raw, Topics::Rooms);
    assert_eq!(
        (rooms[0]["chat"].as_str(), &rooms[0]["body"]["message"]["thread"]),
        (Some("c500.77"), &Value::Null)
    );
    let threads = read(&raw, Topics::Threads);
    assert_eq!(
        (threads[0]["chat"].as_str(), &threads[0]["body"]["message"]["thread"]),
        (Some("c500"), &json!(77))
    );
}

#[test]
fn albums_may_be_galleries() {
    let (_, raw) = cases::all().into_iter().find(|(name, _)| *name == "album_item").unwrap();
    let shown = |albums| {
        let login = login();
        let events = Reader::new(&login, Topics::Rooms).with_albums(albums).read(&raw).unwrap();
        render::event(&events[0])["body"]["message"]["album"].clone()
    };
    assert_eq!(shown(Albums::Gallery), json!("77"));
    assert_eq!(shown(Albums::Events), Value::Null);
}

#[test]
fn stored_chats_that_are_none_are_refused() {
    let raw = Raw::Gap { seen: 1, chats: vec!["c1".into(), "nonsense".into()] };
    assert!(Reader::new(&login(), Topics::Rooms).read(&raw).is_err());
}

#[test]
fn numbers_out_of_range_do_no_harm() {
    for (offset, length) in
        [(-1, 5), (0, i32::MAX), (i32::MAX, i32::MAX), (i32::MIN, i32::MIN), (3, -1)]
    {
        let entity = tl::types::MessageEntityBold { offset, length }.into();
        let raw = cases::text_with("hé😀", vec![entity]);
        assert_eq!(read(&raw, Topics::Rooms).len(), 1);
    }
}
