//! Messages of which it is not known whether they were sent.

use std::time::Duration;

use super::{eventually, stage::What, staged::Staged};
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

/// What the dead bridge knew of its sending went with it, and to the network an account's own message is a message like others.
#[test]
fn what_was_sent_before_a_crash_is_not_said_again_on_matrix() {
    crate::testing::pump::run(async {
        let (world, ann, room, mut bridge) = Staged::new().await.opened().await;
        let mut echoes = 0;
        for point in 1..=6 {
            world.faults.crash_at(point);
            ann.say(&room, &format!("hello {point}")).unwrap();
            let _ = tokio::time::timeout(Duration::from_secs(2), world.faults.crashed()).await;
            world.kill(Some(bridge)).await;
            let said = format!("ann: hello {point}");
            let asked = world.stage.asked();
            if asked.contains(&said) {
                echoes += 1;
                let id = format!("s{}", asked.len());
                world.stage.tell("c", "relay", What::Say { id, text: said.clone() });
                // So that its echo is there before it is known to be one.
                world
                    .stage
                    .trouble([SendError::limited(Duration::from_millis(300), LimitScope::Chat)]);
            }
            bridge = world.start().await;
            eventually("the message", || world.stage.asked().contains(&said)).await;
        }
        assert!(echoes > 0, "no crash fell between the sending and its commit");
        world.stage.tell("c", "bob", What::Say { id: "last".into(), text: "bye".into() });
        let heard = || {
            let messages = world.homeserver.messages(&room).into_iter();
            messages.filter(|(sender, _)| sender != ann.id()).map(|(_, text)| text).collect()
        };
        eventually("what came behind the echoes", || {
            let heard: Vec<String> = heard();
            heard.last().is_some_and(|text| text == "bye")
        })
        .await;
        assert_eq!(heard(), ["bye"]);
        assert_eq!(world.stage.asked().len(), 6);
    });
}
