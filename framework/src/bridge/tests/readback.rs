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

/// Synapse, when it is overloaded: no process ended, and nothing else says that it believes a transaction to have failed.
#[tokio::test]
async fn a_transaction_that_comes_again_makes_the_next_numbers_matter() {
    let (world, ann, room, bridge) = World::with_room_on(Kind::Synapse, |_| {}).await;
    ann.say(&room, "one").unwrap();
    eventually("a message", || world.heard() == ["ann: one"]).await;
    eventually("an empty queue", || world.homeserver.undelivered() == 0).await;
    // Long after the start.
    world.clock.0.fetch_add(3_600_000, Ordering::SeqCst);
    let token = world.registration.hs_token.expose();
    let again = http::Request::builder()
        .method(Method::PUT)
        .uri("/_matrix/app/v1/transactions/1")
        .header("authorization", format!("Bearer {token}"))
        .body(axum::body::Body::from(r#"{"events":[]}"#))
        .unwrap();
    assert!(bridge.appservice_router().oneshot(again).await.unwrap().status().is_success());
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
