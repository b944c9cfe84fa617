//! Nothing lost, nothing doubled, nothing reordered: through faults, and through the bridge's death.

use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Faults;

use crate::rig::{BOB, BOT, LOBBY, Rig};

/// What ends with a number, as that number.
fn numbers(texts: &[String]) -> Vec<u32> {
    let number = |text: &String| text.rsplit(' ').next().and_then(|word| word.parse().ok());
    texts.iter().filter_map(number).collect()
}

const MANY: u32 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_the_way_neither_lose_nor_double() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    rig.peer.world().faults = Faults {
        flood: Some(17),
        lose_answer: Some(31),
        drop_update: Some(7),
        repeat_update: Some(5),
        difference: None,
    };
    for number in 0..MANY {
        rig.ann.say(&room, &format!("m {number}")).expect("Ann may speak");
        rig.peer.world().say(BOB, LOBBY, &format!("t {number}"));
    }
    let wanted: Vec<u32> = (0..MANY).collect();
    eventually("everything is on Telegram", || rig.said_by(LOBBY, BOT).len() >= MANY as usize)
        .await;
    rig.peer.world().faults = Faults::default();
    // The last may have been dropped: whatever comes next shows the gap.
    rig.peer.world().say(BOB, LOBBY, &format!("t {MANY}"));
    eventually("everything is on Matrix", || rig.heard(&room).len() > MANY as usize).await;
    assert_eq!(numbers(&rig.said_by(LOBBY, BOT)), wanted);
    assert_eq!(numbers(&rig.heard(&room)), (0..=MANY).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bridge_may_die_at_any_time() {
    let mut rig = Rig::start().await;
    let room = rig.lobby().await;
    let mut said = 0;
    for life in 0..6_u32 {
        for _ in 0..5 {
            rig.ann.say(&room, &format!("m {said}")).expect("Ann may speak");
            rig.peer.world().say(BOB, LOBBY, &format!("t {said}"));
            said += 1;
        }
        // Each life ends at another point of the work: after so many of these came over.
        let (before, heard) = (rig.said_by(LOBBY, BOT).len(), rig.heard(&room).len());
        let enough = life as usize % 3;
        eventually("some work is done", || {
            rig.said_by(LOBBY, BOT).len() >= before + enough
                && rig.heard(&room).len() >= heard + enough
        })
        .await;
        rig.kill().await;
        // Said while nobody listens.
        rig.peer.world().say(BOB, LOBBY, &format!("t {said}"));
        rig.ann.say(&room, &format!("m {said}")).expect("Ann may speak");
        said += 1;
        rig.go().await;
    }
    eventually("everything is on both sides", || {
        rig.said_by(LOBBY, BOT).len() >= said as usize && rig.heard(&room).len() >= said as usize
    })
    .await;
    let wanted: Vec<u32> = (0..said).collect();
    assert_eq!(numbers(&rig.said_by(LOBBY, BOT)), wanted);
    assert_eq!(numbers(&rig.heard(&room)), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_caught_up_with() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    for round in 0..5_u32 {
        rig.peer.world().say(BOB, LOBBY, &format!("t {}", round * 2));
        rig.peer.world().cut_connections();
        // Said while the connection is being made again.
        rig.peer.world().say(BOB, LOBBY, &format!("t {}", round * 2 + 1));
        eventually("what was missed is there", || {
            rig.heard(&room).len() == (round as usize + 1) * 2
        })
        .await;
    }
    assert_eq!(numbers(&rig.heard(&room)), (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bots_read_by_number_what_differences_no_longer_hold() {
    let mut rig = Rig::start().await;
    let room = rig.lobby().await;
    rig.peer.world().say(BOB, LOBBY, "c 0");
    eventually("the first is there", || rig.heard(&room) == ["c 0"]).await;
    rig.kill().await;
    {
        let mut world = rig.peer.world();
        let said: Vec<i32> =
            (1..=260).map(|number| world.say(BOB, LOBBY, &format!("c {number}"))).collect();
        // More than are asked for at once, so that a page has none.
        said[..210].iter().for_each(|number| world.delete(5000, *number));
        world.faults = Faults { difference: Some(10), ..Faults::default() };
    }
    rig.go().await;
    eventually("all of them are there", || rig.heard(&room).len() >= 51).await;
    let wanted: Vec<u32> = [0].into_iter().chain(211..=260).collect();
    assert_eq!(numbers(&rig.heard(&room)), wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_is_found_behind_much_that_was_said_since() {
    let mut rig = Rig::start().await;
    let room = rig.lobby().await;
    // Everything is done, but no answer comes.
    rig.peer.world().faults = Faults { lose_answer: Some(1), ..Faults::default() };
    rig.ann.say(&room, "m 0").expect("Ann may speak");
    eventually("it is on Telegram", || rig.said_by(LOBBY, BOT).len() == 1).await;
    rig.kill().await;
    rig.peer.world().faults = Faults::default();
    for number in 0..300 {
        rig.peer.world().say(BOB, LOBBY, &format!("t {number}"));
    }
    rig.go().await;
    rig.ann.say(&room, "m 1").expect("Ann may speak");
    eventually("what came after it is on Telegram", || rig.said_by(LOBBY, BOT).len() >= 2).await;
    eventually("everything is on Matrix", || rig.heard(&room).len() >= 300).await;
    assert_eq!(numbers(&rig.said_by(LOBBY, BOT)), [0, 1]);
    assert_eq!(numbers(&rig.heard(&room)), (0..300).collect::<Vec<_>>());
}
