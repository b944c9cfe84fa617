//! The client: lines confirmed, refused, cut short by a killed server.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::servers::{Server, Software};
use landbridge_irc::client::{
    ClientEvent, ClientHandle, FloodLimits, Incoming, Interest, OutLine, Random, SendFailure,
    Settings, Snapshot, spawn,
};
use landbridge_irc::message::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

struct Connection {
    handle: ClientHandle,
    events: mpsc::Receiver<ClientEvent>,
    me: Arc<Snapshot>,
    stop: CancellationToken,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Connection {
    async fn open(server: &Server, nick: &str, interest: Interest) -> Self {
        let seed = AtomicU64::new(u64::from(server.port));
        let settings = Settings {
            host: "127.0.0.1".into(),
            port: server.port,
            tls: None,
            password: None,
            nick: nick.into(),
            username: nick.chars().take(9).collect(),
            realname: format!("{nick} (test)"),
            sasl: None,
            nickserv: None,
            flood: Some(FloodLimits { burst: 100.0, per_second: 100.0 }),
            interest,
            user_modes: None,
            regain: true,
            connect_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_mins(1),
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(200),
            random: Random::new(move || seed.fetch_add(1, Ordering::Relaxed)),
        };
        let (sender, events) = mpsc::channel(64);
        let stop = CancellationToken::new();
        let handle = spawn(settings, sender, stop.clone());
        let me = handle.online(Duration::from_secs(30)).await.unwrap();
        Self { handle, events, me, stop }
    }

    async fn send(&self, target: &str, text: &str) -> Result<(), SendFailure> {
        let line =
            OutLine { target: target.into(), notice: false, text: text.into(), tags: Vec::new() };
        self.handle.send(line).await.map(drop)
    }

    /// The next line with this command.
    async fn next(&mut self, command: &str) -> Incoming {
        loop {
            let event = tokio::time::timeout(Duration::from_mins(1), self.events.recv()).await;
            match event.expect("the server says something").expect("the connection lives") {
                ClientEvent::Line(line) if line.message.command == command => return *line,
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_many_arrive_once_and_in_the_order_of_their_confirmation() {
    for software in Software::ALL {
        let Some(server) = software.start() else { continue };
        let mut listener = Connection::open(&server, "listener", Interest::Channels).await;
        listener.handle.join("#c", None).await.unwrap();
        let mut puppets = Vec::new();
        for n in 0..5 {
            let puppet = Connection::open(&server, &format!("puppet{n}"), Interest::Private).await;
            puppet.handle.join("#c", None).await.unwrap();
            puppets.push(puppet);
        }
        let echoes = puppets[0].me.caps.has("echo-message");
        assert_eq!(echoes, software == Software::Inspircd, "{:?}", puppets[0].me.caps);
        for n in 0..40 {
            puppets[n % 5].send("#c", &format!("line {n}")).await.unwrap();
        }
        for n in 0..40 {
            assert_eq!(
                listener.next("PRIVMSG").await.message.last(),
                format!("line {n}"),
                "{software:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_and_nothing_else_is_held_up() {
    for software in Software::ALL {
        let Some(server) = software.start() else { continue };
        let operator = Connection::open(&server, "operator", Interest::Channels).await;
        operator.handle.join("#m", None).await.unwrap();
        operator.handle.checked(Message::new("MODE", ["#m", "+m"]), ["#m", ""]).await.unwrap();
        let mute = Connection::open(&server, "mute", Interest::Private).await;
        mute.handle.join("#m", None).await.unwrap();
        let refused = mute.send("#m", "may I?").await;
        assert!(
            matches!(&refused, Err(SendFailure::Refused { code, .. }) if code == "404"),
            "{software:?} {refused:?}"
        );
        let refused = mute.send("nobody", "there?").await;
        assert!(
            matches!(&refused, Err(SendFailure::Refused { code, .. }) if code == "401"),
            "{software:?} {refused:?}"
        );
        let refused =
            mute.handle.checked(Message::new("KICK", ["#m", "operator"]), ["#m", "operator"]).await;
        assert!(
            matches!(&refused, Err(SendFailure::Refused { code, .. }) if code == "482"),
            "{software:?} {refused:?}"
        );
        operator
            .handle
            .checked(Message::new("MODE", ["#m", "+b", "banned!*@*"]), ["#m", ""])
            .await
            .unwrap();
        let banned = Connection::open(&server, "banned", Interest::Private).await;
        let refused = banned.handle.join("#m", None).await;
        assert!(
            matches!(&refused, Err(SendFailure::Refused { code, .. }) if code == "474"),
            "{software:?} {refused:?}"
        );
        assert_eq!(operator.handle.whois("nobody").await, Ok(None));
        assert_eq!(operator.handle.whois("mute").await.unwrap().unwrap().nick, "mute");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_line_arrives_whole() {
    for software in Software::ALL {
        let Some(server) = software.start() else { continue };
        let mut listener = Connection::open(&server, "listener", Interest::Channels).await;
        listener.handle.join("#long", None).await.unwrap();
        let speaker = Connection::open(&server, "speaker", Interest::Private).await;
        speaker.handle.join("#long", None).await.unwrap();
        let room = speaker.handle.snapshot().unwrap().room_for_text("PRIVMSG", "#long");
        assert!(room > 400, "{room}");
        let text = format!("{}!", "x".repeat(room - 1));
        speaker.send("#long", &text).await.unwrap();
        assert_eq!(listener.next("PRIVMSG").await.message.last(), text, "{software:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_nick_and_a_killed_server_are_survived() {
    for software in Software::ALL {
        let Some(mut server) = software.start() else { continue };
        let first = Connection::open(&server, "casey", Interest::Channels).await;
        let second = Connection::open(&server, "casey", Interest::Channels).await;
        assert_eq!((first.me.me.name.as_str(), second.me.me.name.as_str()), ("casey", "casey_"));
        drop(second);
        let before = Arc::clone(&first.me.epoch);
        server.restart();
        let again = loop {
            let me = first.handle.online(Duration::from_secs(30)).await.unwrap();
            if me.epoch != before {
                break me;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(again.me.name, "casey");
        first.handle.join("#c", None).await.unwrap();
        first.send("#c", "back").await.unwrap();
    }
}
