//! What becomes of what the gateway says.

use std::sync::Arc;

use landbridge_framework::clock::TokioClock;

use super::*;
use crate::config::{ChannelConfig, DiscordConfig, Secret, Threads};

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
async fn threads_belong_to_their_channels_room_or_have_their_own() {
    let shown = hub(|_| {});
    shown.bridge(Id(10), true);
    shown.bridge(Id(12), true);
    let scene = shown.scene(None, Id(11)).unwrap();
    let thread = scene.thread.unwrap();
    assert_eq!((scene.channel, thread.id, thread.post), (Id(10), Id(11), false));
    assert!(shown.scene(None, Id(13)).unwrap().thread.unwrap().post);

    let rooms = hub(|config| config.threads = Threads::Rooms);
    assert!(rooms.scene(None, Id(11)).is_none());
    rooms.bridge(Id(10), true);
    let scene = rooms.scene(None, Id(11)).unwrap();
    assert_eq!((scene.channel, scene.thread, scene.open), (Id(11), None, true));
}

#[tokio::test]
async fn whole_servers_are_open_but_for_what_is_closed() {
    let closed = ChannelConfig { closed: true, ..ChannelConfig::default() };
    let hub = hub(|config| {
        config.whole_guilds = vec!["1".into()];
        config.channels.insert("12".into(), closed);
    });
    assert!(hub.scene(None, Id(10)).unwrap().open);
    assert!(hub.scene(None, Id(12)).is_none());
    assert!(hub.scene(None, Id(13)).is_none(), "nor are its threads");
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
