//! Places that people share from Matrix while they move.

use landbridge_framework::testing::eventually;
use serde_json::{Value, json};

use crate::rig::{ALICE, LOBBY, Rig};

const INFO: &str = "org.matrix.msc3672.beacon_info";
const BEACON: &str = "org.matrix.msc3672.beacon";

fn info(live: bool) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.expect("it is later").as_millis() as u64;
    json!({
        "live": live, "timeout": 3_600_000,
        "org.matrix.msc3488.ts": now, "org.matrix.msc3488.asset": { "type": "m.self" },
    })
}

fn beacon(info: &str, uri: &str) -> Value {
    json!({
        "m.relates_to": { "rel_type": "m.reference", "event_id": info },
        "org.matrix.msc3488.location": { "uri": uri },
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_place_is_a_live_location() {
    let rig = Rig::start().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    let room = rig.lobby().await;
    let share = rig.ann.set_state(&room, INFO, rig.ann.id(), &info(true)).expect("Ann may share");
    rig.ann.send(&room, BEACON, &beacon(&share, "geo:52.5,13.4;u=10")).expect("Ann may speak");
    let said = || rig.peer.world().said(LOBBY);
    eventually("the place is there", || said().len() == 1).await;
    let place = said().remove(0);
    let (at, seconds) = place.live.as_deref().and_then(|it| it.split_once(" for ")).expect("live");
    assert_eq!((at, place.from), ("52.5,13.4", ALICE));
    assert!((3_000..=3_600).contains(&seconds.parse::<u32>().expect("a number")), "{seconds}");
    rig.ann.set_state(&room, INFO, rig.ann.id(), &info(false)).expect("Ann may end it");
    eventually("it has ended", || said()[0].live.as_deref() == Some("52.5,13.4 for 0")).await;
    rig.ann.say(&room, "there").expect("Ann may speak");
    eventually("the next message is there", || said().len() == 2).await;
    assert!(rig.heard(&room).is_empty(), "nothing of it came back: {:?}", rig.heard(&room));
}
