//! What passes: who types, who has read what, who is there.

use grammers_tl_types as tl;
use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Passed;

use crate::rig::{ALICE, BOB, BOBS_GHOST, CLUB, DIRECT, Rig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_is_seen_on_both_sides() {
    use tl::enums::SendMessageAction as Action;
    let rig = Rig::with_alice().await;
    let (direct, _) = rig.chat_with_bob().await;
    let club = rig.club().await;
    for (room, place) in [(&direct, DIRECT), (&club, CLUB)] {
        let types = || rig.ann.seen_typing(room) == [BOBS_GHOST];
        rig.peer.world().act(BOB, place, &Action::SendMessageTypingAction);
        eventually("Bob types", types).await;
        rig.peer.world().act(BOB, place, &Action::SendMessageCancelAction);
        eventually("Bob doesn't type", || !types()).await;
        rig.peer.world().act(BOB, place, &Action::SendMessageRecordAudioAction);
        eventually("Bob records", types).await;
        rig.ann.typing(room);
        eventually("Alice types", || {
            rig.peer.world().has_passed(&Passed::Typing(ALICE, place, true))
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_on_one_side_is_read_on_the_other() {
    let rig = Rig::with_alice().await;
    let (room, first) = rig.chat_with_bob().await;
    let event = |body: &str| {
        let mut events = rig.events(&room, "m.room.message");
        events.retain(|event| event["content"]["body"] == body);
        events.first().map(|event| event["event_id"].as_str().expect("it has one").to_owned())
    };
    // The two have the same numbers, who have said nothing to anybody else.
    rig.peer.world().read(ALICE, DIRECT, first);
    eventually("Ann has read it by Alice", || {
        rig.ann.seen_read(&room, rig.ann.id()) == event("hi Alice")
    })
    .await;
    rig.ann.say(&room, "hi Bob").expect("Ann may speak");
    eventually("Ann's words are Alice's", || rig.said_by(DIRECT, ALICE) == ["hi Bob"]).await;
    rig.peer.world().read(BOB, DIRECT, first + 1);
    eventually("Bob has read Ann's", || rig.ann.seen_read(&room, BOBS_GHOST) == event("hi Bob"))
        .await;
    let second = rig.peer.world().say(BOB, DIRECT, "well?");
    eventually("Bob's next is there", || event("well?").is_some()).await;
    rig.ann.read(&room, &event("well?").expect("it is there"));
    eventually("Alice has read it by Ann", || {
        rig.peer.world().has_passed(&Passed::Read(ALICE, DIRECT, second))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supergroups_messages_are_read_and_marked_unread() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let number = rig.peer.world().say(BOB, CLUB, "chess?");
    eventually("Bob's words are there", || rig.heard(&room) == ["welcome", "chess?"]).await;
    let event = rig.last(&room, "m.room.message")["event_id"].clone();
    rig.peer.world().read(ALICE, CLUB, number);
    eventually("Ann has read it by Alice", || {
        rig.ann.seen_read(&room, rig.ann.id()).is_some_and(|read| event == read.as_str())
    })
    .await;
    for unread in [true, false] {
        rig.peer.world().mark_unread(ALICE, CLUB, unread);
        eventually("Ann's mark is Alice's", || {
            let mark = rig.ann.account_data(&room, "m.marked_unread");
            mark.is_some_and(|mark| mark["unread"] == unread)
        })
        .await;
    }
    let number = rig.peer.world().say(BOB, CLUB, "well?");
    eventually("Bob's next is there", || rig.heard(&room).len() == 3).await;
    let event = rig.last(&room, "m.room.message")["event_id"].clone();
    rig.ann.read(&room, event.as_str().expect("it has one"));
    eventually("Alice has read it by Ann", || {
        rig.peer.world().has_passed(&Passed::Read(ALICE, CLUB, number))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_there_is_seen_on_both_sides() {
    let rig = Rig::with_alice().await;
    rig.chat_with_bob().await;
    for (online, state) in [(true, "online"), (false, "offline")] {
        rig.peer.world().appear(BOB, online);
        eventually(state, || rig.ann.seen_presence(BOBS_GHOST)["presence"] == state).await;
        rig.ann.presence(state);
        eventually(state, || rig.peer.world().has_passed(&Passed::Online(ALICE, online))).await;
    }
}
