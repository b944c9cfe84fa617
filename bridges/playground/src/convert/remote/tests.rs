//! Golden reading: raw events in the network's own JSON, and what they become.

use landbridge_framework::{Scope, event::Content};
use serde_json::json;

use super::*;
use crate::connector::Credentials;

fn login(id: &str) -> Login<Playground> {
    Login { id: id.into(), meta: Credentials::default(), owner: None }
}

fn read(login_id: &str, event: serde_json::Value) -> Vec<RemoteEvent<Playground>> {
    let raw = Raw::Event(serde_json::from_value(event).unwrap());
    let stored: Raw = serde_json::from_str(&serde_json::to_string(&raw).unwrap()).unwrap();
    assert_eq!(stored, raw, "what is stored must read back");
    events(&login(login_id), "bot", &stored)
}

fn message(key: Option<&str>) -> serde_json::Value {
    json!({"seq": 7, "at": 1_700_000_000_123_i64, "chat": "lobby", "actor": "alice", "key": key, "type": "message", "content": {
        "id": "m7", "number": 3, "seq": 7, "at": 1_700_000_000_123_i64, "sender": "alice", "text": "/me *waves*", "reply_to": "m2"}})
}

#[test]
fn a_message() {
    let events = read("bot", message(None));
    let [event] = events.as_slice() else { panic!("one event") };
    assert_eq!(event.key.0, "s7");
    assert_eq!(event.order.map(|order| order.0), Some(3));
    assert_eq!(event.at, UNIX_EPOCH + Duration::from_millis(1_700_000_000_123));
    assert!(event.create_portal);
    assert!(matches!(&event.sender, Sender::User(user) if user == "alice"));
    assert_eq!(event.portal.scope, Scope::Shared);
    let Body::Message(message) = &event.body else { panic!("a message") };
    assert_eq!(message.reply_to.as_ref().map(|to| to.id.as_str()), Some("m2"));
    assert!(message.echo_of.is_none());
    let Content::Emote(rich) = &message.parts[0].content else { panic!("an emote") };
    assert_eq!(rich.text(), "waves");
}

#[test]
fn keys_do_not_depend_on_the_login_and_senders_do() {
    let (relay, own) = (read("bot", message(None)), read("alice", message(None)));
    assert_eq!(relay[0].key, own[0].key);
    assert!(matches!(own[0].sender, Sender::Me));
}

#[test]
fn what_this_bridge_sent_comes_back_as_its_echo() {
    let echo = |key| match &read("bot", message(Some(key)))[0].body {
        Body::Message(message) => message.echo_of.clone(),
        _ => None,
    };
    assert_eq!(echo("bot.0123abcd"), Some(EchoOf::nonce("0123abcd")));
    assert_eq!(echo("otherbot.0123abcd"), None, "another bridge's");
    let edit = |key: &str| {
        json!({"seq": 8, "at": 1, "chat": "lobby", "actor": "alice", "key": key, "type": "edited",
            "content": {"message": "m7", "version": 1, "text": "x"}})
    };
    assert!(read("bot", edit("bot.55")).is_empty(), "an edit from Matrix is known there");
    assert_eq!(read("bot", edit("page")).len(), 1);
}

#[test]
fn direct_chats_belong_to_a_login() {
    let mut event = message(None);
    event["chat"] = json!("dm.5.alice.bob");
    assert_eq!(read("bob", event)[0].portal.scope, Scope::Private("bob".into()));
}

#[test]
fn everything_else() {
    let make = |kind: &str, content: serde_json::Value| {
        let event = json!({"seq": 9, "at": 1, "chat": "lobby", "actor": "alice", "type": kind, "content": content});
        read("bot", event).into_iter().next().map(|event| (event.create_portal, event.body))
    };
    assert!(matches!(make("edited", json!({"message": "m7", "version": 2, "text": "new"})),
        Some((false, Body::Edit { target, version: 2, .. })) if target == "m7"));
    assert!(matches!(make("deleted", json!({"message": "m7"})),
        Some((false, Body::Remove { target, for_me_only: false })) if target.id == "m7"));
    assert!(matches!(make("reacted", json!({"message": "m7", "emoji": "👍", "set": false})),
        Some((false, Body::React { emoji: Emoji::Unicode(emoji), set: false, .. })) if emoji == "👍"));
    assert!(matches!(make("joined", json!({"person": "bob"})),
        Some((false, Body::Members(changes))) if changes[0].membership == Membership::Join));
    assert!(make("joined", json!({"person": "bot"})).is_none(), "the relay itself is no ghost");
    assert!(matches!(make("named", json!({"name": null})),
        Some((false, Body::ChatInfo(delta))) if delta.name.as_deref() == Some("") && delta.topic.is_none()));
    assert!(matches!(make("topic", json!({"topic": "T"})),
        Some((false, Body::ChatInfo(delta))) if delta.topic.as_deref() == Some("T")));
    let chat = json!({"id": "hall", "kind": "group", "name": "Hall", "topic": null, "members": ["alice", "bot"], "last_number": 0});
    assert!(matches!(make("created", chat), Some((true, Body::ChatInfo(_)))));
}

#[test]
fn a_poll_its_votes_and_its_end() {
    let mut start = message(None);
    start["content"]["text"] = "Which *one*?".into();
    start["content"]["poll"] = json!({"options": ["this", "that"]});
    let events = read("bot", start.clone());
    let Body::Message(message) = &events[0].body else { panic!("a message") };
    let Content::Poll(poll) = &message.parts[0].content else { panic!("a poll") };
    assert_eq!((poll.question.as_str(), poll.max_choices), ("Which one?", 1));
    let options: Vec<_> = poll.options.iter().map(|o| (o.id.as_str(), o.text.as_str())).collect();
    assert_eq!(options, [("0", "this"), ("1", "that")]);
    let after = |seq: i64, kind: &str, content: serde_json::Value| json!({"seq": seq, "at": 1, "chat": "lobby", "actor": "bob", "type": kind, "content": content});
    let voted = read("bot", after(8, "voted", json!({"message": "m7", "choice": 1})));
    assert!(
        matches!(&voted[0].body, Body::PollVote { poll, choices } if poll == "m7" && choices == &["1"])
    );
    let back = read("bot", after(9, "voted", json!({"message": "m7", "choice": null})));
    assert!(matches!(&back[0].body, Body::PollVote { choices, .. } if choices.is_empty()));
    let closed = read("bot", after(10, "closed", json!({"message": "m7"})));
    assert!(matches!(&closed[0].body, Body::PollEnd { poll } if poll == "m7"));
    // The same of the past, under the same keys.
    let mut past = start["content"].clone();
    past["poll"]["votes"] = json!([{"person": "bob", "choice": 1, "seq": 8, "at": 1}]);
    past["poll"]["closed"] = 10.into();
    let stored = serde_json::from_value(past).unwrap();
    let raw = Raw::Past { chat: "lobby".into(), message: stored };
    let past = super::events(&login("bot"), "bot", &raw);
    let keys: Vec<_> = past.iter().map(|event| event.key.0.as_str()).collect();
    assert_eq!(keys, ["s7", "s8", "s10"]);
}

#[test]
fn the_past_reads_as_it_would_have_live() {
    let mut content = message(None)["content"].clone();
    content["reactions"] = json!([{"person": "bob", "emoji": "👍", "seq": 12, "at": 5}]);
    let stored = serde_json::from_value(content).unwrap();
    let events = events(&login("bot"), "bot", &Raw::Past { chat: "lobby".into(), message: stored });
    let keys: Vec<_> = events.iter().map(|event| event.key.0.as_str()).collect();
    assert_eq!(keys, ["s7", "s12"]);
    assert!(matches!(&events[1].sender, Sender::User(user) if user == "bob"));
}
