//! Invites that are not wanted: refused, and not shown where they came before.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig};
use crate::room::{Preset, Room};

const PERMISSION: &str = "m.invite_permission_config";
const FILTER: &str = "org.matrix.msc4155.invite_permission_config";

impl Person<'_> {
    async fn wants(&self, kind: &str, content: Value) {
        let path = format!("v3/user/{}/account_data/{kind}", self.id);
        self.call(Method::PUT, &path, content).await;
    }

    async fn invite(&self, room: &Room, whom: &Person<'_>) -> (StatusCode, Value) {
        let path = format!("v3/rooms/{}/invite", room.id());
        self.ask(Method::POST, &path, Some(&json!({ "user_id": whom.id }))).await
    }

    /// Whether every way of syncing shows an invite.
    async fn sees_invite(&self, room: &Room) -> bool {
        let id = room.id().as_str();
        let (answer, token) = self.sync(None, json!({})).await;
        let by_sync = !answer["rooms"]["invite"][id].is_null();
        let body = json!({
            "lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1}},
            "room_subscriptions": {id: {"timeline_limit": 1}},
        });
        let (answer, _) = self.slide(None, body).await;
        assert_eq!(!answer["rooms"][id].is_null(), by_sync, "{answer}");
        let count = answer["lists"]["all"]["count"].as_u64().expect("a count");
        assert_eq!(count > 0, by_sync);
        let old = self.get("v3/initialSync").await;
        assert_eq!(!old["rooms"].as_array().expect("rooms").is_empty(), by_sync, "{old}");
        let generation = token.split('_').nth(1).expect("a generation");
        let listed = self.get(&format!("v3/events?from=s1_{generation}_0_0_0&timeout=0")).await;
        assert_eq!(listed.to_string().contains(id), by_sync, "{listed}");
        by_sync
    }
}

fn blocked((status, answer): (StatusCode, Value)) {
    assert_eq!((status, &answer["errcode"]), (StatusCode::FORBIDDEN, &json!("M_INVITE_BLOCKED")));
}

#[tokio::test]
async fn who_takes_no_invites_is_invited_by_no_way() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PrivateChat, None).await;
    let rules = json!({ "join_rule": "knock" });
    alice.set(&room, "m.room.join_rules", "", &rules).await;
    bob.call(Method::POST, &format!("v3/knock/{}", room.id()), json!({})).await;
    bob.wants(PERMISSION, json!({ "default_action": "block" })).await;
    blocked(alice.invite(&room, &bob).await);
    let member = format!("v3/rooms/{}/state/m.room.member/{}", room.id(), bob.id);
    let invite = json!({ "membership": "invite" });
    blocked(alice.ask(Method::PUT, &member, Some(&invite)).await);
    let create = json!({ "invite": [bob.id] });
    blocked(alice.ask(Method::POST, "v3/createRoom", Some(&create)).await);

    // A delayed invite is refused when its time comes.
    let delayed = format!("{member}?org.matrix.msc4140.delay=100000");
    let answer = alice.call(Method::PUT, &delayed, invite.clone()).await;
    let id = answer["delay_id"].as_str().expect("an id");
    let send = format!("unstable/org.matrix.msc4140/delayed_events/{id}/send");
    blocked(alice.ask(Method::POST, &send, Some(&json!({}))).await);

    // Other state of members is no invite.
    let kick = json!({ "membership": "leave" });
    alice.call(Method::PUT, &member, kick).await;
    bob.wants(PERMISSION, json!({})).await;
    alice.call(Method::PUT, &member, invite).await;
    assert!(bob.sees_invite(&room).await);
}

#[tokio::test]
async fn what_came_before_is_hidden_until_invites_are_wanted_again() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.person("alice").await, rig.person("bob").await);
    let room = alice.room(Preset::PrivateChat, None).await;
    assert_eq!(alice.invite(&room, &bob).await.0, StatusCode::OK);
    assert!(bob.sees_invite(&room).await);
    bob.wants(PERMISSION, json!({ "default_action": "block" })).await;
    assert!(!bob.sees_invite(&room).await);
    let member = format!("v3/rooms/{}/state/m.room.member/{}", room.id(), bob.id);
    assert_eq!(alice.get(&member).await["membership"], "invite", "others see it all the same");
    let (_, since) = bob.sync(None, json!({})).await;
    bob.wants(PERMISSION, json!({ "default_action": null })).await;
    let (answer, _) = bob.sync(Some(&since), json!({})).await;
    assert!(!answer["rooms"]["invite"][room.id().as_str()].is_null(), "{answer}");
    assert!(bob.sees_invite(&room).await);
    bob.join(&room).await;
}

#[tokio::test]
async fn finer_rules_block_and_ignore() {
    let rig = Rig::new().await;
    let (alice, bob, carol) =
        (rig.person("alice").await, rig.person("bob").await, rig.person("carol").await);
    let room = alice.room(Preset::PublicChat, None).await;
    carol.join(&room).await;
    let rules = json!({ "ignored_users": ["@alice:*"], "blocked_servers": ["?"] });
    bob.wants(FILTER, rules).await;
    blocked(carol.invite(&room, &bob).await);
    assert_eq!(alice.invite(&room, &bob).await.0, StatusCode::OK);
    assert!(!bob.sees_invite(&room).await);
    bob.wants(FILTER, json!({ "allowed_users": ["*"], "blocked_servers": ["?"] })).await;
    assert!(bob.sees_invite(&room).await);
}
