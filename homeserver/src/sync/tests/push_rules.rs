//! Push rules as clients change them, and what they make of what is sent.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Person, Rig};
use crate::room::Preset;

const RULES: &str = "v3/pushrules/global";

async fn refused(person: &Person<'_>, method: Method, path: &str, body: &Value) -> (u16, String) {
    let body = (method != Method::GET).then_some(body);
    let (status, answer) = person.ask(method, &format!("{RULES}/{path}"), body).await;
    (status.as_u16(), answer["errcode"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn rules_are_set_shown_changed_and_deleted() {
    let rig = Rig::new().await;
    let bob = rig.person("bob").await;
    let put = async |path: &str, body: Value| {
        bob.call(Method::PUT, &format!("{RULES}/{path}"), body).await;
    };
    put(
        "content/cake",
        json!({"pattern": "cake*lie", "actions": ["dont_notify", "notify", "coalesce"]}),
    )
    .await;
    // Historical actions do nothing ("Historical Actions"); they are shown to those clients that still set them.
    let rule = json!({
        "rule_id": "cake", "default": false, "enabled": true, "pattern": "cake*lie",
        "actions": ["dont_notify", "notify", "coalesce"],
    });
    assert_eq!(bob.get(&format!("{RULES}/content/cake")).await, rule);
    let global = bob.get(&format!("{RULES}/")).await;
    assert_eq!(global["content"][0], rule);
    assert_eq!(bob.get("v3/pushrules/").await["global"], global);
    put("content/cake/enabled", json!({"enabled": false})).await;
    assert_eq!(bob.get(&format!("{RULES}/content/cake/enabled")).await, json!({"enabled": false}));
    let actions = json!({"actions": [{"set_tweak": "sound", "value": "bing"}]});
    put("content/cake/actions", actions.clone()).await;
    assert_eq!(bob.get(&format!("{RULES}/content/cake/actions")).await, actions);
    // The server's own rules can be changed, too, but not be replaced or deleted.
    put("underride/.m.rule.message/actions", json!({"actions": ["dont_notify"]})).await;
    let path = format!("{RULES}/underride/.m.rule.message/actions");
    assert_eq!(bob.get(&path).await, json!({"actions": ["dont_notify"]}));
    put("content/pie?after=cake", json!({"pattern": "pie", "actions": []})).await;
    put("content/tea?before=pie", json!({"pattern": "tea", "actions": []})).await;
    let all = bob.get("v3/pushrules/").await;
    let order: Vec<_> = all["global"]["content"].as_array().expect("rules").iter().collect();
    let order: Vec<_> = order.iter().map(|rule| rule["rule_id"].as_str().expect("an ID")).collect();
    assert_eq!(order, ["cake", "tea", "pie"]);
    bob.call(Method::DELETE, &format!("{RULES}/content/cake"), json!({})).await;

    let fine = json!({"pattern": "x", "actions": []});
    let get = async |path: &str| refused(&bob, Method::GET, path, &Value::Null).await;
    let set = async |path: &str, body: &Value| refused(&bob, Method::PUT, path, body).await;
    let error = |status: u16, errcode: &str| (status, errcode.to_owned());
    assert_eq!(get("content/cake").await, error(404, "M_NOT_FOUND"));
    assert_eq!(get("content/cake/enabled").await, error(404, "M_NOT_FOUND"));
    assert_eq!(get("nothing/cake").await, error(400, "M_INVALID_PARAM"));
    let enabled = json!({"enabled": true});
    assert_eq!(set("content/cake/enabled", &enabled).await, error(404, "M_NOT_FOUND"));
    assert_eq!(
        set("content/cake/actions", &json!({"actions": []})).await,
        error(404, "M_NOT_FOUND")
    );
    assert_eq!(set("content/pie/enabled", &json!({"enabled": 1})).await, error(400, "M_BAD_JSON"));
    assert_eq!(set("content/pie/actions", &json!({})).await, error(400, "M_BAD_JSON"));
    assert_eq!(
        set("content/pie/actions", &json!({"actions": [5]})).await,
        error(400, "M_BAD_JSON")
    );
    assert_eq!(set("content/.mine", &fine).await, error(400, "M_INVALID_PARAM"));
    assert_eq!(set("content/a%5Cb", &fine).await, error(400, "M_INVALID_PARAM"));
    assert_eq!(set("content/new", &json!({"actions": []})).await, error(400, "M_MISSING_PARAM"));
    assert_eq!(set("content/new?before=nothing", &fine).await, error(400, "M_UNKNOWN"));
    assert_eq!(set("content/new?after=pie&before=tea", &fine).await, error(400, "M_INVALID_PARAM"));
    assert_eq!(
        set("override/new?after=.m.rule.master", &fine).await,
        error(400, "M_INVALID_PARAM")
    );
    assert_eq!(set("room/new", &fine).await, error(400, "M_INVALID_PARAM"));
    assert_eq!(set("sender/new", &fine).await, error(400, "M_INVALID_PARAM"));
    let long = json!({"pattern": "?".repeat(256), "actions": []});
    assert_eq!(set("content/new", &long).await, error(413, "M_TOO_LARGE"));
    let default = "override/.m.rule.master";
    assert_eq!(
        refused(&bob, Method::DELETE, default, &json!({})).await,
        error(400, "M_INVALID_PARAM")
    );
    let path = "content/nothing";
    assert_eq!(refused(&bob, Method::DELETE, path, &json!({})).await, error(404, "M_NOT_FOUND"));
}

#[tokio::test]
async fn the_power_to_notify_is_looked_up_in_the_room() {
    let rig = Rig::new().await;
    let (alice, bob, carol) =
        (rig.person("alice").await, rig.person("bob").await, rig.person("carol").await);
    let room = alice.room(Preset::PublicChat, None).await;
    bob.join(&room).await;
    carol.join(&room).await;
    let condition = json!({"kind": "sender_notification_permission", "key": "org.custom"});
    let is = json!({"kind": "event_property_is", "key": "content.custom", "value": true});
    let rule =
        json!({"conditions": [condition, is], "actions": ["notify", {"set_tweak": "highlight"}]});
    bob.call(Method::PUT, &format!("{RULES}/override/custom"), rule).await;
    let say = async |person: &Person<'_>, body: &str, more: Value| {
        let mut content = json!({"msgtype": "m.text", "body": body});
        content.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        person.send(&room, "m.room.message", &content).await;
    };
    let to_room = || json!({"m.mentions": {"room": true}});
    say(&alice, "room by alice", to_room()).await;
    say(&carol, "room by carol", to_room()).await;
    say(&alice, "custom by alice", json!({"custom": true})).await;
    say(&carol, "custom by carol", json!({"custom": true})).await;
    // Whoever is notified is found later, by the power that people had.
    let (status, mut levels) = alice
        .ask(Method::GET, &format!("v3/rooms/{}/state/m.room.power_levels", room.id()), None)
        .await;
    assert_eq!(status, StatusCode::OK);
    levels["notifications"] = json!({"room": 50, "org.custom": 0});
    alice.set(&room, "m.room.power_levels", "", &levels).await;
    say(&carol, "custom by carol again", json!({"custom": true})).await;
    let answer = bob.get("v3/notifications?only=highlight").await;
    let all = answer["notifications"].as_array().expect("a list").iter();
    let bodies: Vec<_> = all.map(|one| &one["event"]["content"]["body"]).collect();
    assert_eq!(bodies, ["custom by carol again", "custom by alice", "room by alice"]);
    // What was not counted before is counted the same.
    let unread = &bob.get("v3/sync").await["rooms"]["join"][room.id().as_str()];
    assert_eq!(unread["unread_notifications"]["highlight_count"], 3, "{unread}");
}
