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

fn results(answer: &Value) -> &Value {
    &answer["search_categories"]["room_events"]
}

#[tokio::test]
async fn edits_and_redactions_change_what_is_found() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let find = async |term: &str| {
        let answer = alice.call(Method::POST, "v3/search", request(term, &json!({}))).await;
        found(&answer).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let secret = alice.say(&room, "the password is swordfish").await;
    let event = alice.say(&room, "a typo: hause").await;
    assert_eq!(find("swordfish").await.len(), 1);
    assert_eq!(find("hause").await, ["a typo: hause"]);
    let edit = |text: &str| {
        json!({
            "msgtype": "m.text", "body": format!("* {text}"),
            "m.new_content": { "msgtype": "m.text", "body": text },
            "m.relates_to": { "rel_type": "m.replace", "event_id": event },
        })
    };
    let first = alice.send(&room, "m.room.message", &edit("no typo: house")).await;
    assert!(find("hause").await.is_empty());
    // The event itself is found, with its edit.
    let answer = alice.call(Method::POST, "v3/search", request("house", &json!({}))).await;
    let event_found = &results(&answer)["results"][0]["result"];
    assert_eq!(event_found["event_id"], json!(event));
    assert_eq!(
        event_found["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]["body"],
        "no typo: house"
    );
    alice.send(&room, "m.room.message", &edit("villa")).await;
    assert!(find("house").await.is_empty());
    assert_eq!(find("villa").await.len(), 1);

    let redact = async |id: &str, txn: &str| {
        let path = format!("v3/rooms/{}/redact/{id}/{txn}", room.id());
        alice.call(Method::PUT, &path, json!({})).await;
    };
    redact(&secret, "t1").await;
    assert!(find("swordfish").await.is_empty());
    redact(&first, "t2").await;
    assert_eq!(find("villa").await.len(), 1, "an older edit is gone, the newest counts");
    redact(&event, "t3").await;
    assert!(find("villa").await.is_empty());
}

#[tokio::test]
async fn a_redacted_edit_gives_back_what_was_said_first() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let event = alice.say(&room, "original words").await;
    let edit = json!({
        "msgtype": "m.text", "body": "* other", "m.new_content": { "msgtype": "m.text", "body": "other" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": event },
    });
    let edit = alice.send(&room, "m.room.message", &edit).await;
    let count = async |term: &str| {
        let answer = alice.call(Method::POST, "v3/search", request(term, &json!({}))).await;
        results(&answer)["count"].as_i64().expect("a number")
    };
    assert_eq!((count("original").await, count("other").await), (0, 1));
    let path = format!("v3/rooms/{}/redact/{edit}/t", room.id());
    alice.call(Method::PUT, &path, json!({})).await;
    assert_eq!((count("original").await, count("other").await), (1, 0));
}

#[tokio::test]
async fn nothing_is_found_that_is_not_for_the_user() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, Some("joined")).await;
    alice.say(&room, "needle before").await;
    bob.join(&room).await;
    alice.say(&room, "needle during").await;
    bob.leave(&room).await;
    alice.say(&room, "needle after").await;
    alice.set(&room, "m.room.topic", "", &json!({ "topic": "needle topic" })).await;
    let answer = bob.call(Method::POST, "v3/search", request("needle", &json!({}))).await;
    assert_eq!((found(&answer), &results(&answer)["count"]), (vec!["needle during"], &json!(1)));
    let topics = request("needle", &json!({ "keys": ["content.topic"] }));
    let answer = alice.call(Method::POST, "v3/search", topics).await;
    assert_eq!(results(&answer)["results"][0]["result"]["type"], "m.room.topic");
    let elsewhere = json!({ "filter": { "rooms": ["!other:h"] } });
    let answer = alice.call(Method::POST, "v3/search", request("needle", &elsewhere)).await;
    assert_eq!(results(&answer)["count"], 0);
    // Rooms that are encrypted by now are not searched.
    let encryption = json!({ "algorithm": "m.megolm.v1.aes-sha2" });
    alice.set(&room, "m.room.encryption", "", &encryption).await;
    let answer = alice.call(Method::POST, "v3/search", request("needle", &json!({}))).await;
    assert_eq!(results(&answer)["count"], 0);
}

#[tokio::test]
async fn a_group_is_paged_by_itself_and_news_come_between_no_pages() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let (one, two) =
        (alice.room(Preset::PublicChat, None).await, alice.room(Preset::PublicChat, None).await);
    for n in 0..3 {
        alice.say(&one, &format!("thing one{n}")).await;
        alice.say(&two, &format!("thing two{n}")).await;
    }
    for order in ["rank", "recent"] {
        let body = request(
            "thing",
            &json!({ "order_by": order, "filter": { "limit": 2 }, "groupings": { "group_by": [{ "key": "room_id" }] } }),
        );
        let answer = alice.call(Method::POST, "v3/search", body.clone()).await;
        assert_eq!(found(&answer), ["thing two2", "thing one2"], "{order}");
        alice.say(&one, "thing new").await;
        let group = &results(&answer)["groups"]["room_id"][one.id().as_str()];
        let next = group["next_batch"].as_str().expect("a token");
        let path = format!("v3/search?next_batch={next}");
        let of_group = alice.call(Method::POST, &path, body.clone()).await;
        assert_eq!(found(&of_group), ["thing one1", "thing one0"], "{order}");
        let next = results(&answer)["next_batch"].as_str().expect("a token");
        let path = format!("v3/search?next_batch={next}");
        let second = alice.call(Method::POST, &path, body.clone()).await;
        assert_eq!(found(&second), ["thing two1", "thing one1"], "{order}");
        let other = json!({ "order_by": if order == "rank" { "recent" } else { "rank" } });
        let (status, error) = alice.ask(Method::POST, &path, Some(&request("thing", &other))).await;
        assert_eq!((status.as_u16(), &error["errcode"]), (400, &json!("M_INVALID_PARAM")));
        let path = format!(
            "v3/rooms/{}/redact/{}/{order}",
            one.id(),
            one.snapshot().recent().last().expect("an event").pdu.event_id
        );
        alice.call(Method::PUT, &path, json!({})).await;
    }
}

#[tokio::test]
async fn what_a_stop_left_out_is_written_after_the_start() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    alice.say(&room, "said just before the stop").await;
    let kept = alice.keep();
    let rig = rig.restart().await;
    let alice = rig.again(kept.clone());
    let answer = alice.call(Method::POST, "v3/search", request("stop", &json!({}))).await;
    assert_eq!(found(&answer), ["said just before the stop"]);

    // As if there had been no index until now.
    let nid = rig.app().rooms.get(room.id()).await.expect("the room").snapshot().recent()[0].nid;
    let high = crate::nid::EventNid(nid.0 + 1_000);
    let erase = rig.app().committer.run(move |tx| {
        Box::pin(async move {
            let none: Vec<_> = (1..high.0).map(|nid| (crate::nid::EventNid(nid), None)).collect();
            crate::storage::search::put(tx, &none).await?;
            crate::storage::search::add_backlog(tx, crate::nid::EventNid(1), high).await
        })
    });
    erase.await.expect("it is written");
    let rig = rig.restart().await;
    let alice = rig.again(kept);
    for _ in 0..200 {
        let answer = alice.call(Method::POST, "v3/search", request("stop", &json!({}))).await;
        if results(&answer)["count"] == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the words of earlier events were not written");
}
