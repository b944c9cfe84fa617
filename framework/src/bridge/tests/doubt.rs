//! Messages of which it is not known whether they were sent.

use std::time::Duration;

use super::{eventually, staged::Staged};
use crate::handlers::{LimitScope, SendError};

#[tokio::test]
async fn a_network_that_asks_to_wait_settles_no_doubt() {
    let (world, ann, room, _bridge) = Staged::new().await.opened().await;
    world.stage.trouble([
        SendError::unknown("the connection broke"),
        SendError::limited(Duration::ZERO, LimitScope::Chat),
    ]);
    ann.say(&room, "hello").unwrap();
    eventually("the message", || world.stage.asked() == ["ann: hello"]).await;
    assert_eq!(world.stage.doubts(), [false, true, true]);
}
