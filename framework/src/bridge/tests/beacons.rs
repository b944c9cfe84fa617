//! Where somebody is while they move.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use serde_json::{Value, json};

use super::{eventually, staged::Staged};
use crate::clock::{Clock, SystemClock};

const INFO: &str = "org.matrix.msc3672.beacon_info";
const BEACON: &str = "org.matrix.msc3672.beacon";

/// A clock that the test sets.
struct Hand(AtomicI64);
impl Clock for Hand {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn info(live: bool, now: i64) -> Value {
    json!({
        "description": "Where Ann is", "live": live, "timeout": 3_600_000,
        "org.matrix.msc3488.ts": now, "org.matrix.msc3488.asset": { "type": "m.self" },
    })
}

fn beacon(info: &str, uri: &str) -> Value {
    json!({
        "m.relates_to": { "rel_type": "m.reference", "event_id": info },
        "org.matrix.msc3488.location": { "uri": uri }, "org.matrix.msc3488.ts": 1,
    })
}

#[tokio::test]
async fn a_place_moves_on_the_network_and_ends_there() {
    let mut world = Staged::new().await;
    let begun = SystemClock.now_ms();
    let clock = Arc::new(Hand(AtomicI64::new(begun)));
    world.clock = Some(clock.clone());
    let (world, ann, room, bridge) = world.opened().await;
    world.log_in(&bridge, &ann, "annie").await;
    let asked = |wanted: &str| world.stage.asked().last().is_some_and(|asked| asked == wanted);
    // Everybody may set it in rooms of ours.
    let levels = world.homeserver.state(&room, "m.room.power_levels", "").unwrap();
    assert_eq!(levels["events"][INFO], 0);
    let share = ann.set_state(&room, INFO, ann.id(), &info(true, begun)).unwrap();
    ann.send(&room, BEACON, &beacon(&share, "geo:52.5,13.4;u=10")).unwrap();
    eventually("the first place", || asked("is at 52.5,13.4 for 60 min")).await;
    // What comes at once after it is passed over, what comes later is not.
    ann.send(&room, BEACON, &beacon(&share, "geo:52.6,13.4")).unwrap();
    ann.say(&room, "on my way").unwrap();
    eventually("her words", || asked("on my way")).await;
    assert_eq!(world.stage.asked().len(), 2);
    clock.0.fetch_add(10_000, Ordering::Relaxed);
    ann.send(&room, BEACON, &beacon(&share, "geo:52.7,13.4")).unwrap();
    eventually("the next place", || asked("s1 is now 52.7,13.4")).await;
    // Nonsense, and what belongs to nothing, is nothing.
    ann.send(&room, BEACON, &beacon("$other", "geo:1,1")).unwrap();
    ann.send(&room, BEACON, &beacon(&share, "geo:100,1")).unwrap();
    ann.set_state(&room, INFO, ann.id(), &info(false, begun)).unwrap();
    eventually("its end", || asked("s1 ends")).await;
    clock.0.fetch_add(10_000, Ordering::Relaxed);
    ann.send(&room, BEACON, &beacon(&share, "geo:52.8,13.4")).unwrap();
    ann.say(&room, "there").unwrap();
    eventually("her words", || asked("there")).await;
    let all =
        ["is at 52.5,13.4 for 60 min", "on my way", "s1 is now 52.7,13.4", "s1 ends", "there"];
    assert_eq!(world.stage.asked(), all);
}

#[test]
fn it_is_one_message_wherever_the_bridge_is_killed() {
    crate::testing::pump::run(async {
        let (world, ann, room, bridge) = Staged::new().await.opened().await;
        world.log_in(&bridge, &ann, "annie").await;
        world.kill(Some(bridge)).await;
        let now = SystemClock.now_ms();
        let share = ann.set_state(&room, INFO, ann.id(), &info(true, now)).unwrap();
        ann.send(&room, BEACON, &beacon(&share, "geo:1,1")).unwrap();
        ann.set_state(&room, INFO, ann.id(), &info(false, now)).unwrap();
        ann.say(&room, "there").unwrap();
        world.crash(20).await;
        let _bridge = world.start().await;
        let wanted = ["is at 1,1 for 60 min", "s1 ends", "there"];
        eventually("all of it, each once", || world.stage.asked() == wanted).await;
    });
}
