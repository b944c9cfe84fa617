//! A person on IRC who speaks and keeps what they see, and the servers they speak on.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use landbridge_irc::client::{
    ClientEvent, ClientHandle, FloodLimits, Interest, OutLine, Random, Settings, spawn,
};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Why somebody on IRC could not go on.
#[derive(Debug, thiserror::Error)]
#[error("IRC: {0}")]
pub struct IrcFailure(String);

/// Something somebody said in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The channel.
    pub channel: String,
    /// Whose nick.
    pub nick: String,
    /// What.
    pub text: String,
}

/// What a person has seen.
#[derive(Debug, Default)]
struct Seen {
    said: Vec<Said>,
    /// When the bot whose coming and going is watched was in the channel: joins and leaves, in order.
    presence: VecDeque<(Instant, bool)>,
}

/// A person on IRC.
pub struct Person {
    handle: ClientHandle,
    seen: Arc<Mutex<Seen>>,
    _stop: DropGuard,
}

impl Person {
    /// Connects, and watches the coming and going of `bot`.
    pub async fn connect(port: u16, nick: &str, bot: &str) -> Result<Self, IrcFailure> {
        let settings = Settings {
            host: "127.0.0.1".into(),
            port,
            tls: None,
            password: None,
            nick: nick.into(),
            username: nick.into(),
            realname: nick.into(),
            sasl: None,
            nickserv: None,
            flood: Some(FloodLimits { burst: 1_000.0, per_second: 1_000.0 }),
            interest: Interest::Channels,
            user_modes: None,
            regain: true,
            connect_timeout: Duration::from_secs(30),
            ping_interval: Duration::from_mins(1),
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            random: Random::new(rand::random::<u64>),
        };
        let stop = CancellationToken::new();
        let (sender, events) = mpsc::channel(1_024);
        let handle = spawn(settings, sender, stop.clone());
        handle.online(Duration::from_secs(30)).await.map_err(|e| IrcFailure(e.to_string()))?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        tokio::spawn(watch(events, Arc::clone(&seen), bot.to_owned()));
        Ok(Self { handle, seen, _stop: stop.drop_guard() })
    }

    /// Joins a channel.
    pub async fn join(&self, channel: &str) -> Result<(), IrcFailure> {
        self.handle.join(channel, None).await.map_err(|e| IrcFailure(e.to_string()))
    }

    /// Says something, and gives when the server had taken it.
    pub async fn say(&self, channel: &str, text: &str) -> Result<Instant, IrcFailure> {
        let line =
            OutLine { target: channel.into(), notice: false, text: text.into(), tags: Vec::new() };
        self.handle.send(line).await.map_err(|e| IrcFailure(e.to_string()))?;
        Ok(Instant::now())
    }

    /// What has been said so far in a channel, in order.
    pub fn heard(&self, channel: &str) -> Vec<Said> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.said.iter().filter(|said| said.channel == channel).cloned().collect()
    }

    /// The times in which the bot was surely listening: from a join to the leave after it, `margin` shorter at the end, for a
    /// line said just before the end may lie unread in the bot's socket.
    pub fn listening(&self, margin: Duration) -> Vec<(Instant, Instant)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        let mut since = None;
        for (at, there) in &seen.presence {
            match (since, there) {
                (None, true) => since = Some(*at),
                (Some(start), false) => {
                    spans.push((start, at.checked_sub(margin).unwrap_or(start).max(start)));
                    since = None;
                }
                _ => {}
            }
        }
        spans.extend(since.map(|start| (start, Instant::now())));
        spans
    }
}

async fn watch(mut events: mpsc::Receiver<ClientEvent>, seen: Arc<Mutex<Seen>>, bot: String) {
    while let Some(event) = events.recv().await {
        let ClientEvent::Line(line) = event else { continue };
        let message = &line.message;
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        match message.command.as_str() {
            "PRIVMSG" => seen.said.push(Said {
                channel: message.param(0).to_owned(),
                nick: message.nick().to_owned(),
                text: message.param(1).to_owned(),
            }),
            "JOIN" if message.nick() == bot => seen.presence.push_back((Instant::now(), true)),
            "QUIT" | "PART" if message.nick() == bot => {
                seen.presence.push_back((Instant::now(), false));
            }
            _ => {}
        }
    }
}
