//! Events of a second server: accepted, forked, refused.

use std::sync::Arc;

use async_trait::async_trait;
use ruma::{EventId, OwnedEventId, RoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use serde_json::json;

use super::{
    local::VERSIONS,
    peer::{Library, Words, auth_of, deliver, join, keys, next, peer, sign},
    rig::{Options, Rig, user},
};
use crate::{
    event::{Event, Flags, Pdu, Received},
    room::{Membership, MissingEvents, Outcome, Room, RoomError},
};

async fn stored(rig: &Rig, pdu: &Pdu) -> Arc<Event> {
    rig.rooms.event(&pdu.event_id).await.unwrap().unwrap()
}

/// An event on given predecessors, authorised by the state after the first of them.
async fn after(rig: &Rig, room: &Room, words: Words, prev: &[&Pdu]) -> Pdu {
    let first = stored(rig, prev[0]).await;
    let state = room.state_of(first.state_after.unwrap()).await.unwrap();
    let auth = auth_of(rig, room, &words, &state).await;
    let auth: Vec<Pdu> = auth.iter().map(|event| event.pdu.clone()).collect();
    sign(room, words, prev, &auth.iter().collect::<Vec<_>>())
}

#[tokio::test]
async fn every_version_takes_events_of_another_server() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        let joined = join(&rig, &room, "eve").await;
        let said = next(&rig, &room, Words::message("eve", "hello")).await;
        assert_eq!(said.prev_events, std::slice::from_ref(&joined.event_id), "{version}");
        assert_eq!(deliver(&room, &said).await, Outcome::Accepted, "{version}");
        assert_eq!(deliver(&room, &said).await, Outcome::Accepted, "{version}: a repetition");
        let answer = room.say("alice", "welcome").await.unwrap().event.unwrap();
        assert_eq!(answer.pdu.prev_events, std::slice::from_ref(&said.event_id), "{version}");
        let snapshot = room.snapshot();
        assert_eq!((snapshot.joined_count(), snapshot.recent().len()), (2, 9), "{version}");
        assert!(snapshot.is_joined(&peer("eve")), "{version}");
    }
}

#[tokio::test]
async fn a_fork_of_messages_is_tied_together_by_the_next_event() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        let origin = join(&rig, &room, "eve").await;
        let left = after(&rig, &room, Words::message("eve", "left"), &[&origin]).await;
        let right = after(&rig, &room, Words::message("eve", "right"), &[&origin]).await;
        deliver(&room, &left).await;
        deliver(&room, &right).await;
        let tie = room.say("alice", "tie").await.unwrap().event.unwrap();
        let mut prev = tie.pdu.prev_events.clone();
        let mut both = vec![left.event_id, right.event_id];
        prev.sort();
        both.sort();
        assert_eq!(prev, both, "{version}");
        assert_eq!(tie.pdu.depth, left.depth + 1, "{version}");
        assert_eq!(
            tie.state_before,
            stored(&rig, &origin).await.state_after,
            "{version}: no new state"
        );
    }
}

#[tokio::test]
async fn a_fork_of_state_has_one_winner() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        join(&rig, &room, "eve").await;
        let mut users = json!({ peer("eve").as_str(): 100 });
        if !room.rules().authorization.explicitly_privilege_room_creators {
            users[user("alice").as_str()] = json!(100);
        }
        room.set("alice", "m.room.power_levels", "", &json!({ "users": users })).await.unwrap();
        let origin = next(&rig, &room, Words::message("eve", "root")).await;
        deliver(&room, &origin).await;
        let topic = |text: &str| Words::state("eve", "m.room.topic", "", json!({ "topic": text }));
        let left = after(&rig, &room, topic("left"), &[&origin]).await;
        let right = after(&rig, &room, topic("right"), &[&origin]).await;
        deliver(&room, &left).await;
        deliver(&room, &right).await;
        let ban = after(&rig, &room, Words::member("eve", &user("alice"), "ban"), &[&left]).await;
        let resolved = room.snapshot().state.nid("m.room.topic", "").unwrap();
        let winner = rig.rooms.events(&[resolved]).await.unwrap().remove(0).pdu.event_id.clone();
        assert!([&left.event_id, &right.event_id].contains(&&winner), "{version}");

        // Equal power doesn't ban; neither does any power ban a creator of version 12.
        assert_eq!(deliver(&room, &ban).await, Outcome::Rejected, "{version}");
        assert!(room.snapshot().is_joined(&user("alice")), "{version}");
    }
}

#[tokio::test]
async fn missing_predecessors_are_fetched() {
    let library = Library::default();
    let options = Options { missing: Arc::new(library.clone()), ..Options::default() };
    let rig = Rig::with(options).await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        let mut last = join(&rig, &room, "eve").await;
        let state = room.snapshot().state.clone();
        for number in 0..5 {
            let words = Words::message("eve", &number.to_string());
            let auth = auth_of(&rig, &room, &words, &state).await;
            let auth: Vec<Pdu> = auth.iter().map(|event| event.pdu.clone()).collect();
            last = sign(&room, words, &[&last], &auth.iter().collect::<Vec<_>>());
            library.add(&last);
        }
        assert_eq!(deliver(&room, &last).await, Outcome::Accepted, "{version}");
        let snapshot = room.snapshot();
        let bodies: Vec<_> =
            snapshot.recent().iter().filter_map(|event| event.pdu.content_str("body")).collect();
        assert_eq!(bodies, ["0", "1", "2", "3", "4"], "{version}");
        assert_eq!(snapshot.extremities.len(), 1, "{version}");
    }
}

#[tokio::test]
async fn what_cant_be_judged_isnt_kept() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let origin = join(&rig, &room, "eve").await;
    let lost = after(&rig, &room, Words::message("eve", "lost"), &[&origin]).await;
    let state = room.snapshot().state.clone();
    let words = Words::message("eve", "next");
    let auth = auth_of(&rig, &room, &words, &state).await;
    let auth: Vec<Pdu> = auth.iter().map(|event| event.pdu.clone()).collect();
    let orphan = sign(&room, words, &[&lost], &auth.iter().collect::<Vec<_>>());
    let head = rig.feed.head();
    assert_eq!(deliver(&room, &orphan).await, Outcome::Incomplete(vec![lost.event_id.clone()]));
    assert!(rig.rooms.event(&orphan.event_id).await.unwrap().is_none());
    assert_eq!(rig.feed.head(), head);
    // When the predecessor comes after all, both are fine.
    assert_eq!(deliver(&room, &lost).await, Outcome::Accepted);
    assert_eq!(deliver(&room, &orphan).await, Outcome::Accepted);
}

#[tokio::test]
async fn wrong_signatures_and_hashes_are_found() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        join(&rig, &room, "eve").await;
        let said = next(&rig, &room, Words::message("eve", "original")).await;
        let text = std::str::from_utf8(said.raw()).unwrap();
        let forged = text.replace("\"origin_server_ts\":17", "\"origin_server_ts\":18");
        assert!(
            matches!(room.receive(&forged, &keys()).await, Err(RoomError::BadJson(_))),
            "{version}"
        );
        let unsigned = text.replace("there.example\":{\"ed25519", "else.example\":{\"ed25519");
        assert!(
            matches!(room.receive(&unsigned, &keys()).await, Err(RoomError::BadJson(_))),
            "{version}"
        );
        // A changed content keeps the signature, and is taken away.
        let changed = text.replace("original", "falsified");
        assert_eq!(room.receive(&changed, &keys()).await.unwrap(), Outcome::Accepted, "{version}");
        let event = stored(&rig, &said).await;
        assert_eq!(event.pdu.content().get(), "{}", "{version}");
    }
}

#[tokio::test]
async fn bad_auth_events_are_rejected_and_change_nothing() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        let before_join = room.snapshot().state.clone();
        let origin = join(&rig, &room, "eve").await;
        let state = room.snapshot().state.clone();
        let words = || Words::message("eve", "sneaky");
        let of = async |state: &crate::room::StateMap| -> Vec<Pdu> {
            auth_of(&rig, &room, &words(), state)
                .await
                .iter()
                .map(|event| event.pdu.clone())
                .collect()
        };
        let good = of(&state).await;
        let without_member = of(&before_join).await;
        let name = room
            .set("alice", "m.room.name", "", &json!({ "name": "x" }))
            .await
            .unwrap()
            .event
            .unwrap();
        let cases = [
            ("the member event is missing", without_member),
            ("one twice", [good.clone(), good[..1].to_vec()].concat()),
            ("one of a wrong type", [good.clone(), vec![name.pdu.clone()]].concat()),
        ];
        let before = room.snapshot();
        for (what, auth) in cases {
            let bad = sign(&room, words(), &[&origin], &auth.iter().collect::<Vec<_>>());
            assert_eq!(deliver(&room, &bad).await, Outcome::Rejected, "{version}: {what}");
            let event = stored(&rig, &bad).await;
            assert_eq!(event.state_before, event.state_after, "{version}: {what}");
            // What is built on a rejected event is judged by itself.
            let child = sign(&room, words(), &[&bad], &good.iter().collect::<Vec<_>>());
            assert_eq!(deliver(&room, &child).await, Outcome::Accepted, "{version}: {what}");
        }
        assert_eq!(room.snapshot().state, before.state, "{version}");
    }
}

#[tokio::test]
async fn a_banned_user_cant_speak_from_the_past() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        let origin = join(&rig, &room, "eve").await;
        let late = after(&rig, &room, Words::message("eve", "from the past"), &[&origin]).await;
        let content = json!({ "membership": "ban" });
        room.set("alice", "m.room.member", peer("eve").as_str(), &content).await.unwrap();
        let head = rig.feed.head();
        assert_eq!(deliver(&room, &late).await, Outcome::SoftFailed, "{version}");
        assert_eq!(rig.feed.head(), head, "{version}: nobody is told");
        assert!(stored(&rig, &late).await.place().is_none(), "{version}");
        let next = room.say("alice", "quiet").await.unwrap().event.unwrap();
        assert!(!next.pdu.prev_events.contains(&late.event_id), "{version}: never an extremity");
    }
}

#[tokio::test]
async fn a_redaction_waits_for_its_target() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        let origin = join(&rig, &room, "eve").await;
        let target = after(&rig, &room, Words::message("eve", "secret"), &[&origin]).await;
        let words = Words {
            kind: "m.room.redaction",
            content: json!({ "redacts": target.event_id }),
            ..Words::message("eve", "")
        };
        let redaction = after(&rig, &room, words, &[&origin]).await;
        let head = rig.feed.head();
        assert_eq!(deliver(&room, &redaction).await, Outcome::Accepted, "{version}");
        assert_eq!(rig.feed.head(), head, "{version}: unseen while it waits");
        assert_eq!(deliver(&room, &target).await, Outcome::Accepted, "{version}");
        let shown = stored(&rig, &target).await;
        assert!(shown.flags.has(Flags::REDACTED), "{version}");
        assert!(!std::str::from_utf8(shown.pdu.raw()).unwrap().contains("secret"), "{version}");
        let redaction = stored(&rig, &redaction).await;
        assert!(redaction.place() > shown.place(), "{version}: both are seen now");
        assert_eq!(rig.feed.head(), head + 2, "{version}");
    }
}

#[tokio::test]
async fn piled_up_branches_are_merged_unseen() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V11).await;
    let origin = join(&rig, &room, "eve").await;
    for number in 0..30 {
        let branch =
            after(&rig, &room, Words::message("eve", &number.to_string()), &[&origin]).await;
        assert_eq!(deliver(&room, &branch).await, Outcome::Accepted);
        assert!(room.snapshot().extremities.len() <= 10);
    }
    let snapshot = room.snapshot();
    assert!(
        snapshot.recent().iter().all(|event| event.kind().to_string() != "org.matrix.dummy_event")
    );
    assert_eq!(
        snapshot.recent().iter().filter(|event| event.pdu.sender == peer("eve")).count(),
        31
    );
}

/// A server that lost an event, but knows the state before the one that follows on it.
struct Amnesia {
    state: Vec<OwnedEventId>,
}

#[async_trait]
impl MissingEvents for Amnesia {
    async fn between(
        &self,
        _: &RoomId,
        _: &RoomVersionRules,
        _: &[OwnedEventId],
        _: &[OwnedEventId],
    ) -> Vec<Received> {
        Vec::new()
    }

    async fn events(&self, _: &RoomId, _: &RoomVersionRules, _: &[OwnedEventId]) -> Vec<Received> {
        Vec::new()
    }

    async fn state_before(&self, _: &RoomId, _: &EventId) -> Option<Vec<OwnedEventId>> {
        Some(self.state.clone())
    }
}

#[tokio::test]
async fn a_told_state_bridges_a_gap_and_what_comes_late_is_history() {
    let first = Rig::new().await;
    let room = first.room(RoomVersionId::V10).await;
    let origin = join(&first, &room, "eve").await;
    let lost = after(&first, &room, Words::message("eve", "lost"), &[&origin]).await;
    let words = Words::message("eve", "later");
    let snapshot = room.snapshot();
    let auth = auth_of(&first, &room, &words, &snapshot.state).await;
    let auth: Vec<Pdu> = auth.iter().map(|event| event.pdu.clone()).collect();
    let later = sign(&room, words, &[&lost], &auth.iter().collect::<Vec<_>>());
    let state = snapshot.state.iter().map(|(_, entry)| entry.event_id().to_owned()).collect();
    let id = room.id().to_owned();
    drop((room, snapshot));
    let test = first.test.clone();
    let Rig { db, rooms, feed, committer, .. } = first;
    drop((rooms, feed, committer));
    db.close().await;
    drop(db);

    let missing = Arc::new(Amnesia { state });
    let rig = Rig::open(test, Options { missing, ..Options::default() }).await;
    let room = rig.rooms.get(&id).await.unwrap();
    assert_eq!(deliver(&room, &later).await, Outcome::Accepted);
    assert_eq!(room.snapshot().membership(&peer("eve")), Some(Membership::Join));
    let head = rig.feed.head();
    assert_eq!(deliver(&room, &lost).await, Outcome::Accepted);
    assert_eq!(rig.feed.head(), head);
    let ends: Vec<_> =
        room.snapshot().extremities.iter().map(|end| end.reference.id.clone()).collect();
    assert!(ends.contains(&later.event_id) && !ends.contains(&lost.event_id));
}
