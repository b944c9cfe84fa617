//! `/search`.

use http::Method;
use serde_json::{Value, json};

use super::rig::{Rig, bodies};
use crate::room::Preset;

fn request(term: &str, more: &Value) -> Value {
    let mut criteria = json!({ "search_term": term });
    for (key, value) in more.as_object().expect("an object") {
        criteria[key] = value.clone();
    }
    json!({ "search_categories": { "room_events": criteria } })
}

fn found(answer: &Value) -> Vec<&str> {
    let results =
        answer["search_categories"]["room_events"]["results"].as_array().expect("results");
    results
        .iter()
        .map(|result| result["result"]["content"]["body"].as_str().expect("a body"))
        .collect()
}

#[tokio::test]
async fn words_are_found_in_order_and_in_pages() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    for n in 0..7 {
        alice.say(&room, &format!("Message number {n}")).await;
    }
    let elsewhere = bob.room(Preset::PrivateChat, None).await;
    bob.say(&elsewhere, "Message of somebody else").await;
    let search = async |path: &str, body: Value| alice.call(Method::POST, path, body).await;

    let context = json!({"event_context": {"before_limit": 2, "after_limit": 2, "include_profile": true}, "order_by": "recent"});
    let answer = search("v3/search", request("message 4", &context)).await;
    let category = &answer["search_categories"]["room_events"];
    assert_eq!((&category["count"], found(&answer)), (&json!(1), vec!["Message number 4"]));
    let around = &category["results"][0]["context"];
    assert_eq!(bodies(&around["events_before"]), ["Message number 3", "Message number 2"]);
    assert_eq!(bodies(&around["events_after"]), ["Message number 5", "Message number 6"]);
    assert!(around["profile_info"]["@alice:h"].is_object());

    for order in ["recent", "rank"] {
        let (mut all, mut path) = (Vec::new(), "v3/search".to_owned());
        loop {
            let body = request("message", &json!({"order_by": order, "filter": {"limit": 3}}));
            let answer = search(&path, body).await;
            assert_eq!(
                answer["search_categories"]["room_events"]["count"], 7,
                "of other rooms nothing is found"
            );
            all.extend(found(&answer).into_iter().map(str::to_owned));
            match answer["search_categories"]["room_events"]["next_batch"].as_str() {
                Some(next) => path = format!("v3/search?next_batch={next}"),
                None => break,
            }
        }
        let expected: Vec<String> = (0..7).rev().map(|n| format!("Message number {n}")).collect();
        assert_eq!(all, expected, "{order}");
    }
    let grouped = json!({"groupings": {"group_by": [{"key": "room_id"}]}, "include_state": true});
    let answer = search("v3/search", request("number", &grouped)).await;
    let category = &answer["search_categories"]["room_events"];
    assert_eq!(
        category["groups"]["room_id"][room.id().as_str()]["results"].as_array().map(Vec::len),
        Some(7)
    );
    assert!(
        category["state"][room.id().as_str()].as_array().is_some_and(|state| !state.is_empty())
    );
}
