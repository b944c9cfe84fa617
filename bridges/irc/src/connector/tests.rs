//! What the connector asks of a server, against one played by the test: history, and what is known about a channel.

use std::time::Duration;

use landbridge_framework::clock::SystemClock;
use landbridge_framework::event::{JoinRule, Member};
use landbridge_framework::prelude::Sender;
use landbridge_framework::{Dir, Directory as _, History as _, NetError, Next, PageQuery};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::*;
use crate::client::{ClientEvent, spawn};
use crate::config::{MessagesConfig, NetworkConfig};
use crate::membership::Context;
use crate::peer::Peer;

struct Rig {
    client: Arc<IrcClient>,
    peer: Peer,
    _stop: DropGuard,
}

/// A network whose bot has just connected to the played server.
async fn rig(caps: &str, change: impl FnOnce(&mut NetworkConfig)) -> Rig {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut config = NetworkConfig {
        host: "127.0.0.1".into(),
        port,
        tls: false,
        nick: "bot".into(),
        ..NetworkConfig::default()
    };
    config.flood = Some(crate::client::FloodLimits { burst: 1e6, per_second: 1e6 });
    change(&mut config);
    let stop = CancellationToken::new();
    let messages = MessagesConfig::default();
    let hub = Arc::new(Hub::new(
        "",
        "test",
        config,
        messages,
        Arc::new(SystemClock),
        Random::new(|| 9),
        stop.clone(),
    ));
    let (sender, events) = mpsc::channel(64);
    let handle = spawn(hub.bot_settings(), sender, stop.clone());
    hub.set_listener(handle.clone());
    let mut peer = Peer::accept(&socket).await;
    peer.register(caps).await;
    handle.online(Duration::from_secs(10)).await.unwrap();
    tokio::spawn(track(Arc::clone(&hub), events));
    let account = Account { network: String::new(), owner: None };
    let hubs: Hubs = Arc::new(std::iter::once((String::new(), Arc::clone(&hub))).collect());
    let client = Arc::new(IrcClient { hub, account, meta: LoginMeta::default(), hubs });
    Rig { client, peer, _stop: stop.drop_guard() }
}

/// What the listener does with lines about channels.
async fn track(hub: Arc<Hub>, mut events: mpsc::Receiver<ClientEvent>) {
    while let Some(event) = events.recv().await {
        let (ClientEvent::Line(line), Some(me)) =
            (event, hub.listener().and_then(|handle| handle.snapshot()))
        else {
            continue;
        };
        let ours = |source: &crate::message::Source| hub.is_ours(source);
        hub.tracker()
            .on(&line, &Context { me: &me, ours: &ours, now: tokio::time::Instant::now() });
    }
}

fn channel(name: &str) -> PortalKey<Irc> {
    PortalKey { id: Chat::channel("", name), scope: Scope::Shared }
}

fn newer(anchor: Option<&str>, limit: usize) -> PageQuery<Irc> {
    PageQuery {
        dir: Dir::Newer,
        anchor: anchor.map(str::to_owned),
        cursor: None,
        thread: None,
        limit,
    }
}

const HISTORY: &str = "batch message-tags server-time draft/chathistory";

#[tokio::test]
async fn history_is_read_after_what_was_handled_last_and_leaves_out_our_own() {
    let mut rig = rig(HISTORY, |_| {}).await;
    let client = Arc::clone(&rig.client);
    let asked = tokio::spawn(async move {
        history::ChatHistory.page(&client, &channel("#c"), newer(Some("m:aa"), 5)).await
    });
    assert_eq!(rig.peer.line().await, "CHATHISTORY AFTER #c msgid=aa 5");
    let ours = rig.client.hub.ident_of("@anna:hs");
    rig.peer
        .say(&format!(
            ":s BATCH +h chathistory #c\n\
             @batch=h;msgid=b1;time=2026-11-21T07:00:00.000Z :x!y@z PRIVMSG #c :one\n\
             @batch=h;msgid=b2 :anna!~{ours}@z PRIVMSG #c :of a puppet\n\
             @batch=h;msgid=b3 :bot!~bot@host PRIVMSG #c :of the relay\n\
             @batch=h :x!y@z PRIVMSG #c :without an id\n\
             @batch=h;msgid=b5 :x!y@z PRIVMSG #c :two\n:s BATCH -h"
        ))
        .await;
    let page = asked.await.unwrap().unwrap();
    let keys: Vec<&str> = page.raw.iter().map(|(key, _)| key.0.as_str()).collect();
    assert_eq!((keys, page.next), (vec!["m:b1", "m:b5"], Next::Cursor("m:b5".into())));
    assert_eq!(page.raw[0].1.at, 1_795_244_400_000);
    // Told live and by history it is the same event.
    let events = crate::decode::decode(&rig.client.account, &page.raw[0].1).unwrap();
    assert_eq!(events[0].key.0, "m:b1");
}

#[tokio::test]
async fn without_an_id_the_newest_are_read_and_without_the_command_nothing() {
    let mut with = rig(HISTORY, |_| {}).await;
    let client = Arc::clone(&with.client);
    let asked = tokio::spawn(async move {
        history::ChatHistory.page(&client, &channel("#c"), newer(Some("e:x.1"), 500)).await
    });
    // The server's own limit is kept.
    assert_eq!(with.peer.line().await, "CHATHISTORY LATEST #c * 50");
    with.peer.say(":s FAIL CHATHISTORY MESSAGE_ERROR LATEST #c :No").await;
    assert!(matches!(asked.await.unwrap(), Err(NetError::Permanent(_))));
    let without = rig("batch", |_| {}).await;
    let page =
        history::ChatHistory.page(&without.client, &channel("#c"), newer(None, 50)).await.unwrap();
    assert!(page.raw.is_empty() && page.next == Next::Done);
}

#[tokio::test]
async fn a_channel_is_joined_to_learn_about_it() {
    let mut rig = rig("", |config| config.open_channels = vec!["#c".into()]).await;
    let client = Arc::clone(&rig.client);
    let asked = tokio::spawn(async move { client.chat(&channel("#c")).await });
    assert_eq!(rig.peer.line().await, "JOIN #c");
    rig.peer.say(":bot!~b@h JOIN #C\n:s 332 bot #C :about \x02it\n:s 353 bot = #C :@bot @Anna bob\n:s 366 bot #C :End").await;
    let info = asked.await.unwrap().unwrap();
    assert_eq!((info.name.as_deref(), info.topic.as_deref()), (Some("#C"), Some("about it")));
    let mut members: Vec<(String, i64)> = info.members.iter().map(member).collect();
    members.sort();
    assert_eq!(members, [("anna".to_owned(), 50), ("bob".to_owned(), 0)]);
    assert!(info.members_complete && info.join_rule == JoinRule::Public);
    assert_eq!(info.power.unwrap().users.len(), 1);
    let found = directory::IrcDirectory.search(&rig.client, "an").await.unwrap();
    assert_eq!((found[0].0.nick.as_str(), found[0].1.name.as_deref()), ("anna", Some("Anna")));
}

fn member(member: &Member<Irc>) -> (String, i64) {
    match &member.user {
        Sender::User(nick) => (nick.nick.clone(), member.power.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn closed_channels_and_refused_joins_are_told() {
    let mut rig = rig("", |config| config.closed_channels = vec!["#secret".into()]).await;
    assert!(matches!(rig.client.chat(&channel("#secret")).await, Err(NetError::Permanent(_))));
    assert_eq!(directory::IrcDirectory.find_chat(&rig.client, "#secret").await.unwrap(), None);
    let found = directory::IrcDirectory.find_chat(&rig.client, "test/#Open").await.unwrap();
    assert_eq!(found, Some(channel("#open")));
    let client = Arc::clone(&rig.client);
    let asked = tokio::spawn(async move { client.chat(&channel("#key")).await });
    rig.peer.expect("JOIN #key").await;
    rig.peer.say(":s 475 bot #key :Cannot join channel (+k)").await;
    assert!(
        matches!(asked.await.unwrap(), Err(NetError::Permanent(reason)) if reason.contains("+k"))
    );
}

#[tokio::test]
async fn a_private_conversation_needs_a_nick_of_one_s_own() {
    let rig = rig("", |_| {}).await;
    let with = Nick::new("", "bob");
    assert!(directory::IrcDirectory.open_dm(&rig.client, &with).await.is_err());
    let account = Account { network: String::new(), owner: Some("@anna:hs".into()) };
    let own = IrcClient {
        hub: Arc::clone(&rig.client.hub),
        account: account.clone(),
        meta: LoginMeta::default(),
        hubs: Arc::clone(&rig.client.hubs),
    };
    let opened = directory::IrcDirectory.open_dm(&own, &with).await.unwrap();
    assert_eq!(opened.scope, Scope::Private(account));
    let info = own.chat(&opened).await.unwrap();
    assert_eq!((info.dm_with, info.invite.is_empty()), (Some(with), true));
}

#[tokio::test]
async fn aliases_stand_for_open_channels_of_their_network() {
    let open = |host: &str| NetworkConfig {
        host: host.into(),
        open_channels: vec!["*".into()],
        ..NetworkConfig::default()
    };
    let mut config = IrcConfig { default_network: Some("one".into()), ..IrcConfig::default() };
    config.networks.insert("one".into(), open("h"));
    config.networks.insert("two".into(), open("h"));
    config
        .networks
        .insert("shut".into(), NetworkConfig { host: "h".into(), ..NetworkConfig::default() });
    assert_eq!(Irc::system_logins(&config).len(), 3);
    let (clock, stop) = (Arc::new(SystemClock), CancellationToken::new());
    let runtime = Runtime { clock, stop, shared: landbridge_framework::Shared::default() };
    let irc = Irc::start(config, runtime.clone()).await.unwrap();
    assert_eq!(irc.chat_of_alias("#Rust[x]"), Some(channel("#rust{x}")));
    let two = irc.chat_of_alias("two/#rust").map(|key| key.id);
    assert_eq!(two, Some(Chat::channel("two", "#rust")));
    for nothing in ["rust", "shut/#rust", "nowhere/#rust", "#a b", ""] {
        assert_eq!(irc.chat_of_alias(nothing), None, "{nothing}");
    }
    assert!(Irc::start(IrcConfig::default(), runtime).await.is_err());
}
