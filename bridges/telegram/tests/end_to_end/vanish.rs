//! Messages that disappear.

use landbridge_framework::testing::eventually;
use landbridge_telegram_peer::Sent;
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, CLUB, CLUB_ID, Rig};

const TIMER: &str = "com.beeper.disappearing_timer";
const DAY: i32 = 86_400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_disappears_on_telegram_does_so_on_matrix() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let text = "gone soon".to_owned();
    rig.peer.world().send(BOB, CLUB, Sent { text, timer: Some(3), ..Sent::default() });
    // It may have gone again when it is looked for.
    let said = || {
        let events = rig.events(&room, "m.room.message");
        events.into_iter().filter(|event| event["sender"] != rig.ann.id()).collect::<Vec<Value>>()
    };
    eventually("it is there", || said().len() == 2).await;
    eventually("it has gone", || said()[1]["content"]["body"].is_null()).await;
    assert_eq!(rig.heard(&room), ["welcome"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chats_timer_is_set_on_either_side() {
    let rig = Rig::with_alice().await;
    let room = rig.club().await;
    let here = || rig.state(&room, TIMER);
    let there = || rig.peer.world().shown(CLUB).timer;
    rig.peer.world().expire(BOB, CLUB_ID, Some(DAY));
    let day = json!({ "type": "after_send", "timer": i64::from(DAY) * 1000 });
    eventually("it is a day", || here() == day).await;
    rig.ann.say(&room, "till tomorrow").expect("Ann may speak");
    eventually("Ann's words are there", || rig.said_by(CLUB, ALICE) == ["till tomorrow"]).await;
    assert_eq!(rig.peer.world().said(CLUB).pop().and_then(|said| said.timer), Some(DAY));
    let week = json!({ "type": "after_send", "timer": i64::from(DAY) * 7000 });
    rig.ann.set_state(&room, TIMER, "", &week).expect("Ann may set it");
    eventually("it is a week", || there() == Some(7 * DAY)).await;
    rig.ann.set_state(&room, TIMER, "", &json!({})).expect("Ann may set it");
    eventually("nothing disappears", || there().is_none()).await;
    rig.peer.world().expire(BOB, CLUB_ID, Some(DAY));
    eventually("it is a day again", || here() == day).await;
    rig.peer.world().expire(BOB, CLUB_ID, None);
    eventually("nothing disappears here", || here() == json!({})).await;
}
