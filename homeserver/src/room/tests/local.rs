//! Local users make rooms, speak, come and go.

use futures::{FutureExt as _, future::join_all};
use ruma::{RoomVersionId, events::TimelineEventType, room_alias_id};
use serde_json::json;

use super::rig::{Options, Rig, invitee, raw, request, text, txn, user};
use crate::{
    event::{Flags, Unsigned},
    room::{Draft, Membership, Preset, RoomError, RoomLimits, task::Request},
};

pub(super) const VERSIONS: [RoomVersionId; 12] = [
    RoomVersionId::V1,
    RoomVersionId::V2,
    RoomVersionId::V3,
    RoomVersionId::V4,
    RoomVersionId::V5,
    RoomVersionId::V6,
    RoomVersionId::V7,
    RoomVersionId::V8,
    RoomVersionId::V9,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];

#[tokio::test]
async fn rooms_that_are_made_at_the_same_moment_are_as_many() {
    let rig = Rig::new().await;
    for version in VERSIONS {
        let mut made = join_all((0..3).map(|_| {
            let mut request = request(version.clone(), Preset::PublicChat);
            request.ts = Some(1_700_000_000_000);
            rig.rooms.create(request)
        }))
        .await
        .into_iter()
        .map(|room| room.unwrap().id().to_owned())
        .collect::<Vec<_>>();
        made.sort();
        made.dedup();
        assert_eq!(made.len(), 3, "{version}");
    }
}

#[tokio::test]
async fn every_version_lives_through_a_restart() {
    let mut rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        room.member("bob", "bob", "join").await.unwrap();
        let sent = room.say("bob", "hello").await.unwrap();
        let id = room.id().to_owned();
        let before = room.snapshot();
        assert_eq!(before.joined_count(), 2, "{version}");
        assert_eq!(before.recent().last().unwrap().pdu.event_id, sent.event_id, "{version}");
        drop(room);

        rig = rig.reopen().await;
        let room = rig.rooms.get(&id).await.unwrap();
        let after = room.snapshot();
        assert_eq!(after.state, before.state, "{version}");
        assert_eq!(after.head(), before.head(), "{version}");
        assert_eq!(after.power_levels(), before.power_levels(), "{version}");
        let ids = |snapshot: &crate::room::RoomSnapshot| {
            snapshot.recent().iter().map(|event| event.pdu.event_id.clone()).collect::<Vec<_>>()
        };
        assert_eq!(ids(&after), ids(&before), "{version}");
        let next = room.say("alice", "still here").await.unwrap().event.unwrap();
        assert_eq!(next.pdu.prev_events, [sent.event_id], "{version}");
    }
}

#[tokio::test]
async fn a_new_room_has_what_was_asked_for() {
    let rig = Rig::new().await;
    for version in [RoomVersionId::V11, RoomVersionId::V12] {
        let mut request = request(version.clone(), Preset::TrustedPrivateChat);
        request.name = Some("Home".to_owned());
        request.topic = Some("All about it".to_owned());
        request.invites = vec![invitee("bob"), invitee("carol"), invitee("bob")];
        request.is_direct = true;
        request.initial_state = vec![(
            "m.room.guest_access".into(),
            String::new(),
            raw(&json!({ "guest_access": "forbidden" })),
        )];
        let room = rig.rooms.create(request).await.unwrap();
        let snapshot = room.snapshot();
        assert_eq!((snapshot.joined_count(), snapshot.invited_count()), (1, 2));
        let power = snapshot.power_levels().unwrap();
        assert_eq!(power.user(&user("bob")), power.user(&user("alice")));
        let guests = room.state_event("m.room.guest_access", "").await.unwrap().unwrap();
        assert_eq!(guests.pdu.content_str("guest_access").as_deref(), Some("forbidden"));
        let invite = room.state_event("m.room.member", "@bob:here.example").await.unwrap().unwrap();
        assert!(invite.pdu.content().get().contains("\"is_direct\":true"));
        assert_eq!(snapshot.join_rule(), "invite");
        let rooms = rig.rooms.memberships(&user("carol")).await.unwrap();
        assert_eq!(rooms[&room.nid()].membership, Membership::Invite);
        if version == RoomVersionId::V12 {
            let create = snapshot.create_event().unwrap();
            assert_eq!(room.id().strip_sigil(), &create.pdu.event_id.as_str()[1..]);
            assert!(!std::str::from_utf8(create.pdu.raw()).unwrap().contains("room_id"));
        }
        room.member("carol", "carol", "join").await.unwrap();
        assert_eq!(rig.rooms.joined(&user("carol")).await.unwrap().last(), Some(&room.nid()));
    }
}

#[tokio::test]
async fn the_invited_can_join_in_the_same_unit() {
    let rig = Rig::new().await;
    let mut request = request(RoomVersionId::V12, Preset::PrivateChat);
    request.invites = vec![invitee("bob"), invitee("carol")];
    request.join_invited = [user("carol")].into();
    let room = rig.rooms.create(request).await.unwrap();
    assert_eq!((room.snapshot().joined_count(), room.snapshot().invited_count()), (2, 1));
    room.say("carol", "here at once").await.unwrap();
}

#[tokio::test]
async fn a_taken_alias_makes_no_room() {
    let rig = Rig::new().await;
    let mut first = request(RoomVersionId::V12, Preset::PublicChat);
    first.alias = Some(room_alias_id!("#home:here.example").to_owned());
    let room = rig.rooms.create(first.clone()).await.unwrap();
    let head = rig.feed.head();
    assert!(matches!(rig.rooms.create(first).await, Err(RoomError::AliasInUse)));
    assert_eq!(rig.feed.head(), head);
    let alias = crate::storage::aliases::get(&rig.db, "#home:here.example").await.unwrap();
    assert_eq!(alias.unwrap().0, room.nid());
}

#[tokio::test]
async fn impossible_beginnings_are_refused() {
    let rig = Rig::new().await;
    let mut low = request(RoomVersionId::V11, Preset::PublicChat);
    low.name = Some("out of reach".to_owned());
    low.power_level_content_override =
        Some(crate::event::canonical_object(r#"{"users":{"@alice:here.example":10}}"#).unwrap());
    assert!(matches!(rig.rooms.create(low).await, Err(RoomError::InvalidState(_))));
    let mut creators = request(RoomVersionId::V12, Preset::PublicChat);
    creators.creation_content =
        crate::event::canonical_object(r#"{"additional_creators":["nobody"]}"#).unwrap();
    assert!(matches!(rig.rooms.create(creators).await, Err(RoomError::BadJson(_))));
    let unknown = request("org.example.unknown".try_into().unwrap(), Preset::PublicChat);
    assert!(matches!(rig.rooms.create(unknown).await, Err(RoomError::UnsupportedVersion(_))));
    assert_eq!(rig.feed.head(), 0, "nothing of them was written");
}

#[tokio::test]
async fn who_isnt_in_the_room_or_lacks_power_is_refused() {
    let rig = Rig::new().await;
    for version in [RoomVersionId::V1, RoomVersionId::V10, RoomVersionId::V12] {
        let room = rig.room(version).await;
        assert!(matches!(room.say("bob", "hi").await, Err(RoomError::Forbidden(_))));
        room.member("bob", "bob", "join").await.unwrap();
        let name = json!({ "name": "Bob's" });
        assert!(matches!(
            room.set("bob", "m.room.name", "", &name).await,
            Err(RoomError::Forbidden(_))
        ));
        assert!(matches!(room.member("bob", "alice", "leave").await, Err(RoomError::Forbidden(_))));
        room.member("alice", "bob", "ban").await.unwrap();
        assert!(matches!(room.member("bob", "bob", "join").await, Err(RoomError::Forbidden(_))));
        assert_eq!(room.snapshot().membership(&user("bob")), Some(Membership::Ban));
        let strings = json!({ "users": { "@alice:here.example": "100" } });
        assert!(matches!(
            room.set("alice", "m.room.power_levels", "", &strings).await,
            Err(RoomError::BadJson(_) | RoomError::Forbidden(_))
        ));
    }
}

#[tokio::test]
async fn sizes_and_numbers_out_of_bounds_are_refused() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    assert!(matches!(room.say("alice", &"x".repeat(65_600)).await, Err(RoomError::TooLarge(_))));
    assert!(matches!(room.say("alice", &"x".repeat(65_200)).await, Err(RoomError::TooLarge(_))));
    room.say("alice", &"x".repeat(64_000)).await.unwrap();
    let long = "k".repeat(256);
    assert!(matches!(
        room.set("alice", "org.example.x", &long, &json!({})).await,
        Err(RoomError::TooLarge(_))
    ));
    let deep = format!("{{\"n\":{}{}}}", "[".repeat(120), "]".repeat(120));
    for content in [&*deep, "{\"n\":1.5}", "{\"n\":9007199254740992}", "[]"] {
        let content = serde_json::value::RawValue::from_string(content.to_owned()).unwrap();
        let draft = Draft::message(user("alice"), "org.example.x".into(), content);
        assert!(matches!(room.send(draft).await, Err(RoomError::BadJson(_))));
    }
}

#[tokio::test]
async fn state_that_is_so_already_isnt_sent_again() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let name = json!({ "name": "Home" });
    let first = room.set("alice", "m.room.name", "", &name).await.unwrap();
    let again = room.set("alice", "m.room.name", "", &name).await.unwrap();
    assert_eq!((first.event_id, true), (again.event_id, again.replay));
    let other = room.set("alice", "m.room.name", "", &json!({ "name": "House" })).await.unwrap();
    assert_eq!(other.event.unwrap().replaces, again.event.map(|event| event.nid));
}

#[tokio::test]
async fn a_transaction_is_carried_out_once() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let draft = |body: &str| Draft {
        txn: Some(txn("1")),
        ..Draft::message(user("alice"), TimelineEventType::RoomMessage, text(body))
    };
    let head = rig.feed.head();
    // Together, then one after the other, then after a restart.
    let together = join_all((0..8).map(|_| room.send(draft("once")))).await;
    let ids: Vec<_> = together.into_iter().map(|sent| sent.unwrap()).collect();
    assert!(ids.iter().all(|sent| sent.event_id == ids[0].event_id));
    assert_eq!(ids.iter().filter(|sent| !sent.replay).count(), 1);
    assert_eq!(rig.feed.head(), head + 1);
    let later = room.send(draft("once")).await.unwrap();
    assert!(later.replay);
    let id = room.id().to_owned();
    drop(room);
    let rig = rig.reopen().await;
    let room = rig.rooms.get(&id).await.unwrap();
    let after = room.send(draft("once")).await.unwrap();
    assert_eq!((after.event_id.clone(), after.replay), (ids[0].event_id.clone(), true));
    let event = rig.rooms.event(&after.event_id).await.unwrap().unwrap();
    assert_eq!(event.txn.as_ref().unwrap().id, "1");
}

#[tokio::test]
async fn transactions_are_forgotten_after_a_month() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let nid = room.snapshot().recent().last().unwrap().nid;
    let (old, new) = (0, 1_700_000_000_000);
    let insert = |name: String, at: i64| {
        rig.committer.enqueue(None, move |tx| {
            let name = name.clone();
            Box::pin(async move {
                crate::storage::txns::insert(tx, "scope", &name, nid, "$x", at).await
            })
        })
    };
    let replies: Vec<_> = (0..1500).map(|number| insert(format!("old {number}"), old)).collect();
    join_all(replies).await.into_iter().collect::<Result<Vec<_>, _>>().unwrap();
    insert("new".to_owned(), new).await.unwrap();
    rig.rooms.forget_old_transactions().await.unwrap();
    assert!(crate::storage::txns::get(&rig.db, "scope", "old 1499").await.unwrap().is_none());
    assert!(crate::storage::txns::get(&rig.db, "scope", "new").await.unwrap().is_some());
}

#[tokio::test]
async fn a_burst_keeps_its_order() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let bodies: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let sent = join_all(bodies.iter().map(|body| room.say("alice", body))).await;
    let events: Vec<_> = sent.into_iter().map(|sent| sent.unwrap().event.unwrap()).collect();
    for pair in events.windows(2) {
        assert_eq!(pair[1].pdu.prev_events, [pair[0].pdu.event_id.clone()]);
        assert_eq!(pair[1].place().unwrap().pos, pair[0].place().unwrap().pos + 1);
    }
}

#[tokio::test]
async fn a_failed_commit_costs_that_request_alone() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    let before = room.snapshot().recent().last().unwrap().clone();
    // The database has the transaction's row already, and the room is kept from looking: its unit can't be written.
    let blocked = txn("blocked");
    let (scope, path, nid) = (blocked.scope.clone(), blocked.path.clone(), before.nid);
    let insert = rig.committer.run(move |tx| {
        let (scope, path) = (scope.clone(), path.clone());
        Box::pin(async move { crate::storage::txns::insert(tx, &scope, &path, nid, "$x", 0).await })
    });
    insert.await.unwrap();
    let say = |number: u32| {
        let room = room.clone();
        async move { room.say("alice", &number.to_string()).await }.boxed()
    };
    let draft = Draft {
        txn: Some(blocked),
        ..Draft::message(user("alice"), TimelineEventType::RoomMessage, text("blocked"))
    };
    let ask = |reply| Request::Send { draft, seen: u64::MAX, reply };
    let mut sends: Vec<_> = (0..5).map(say).collect();
    sends.push(room.ask(ask).boxed());
    sends.extend((5..20).map(say));
    let mut outcomes = join_all(sends).await;
    assert!(matches!(outcomes.remove(5), Err(RoomError::Storage(_))));
    let mut last = before;
    for sent in outcomes {
        let event = sent.unwrap().event.unwrap();
        assert_eq!(event.pdu.prev_events, std::slice::from_ref(&last.pdu.event_id));
        assert_eq!(event.place().unwrap().pos, last.place().unwrap().pos + 1);
        last = event;
    }
    assert_eq!(last.pdu.content_str("body").as_deref(), Some("19"));
    assert_eq!(room.snapshot().recent().last().unwrap().nid, last.nid);
    let id = room.id().to_owned();
    drop(room);
    let rig = rig.reopen().await;
    let room = rig.rooms.get(&id).await.unwrap();
    let next = room.say("alice", "later").await.unwrap().event.unwrap();
    assert_eq!(next.pdu.prev_events, [last.pdu.event_id.clone()]);
}

#[tokio::test]
async fn redaction_leaves_what_the_rules_keep() {
    let mut rig = Rig::new().await;
    for version in VERSIONS {
        let room = rig.room(version.clone()).await;
        room.member("bob", "bob", "join").await.unwrap();
        let said = room.say("bob", "regrettable").await.unwrap();
        let redact = |name: &str| Draft {
            redacts: Some(said.event_id.clone()),
            ..Draft::message(
                user(name),
                TimelineEventType::RoomRedaction,
                raw(&json!({ "reason": "oops" })),
            )
        };
        room.member("carol", "carol", "join").await.unwrap();
        let refused = room.send(redact("carol")).await;
        assert!(matches!(refused, Err(RoomError::Forbidden(_))), "{version}: {refused:?}");
        let redaction = room.send(redact("bob")).await.unwrap();
        let id = room.id().to_owned();
        drop(room);
        for restarted in [false, true] {
            if restarted {
                rig = rig.reopen().await;
            }
            let event = rig.rooms.event(&said.event_id).await.unwrap().unwrap();
            assert!(event.flags.has(Flags::REDACTED), "{version}");
            let json: serde_json::Value =
                serde_json::from_str(event.client_json(&Unsigned::default()).get()).unwrap();
            assert_eq!(json["content"], json!({}), "{version}");
            let because = &json["unsigned"]["redacted_because"];
            assert_eq!(because["event_id"], redaction.event_id.as_str(), "{version}");
            assert_eq!(because["redacts"], said.event_id.as_str(), "{version}");
            assert_eq!(because["content"]["redacts"], said.event_id.as_str(), "{version}");
        }
        let room = rig.rooms.get(&id).await.unwrap();
        let shown = room.snapshot();
        let shown =
            shown.recent().iter().find(|event| event.pdu.event_id == said.event_id).unwrap();
        assert!(shown.flags.has(Flags::REDACTED), "{version}");
    }
}

#[tokio::test]
async fn a_forgotten_room_stays_forgotten_until_the_next_membership() {
    let rig = Rig::new().await;
    let room = rig.room(RoomVersionId::V12).await;
    room.member("bob", "bob", "join").await.unwrap();
    assert!(matches!(rig.rooms.forget(&user("bob"), &room).await, Err(RoomError::InvalidParam(_))));
    room.member("bob", "bob", "leave").await.unwrap();
    rig.rooms.forget(&user("bob"), &room).await.unwrap();
    assert!(rig.rooms.memberships(&user("bob")).await.unwrap()[&room.nid()].forgotten);
    room.member("alice", "bob", "invite").await.unwrap();
    assert!(!rig.rooms.memberships(&user("bob")).await.unwrap()[&room.nid()].forgotten);
}

#[tokio::test]
async fn idle_rooms_are_put_away_and_come_back_the_same() {
    let limits = RoomLimits { rooms: 4, idle_ms: 0, ..RoomLimits::default() };
    let rig = Rig::with(Options { limits, ..Options::default() }).await;
    let mut ids = Vec::new();
    for number in 0..12 {
        let room = rig.room(RoomVersionId::V12).await;
        room.say("alice", &number.to_string()).await.unwrap();
        ids.push(room.id().to_owned());
    }
    for (number, id) in ids.iter().enumerate() {
        let room = rig.rooms.get(id).await.unwrap();
        let last = room.snapshot().recent().last().unwrap().pdu.content_str("body");
        assert_eq!(last, Some(number.to_string()));
        room.say("alice", "again").await.unwrap();
    }
}
