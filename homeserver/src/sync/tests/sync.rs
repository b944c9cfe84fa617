//! `/sync`: what is told when.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig, bodies, ids, keys};
use crate::room::Preset;

#[tokio::test]
async fn a_room_is_told_whole_and_then_only_what_is_new() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    alice.say(&room, "one").await;
    let (answer, token) = alice.sync(None, json!({})).await;
    let told = &answer["rooms"]["join"][room.id().as_str()];
    assert_eq!(bodies(&told["timeline"]["events"]), ["one"]);
    assert_eq!(told["summary"]["m.joined_member_count"], 1);
    assert_eq!(
        told["unread_notifications"],
        json!({"highlight_count": 0, "notification_count": 0})
    );
    assert!(answer["account_data"]["events"][0]["content"]["global"]["underride"].is_array());
    let (answer, token) = alice.sync(Some(&token), json!({})).await;
    assert_eq!(answer.get("rooms"), None, "{answer}");
    let id = alice.say(&room, "two").await;
    let (answer, _) = alice.sync(Some(&token), json!({})).await;
    let timeline = &answer["rooms"]["join"][room.id().as_str()]["timeline"];
    assert_eq!(ids(&timeline["events"]), [id]);
    assert_eq!(timeline["limited"], false);
    assert_eq!(timeline["events"][0]["unsigned"]["membership"], "join");
    assert_eq!(timeline["events"][0].get("room_id"), None);
}

#[tokio::test]
async fn the_state_is_the_one_before_the_timeline() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let topic = |text: &str| json!({ "topic": text });
    alice.set(&room, "m.room.topic", "", &topic("first")).await;
    let (_, token) = alice.sync(None, json!({})).await;
    alice.set(&room, "m.room.topic", "", &topic("second")).await;
    for n in 0..3 {
        alice.say(&room, &n.to_string()).await;
    }
    alice.set(&room, "m.room.topic", "", &topic("third")).await;
    let filter = json!({"room": {"timeline": {"limit": 2}}});
    for since in [None, Some(token.as_str())] {
        let (answer, _) = alice.sync(since, filter.clone()).await;
        let told = &answer["rooms"]["join"][room.id().as_str()];
        assert_eq!(told["timeline"]["limited"], true);
        assert_eq!(keys(&told["timeline"]["events"]), ["m.room.message/-", "m.room.topic/"]);
        let topics: Vec<&Value> = told["state"]["events"]
            .as_array()
            .expect("events")
            .iter()
            .filter(|event| event["type"] == "m.room.topic")
            .collect();
        assert_eq!(topics.len(), 1, "{told}");
        assert_eq!(topics[0]["content"]["topic"], "second");
        assert_eq!(told["state"]["events"].as_array().expect("events").len() == 1, since.is_some());
        let (answer, _) = alice.sync_with(since, filter.clone(), "&use_state_after=true").await;
        let told = &answer["rooms"]["join"][room.id().as_str()];
        assert_eq!(told.get("state"), None);
        let after = told["state_after"]["events"].as_array().expect("events");
        assert!(after.iter().any(|event| event["content"]["topic"] == "third"), "{told}");
        let more = "&org.matrix.msc4222.use_state_after=true";
        let (answer, _) = alice.sync_with(since, filter.clone(), more).await;
        let unstable = &answer["rooms"]["join"][room.id().as_str()];
        assert_eq!(unstable.get("state_after"), None);
        let unstable = &unstable["org.matrix.msc4222.state_after"]["events"];
        assert_eq!(ids(unstable), ids(&told["state_after"]["events"]));
    }
}

#[tokio::test]
async fn the_state_after_the_timeline_tells_the_members_that_the_timeline_shows() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let (carol, dave) = (rig.person("carol").await, rig.person("dave").await);
    let room = alice.room(Preset::PublicChat, None).await;
    carol.join(&room).await;
    let filter = json!({"room": {"timeline": {"limit": 3}, "state": {"lazy_load_members": true}}});
    let members = |answer: &Value| {
        let events = &answer["rooms"]["join"][room.id().as_str()]["state_after"]["events"];
        let all = keys(events).into_iter().filter(|key| key.starts_with("m.room.member/"));
        all.collect::<Vec<_>>()
    };
    let member = |person: &Person<'_>| format!("m.room.member/{}", person.id);
    let use_after = "&use_state_after=true";
    let (_, token) = alice.sync_with(None, filter.clone(), use_after).await;
    bob.join(&room).await;
    bob.say(&room, "hello").await;
    alice.member(&room, &dave.id, "invite").await;
    for since in [None, Some(token.as_str())] {
        let (answer, _) = alice.sync_with(since, filter.clone(), use_after).await;
        let told = members(&answer);
        assert!(told.contains(&member(&bob)), "who spoke: {answer}");
        assert!(told.contains(&member(&dave)), "who was invited: {answer}");
    }
}

#[tokio::test]
async fn paging_back_from_a_gap_meets_the_timeline() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let (_, token) = alice.sync(None, json!({})).await;
    let mut sent = Vec::new();
    // More than the newest events that memory holds.
    for n in 0..100 {
        sent.push(alice.say(&room, &n.to_string()).await);
    }
    let (answer, _) = alice.sync(Some(&token), json!({"room": {"timeline": {"limit": 90}}})).await;
    let timeline = &answer["rooms"]["join"][room.id().as_str()]["timeline"];
    assert_eq!(ids(&timeline["events"]), sent[10..]);
    let from = timeline["prev_batch"].as_str().expect("a token");
    let path = format!("v3/rooms/{}/messages?dir=b&from={from}&to={token}&limit=50", room.id());
    let page = alice.get(&path).await;
    let mut earlier = ids(&page["chunk"]);
    earlier.reverse();
    assert_eq!(earlier, sent[..10]);
    assert_eq!(page.get("end"), None, "everything between the tokens was told");
}

#[tokio::test]
async fn coming_and_going_are_told_in_their_sections() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    let name = room.id().as_str();
    let (_, before) = bob.sync(None, json!({})).await;
    alice.member(&room, &bob.id, "invite").await;
    let (answer, invited) = bob.sync(Some(&before), json!({})).await;
    let stripped = &answer["rooms"]["invite"][name]["invite_state"]["events"];
    assert!(keys(stripped).contains(&"m.room.create/".to_owned()), "{answer}");
    assert!(keys(stripped).contains(&format!("m.room.member/{}", bob.id)));
    bob.join(&room).await;
    let (answer, joined) = bob.sync(Some(&invited), json!({})).await;
    assert_eq!(answer["rooms"]["join"][name]["timeline"]["limited"], true);
    assert!(
        answer["device_lists"]["changed"].as_array().expect("a list").contains(&json!(alice.id))
    );
    alice.say(&room, "hello").await;
    bob.leave(&room).await;
    alice.say(&room, "gone?").await;
    let (answer, left) = bob.sync(Some(&joined), json!({})).await;
    let told = &answer["rooms"]["leave"][name]["timeline"]["events"];
    assert_eq!(bodies(told), ["hello"]);
    assert_eq!(told[1]["content"]["membership"], "leave");
    assert!(answer["device_lists"]["left"].as_array().expect("a list").contains(&json!(alice.id)));
    assert_eq!(bob.sync(Some(&left), json!({})).await.0.get("rooms"), None);
    // From before it all, the room was never joined as far as anyone can tell now.
    let (answer, _) = bob.sync(Some(&before), json!({})).await;
    assert!(
        answer["rooms"]["join"].get(name).is_none() && answer["rooms"]["leave"].get(name).is_some()
    );
    bob.join(&room).await;
    let (answer, _) = bob.sync(Some(&before), json!({})).await;
    assert!(
        answer["rooms"]["join"].get(name).is_some() && answer["rooms"].get("leave").is_none(),
        "{answer}"
    );
    // Left and back again between two syncs: all is told anew.
    let (_, token) = bob.sync(None, json!({})).await;
    bob.leave(&room).await;
    bob.join(&room).await;
    let (answer, _) = bob.sync(Some(&token), json!({})).await;
    assert!(
        answer["rooms"]["join"][name]["state"]["events"]
            .as_array()
            .is_some_and(|state| !state.is_empty()),
        "{answer}"
    );
}

#[tokio::test]
async fn lazy_members_are_told_once_they_are_needed_and_once_only() {
    let rig = Rig::new().await;
    let (alice, bob, carol) =
        (rig.person("alice").await, rig.person("bob").await, rig.person("carol").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    carol.join(&room).await;
    alice.set(&room, "m.room.name", "", &json!({"name": "named, so that it has no heroes"})).await;
    for n in 0..12 {
        alice.say(&room, &n.to_string()).await;
    }
    let filter = json!({"room": {"state": {"lazy_load_members": true}}});
    let members = |answer: &Value| -> Vec<String> {
        let keys = keys(&answer["rooms"]["join"][room.id().as_str()]["state"]["events"]);
        keys.into_iter().filter(|key| key.starts_with("m.room.member/")).collect()
    };
    let (answer, token) = alice.sync(None, filter.clone()).await;
    assert_eq!(members(&answer), [format!("m.room.member/{}", alice.id)]);
    bob.say(&room, "hi").await;
    // The answer may get lost, so the same token gets the same members.
    for _ in 0..2 {
        let (answer, _) = alice.sync(Some(&token), filter.clone()).await;
        assert_eq!(members(&answer), [format!("m.room.member/{}", bob.id)]);
    }
    let (_, token) = alice.sync(Some(&token), filter.clone()).await;
    bob.say(&room, "hi again").await;
    let (answer, _) = alice.sync(Some(&token), filter.clone()).await;
    assert!(members(&answer).is_empty(), "{answer}");
    let redundant =
        json!({"room": {"state": {"lazy_load_members": true, "include_redundant_members": true}}});
    assert_eq!(
        members(&alice.sync(Some(&token), redundant).await.0),
        [format!("m.room.member/{}", bob.id)]
    );
}

#[tokio::test]
async fn a_waiting_sync_is_woken() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (_, token) = bob.sync(None, json!({})).await;
    let (_, token) = bob.sync(Some(&token), json!({})).await;
    let wait = bob.sync_with(Some(&token), json!({"presence": {"types": []}}), "&timeout=60000");
    let speak = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        alice.say(&room, "wake up").await
    };
    let ((answer, _), _) =
        tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(wait, speak) })
            .await
            .expect("woken");
    assert_eq!(
        bodies(&answer["rooms"]["join"][room.id().as_str()]["timeline"]["events"]),
        ["wake up"]
    );
    assert_eq!(
        answer["rooms"]["join"][room.id().as_str()]["unread_notifications"]["notification_count"],
        1
    );
}

#[tokio::test]
async fn filters_choose_and_nothing_is_lost_to_them() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let (_, token) = alice.sync(None, json!({})).await;
    alice.set(&room, "m.room.topic", "", &json!({"topic": "t"})).await;
    alice.say(&room, "hello").await;
    let filter = json!({"room": {"timeline": {"types": ["m.room.message"]}}, "event_fields": ["type", "content.body", "event_id"]});
    let (answer, _) = alice.sync(Some(&token), filter).await;
    let told = &answer["rooms"]["join"][room.id().as_str()];
    let event = &told["timeline"]["events"][0];
    assert_eq!(event.as_object().expect("an event").len(), 3);
    assert_eq!(event["content"], json!({"body": "hello"}));
    assert_eq!(keys(&told["state"]["events"]).len(), 1, "the topic comes as state: {told}");
    let elsewhere = json!({"room": {"not_rooms": [room.id()]}});
    assert_eq!(alice.sync(Some(&token), elsewhere).await.0.get("rooms"), None);
}

#[tokio::test]
async fn tokens_of_another_time_start_over_and_bad_ones_are_refused() {
    let rig = Rig::new().await;
    let alice = rig.person("alice").await;
    let room = alice.room(Preset::PublicChat, None).await;
    let (answer, _) = alice.sync(Some("s1_99_1_0_0"), json!({})).await;
    assert!(answer["rooms"]["join"][room.id().as_str()]["state"].is_object());
    let (answer, _) = alice.sync(Some("s1_1_999999_0_0"), json!({})).await;
    assert!(answer["rooms"]["join"][room.id().as_str()]["state"].is_object());
    for path in [
        "v3/sync?since=rubbish",
        "v3/sync?filter=%7B",
        "v3/sync?filter=12345",
        "v3/sync?set_presence=asleep",
    ] {
        assert_eq!(alice.ask(Method::GET, path, None).await.0, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn messages_to_a_device_stay_until_it_comes_back_with_a_later_token() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let (_, token) = bob.sync(None, json!({})).await;
    let mut messages = serde_json::Map::new();
    messages.insert(bob.id.to_string(), json!({"*": {"n": 1}}));
    alice.call(Method::PUT, "v3/sendToDevice/m.test/txn1", json!({ "messages": messages })).await;
    for _ in 0..2 {
        let (answer, _) = bob.sync(Some(&token), json!({})).await;
        assert_eq!(
            answer["to_device"]["events"],
            json!([{"type": "m.test", "sender": alice.id, "content": {"n": 1}}])
        );
    }
    let (_, later) = bob.sync(Some(&token), json!({})).await;
    assert_eq!(bob.sync(Some(&later), json!({})).await.0.get("to_device"), None);
    assert_eq!(
        bob.sync(Some(&token), json!({})).await.0.get("to_device"),
        None,
        "it was acknowledged"
    );
}

#[tokio::test]
async fn presence_and_typing_reach_those_in_the_room_alone() {
    let rig = Rig::new().await;
    let (alice, bob, carol) =
        (rig.person("alice").await, rig.person("bob").await, rig.person("carol").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (_, since) = bob.sync(None, json!({})).await;
    let (_, elsewhere) = carol.sync(None, json!({})).await;
    alice.sync_with(None, json!({}), "&set_presence=unavailable").await;
    let path = format!("v3/rooms/{}/typing/{}", room.id(), alice.id);
    alice.call(Method::PUT, &path, json!({"typing": true, "timeout": 10000})).await;
    let (answer, later) = bob.sync(Some(&since), json!({})).await;
    let presence = answer["presence"]["events"].as_array().expect("presence");
    assert!(
        presence.iter().any(|event| event["sender"] == json!(alice.id)
            && event["content"]["presence"] == "unavailable")
    );
    let typing = &answer["rooms"]["join"][room.id().as_str()]["ephemeral"]["events"][0];
    assert_eq!(*typing, json!({"type": "m.typing", "content": {"user_ids": [alice.id]}}));
    let (answer, _) = carol.sync(Some(&elsewhere), json!({})).await;
    assert!(answer.get("rooms").is_none());
    assert!(!answer["presence"].to_string().contains(alice.id.as_str()), "{answer}");
    // What she was typing has come.
    alice.say(&room, "there").await;
    let (answer, _) = bob.sync(Some(&later), json!({})).await;
    let typing = &answer["rooms"]["join"][room.id().as_str()]["ephemeral"]["events"][0];
    assert_eq!(typing["content"]["user_ids"], json!([]));
}

#[tokio::test]
async fn ignored_users_are_not_heard() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let path = format!("v3/user/{}/account_data/m.ignored_user_list", alice.id);
    let mut ignored = serde_json::Map::new();
    ignored.insert(bob.id.to_string(), json!({}));
    alice.call(Method::PUT, &path, json!({ "ignored_users": ignored })).await;
    let (_, token) = alice.sync(None, json!({})).await;
    bob.say(&room, "hey").await;
    bob.set(
        &room,
        "m.room.member",
        bob.id.as_str(),
        &json!({"membership": "join", "displayname": "B"}),
    )
    .await;
    let other = bob.room(Preset::PrivateChat, None).await;
    bob.member(&other, &alice.id, "invite").await;
    let (answer, _) = alice.sync(Some(&token), json!({})).await;
    let told = &answer["rooms"]["join"][room.id().as_str()];
    assert_eq!(
        keys(&told["timeline"]["events"]),
        [format!("m.room.member/{}", bob.id)],
        "state is shown all the same"
    );
    assert_eq!(told["unread_notifications"]["notification_count"], 0);
    assert!(answer["rooms"].get("invite").is_none());
}

#[tokio::test]
async fn a_forgotten_room_is_told_once_as_left_and_never_again() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let (_, before) = bob.sync(None, json!({})).await;
    bob.leave(&room).await;
    rig.app().rooms.forget(&bob.id, &room).await.expect("forgotten");
    let everything = json!({"room": {"include_leave": true}});
    let (answer, after) = bob.sync(Some(&before), everything.clone()).await;
    assert!(answer["rooms"]["leave"].get(room.id().as_str()).is_some());
    for since in [None, Some(after.as_str())] {
        assert_eq!(bob.sync(since, everything.clone()).await.0.get("rooms"), None);
    }
    let (status, _) = bob.ask(Method::GET, &format!("v3/rooms/{}/messages", room.id()), None).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn left_rooms_are_told_to_who_asks_for_them() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    alice.set(&room, "m.room.topic", "", &json!({"topic": "before"})).await;
    bob.leave(&room).await;
    alice.set(&room, "m.room.topic", "", &json!({"topic": "after"})).await;
    assert_eq!(bob.sync(None, json!({})).await.0.get("rooms"), None);
    let (answer, _) =
        bob.sync(None, json!({"room": {"include_leave": true, "timeline": {"limit": 0}}})).await;
    let told = &answer["rooms"]["leave"][room.id().as_str()];
    assert_eq!(told["timeline"]["events"], json!([]));
    let state = told["state"]["events"].as_array().expect("state");
    let topic = state.iter().find(|event| event["type"] == "m.room.topic").expect("a topic");
    assert_eq!(topic["content"]["topic"], "before");
    let own = state.iter().find(|event| event["state_key"] == json!(bob.id)).expect("his own");
    assert_eq!(own["content"]["membership"], "leave");
}

#[tokio::test]
async fn nothing_is_missed_over_a_restart() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    let read = alice.say(&room, "one").await;
    let (_, token) = alice.sync(None, json!({})).await;
    let path = format!("v3/rooms/{}/receipt/m.read/{read}", room.id());
    bob.call(Method::POST, &path, json!({})).await;
    let path = format!("v3/user/{}/rooms/{}/account_data/m.note", alice.id, room.id());
    alice.call(Method::PUT, &path, json!({"n": 1})).await;
    let id = room.id().to_owned();
    let alice = alice.keep();
    drop((bob, room));

    let rig = rig.restart().await;
    let alice = rig.again(alice);
    let (answer, _) = alice.sync(Some(&token), json!({})).await;
    let told = &answer["rooms"]["join"][id.as_str()];
    let ephemeral = told["ephemeral"]["events"].as_array().expect("events");
    assert!(
        ephemeral.iter().any(|event| event["content"][&read]["m.read"]["@bob:h"].is_object()),
        "{answer}"
    );
    let stopped = json!({"type": "m.typing", "content": {"user_ids": []}});
    assert!(
        ephemeral.contains(&stopped),
        "nobody types after a restart, and clients must hear of it"
    );
    assert_eq!(told["account_data"]["events"], json!([{"type": "m.note", "content": {"n": 1}}]));
    assert!(told.get("timeline").is_none(), "no event came");
}
