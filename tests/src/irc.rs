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

/// For how long a line may lie unread in the bot's socket on a busy machine.
const UNREAD: Duration = Duration::from_secs(10);

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

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The beginning.
    pub from: Instant,
    /// The end.
    pub to: Instant,
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

    /// Says something, and gives between which times the server took it.
    pub async fn say(&self, channel: &str, text: &str) -> Result<Span, IrcFailure> {
        let from = Instant::now();
        let line =
            OutLine { target: channel.into(), notice: false, text: text.into(), tags: Vec::new() };
        self.handle.send(line).await.map_err(|e| IrcFailure(e.to_string()))?;
        Ok(Span { from, to: Instant::now() })
    }

    /// What has been said so far in a channel, in order.
    pub fn heard(&self, channel: &str) -> Vec<Said> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.said.iter().filter(|said| said.channel == channel).cloned().collect()
    }

    /// The times in which the bot was in the channel: from each join to the leave after it. The last may be open.
    pub fn listening(&self) -> Vec<Span> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spans = Vec::new();
        let mut since = None;
        for (at, there) in &seen.presence {
            match (since, there) {
                (None, true) => since = Some(*at),
                (Some(from), false) => {
                    spans.push(Span { from, to: *at });
                    since = None;
                }
                _ => {}
            }
        }
        spans.extend(since.map(|from| Span { from, to: Instant::now() }));
        spans
    }
}

/// The numbers of the lines that had to arrive, of those said at these times. The bot reads its socket in order: in each of
/// its spans that is every line before the last that arrived. What comes after that lay unread when it went, unless it had
/// long enough for it, or is still there.
pub fn due(said: &[Span], listening: &[Span], arrived: &[usize]) -> Vec<usize> {
    let mut due = Vec::new();
    for (index, span) in listening.iter().enumerate() {
        let within = |n: &usize| said[*n].from >= span.from && said[*n].to < span.to;
        let heard: Vec<usize> = (0..said.len()).filter(within).collect();
        let last = heard.iter().filter(|n| arrived.contains(n)).max();
        let still_there = index + 1 == listening.len();
        due.extend(heard.iter().filter(|n| {
            still_there || last.is_some_and(|last| *n <= last) || said[**n].to + UNREAD < span.to
        }));
    }
    due
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lay_unread_is_not_due() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let span = |from, to| Span { from: at(from), to: at(to) };
        let said: Vec<Span> = (0..8).map(|n| span(n, n + 1)).collect();
        let listening = [span(1, 5), span(6, 9)];
        // 0 was said before the bot was there, 3 just before it went, 5 while it was away.
        assert_eq!(due(&said, &listening, &[1, 2, 6, 7]), [1, 2, 6, 7]);
        assert_eq!(due(&said, &listening, &[2, 6]), [1, 2, 6, 7]);
        let long = [span(1, 5), span(6, 9), span(100, 101)];
        assert_eq!(due(&said, &long, &[2, 6]), [1, 2, 6]);
        assert_eq!(due(&said, &[span(1, 50), span(100, 101)], &[]), [1, 2, 3, 4, 5, 6, 7]);
    }
}
