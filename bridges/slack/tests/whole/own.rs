//! Somebody's own account: what they have read, and where they are.

use serde_json::json;

use crate::World;
use landbridge_framework::testing::{eventually, login_becomes, own_logins};

#[tokio::test]
async fn what_somebody_has_read_is_read_in_slack() {
    let world = World::new().await;
    let (ann, room, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    slack.say("U01", json!({ "text": "one" }));
    let ts = slack.say("U01", json!({ "text": "two" }));
    eventually("both", || world.said(&room) == ["one", "two"]).await;
    ann.read(&room, world.event_of(&room, "two")["event_id"].as_str().unwrap());
    eventually("the mark", || slack.called("conversations.mark") == 1).await;
    let mark = slack.asked("conversations.mark").remove(0);
    assert_eq!((&mark["channel"], &mark["ts"]), (&json!("C01"), &json!(ts)));
}

#[tokio::test]
async fn who_leaves_on_one_side_leaves_on_the_other() {
    let world = World::new().await;
    let (ann, room, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    slack.say("U01", json!({ "text": "hello" }));
    eventually("her words", || world.said(&room) == ["hello"]).await;
    assert!(ann.leave(&room));
    eventually("her leave", || slack.called("conversations.leave") == 1).await;
    let left = slack.asked("conversations.leave").remove(0);
    assert_eq!(left["channel"], "C01");
}

#[tokio::test]
async fn who_is_put_out_of_a_channel_is_put_out_of_its_room() {
    let world = World::new().await;
    let (ann, room, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    slack.say("U01", json!({ "text": "hello" }));
    eventually("her words", || world.said(&room) == ["hello"]).await;
    let left = json!({ "type": "channel_left", "channel": "C01", "event_ts": "4100000000.000001" });
    slack.emit(&left);
    let is_gone = || world.homeserver.membership(&room, ann.id()).as_deref() == Some("leave");
    eventually("her departure", is_gone).await;
    // The channel itself is bridged as before.
    slack.say("U01", json!({ "text": "still here" }));
    eventually("what is said in it", || world.said(&room) == ["hello", "still here"]).await;
    assert!(is_gone());
}

#[tokio::test]
async fn who_logs_out_is_no_longer_there() {
    let world = World::new().await;
    let (ann, room, bridge) = world.opened().await;
    let slack = &world.slack;
    world.log_in(&ann, &bridge).await;
    ann.say(&room, "as myself").unwrap();
    eventually("her own words", || slack.texts() == ["as myself"]).await;
    assert_eq!(slack.messages()[0]["user"], "U07");
    let control = bridge.control();
    let login = own_logins(&*control, ann.id()).await.remove(0);
    control.logout(ann.id(), &login.id).await.unwrap();
    assert!(own_logins(&*control, ann.id()).await.is_empty());
    assert_eq!(slack.called("auth.revoke"), 1);
    // She is heard by the app again, as others are.
    ann.say(&room, "by the app").unwrap();
    eventually("her words", || slack.texts() == ["as myself", "by the app"]).await;
    assert_eq!(slack.messages()[1]["username"], "ann");
}

#[tokio::test]
async fn who_takes_back_what_they_allowed_is_told() {
    let world = World::new().await;
    let (ann, _, bridge) = world.opened().await;
    world.log_in(&ann, &bridge).await;
    let control = bridge.control();
    let becomes = async |state: &str| {
        let own = login_becomes(&*control, ann.id(), |login| !login.system, state).await;
        own.reason.unwrap_or_default()
    };
    becomes("connected").await;
    let revoked = json!({ "type": "tokens_revoked", "tokens": { "oauth": ["U07"], "bot": [] },
        "event_ts": "4100000000.000001" });
    world.slack.emit(&revoked);
    assert!(becomes("bad_credentials").await.contains("took back"));
}
