//! The connector's requests against the real network, over sockets.

use std::sync::Arc;

use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Api, ApiError},
    network,
    wire::{ChatKind, EventBody, NewChat, Send},
};

struct Net {
    api: Api,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
    _folder: tempfile::TempDir,
}

async fn net() -> Net {
    // reqwest wants TLS to be possible, even where nothing uses it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let options =
        network::Options { token: Some("net".into()), faults: true, ..network::Options::open() };
    let network = network::Playground::open(folder.path(), options).await.unwrap();
    network.seed("bot").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(network.serve(listener, stop.clone()));
    Net { api: Api::new(reqwest::Client::new(), base), stop, serving, _folder: folder }
}

fn text(text: &str, key: &str) -> Send {
    Send { text: text.into(), key: Some(key.into()), bridged: true, ..Send::default() }
}

#[tokio::test]
async fn requests_do_what_they_say() {
    let net = net().await;
    let bot = net.api.acting_as("bot", Some("net"));
    let sent = bot.send("lobby", text("hi", "bot.1")).await.unwrap().event.unwrap();
    let EventBody::Message(message) = sent.body else { panic!("a message") };
    bot.edit(&message.id, "bot.2".into(), "hello".into()).await.unwrap();
    bot.react(&message.id, "bot.3".into(), "👍".into(), true).await.unwrap();
    let now = bot.message(&message.id).await.unwrap();
    assert_eq!((now.text.as_str(), now.version, now.reactions.len()), ("hello", 1, 1));
    bot.react(&message.id, "bot.4".into(), "👍".into(), false).await.unwrap();
    bot.delete(&message.id, "bot.5".into()).await.unwrap();
    assert!(bot.messages("lobby", true, i64::MAX, 10).await.unwrap().messages[0].deleted);
    let poll = Send { poll: Some(vec!["a".into(), "b".into()]), ..text("Which?", "bot.6") };
    let sent = bot.send("lobby", poll).await.unwrap().event.unwrap();
    let EventBody::Message(poll) = sent.body else { panic!("a message") };
    bot.vote(&poll.id, "bot.7".into(), Some(0)).await.unwrap();
    bot.vote(&poll.id, "bot.8".into(), Some(1)).await.unwrap();
    bot.close(&poll.id, "bot.9".into()).await.unwrap();
    let now = bot.message(&poll.id).await.unwrap().poll.unwrap();
    assert_eq!((now.votes.len(), now.votes[0].choice, now.closed > 0), (1, 1, true));
    bot.set_typing("lobby", true).await.unwrap();
    let events = bot.events(0, std::time::Duration::ZERO, 0).await.unwrap();
    assert_eq!(events.typing.people, [("lobby".into(), "bot".into())]);
    assert!(events.events.iter().any(|event| event.key.as_deref() == Some("bot.5")));
    let dm = NewChat {
        kind: ChatKind::Direct,
        members: vec!["alice".into()],
        actor: None,
        key: None,
        id: None,
        name: None,
        topic: None,
    };
    assert_eq!(bot.new_chat(dm.clone()).await.unwrap().id, bot.new_chat(dm).await.unwrap().id);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let net = net().await;
    let nobody = net.api.acting_as("bot", Some("wrong"));
    assert_eq!(nobody.whoami().await.unwrap_err().code(), Some("unauthorized"));
    let bot = net.api.acting_as("bot", Some("net"));
    assert_eq!(
        bot.person("x/../y").await.unwrap_err().code(),
        Some("not_found"),
        "a segment stays a segment"
    );
    let put = |faults: serde_json::Value| {
        let request = reqwest::Client::new()
            .put(format!("{}api/faults", net.base()))
            .bearer_auth("net")
            .json(&faults);
        async move { request.send().await.unwrap().error_for_status().unwrap() }
    };
    put(serde_json::json!({"rate_limit_every": 1, "retry_after_ms": 40})).await;
    assert!(
        matches!(bot.send("lobby", text("a", "bot.a")).await, Err(ApiError::RateLimited(after)) if after.as_millis() == 40)
    );
    put(serde_json::json!({"drop_after_every": 2})).await;
    bot.send("lobby", text("a", "bot.a")).await.unwrap();
    assert!(matches!(bot.send("lobby", text("b", "bot.b")).await, Err(ApiError::NoAnswer(_))));
    let again = bot.send("lobby", text("b", "bot.b")).await.unwrap();
    assert!(again.repeated, "it was sent the first time");
    net.stop.cancel();
    net.serving.await.unwrap().unwrap();
    assert!(matches!(bot.whoami().await, Err(ApiError::Unreachable(_) | ApiError::NoAnswer(_))));
}

impl Net {
    fn base(&self) -> Arc<url::Url> {
        self.api.base()
    }
}
