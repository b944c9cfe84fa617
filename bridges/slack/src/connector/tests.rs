//! The handlers against a small Slack of the test's own: what is asked of it, and what follows from its answers.

mod peer;

use std::sync::Arc;

use landbridge_framework::{
    clock::SystemClock,
    event::ChatKind,
    handlers::{ChatEdit, MemberAction, MemberTarget, RelayProfile},
    prelude::*,
};
use serde_json::json;

use super::{send::Place, *};
use crate::{config::Replies, convert::to_matrix::file_ref, raw::Own};
use peer::Peer;

/// An app in the workspace T01, at a Slack of the test's own.
struct Rig {
    peer: Peer,
    client: Arc<Connection>,
}

async fn rig(change: impl FnOnce(&mut SlackConfig)) -> Rig {
    // reqwest wants TLS to be possible, even where nothing uses it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let peer = Peer::start().await;
    let mut config = SlackConfig {
        app_token: Some(Secret::new("xapp-test")),
        bot_tokens: vec![Secret::new("xoxb-test")],
        api_url: peer.base.clone(),
        ..SlackConfig::default()
    };
    change(&mut config);
    let api = Api::new(reqwest::Client::new(), config.base().unwrap());
    let hub = Arc::new(Hub::new(config, api, Arc::new(SystemClock), random()));
    peer.answer(
        "auth.test",
        json!({ "team_id": "T01", "team": "Test", "user_id": "UBOT",
        "user": "bridge", "bot_id": "BBOT", "url": "https://t.slack.com/" }),
    );
    hub.open_workspace(&Secret::new("xoxb-test"), false).await.unwrap();
    let own = Own { user: Some("UBOT".into()), bot: Some("BBOT".into()), app: None };
    assert_eq!(hub.own("T01"), own);
    Rig { peer, client: Arc::new(Connection::app(hub)) }
}

impl Rig {
    fn place(&self) -> Place {
        Place {
            client: self.client.clone(),
            chat: Chat::new("T01", "C01"),
            key: IdempotencyKey::derive("slack", "$event", "send"),
            relay: Some(RelayProfile {
                mxid: "@ann:example.org".into(),
                name: "Ann".into(),
                avatar_mxc: None,
                avatar_url: Some("https://bridge.example/ann.png".into()),
            }),
            reply: None,
            thread: None,
            attempt: Attempt::default(),
            origin: Origin {
                sender: "@ann:example.org".into(),
                name: "Ann".into(),
                event_id: "$event".into(),
                room_id: "!room:example.org".into(),
                ts_ms: 1_700_000_000_000,
            },
        }
    }
}

fn words(text: &str) -> Text {
    Text { body: Rich::plain(text), kind: TextKind::Text }
}

fn id_of(sent: Sent<Slack>) -> String {
    match sent {
        Sent::Now { id, order } => {
            assert_eq!(order, Some(StreamOrder(id.micros())));
            id.ts
        }
        _ => panic!("it is there at once"),
    }
}

#[tokio::test]
async fn a_message_carries_its_key_and_its_author() {
    let rig = rig(|_| {}).await;
    rig.peer.answer("chat.postMessage", json!({ "ts": "5.000001" }));
    let sent = send::text(rig.place(), words("hi <all>")).await.unwrap();
    assert_eq!(id_of(sent), "5.000001");
    let asked = rig.peer.asked("chat.postMessage");
    assert_eq!(asked["channel"], "C01");
    assert_eq!(asked["text"], "hi &lt;all&gt;");
    assert_eq!(asked["blocks"][0]["elements"][0]["elements"][0]["text"], "hi <all>");
    assert_eq!(
        (&asked["username"], &asked["icon_url"]),
        (&json!("Ann"), &json!("https://bridge.example/ann.png"))
    );
    let key = IdempotencyKey::derive("slack", "$event", "send").as_nonce(40);
    assert_eq!(asked["metadata"]["event_payload"]["key"], key);
    assert!(asked.get("thread_ts").is_none());
    assert_eq!(rig.peer.token("chat.postMessage"), "Bearer xoxb-test");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let rig = rig(|_| {}).await;
    rig.peer.limited("chat.postMessage", 7);
    let limited = send::text(rig.place(), words("a")).await.err().unwrap();
    assert_eq!(limited, SendError::limited(Duration::from_secs(7), LimitScope::Chat));
    // It isn't asked again before the time has passed, and another channel goes on.
    let again = send::text(rig.place(), words("a")).await.err().unwrap();
    assert!(
        matches!(again, SendError::Retry { after: Some(after), .. } if after <= Duration::from_secs(7))
    );
    rig.peer.answer("chat.postMessage", json!({ "ts": "5.000001" }));
    let other = Place { chat: Chat::new("T01", "C02"), ..rig.place() };
    assert_eq!(id_of(send::text(other, words("a")).await.unwrap()), "5.000001");
    assert_eq!(rig.peer.count("chat.postMessage"), 2);
    for (code, retry) in [("is_archived", false), ("accesslimited", true)] {
        rig.peer.refuse("chat.postMessage", code);
        let place = Place { chat: Chat::new("T01", "C03"), ..rig.place() };
        let error = send::text(place, words("a")).await.err().unwrap();
        assert_eq!(matches!(error, SendError::Retry { .. }), retry, "{code}: {error}");
    }
    // What Slack may have done before it failed is not simply done again.
    rig.peer.fail("chat.postMessage", 502);
    rig.peer.refuse("chat.postMessage", "fatal_error");
    for _ in 0..2 {
        let place = Place { chat: Chat::new("T01", "C03"), ..rig.place() };
        let error = send::text(place, words("a")).await.err().unwrap();
        assert!(matches!(error, SendError::Unknown { .. }), "{error}");
    }
    let elsewhere = Place { chat: Chat::new("T09", "C01"), ..rig.place() };
    assert!(matches!(send::text(elsewhere, words("a")).await, Err(SendError::Retry { .. })));
}

#[tokio::test]
async fn the_app_enters_a_channel_to_speak_there() {
    let rig = rig(|_| {}).await;
    rig.peer.refuse("chat.postMessage", "not_in_channel");
    rig.peer.answer("chat.postMessage", json!({ "ts": "5.000001" }));
    rig.peer.answer("conversations.join", json!({}));
    assert_eq!(id_of(send::text(rig.place(), words("a")).await.unwrap()), "5.000001");
    assert_eq!(rig.peer.asked("conversations.join")["channel"], "C01");
}

#[tokio::test]
async fn what_may_have_been_sent_is_looked_for_first() {
    let rig = rig(|_| {}).await;
    let key = IdempotencyKey::derive("slack", "$event", "send").as_nonce(40);
    let ours = json!({ "ts": "6.000001", "text": "a", "metadata": {
        "event_type": "landbridge_message", "event_payload": { "key": key } } });
    let other = json!({ "ts": "7.000001", "text": "a" });
    rig.peer.answer("conversations.history", json!({ "messages": [other.clone(), ours.clone()] }));
    let attempt = Attempt { before: 1, maybe_sent: true };
    let place = Place { attempt, ..rig.place() };
    assert_eq!(id_of(send::text(place, words("a")).await.unwrap()), "6.000001");
    assert_eq!(rig.peer.count("chat.postMessage"), 0, "it was there");
    let asked = rig.peer.asked("conversations.history");
    assert_eq!(asked["include_all_metadata"], "true");
    assert_eq!(asked["oldest"], "1699999400.000000");
    // In a thread, in the thread.
    rig.peer.answer("conversations.replies", json!({ "messages": [other] }));
    rig.peer.answer("chat.postMessage", json!({ "ts": "8.000001" }));
    let place = Place { attempt, thread: Some(Ts::new("4.000000")), ..rig.place() };
    assert_eq!(id_of(send::text(place, words("a")).await.unwrap()), "8.000001");
    assert_eq!(rig.peer.asked("chat.postMessage")["thread_ts"], "4.000000");
    // And by the framework, which knows the chat and the key.
    rig.peer.answer("conversations.history", json!({ "messages": [ours] }));
    let at = PortalKey::shared(Chat::new("T01", "C01"));
    let key = IdempotencyKey::derive("slack", "$event", "send");
    let found = reconcile::ByMetadata.find(&rig.client, &at, &key).await.unwrap();
    assert_eq!(found, Some(Ts::new("6.000001")));
}

#[tokio::test]
async fn replies_go_to_the_thread_of_what_is_answered() {
    let rig = rig(|config| config.replies = Replies::Broadcast).await;
    let reply = json!({ "messages": [{ "ts": "4.000002", "thread_ts": "4.000000" }] });
    rig.peer.answer("conversations.replies", reply);
    rig.peer.answer("chat.postMessage", json!({ "ts": "8.000001" }));
    let place = Place { reply: Some(Ts::new("4.000002")), ..rig.place() };
    send::text(place, words("a")).await.unwrap();
    let asked = rig.peer.asked("chat.postMessage");
    assert_eq!(
        (&asked["thread_ts"], &asked["reply_broadcast"]),
        (&json!("4.000000"), &json!(true))
    );
}

#[tokio::test]
async fn reactions_go_by_slack_s_names() {
    let rig = rig(|_| {}).await;
    let react = |emoji: Emoji, set: bool| Reacted::<Slack> {
        target: MessageRef::whole(Ts::in_channel("4.000001")),
        emoji,
        set,
    };
    rig.peer.answer("reactions.add", json!({}));
    send::react(rig.place(), react(Emoji::Unicode("👍🏽".into()), true)).await.unwrap();
    let asked = rig.peer.asked("reactions.add");
    assert_eq!(
        (&asked["name"], &asked["timestamp"]),
        (&json!("+1::skin-tone-4"), &json!("4.000001"))
    );
    rig.peer.refuse("reactions.add", "already_reacted");
    send::react(rig.place(), react(Emoji::Unicode("❤".into()), true)).await.unwrap();
    rig.peer.refuse("reactions.remove", "no_reaction");
    send::react(rig.place(), react(Emoji::Unicode(":heart:".into()), false)).await.unwrap();
    rig.peer.answer("reactions.add", json!({}));
    let own = Emoji::Custom { id: "T01/parrot".into(), shortcode: "parrot".into(), media: None };
    send::react(rig.place(), react(own, true)).await.unwrap();
    assert_eq!(rig.peer.asked("reactions.add")["name"], "parrot");
    rig.peer.answer("emoji.list", json!({ "emoji": {} }));
    let nothing = react(Emoji::Unicode(":blob:".into()), true);
    assert!(matches!(send::react(rig.place(), nothing).await, Err(SendError::Refused { .. })));
}

#[tokio::test]
async fn chats_are_described() {
    let rig = rig(|config| config.members_max = 2).await;
    rig.peer.answer("conversations.info", json!({ "channel": { "id": "C01", "name": "general",
        "topic": { "value": "" }, "purpose": { "value": "for <https://a.example|all> &amp; more" } } }));
    rig.peer.answer("conversations.members", json!({ "members": ["UBOT", "U01", "U02"] }));
    let at = PortalKey::shared(Chat::new("T01", "C01"));
    let info = rig.client.chat(&at).await.unwrap();
    assert_eq!((info.kind, info.name.as_deref()), (ChatKind::Channel, Some("general")));
    assert_eq!(info.topic.as_deref(), Some("for all (https://a.example) & more"));
    assert_eq!(info.parent, Some(Chat::team("T01")));
    assert_eq!((info.members.len(), info.members_complete), (1, false), "without the bot, and cut");
    rig.peer.answer("team.info", json!({ "team": { "id": "T01", "name": "Test" } }));
    let team = rig.client.chat(&PortalKey::shared(Chat::team("T01"))).await.unwrap();
    assert_eq!((team.kind, team.name.as_deref()), (ChatKind::Space, Some("Test")));
}

#[tokio::test]
async fn rooms_are_changed_and_people_invited() {
    let rig = rig(|_| {}).await;
    let here = || In::<Slack>(PortalKey::shared(Chat::new("T01", "C01")), Arc::new(()));
    rig.peer.answer("conversations.rename", json!({}));
    let name = RoomMeta(ChatEdit::Name("New Name!".into()));
    room::describe(Via(rig.client.clone()), here(), name).await.unwrap();
    assert_eq!(rig.peer.asked("conversations.rename")["name"], "new-name");
    rig.peer.refuse("conversations.invite", "already_in_channel");
    let change = |action| landbridge_framework::handlers::Membership::<Slack> {
        action,
        target: MemberTarget::Remote(User::new("T01", "U01")),
        display_name: None,
        reason: None,
    };
    room::membership(Via(rig.client.clone()), here(), change(MemberAction::Invite)).await.unwrap();
    assert_eq!(rig.peer.asked("conversations.invite")["users"], "U01");
    let banned = room::membership(Via(rig.client.clone()), here(), change(MemberAction::Ban)).await;
    assert!(matches!(banned, Err(SendError::Refused { .. })));
    rig.peer.answer("pins.add", json!({}));
    rig.peer.refuse("pins.remove", "no_pin");
    let pins = PinsChanged::<Slack> {
        ids: vec![Ts::new("4.000001")],
        added: vec![Ts::new("4.000001")],
        removed: vec![Ts::new("3.000001")],
    };
    room::pins(Via(rig.client.clone()), here(), pins).await.unwrap();
    assert_eq!(rig.peer.asked("pins.remove")["timestamp"], "3.000001");
}

#[tokio::test]
async fn channels_are_found_by_all_their_names() {
    let rig = rig(|_| {}).await;
    let found = |query: &'static str| {
        let client = rig.client.clone();
        async move { directory::Workspaces.find_chat(&client, query).await.unwrap().map(|key| key.id) }
    };
    let there = Some(Chat::new("T01", "C01"));
    for query in [
        "T01-C01",
        "C01",
        "https://x.slack.com/archives/C01/p1700000000000100",
        "https://app.slack.com/client/T01/C01",
    ] {
        rig.peer.answer("conversations.info", json!({ "channel": { "id": "C01" } }));
        assert_eq!(found(query).await, there, "{query}");
    }
    rig.peer.refuse("conversations.info", "channel_not_found");
    assert_eq!(found("C0404").await, None);
    rig.peer
        .answer("conversations.list", json!({ "channels": [{ "id": "C01", "name": "general" }] }));
    assert_eq!(found("#general").await, there);
}

#[tokio::test]
async fn history_comes_oldest_first_with_its_threads() {
    let rig = rig(|_| {}).await;
    rig.peer.answer("conversations.history", json!({ "has_more": true, "messages": [
        { "ts": "3.000000", "user": "U01", "text": "three" },
        { "ts": "1.000000", "user": "U01", "text": "one", "thread_ts": "1.000000", "reply_count": 1 }] }));
    rig.peer.answer(
        "conversations.replies",
        json!({ "messages": [
        { "ts": "1.000000", "user": "U01", "text": "one", "thread_ts": "1.000000" },
        { "ts": "2.000000", "user": "U02", "text": "two", "thread_ts": "1.000000" }] }),
    );
    let at = PortalKey::shared(Chat::new("T01", "C01"));
    let query = landbridge_framework::PageQuery::<Slack> {
        dir: landbridge_framework::Dir::Older,
        anchor: Some(Ts::new("9.000000")),
        cursor: None,
        thread: None,
        limit: 50,
    };
    let page = history::Past.page(&rig.client, &at, query).await.unwrap();
    let keys: Vec<&str> = page.raw.iter().map(|(key, _)| key.0.as_str()).collect();
    assert_eq!(keys, ["m:C01:1.000000", "m:C01:2.000000", "m:C01:3.000000"]);
    assert_eq!(page.next, landbridge_framework::Next::Cursor("1.000000".into()));
    assert_eq!(rig.peer.asked("conversations.history")["latest"], "9.000000");
}

#[tokio::test]
async fn only_slack_s_own_addresses_are_called() {
    let rig = rig(|_| {}).await;
    let open = |name: String| {
        let client = rig.client.clone();
        async move { media::Files.open(&client, &landbridge_framework::event::MediaRef(name)).await }
    };
    for address in [
        "https://evil.example/x.png",
        "http://169.254.169.254/latest/meta-data",
        "https://slack.com.evil.example/x",
        "http://avatars.slack-edge.com/x",
        "file:///etc/passwd",
    ] {
        let refused = open(address.to_owned()).await;
        assert!(matches!(refused, Err(NetError::Permanent(_))), "{address}");
    }
    let url = format!("{}/files/F01", rig.peer.base.trim_end_matches("/api"));
    let file =
        json!({ "file": { "id": "F01", "url_private": url, "mimetype": "image/png", "size": 4 } });
    rig.peer.answer("files.info", file.clone());
    rig.peer.file("image/png", b"data");
    let mut stream = open(file_ref("T01", "F01")).await.unwrap();
    let mut read = Vec::new();
    while let Some(chunk) = futures::StreamExt::next(&mut stream.bytes).await {
        read.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!((read.as_slice(), stream.mime.as_deref()), (&b"data"[..], Some("image/png")));
    // A page in the place of the file: the token may not read it.
    rig.peer.answer("files.info", file);
    rig.peer.file("text/html; charset=utf-8", b"<html>");
    let refused = open(file_ref("T01", "F01")).await;
    assert!(matches!(refused, Err(NetError::Permanent(why)) if why.contains("files:read")));
}
