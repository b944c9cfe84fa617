//! Reading back from a homeserver that forgets.

use std::sync::atomic::AtomicBool;

use http::Method;
use tower::ServiceExt;

use super::*;
use crate::matrix::{Body as RequestBody, ByteStream, Carrier, CarrierError};

/// Notes whether the homeserver was asked for anything before the logins were known. Whatever passes a point of the faults
/// first is the relay's connection, if they were.
struct Watched {
    inner: Arc<dyn Carrier>,
    faults: Faults,
    early: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl Carrier for Watched {
    async fn call(
        &self,
        request: http::Request<RequestBody>,
    ) -> Result<http::Response<ByteStream>, CarrierError> {
        if self.faults.passed() == 0 {
            self.early.store(true, Ordering::SeqCst);
        }
        self.inner.call(request).await
    }
}

#[tokio::test]
async fn nothing_is_read_back_before_the_logins_are_known() {
    let world = World::on(Kind::Synapse).await;
    let faults = Faults::new(1);
    let early = Arc::new(AtomicBool::new(false));
    let carrier =
        Watched { inner: world.homeserver.carrier(), faults: faults.clone(), early: early.clone() };
    let _bridge = crate::Bridge::<Sim>::builder(
        (),
        world.config.clone(),
        "hs.example",
        world.registration.clone(),
        Arc::new(carrier),
        world.database.clone(),
    )
    .share(SimNetwork::new(faults))
    .start()
    .await
    .unwrap();
    let homeserver = world.homeserver.clone();
    eventually("a request to the homeserver", || homeserver.requests() > 0).await;
    assert!(!early.load(Ordering::SeqCst), "the homeserver was asked too early");
}

#[tokio::test]
async fn what_a_homeserver_forgot_is_read_back_at_start() {
    let (world, ann, room, bridge) = World::with_room_on(Kind::Synapse, |_| {}).await;
    ann.say(&room, "one").unwrap();
    eventually("a message", || world.heard() == ["ann: one"]).await;
    world.homeserver.detach();
    drop(bridge);
    for text in ["two", "three", "four"] {
        ann.say(&room, text).unwrap();
    }
    world.homeserver.restart();
    let _bridge = world.start().await;
    eventually("what was forgotten", || world.heard().len() == 4).await;
    assert_eq!(world.heard(), ["ann: one", "ann: two", "ann: three", "ann: four"]);
}

/// A restart between two of the bridge's requests: nothing of its own fails.
#[tokio::test]
async fn what_a_homeserver_forgot_in_a_short_restart_comes_in_order() {
    let (world, ann, room, _bridge) = World::with_room_on(Kind::Synapse, |_| {}).await;
    ann.say(&room, "one").unwrap();
    eventually("a message", || world.heard() == ["ann: one"]).await;
    eventually("an empty queue", || world.homeserver.undelivered() == 0).await;
    // Nothing awaits between the two, so that it is forgotten.
    ann.say(&room, "two").unwrap();
    world.homeserver.restart();
    tokio::time::sleep(Duration::from_millis(300)).await;
    ann.say(&room, "three").unwrap();
    eventually("both", || world.heard().len() == 3).await;
    assert_eq!(world.heard(), ["ann: one", "ann: two", "ann: three"]);
}

#[tokio::test]
async fn a_transaction_that_never_came_is_read_back_in_order() {
    let (world, ann, room, _bridge) = World::with_room_on(Kind::Synapse, |_| {}).await;
    ann.say(&room, "one").unwrap();
    eventually("a message", || world.heard() == ["ann: one"]).await;
    eventually("an empty queue", || world.homeserver.undelivered() == 0).await;
    world.homeserver.lose_transaction();
    ann.say(&room, "two").unwrap();
    eventually("a loss", || world.homeserver.undelivered() == 0).await;
    ann.say(&room, "three").unwrap();
    eventually("both", || world.heard().len() == 3).await;
    assert_eq!(world.heard(), ["ann: one", "ann: two", "ann: three"]);
}

/// A transaction as the homeserver sends it: its number, and the ids and texts of ann's messages.
pub(super) async fn transaction(
    world: &World,
    bridge: &crate::Bridge<Sim>,
    number: u64,
    room: &str,
    messages: &[(&str, &str)],
) {
    let events: Vec<Value> = messages
        .iter()
        .map(|(id, text)| {
            json!({"type": "m.room.message", "event_id": id, "room_id": room, "sender": "@ann:hs.example",
                   "origin_server_ts": 1, "content": {"msgtype": "m.text", "body": text}})
        })
        .collect();
    push(world, bridge, number, &json!({ "events": events })).await;
}

/// A transaction as the homeserver sends it.
pub(super) async fn push(
    world: &World,
    bridge: &crate::Bridge<Sim>,
    number: u64,
    transaction: &Value,
) {
    let token = world.registration.hs_token.expose();
    let request = http::Request::builder()
        .method(Method::PUT)
        .uri(format!("/_matrix/app/v1/transactions/{number}"))
        .header("authorization", format!("Bearer {token}"))
        .body(axum::body::Body::from(transaction.to_string()))
        .unwrap();
    assert!(bridge.appservice_router().oneshot(request).await.unwrap().status().is_success());
}

/// [element-hq/synapse#14556](https://github.com/element-hq/synapse/issues/14556): after a restart Synapse on SQLite counts from one
/// again, and what it sends then is not what had that number before.
#[tokio::test]
async fn a_homeserver_that_counts_its_transactions_anew_is_heard() {
    let (world, _ann, room, bridge) = World::with_room_on(Kind::Synapse, |_| {}).await;
    // No room has these events, so that nothing but their transaction can bring them.
    transaction(&world, &bridge, 900, &room, &[("$one", "one")]).await;
    transaction(&world, &bridge, 900, &room, &[("$two", "two"), ("$three", "three")]).await;
    // The answer was lost: the same again.
    transaction(&world, &bridge, 900, &room, &[("$two", "two"), ("$three", "three")]).await;
    transaction(&world, &bridge, 901, &room, &[("$four", "four")]).await;
    eventually("all of them", || world.heard().len() >= 4).await;
    assert_eq!(world.heard(), ["ann: one", "ann: two", "ann: three", "ann: four"]);
}

/// Synapse, when it is overloaded: no process ended, and nothing else says that it believes a transaction to have failed.
#[tokio::test]
async fn a_transaction_that_comes_again_makes_the_next_numbers_matter() {
    let (world, ann, room, bridge) = World::with_room_on(Kind::Synapse, |_| {}).await;
    ann.say(&room, "one").unwrap();
    eventually("a message", || world.heard() == ["ann: one"]).await;
    eventually("an empty queue", || world.homeserver.undelivered() == 0).await;
    // Long after the start.
    world.clock.0.fetch_add(3_600_000, Ordering::SeqCst);
    transaction(&world, &bridge, 1, &room, &[]).await;
    transaction(&world, &bridge, 1, &room, &[]).await;
    world.homeserver.lose_transaction();
    ann.say(&room, "two").unwrap();
    eventually("a loss", || world.homeserver.undelivered() == 0).await;
    ann.say(&room, "three").unwrap();
    eventually("both", || world.heard().len() == 3).await;
    assert_eq!(world.heard(), ["ann: one", "ann: two", "ann: three"]);
}

/// Such a homeserver is only asked now and then whether it is there, which must not put off what is due.
#[test]
fn what_comes_in_no_transaction_is_found_where_nothing_can_hang() {
    crate::testing::pump::run(async {
        let world = World::on(Kind::Synapse).await;
        world.homeserver.refuse_sync();
        let (world, ann, room, _bridge) = world.opened(|_| {}).await;
        ann.say(&room, "one").unwrap();
        eventually("a message", || world.heard() == ["ann: one"]).await;
        world.homeserver.lose_transaction();
        ann.say(&room, "two").unwrap();
        eventually("what was lost", || world.heard().len() == 2).await;
        assert_eq!(world.heard(), ["ann: one", "ann: two"]);
    });
}
