use proptest::prelude::*;
use ruma::user_id;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use super::*;

/// The filter done the slow and plain way, from the JSON itself.
fn naive(filter: &Value, kind: &str, sender: &str, content: &Value) -> bool {
    fn glob(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| glob(rest, &text[n..])),
            Some((c, rest)) => {
                text.split_first().is_some_and(|(t, text)| t == c && glob(rest, text))
            }
        }
    }
    let chars = |s: &str| s.chars().collect::<Vec<_>>();
    let listed = |key: &str, wild: bool, value: &str| {
        filter[key].as_array().map(|list| {
            list.iter().any(|p| {
                let p = p.as_str().expect("texts only");
                if wild { glob(&chars(p), &chars(value)) } else { p == value }
            })
        })
    };
    listed("types", true, kind).unwrap_or(true)
        && !listed("not_types", true, kind).unwrap_or(false)
        && listed("senders", false, sender).unwrap_or(true)
        && !listed("not_senders", false, sender).unwrap_or(false)
        && filter["contains_url"]
            .as_bool()
            .is_none_or(|wanted| wanted == content["url"].is_string())
}

prop_compose! {
    fn a_filter()(
        types in proptest::option::of(prop::collection::vec("[ab*.]{0,5}", 0..4)),
        not_types in proptest::option::of(prop::collection::vec("[ab*.]{0,5}", 0..3)),
        senders in proptest::option::of(prop::collection::vec("@[xy]:h", 0..3)),
        not_senders in proptest::option::of(prop::collection::vec("@[xy]:h", 0..2)),
        contains_url in proptest::option::of(any::<bool>()),
    ) -> Value {
        let mut filter = json!({});
        for (key, list) in [("types", types), ("not_types", not_types), ("senders", senders), ("not_senders", not_senders)] {
            if let Some(list) = list {
                filter[key] = json!(list);
            }
        }
        if let Some(wanted) = contains_url {
            filter["contains_url"] = json!(wanted);
        }
        filter
    }
}

proptest! {
    #[test]
    fn compiled_and_naive_agree(filter in a_filter(), kind in "[ab.]{0,6}", sender in prop::sample::select(vec!["@x:h", "@y:h"]), url: Option<bool>) {
        let content = match url {
            None => json!({"body": "b"}),
            Some(true) => json!({"url": "mxc://h/a"}),
            Some(false) => json!({"url": 5}),
        };
        let compiled = RoomEventFilter::parse(&filter.to_string()).expect("a valid filter");
        let raw = to_raw_value(&content).expect("JSON");
        let sender = <&UserId>::try_from(sender).expect("a user ID");
        let passes = compiled.admits(&kind, sender, &raw);
        prop_assert_eq!(passes, naive(&filter, &kind, sender.as_str(), &content));
        prop_assert!(!(passes && compiled.admits_nothing()));
        prop_assert!(passes || !compiled.passes_everything());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = Filter::parse(&text);
        let _ = RoomEventFilter::parse(&text);
    }
}

#[test]
fn an_absent_list_admits_all_and_an_empty_one_nothing() {
    let all = Filter::parse("{}").expect("valid");
    assert!(all.room.timeline.passes_everything() && all.presence.admits("m.presence", "@a:h"));
    let none = Filter::parse(r#"{"room":{"state":{"types":[]}},"presence":{"not_types":["*"]}}"#)
        .expect("valid");
    assert!(none.room.state.admits_nothing() && none.presence.admits_nothing());
    assert!(!none.room.timeline.admits_nothing());
}

#[test]
fn excluded_rooms_win_over_included_ones() {
    let filter =
        Filter::parse(r#"{"room":{"rooms":["!a:h","!b:h"],"not_rooms":["!b:h"]}}"#).expect("valid");
    let admits =
        |room: &str| filter.room.admits_room(<&RoomId>::try_from(room).expect("a room ID"));
    assert!(admits("!a:h") && !admits("!b:h") && !admits("!c:h"));
}

#[test]
fn limits_have_a_default_and_a_maximum() {
    let limit = |json: &str| RoomEventFilter::parse(json).expect("valid").limit();
    assert_eq!(limit("{}"), DEFAULT_TIMELINE_LIMIT);
    assert_eq!(limit(r#"{"limit":20}"#), 20);
    assert_eq!(limit(r#"{"limit":100000}"#), MAX_LIMIT);
    assert_eq!(limit(r#"{"limit":0}"#), 0);
    assert_eq!(limit(r#"{"limit":-4}"#), 0);
}

#[test]
fn relations_are_filtered_by_type() {
    let thread = to_raw_value(&json!({"m.relates_to": {"rel_type": "m.thread", "event_id": "$a"}}))
        .expect("JSON");
    let plain = to_raw_value(&json!({"body": "b"})).expect("JSON");
    let only =
        RoomEventFilter::parse(r#"{"org.matrix.msc3874.rel_types":["m.thread"]}"#).expect("valid");
    let not = RoomEventFilter::parse(r#"{"org.matrix.msc3874.not_rel_types":["m.thread"]}"#)
        .expect("valid");
    let sender = user_id!("@a:h");
    assert!(
        only.admits("m.room.message", sender, &thread)
            && !only.admits("m.room.message", sender, &plain)
    );
    assert!(
        !not.admits("m.room.message", sender, &thread)
            && not.admits("m.room.message", sender, &plain)
    );
}

#[test]
fn what_is_no_filter_is_refused() {
    for text in
        ["", "5", "[]", r#"{"room":5}"#, r#"{"room":{"timeline":{"types":"m.room.message"}}}"#]
    {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}
