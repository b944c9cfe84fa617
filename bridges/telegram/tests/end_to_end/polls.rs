//! Polls both ways, with their votes and ends.

use landbridge_framework::testing::eventually;
use serde_json::{Value, json};

use crate::rig::{ALICE, BOB, BOBS_GHOST, BOT, LOBBY, Rig};

const START: &str = "org.matrix.msc3381.poll.start";
const RESPONSE: &str = "org.matrix.msc3381.poll.response";
const END: &str = "org.matrix.msc3381.poll.end";
const CHANNEL: i64 = 5000;

/// A poll as clients start it.
fn started() -> Value {
    let answer = |id: &str, text: &str| json!({ "id": id, "org.matrix.msc1767.text": text });
    json!({
        "org.matrix.msc1767.text": "Tea?",
        START: {
            "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": 1,
            "question": { "org.matrix.msc1767.text": "Tea?" },
            "answers": [answer("x1", "Yes"), answer("x2", "No")],
        },
    })
}

fn about(event: &Value) -> Value {
    json!({ "rel_type": "m.reference", "event_id": event })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_from_matrix_are_voted_in_on_telegram() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    let event = Value::from(rig.ann.send(&room, START, &started()).expect("Ann may ask"));
    // What comes after it is sent when it is known what the poll is on Telegram.
    rig.ann.say(&room, "well?").expect("Ann may speak");
    eventually("what came after is there", || {
        rig.said_by(LOBBY, BOT).last().is_some_and(|text| text.ends_with("well?"))
    })
    .await;
    let polls = rig.peer.world().polls(CHANNEL);
    assert_eq!(polls.len(), 1, "{polls:?}");
    assert!(polls[0].question.ends_with("Tea?"), "{polls:?}");
    assert_eq!(polls[0].options, ["Yes", "No"]);
    assert!(rig.peer.world().vote(BOB, CHANNEL, polls[0].number, &[1]));
    eventually("Bob's vote is there", || {
        rig.events(&room, RESPONSE).iter().any(|vote| {
            vote["sender"] == BOBS_GHOST && vote["content"][RESPONSE]["answers"] == json!(["x2"])
        })
    })
    .await;
    rig.ann
        .send(&room, END, &json!({ "m.relates_to": about(&event), END: {} }))
        .expect("Ann may end it");
    eventually("it is closed", || rig.peer.world().polls(CHANNEL)[0].closed).await;
    assert_eq!(rig.events(&room, START).len(), 1, "it did not come back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_from_telegram_are_voted_in_on_matrix() {
    let rig = Rig::start().await;
    let room = rig.lobby().await;
    rig.log_in("+15550001").await;
    eventually("Alice is connected", || rig.peer.world().is_connected(ALICE)).await;
    rig.peer.world().poll(BOB, CHANNEL, "Coffee?", &["Yes", "No"]);
    eventually("the poll is there", || !rig.events(&room, START).is_empty()).await;
    let start = rig.events(&room, START).remove(0);
    assert_eq!(start["sender"], BOBS_GHOST);
    let second = start["content"][START]["answers"][1]["id"].clone();
    let vote =
        json!({ "m.relates_to": about(&start["event_id"]), RESPONSE: { "answers": [second] } });
    rig.ann.send(&room, RESPONSE, &vote).expect("Ann may vote");
    eventually("it is Alice's vote", || {
        rig.peer.world().polls(CHANNEL)[0].votes == [(ALICE, vec![1])]
    })
    .await;
}
