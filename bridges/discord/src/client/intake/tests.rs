//! What becomes of what the gateway says.

use std::sync::Arc;

use landbridge_framework::{clock::TokioClock, event::Body};

use super::*;
use crate::config::{DiscordConfig, Secret};

fn hub(change: impl FnOnce(&mut DiscordConfig)) -> Hub {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = DiscordConfig { token: Secret("t".into()), ..DiscordConfig::default() };
    change(&mut config);
    let clock = Arc::new(TokioClock::starting_at(1_000));
    let hub = Hub::new(config.check().unwrap(), clock).unwrap();
    hear(
        &hub,
        "GUILD_CREATE",
        json!({
            "id": "1", "name": "Testers", "owner_id": "9",
            "roles": [{ "id": "1", "permissions": "0" }, { "id": "2", "name": "Mods", "color": 5, "permissions": "8192" }],
            "channels": [{ "id": "10", "type": 0, "name": "general" }, { "id": "12", "type": 15, "name": "forum" }],
            "threads": [
                { "id": "11", "type": 11, "name": "aside", "parent_id": "10" },
                { "id": "13", "type": 11, "name": "post", "parent_id": "12" },
                { "id": "14", "type": 12, "name": "secret", "parent_id": "10" },
            ],
        }),
    );
    hub
}

fn hear(hub: &Hub, name: &str, data: Value) -> Taken {
    let cursor = Cursor { session: "s".into(), ..Cursor::default() };
    hub.take(Said { name, data, cursor: &cursor, sequence: 7 })
}

fn message(channel: &str) -> Value {
    json!({
        "id": "100", "channel_id": channel, "guild_id": "1", "content": "<@&2> in <#12>",
        "mention_roles": ["2"], "author": { "id": "5", "username": "ann" }, "member": { "nick": "Annie" },
    })
}

#[tokio::test]
async fn only_what_is_bridged_is_stored() {
    let hub = hub(|_| {});
    assert!(hear(&hub, "MESSAGE_CREATE", message("10")).store.is_empty());
    hub.bridge(Id(10), true);
    let taken = hear(&hub, "MESSAGE_CREATE", message("10"));
    assert_eq!(taken.newest, Some(Id(100)));
    let (key, raw) = taken.store.last().unwrap();
    assert_eq!((key.0.as_str(), raw.stamp.as_str()), ("msg:100", "s:7"));
    assert!(raw.received_ms >= 1_000);
    assert_eq!(raw.scene.roles[&Id(2)].name, "Mods");
    assert_eq!(raw.scene.channels[&Id(12)], "forum");
    assert!(!raw.scene.open && !raw.scene.ours && raw.scene.thread.is_none());
    let ann = hub.person(&Person::User(Id(5))).unwrap();
    assert_eq!(ann.name.as_deref(), Some("Annie"));
}

#[tokio::test]
async fn threads_come_with_their_channels_but_private_ones_by_themselves() {
    let hub = hub(|_| {});
    assert!(hub.scene(None, Id(11)).is_none());
    hub.bridge(Id(10), true);
    hub.bridge(Id(12), true);
    let scene = hub.scene(None, Id(11)).unwrap();
    assert!(scene.open);
    let thread = scene.thread.unwrap();
    assert_eq!((scene.channel, thread.id, thread.post), (Id(10), Id(11), false));
    assert!(hub.scene(None, Id(13)).unwrap().thread.unwrap().post);
    assert!(hub.scene(None, Id(14)).is_none(), "its channel's room is not for it");
    hub.bridge(Id(14), true);
    let scene = hub.scene(None, Id(14)).unwrap();
    assert!(!scene.open && scene.thread.unwrap().private);
}

#[tokio::test]
async fn what_is_about_a_thread_is_told_where_it_has_a_room() {
    let hub = hub(|_| {});
    hub.bridge(Id(10), true);
    let renamed =
        json!({ "id": "11", "type": 11, "name": "new", "parent_id": "10", "guild_id": "1" });
    assert!(hear(&hub, "THREAD_UPDATE", renamed.clone()).store.is_empty());
    let pinned = json!({ "channel_id": "11", "guild_id": "1" });
    // Its pins are shown with those of its channel; a private one is not shown there.
    assert_eq!(hear(&hub, "CHANNEL_PINS_UPDATE", pinned.clone()).pins, Some(Id(11)));
    let private = json!({ "channel_id": "14", "guild_id": "1" });
    assert_eq!(hear(&hub, "CHANNEL_PINS_UPDATE", private).pins, None);
    hub.bridge(Id(11), true);
    assert_eq!(hear(&hub, "THREAD_UPDATE", renamed).store.len(), 1);
    assert_eq!(hear(&hub, "CHANNEL_PINS_UPDATE", pinned).pins, Some(Id(11)));
}

#[tokio::test]
async fn how_bridged_channels_stand_is_told_when_a_session_begins() {
    let hub = hub(|_| {});
    let server = json!({
        "id": "1", "name": "Server", "icon": "i", "roles": [], "large": true,
        "channels": [
            { "id": "10", "type": 0, "name": "new name" }, { "id": "12", "type": 15, "name": "forum" },
        ],
        "threads": [
            { "id": "11", "type": 11, "name": "renamed", "parent_id": "10" },
            { "id": "13", "type": 11, "name": "post", "parent_id": "12" },
        ],
    });
    assert!(hear(&hub, "GUILD_CREATE", server.clone()).store.is_empty(), "nothing is bridged");
    hub.bridge(Id(10), true);
    hub.bridge(Id(13), true);
    let told = hear(&hub, "GUILD_CREATE", server).store;
    let names: Vec<(&str, &str)> = told
        .iter()
        .map(|(_, raw)| (raw.name.as_str(), raw.data["name"].as_str().unwrap()))
        .collect();
    let expected =
        [(GUILD_STANDS, "Server"), (CHANNEL_STANDS, "new name"), (CHANNEL_STANDS, "post")];
    assert_eq!(names, expected);
    assert_eq!(told[0].1.data.get("large"), None);
    assert_eq!(told[1].1.data["guild_id"], "1");
    let events = crate::decode::decode(&told[1].1).unwrap();
    let Body::ChatInfo(delta) = &events[0].body else { panic!("no change: {events:?}") };
    assert!(delta.standing && delta.name.as_deref() == Some("#new name"), "{delta:?}");
    let keys: std::collections::BTreeSet<&str> =
        told.iter().map(|(key, _)| key.0.as_str()).collect();
    assert_eq!(keys.len(), 3);
}

#[tokio::test]
async fn whole_servers_are_open_but_for_what_is_closed() {
    let hub = hub(|config| {
        config.whole_guilds = vec!["1".into()];
        config.closed_channels = vec!["12".into()];
    });
    assert!(hub.scene(None, Id(10)).unwrap().open);
    assert!(hub.scene(None, Id(12)).is_none());
    assert!(hub.scene(None, Id(13)).is_none(), "nor are its threads");
}

#[tokio::test]
async fn rooms_are_for_everybody_only_while_the_channel_is() {
    let hub = hub(|config| config.whole_guilds = vec!["1".into()]);
    hub.bridge(Id(10), true);
    let role = |permissions: &str| {
        let role = json!({ "guild_id": "1", "role": { "id": "1", "permissions": permissions } });
        let taken = hear(&hub, "GUILD_ROLE_UPDATE", role);
        taken.store.iter().map(|(_, raw)| raw.scene.public.unwrap()).collect::<Vec<bool>>()
    };
    assert!(!hub.is_open(Id(1), Id(10)));
    assert_eq!(role("1024"), [true]);
    assert!(role("1024").is_empty());
    let hidden = json!({
        "id": "10", "type": 0, "name": "general", "guild_id": "1",
        "permission_overwrites": [{ "id": "1", "type": 0, "allow": "0", "deny": "1024" }],
    });
    let taken = hear(&hub, "CHANNEL_UPDATE", hidden);
    assert_eq!(
        (taken.store[0].1.name.as_str(), taken.store[0].1.scene.public),
        (OPEN, Some(false))
    );
    assert!(!hub.is_open(Id(1), Id(10)));
    let hidden = hub.hidden(&[Id(1)], "s:8");
    assert_eq!(hidden.len(), 1);
    assert_eq!(hidden[0].1.scene.public, Some(false));
}

#[tokio::test]
async fn power_is_told_when_it_changes() {
    let hub = hub(|_| {});
    hub.bridge(Id(10), true);
    let said = |roles: &[&str]| {
        let mut message = message("10");
        message["member"] = json!({ "roles": roles });
        let taken = hear(&hub, "MESSAGE_CREATE", message);
        let powers = taken.store.iter().filter(|(_, raw)| raw.name == POWER);
        powers.map(|(_, raw)| raw.scene.power.unwrap()).collect::<Vec<i64>>()
    };
    assert!(said(&[]).is_empty());
    assert_eq!(said(&["2"]), [50]);
    assert!(said(&["2"]).is_empty());
    let mut in_thread = message("11");
    in_thread["member"] = json!({ "roles": ["2"] });
    let taken = hear(&hub, "MESSAGE_CREATE", in_thread);
    assert_eq!(taken.store.len(), 1, "they speak in the same room");
    assert_eq!(said(&[]), [0]);
}

#[tokio::test]
async fn departures_are_told_to_each_room() {
    let hub = hub(|_| {});
    hub.bridge(Id(10), true);
    hub.bridge(Id(12), true);
    let gone = json!({ "guild_id": "1", "user": { "id": "5", "username": "ann" } });
    let taken = hear(&hub, "GUILD_MEMBER_REMOVE", gone);
    let keys: Vec<&str> = taken.store.iter().map(|(key, _)| key.0.as_str()).collect();
    assert_eq!(keys, ["gw:s:7:10", "gw:s:7:12"]);
    assert!(taken.store.iter().all(|(_, raw)| raw.name == GONE));
}

#[tokio::test]
async fn codes_are_good_once() {
    let hub = hub(|_| {});
    let code = hub.new_code(Id(5), "Ann").unwrap();
    assert_eq!(hub.take_code("nonsense"), None);
    assert_eq!(hub.take_code(&format!(" {code} ")), Some((Id(5), "Ann".into())));
    assert_eq!(hub.take_code(&code), None);
    let old = hub.new_code(Id(5), "Ann").unwrap();
    let new = hub.new_code(Id(5), "Ann").unwrap();
    assert_eq!(hub.take_code(&old), None, "the newer one stands in its place");
    assert!(hub.take_code(&new).is_some());
}
