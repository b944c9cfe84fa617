//! Who speaks for whom: puppets within their limit, the bot for the rest, and nobody for the banned.

use std::sync::Arc;
use std::time::Duration;

use crate::servers::{Server, Software};
use landbridge_framework::clock::SystemClock;
use landbridge_framework::handlers::SendError;
use landbridge_irc::client::{ClientEvent, FloodLimits, OutLine, Random, spawn};
use landbridge_irc::config::{MessagesConfig, NetworkConfig, PuppetsConfig};
use landbridge_irc::hub::{Author, Hub, Voice};
use landbridge_irc::ids::Chat;
use landbridge_irc::message::Message;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

struct Rig {
    hub: Arc<Hub>,
    events: mpsc::Receiver<ClientEvent>,
    _server: Server,
    _stop: DropGuard,
}

impl Rig {
    /// A network with room for two puppets and a bot that listens in `#c`.
    async fn start(software: Software) -> Option<Self> {
        let server = software.start()?;
        let config = NetworkConfig {
            host: "127.0.0.1".into(),
            port: server.port,
            tls: false,
            nick: "bridgebot".into(),
            flood: Some(FloodLimits { burst: 100.0, per_second: 100.0 }),
            puppets: PuppetsConfig { max: 2, ..PuppetsConfig::default() },
            ..NetworkConfig::default()
        };
        let stop = CancellationToken::new();
        let hub = Hub::new(
            "",
            "test",
            config,
            MessagesConfig::default(),
            Arc::new(SystemClock),
            Random::new(|| 5),
            stop.clone(),
        );
        let hub = Arc::new(hub);
        let (sender, events) = mpsc::channel(256);
        let bot = spawn(hub.bot_settings(), sender, stop.child_token());
        bot.online(Duration::from_secs(30)).await.unwrap();
        bot.join("#c", None).await.unwrap();
        hub.set_listener(bot);
        Some(Self { hub, events, _server: server, _stop: stop.drop_guard() })
    }

    async fn say(&self, author: &Author, text: &str) -> Result<Voice, SendError> {
        let chat = Chat::channel("", "#c");
        let voice = self.hub.voice(author, &chat).await?;
        let line =
            OutLine { target: "#c".into(), notice: false, text: text.into(), tags: Vec::new() };
        self.hub.say(&voice, &chat, line).await?;
        Ok(voice)
    }

    /// The next line with this command that the bot sees.
    async fn next(&mut self, command: &str) -> Message {
        self.next_of(&[command]).await
    }

    /// The next line with one of these commands that the bot sees.
    async fn next_of(&mut self, commands: &[&str]) -> Message {
        loop {
            let event = tokio::time::timeout(Duration::from_mins(1), self.events.recv()).await;
            match event.expect("the server says something").expect("the connection lives") {
                ClientEvent::Line(line) if commands.contains(&line.message.command.as_str()) => {
                    return line.message;
                }
                _ => {}
            }
        }
    }

    async fn as_bot(&self, command: &str, params: &[&str]) {
        let bot = self.hub.listener().unwrap();
        let message = Message::new(command, params.iter().copied());
        bot.checked(message, ["#c", ""]).await.unwrap();
    }
}

fn author(name: &str) -> Author {
    Author { mxid: format!("@{name}:hs.test"), name: Some(name.to_owned()), personal: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_speaks_under_their_own_nick_and_the_bot_for_the_rest() {
    for software in Software::ALL {
        let Some(mut rig) = Rig::start(software).await else { continue };
        for name in ["anna", "Bob_C", "anna"] {
            let voice = rig.say(&author(name), &format!("from {name}")).await.unwrap();
            assert!(matches!(voice, Voice::Puppet(_)), "{software:?}");
            let seen = rig.next("PRIVMSG").await;
            assert_eq!((seen.nick(), seen.last()), (name, format!("from {name}").as_str()));
            assert!(rig.hub.is_ours(&seen.source.unwrap()), "the bridge knows its own");
        }
        assert_eq!(rig.hub.pool.len(), 2);
        // Both are busy: the third is spoken for by the bot.
        let voice = rig.say(&author("carl"), "from carl").await.unwrap();
        assert!(voice.is_relay(), "{software:?}");
        // A puppet that was closed makes room.
        rig.hub.pool.close("@anna:hs.test");
        let voice = rig.say(&author("carl"), "from carl").await.unwrap();
        assert!(matches!(voice, Voice::Puppet(_)), "{software:?}");
        rig.hub.pool.reap(Duration::ZERO);
        assert!(rig.hub.pool.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_kicked_comes_back_with_the_next_word_and_who_is_banned_does_not() {
    for software in Software::ALL {
        let Some(mut rig) = Rig::start(software).await else { continue };
        rig.say(&author("anna"), "one").await.unwrap();
        rig.as_bot("KICK", &["#c", "anna", "out"]).await;
        rig.next("KICK").await;
        // The puppet may hear of it after the bot, and these servers let it speak from outside: then it comes back with its next word.
        let seen = loop {
            rig.say(&author("anna"), "two").await.unwrap();
            let seen = rig.next_of(&["JOIN", "PRIVMSG"]).await;
            if seen.command == "JOIN" {
                break seen;
            }
        };
        assert_eq!(seen.nick(), "anna");
        assert_eq!(rig.next("PRIVMSG").await.last(), "two");

        let ident = rig.hub.ident_of("@anna:hs.test");
        rig.as_bot("MODE", &["#c", "+b", &format!("*!*{ident}@*")]).await;
        rig.as_bot("KICK", &["#c", "anna", "out"]).await;
        rig.next("KICK").await;
        let mut answers = Vec::new();
        let told = loop {
            let refused = rig.say(&author("anna"), "three").await;
            let told =
                matches!(&refused, Err(SendError::Refused { user }) if user.contains("banned"));
            answers.push(refused.map(drop));
            if told || answers.len() == 100 {
                break told;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(told, "{software:?}: {answers:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_messages_are_never_the_bot_s() {
    for software in Software::ALL {
        let Some(rig) = Rig::start(software).await else { continue };
        let chat = Chat::Query { network: String::new(), nick: "bridgebot".into(), owner: None };
        let voice = rig.hub.voice(&author("anna"), &chat).await.unwrap();
        assert!(!voice.is_relay());
        rig.say(&author("bob"), "hello").await.unwrap();
        let refused = rig.hub.voice(&author("carl"), &chat).await;
        assert!(matches!(refused, Err(SendError::Retry { .. })), "{software:?}: {refused:?}");
        let nobody = Chat::Query { network: String::new(), nick: "nobody".into(), owner: None };
        let voice = rig.hub.voice(&author("anna"), &nobody).await.unwrap();
        let line =
            OutLine { target: "nobody".into(), notice: false, text: "x".into(), tags: Vec::new() };
        let refused = rig.hub.say(&voice, &nobody, line).await;
        assert!(matches!(refused, Err(SendError::Refused { .. })), "{software:?}: {refused:?}");
    }
}
