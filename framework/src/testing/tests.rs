//! The kit itself: that it keeps its promises before it checks a bridge's.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use landbridge_registration::{Registration, Token};
use serde_json::{Value, json};

use super::*;
use crate::kv::MemoryKv;
use crate::matrix::appservice::{self, SinkError, Transaction, TransactionSink};
use crate::matrix::{Direction, Matrix, MatrixConfig};

fn registration() -> Registration {
    Registration::parse(
        "id: sim\nurl: http://x\nas_token: as-token-long-enough-to-be-fine-here\nhs_token: hs-token-long-enough-to-be-fine-here\n\
         sender_localpart: simbot\nnamespaces:\n  users: [{ exclusive: true, regex: \"@sim_.*:hs\" }]\n  aliases: []\n  rooms: []\n",
    )
    .unwrap()
}

fn homeserver(kind: Kind, faults: &Faults) -> (SimHomeserver, Matrix) {
    let hs = SimHomeserver::new("hs", registration(), kind, faults.clone());
    let config = MatrixConfig::new(
        "hs",
        "sim",
        Token::new("as-token-long-enough-to-be-fine-here"),
        "simbot",
    );
    let matrix = Matrix::new(config, hs.carrier(), Arc::new(MemoryKv::default()));
    (hs, matrix)
}

/// Writes down the bodies it got, once per transaction ID.
#[derive(Default)]
struct Sink(Mutex<(Vec<String>, Vec<String>)>);

#[async_trait::async_trait]
impl TransactionSink for Sink {
    async fn transaction(&self, id: &str, transaction: Transaction) -> Result<(), SinkError> {
        let mut got = self.0.lock().unwrap();
        if got.0.iter().any(|known| known == id) {
            return Ok(());
        }
        got.0.push(id.to_owned());
        for event in transaction.events {
            let event: Value = serde_json::from_str(event.get()).unwrap();
            if let Some(body) = event["content"]["body"].as_str() {
                got.1.push(body.to_owned());
            }
        }
        Ok(())
    }
    async fn user_exists(&self, _: &str) -> Result<bool, SinkError> {
        Ok(false)
    }
    async fn alias_exists(&self, _: &str) -> Result<bool, SinkError> {
        Ok(false)
    }
}

async fn bridged_room(hs: &SimHomeserver, matrix: &Matrix) -> (SimUser, String) {
    let alice = hs.user("@alice:hs");
    let room =
        matrix.bot().create_room(&json!({ "name": "R", "invite": ["@alice:hs"] })).await.unwrap();
    assert!(alice.join(&room));
    (alice, room)
}

#[tokio::test(start_paused = true)]
async fn transactions_come_in_order_whatever_goes_wrong() {
    let faults = Faults::new(7);
    let (hs, matrix) = homeserver(Kind::Ours, &faults);
    let (alice, room) = bridged_room(&hs, &matrix).await;
    let sink = Arc::new(Sink::default());
    faults.set_rates(Rates {
        reorder: 0,
        ..Rates { drop: 200, drop_answer: 200, duplicate: 200, delay: 200, ..Rates::SOME }
    });
    for i in 0..50 {
        alice.say(&room, &i.to_string()).unwrap();
        if i == 20 {
            hs.attach(appservice::router(
                Token::new("hs-token-long-enough-to-be-fine-here"),
                sink.clone(),
            ));
            tokio::time::sleep(Duration::from_secs(1)).await;
            hs.restart();
        }
    }
    while hs.undelivered() > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let expected: Vec<String> = (0..50).map(|i| i.to_string()).collect();
    assert_eq!(sink.0.lock().unwrap().1, expected);
}

#[tokio::test(start_paused = true)]
async fn synapse_forgets_on_a_restart_and_ours_does_not() {
    for kind in [Kind::Ours, Kind::Synapse] {
        let faults = Faults::new(1);
        let (hs, matrix) = homeserver(kind, &faults);
        let (alice, room) = bridged_room(&hs, &matrix).await;
        let send = async || {
            let content = json!({ "msgtype": "m.text", "body": "from the bridge" });
            matrix.bot().send(&room, "m.room.message", "txn", &content, None).await.unwrap()
        };
        let first = send().await;
        assert_eq!(send().await, first);
        alice.say(&room, "waiting").unwrap();
        assert!(hs.undelivered() > 0);
        hs.restart();
        assert_eq!(hs.undelivered() > 0, kind == Kind::Ours);
        assert_eq!(send().await == first, kind == Kind::Ours);
    }
}

#[tokio::test(start_paused = true)]
async fn rooms_refuse_strangers_and_page_both_ways() {
    let faults = Faults::new(1);
    let (hs, matrix) = homeserver(Kind::Ours, &faults);
    let (alice, room) = bridged_room(&hs, &matrix).await;
    let ghost = matrix.ghost("@sim_bob:hs");
    let content = json!({ "msgtype": "m.text", "body": "x" });
    assert!(
        ghost.send(&room, "m.room.message", "1", &content, None).await.unwrap_err().is_forbidden()
    );
    ghost.set_displayname("Bob").await.unwrap();
    ghost.ensure_joined(&room).await.unwrap();
    assert_eq!(hs.state(&room, "m.room.member", "@sim_bob:hs").unwrap()["displayname"], "Bob");
    assert!(
        ghost
            .state(&room, "m.room.topic", "", &json!({ "topic": "t" }), None)
            .await
            .unwrap_err()
            .is_forbidden()
    );
    for i in 0..25 {
        ghost
            .send(
                &room,
                "m.room.message",
                &format!("n{i}"),
                &json!({ "body": i.to_string() }),
                None,
            )
            .await
            .unwrap();
    }
    for direction in [Direction::Back, Direction::Forward] {
        let mut bodies = Vec::new();
        let mut from = None;
        loop {
            let page = matrix.bot().messages(&room, from.as_deref(), direction, 10).await.unwrap();
            bodies.extend(
                page.chunk
                    .iter()
                    .filter_map(|e| e["content"]["body"].as_str().map(ToOwned::to_owned)),
            );
            from = page.end;
            if from.is_none() {
                break;
            }
        }
        if direction == Direction::Back {
            bodies.reverse();
        }
        assert_eq!(bodies, (0..25).map(|i| i.to_string()).collect::<Vec<_>>());
    }
    let said = alice.say(&room, "typo").unwrap();
    alice.edit(&room, &said, "fixed").unwrap();
    assert_eq!(hs.messages(&room).last().unwrap(), &("@alice:hs".to_owned(), "fixed".to_owned()));
    let old = json!({ "events": [{ "type": "m.room.message", "sender": "@sim_bob:hs", "content": { "body": "old" } }] });
    matrix.bot().batch_send(&room, &old).await.unwrap();
    assert_eq!(hs.messages(&room)[0].1, "old");
    let stream = futures::stream::iter([Ok(bytes::Bytes::from_static(b"file"))]).boxed();
    let mxc = matrix.bot().upload(stream, Some(4), "text/plain", Some("a.txt")).await.unwrap();
    let mut got = matrix.bot().download(&mxc).await.unwrap();
    assert_eq!(got.mime.as_deref(), Some("text/plain"));
    assert_eq!(got.bytes.next().await.unwrap().unwrap(), "file");
    matrix.bot().delete_room(&room).await.unwrap();
    assert!(hs.all_rooms().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_network_delivers_again_from_the_last_acknowledged() {
    let network = SimNetwork::new(Faults::new(3));
    let first = network.connect("bot").await.unwrap();
    network.say("c", "ann", "1");
    network.say("c", "ann", "2");
    let one = first.next().await.unwrap();
    first.ack(one.seq()).await.unwrap();
    first.next().await.unwrap();
    let again = network.connect("bot").await.unwrap();
    assert!(
        matches!(again.next().await.unwrap(), SimEvent::Message { message, .. } if message.text == "2")
    );
    let id = again.send("c", "hi", "key").await.unwrap();
    assert_eq!(again.send("c", "hi", "key").await.unwrap(), id);
    assert_eq!(again.find("key").await.unwrap(), Some(id));
    assert_eq!(network.messages("c").len(), 3);
    assert_eq!(again.history("c", None, 2).await.unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_crash_stops_everything_at_its_point() {
    let faults = Faults::new(3);
    let network = SimNetwork::new(faults.clone());
    let session = network.connect("bot").await.unwrap();
    faults.crash_at(2);
    let work = async {
        session.send("c", "x", "k").await.unwrap();
    };
    tokio::select! {
        () = work => panic!("the work survived its crash"),
        () = faults.crashed() => {}
    }
    // The second point lies after the network has done it.
    assert_eq!(network.messages("c").len(), 1);
    faults.revive();
    network.connect("bot").await.unwrap().send("c", "x", "k").await.unwrap();
    assert_eq!(network.messages("c").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn faults_of_one_seed_are_the_same() {
    let draw = async |seed| {
        let faults = Faults::new(seed);
        faults.set_rates(Rates::SOME);
        let mut fates = Vec::new();
        for _ in 0..200 {
            fates.push(faults.fate().await);
        }
        fates
    };
    assert_eq!(draw(5).await, draw(5).await);
    assert_ne!(draw(5).await, draw(6).await);
}
