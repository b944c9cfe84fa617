//! Which appservices an event interests.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use ruma::{RoomAliasId, RoomId, RoomVersionId, UserId, room_alias_id};

use super::rig::{Options, Rig, request, user};
use crate::{
    feed::{Change, FeedReader, Next},
    room::{Interest, InterestSource, Preset},
};

/// Number 0 wants users whose name begins with `ghost`, number 1 wants aliases, number 2 everything when it is on.
#[derive(Default)]
struct Services {
    generation: AtomicU64,
}

impl InterestSource for Services {
    fn of_user(&self, user: &UserId) -> Interest {
        if user.localpart().starts_with("ghost") { Interest::single(0) } else { Interest::EMPTY }
    }

    fn of_alias(&self, alias: &RoomAliasId) -> Interest {
        if alias.as_str().starts_with("#bridged") { Interest::single(1) } else { Interest::EMPTY }
    }

    fn of_room(&self, _: &RoomId) -> Interest {
        if self.generation() > 0 { Interest::single(2) } else { Interest::EMPTY }
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

/// The interest in the next published events.
async fn next(reader: &mut FeedReader) -> Vec<Interest> {
    let Next::Group(group) = reader.next().await else { panic!("the feed goes on") };
    let mut masks = Vec::new();
    for published in group.iter() {
        if let Change::Event(_, interest) = &published.change {
            masks.push(*interest);
        }
    }
    masks
}

#[tokio::test]
async fn members_aliases_and_registrations_count() {
    let services = Arc::new(Services::default());
    let rig = Rig::with(Options { interest: services.clone(), ..Options::default() }).await;
    let room = rig.room(RoomVersionId::V12).await;
    let mut reader = rig.feed.reader();
    room.say("alice", "alone").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::EMPTY]);
    room.member("alice", "ghost_1", "invite").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::single(0)], "its user is invited");
    room.say("alice", "not yet").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::EMPTY], "an invited user isn't in the room");
    room.member("ghost_1", "ghost_1", "join").await.unwrap();
    room.say("alice", "together").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::single(0)]);
    assert_eq!(next(&mut reader).await, [Interest::single(0)]);
    room.member("ghost_1", "ghost_1", "leave").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::single(0)], "its user has just left");
    room.say("alice", "alone again").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::EMPTY]);

    let (nid, alice) = (room.nid(), user("alice"));
    let add = rig.committer.run(move |tx| {
        let alice = alice.clone();
        Box::pin(async move {
            crate::storage::aliases::insert(tx, "#bridged_x:here.example", nid, alice.as_str(), 0)
                .await
        })
    });
    assert!(add.await.unwrap());
    room.aliases_changed();
    room.say("alice", "by alias").await.unwrap();
    assert_eq!(next(&mut reader).await.last(), Some(&Interest::single(1)));
    services.generation.store(1, Ordering::Relaxed);
    room.say("alice", "by room").await.unwrap();
    assert_eq!(next(&mut reader).await, [Interest::single(1) | Interest::single(2)]);
}

#[tokio::test]
async fn a_new_rooms_alias_counts_from_its_first_event() {
    let rig =
        Rig::with(Options { interest: Arc::<Services>::default(), ..Options::default() }).await;
    let mut reader = rig.feed.reader();
    let mut request = request(RoomVersionId::V12, Preset::PublicChat);
    request.alias = Some(room_alias_id!("#bridged_y:here.example").to_owned());
    let room = rig.rooms.create(request).await.unwrap();
    let masks = next(&mut reader).await;
    assert!(masks.len() >= 6 && masks.iter().all(|mask| *mask == Interest::single(1)));
    assert_eq!(room.snapshot().interest(), Interest::single(1));
}
