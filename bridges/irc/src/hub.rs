//! One IRC network of the bridge: what its listening bot, its puppets and its handlers share.

mod own;
mod settings;
mod voice;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use landbridge_framework::Inbox;
use landbridge_framework::clock::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use own::OwnNicks;
pub use voice::{Author, Undeliverable, Voice};

use crate::casemap::CaseMapping;
use crate::client::{ClientHandle, Incoming, Random, SendFailure};
use crate::config::{MessagesConfig, NetworkConfig};
use crate::connector::Irc;
use crate::ident::Idents;
use crate::membership::Tracker;
use crate::message::{Message, Source};
use crate::pool::Pool;
use crate::raw::{Raw, What};

/// The most letters of a line that are looked through for nicks.
const MENTION_SCAN: usize = 600;

/// One network.
pub struct Hub {
    /// Its name in identifiers: empty for the default network.
    pub network: String,
    /// Its name in the configuration.
    pub name: String,
    /// Its configuration.
    pub config: NetworkConfig,
    /// How messages are written.
    pub messages: MessagesConfig,
    /// The nicks that are ours.
    pub own: OwnNicks,
    /// The puppets.
    pub pool: Pool,
    /// Cancelled when the bridge stops or is dropped: ends every connection.
    pub stop: CancellationToken,
    /// Random numbers for the connections.
    pub random: Random,
    clock: Arc<dyn Clock>,
    idents: Idents,
    tracker: Mutex<Tracker>,
    listener: watch::Sender<Option<ClientHandle>>,
    inbox: watch::Sender<Option<Inbox<Irc>>>,
    channels: Mutex<BTreeMap<String, String>>,
}

impl Hub {
    /// A network that isn't connected yet.
    pub fn new(
        network: &str,
        name: &str,
        config: NetworkConfig,
        messages: MessagesConfig,
        clock: Arc<dyn Clock>,
        random: Random,
        stop: CancellationToken,
    ) -> Self {
        // Without a configured key the host and the bot's nick make one: not secret, and enough to know our own after a crash.
        let idents = Idents::new(&[&config.puppets.ident_key, name, &config.host, &config.nick]);
        Self {
            network: network.to_owned(),
            name: name.to_owned(),
            own: OwnNicks::default(),
            pool: Pool::default(),
            stop,
            random,
            clock,
            idents,
            tracker: Mutex::new(Tracker::new(config.members.clone())),
            listener: watch::channel(None).0,
            inbox: watch::channel(None).0,
            channels: Mutex::new(BTreeMap::new()),
            messages,
            config,
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// The channels' state. Never held over an await.
    pub fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The listening connection, once the bot's login runs.
    pub fn listener(&self) -> Option<ClientHandle> {
        self.listener.borrow().clone()
    }

    /// The listening connection, waiting for it to be online.
    pub async fn online_listener(&self, patience: Duration) -> Result<ClientHandle, SendFailure> {
        let mut watched = self.listener.subscribe();
        let there = tokio::time::timeout(patience, watched.wait_for(Option::is_some)).await;
        let handle = there.ok().and_then(Result::ok).and_then(|handle| handle.clone());
        let handle = handle
            .ok_or_else(|| SendFailure::NotSent("the network's bot is not connected".into()))?;
        handle.online(patience).await?;
        Ok(handle)
    }

    /// Where the bot's connection hands its events, once its login runs.
    pub async fn bot_inbox(&self) -> Option<Inbox<Irc>> {
        let mut watched = self.inbox.subscribe();
        tokio::select! {
            () = self.stop.cancelled() => None,
            inbox = watched.wait_for(Option::is_some) => inbox.ok().and_then(|inbox| inbox.clone()),
        }
    }

    /// The bot's connection is this.
    pub fn set_listener(&self, handle: ClientHandle) {
        self.listener.send_replace(Some(handle));
    }

    /// What the bot's connection and the puppets hear goes here.
    pub fn set_inbox(&self, inbox: Inbox<Irc>) {
        self.inbox.send_replace(Some(inbox));
    }

    /// How names are folded: as the server said, else as configured.
    pub fn mapping(&self) -> CaseMapping {
        self.listener()
            .and_then(|handle| handle.snapshot())
            .map_or(self.config.casemapping, |me| me.isupport.casemapping)
    }

    /// A name, folded.
    pub fn fold(&self, name: &str) -> String {
        self.mapping().fold(name)
    }

    /// Whether somebody is one of our puppets, of this run or one before it.
    pub fn is_ours(&self, source: &Source) -> bool {
        let folded = self.fold(&source.name);
        // Where only nicks are listed, the bot's own nick is that of a run before this one.
        let bot = source.host.is_none() && folded == self.fold(&self.config.nick);
        bot || source.user.as_deref().is_some_and(|user| self.idents.is_ours(user))
            || self.own.is_ours(&self.fold(&source.name), source.host.is_some())
    }

    /// A Matrix user's ident.
    pub fn ident_of(&self, mxid: &str) -> String {
        self.idents.of(mxid)
    }

    /// A channel is bridged: the bot is to be in it.
    pub fn want(&self, channel: &str) {
        let folded = self.fold(channel);
        self.wanted().insert(folded, channel.to_owned());
    }

    /// A channel is bridged no more.
    pub fn unwant(&self, channel: &str) {
        let folded = self.fold(channel);
        self.wanted().remove(&folded);
    }

    /// The channels the bot is to be in.
    pub fn wanted_channels(&self) -> Vec<String> {
        self.wanted().values().cloned().collect()
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a line is as an inbox entry.
    pub fn raw(&self, line: &Incoming, owner: Option<&str>, suffix: &str, what: What) -> Raw {
        let mut key = line
            .msgid()
            .map_or_else(|| format!("e:{}.{}", line.epoch, line.number), crate::decode::msgid_key);
        if !suffix.is_empty() {
            key = format!("{key}:{suffix}");
        }
        let at = line.at.map_or_else(|| self.now_ms(), |at| at as i64);
        Raw {
            network: self.network.clone(),
            mapping: self.mapping(),
            at,
            key,
            owner: owner.map(str::to_owned),
            what,
        }
    }

    /// A said line as an inbox entry, with the Matrix users whose nicks stand in it.
    pub fn said(&self, line: &Incoming, owner: Option<&str>) -> Raw {
        let mut mentions: Vec<(String, String)> = Vec::new();
        let mapping = self.mapping();
        let word = |c: char| c.is_alphanumeric() || "-_[]\\^{|}`".contains(c);
        let text: String = line.message.param(1).chars().take(MENTION_SCAN).collect();
        for nick in text.split(|c| !word(c)).filter(|nick| !nick.is_empty()) {
            if let Some(mxid) = self.own.mxid_of(&mapping.fold(nick))
                && !mentions.iter().any(|(known, _)| mapping.same(known, nick))
            {
                mentions.push((nick.to_owned(), mxid));
            }
        }
        // The source is part of what was said; the tags are kept for ids, replies and reactions.
        self.raw(line, owner, "", What::Said { line: verbatim(&line.message), mentions })
    }
}

/// A line as it can be read again, its source included.
fn verbatim(message: &Message) -> String {
    let bare = Message { source: None, ..message.clone() };
    let line = bare.to_line().unwrap_or_default();
    let line = line.trim_end_matches(['\r', '\n']);
    let (tags, rest) =
        if line.starts_with('@') { line.split_once(' ').unwrap_or(("", line)) } else { ("", line) };
    let source = message.source.as_ref().map(|source| {
        let user = source.user.as_ref().map(|user| format!("!{user}")).unwrap_or_default();
        let host = source.host.as_ref().map(|host| format!("@{host}")).unwrap_or_default();
        format!(":{}{user}{host}", source.name)
    });
    let parts =
        [Some(tags.to_owned()).filter(|tags| !tags.is_empty()), source, Some(rest.to_owned())];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_kept_as_it_can_be_read_again() {
        for text in
            ["@msgid=a\\sb;+x :nick!~u@h PRIVMSG #c :a  b", ":s NOTICE #c :x", "PRIVMSG #c ::)"]
        {
            let message = Message::parse(text.as_bytes()).unwrap();
            assert_eq!(Message::parse(verbatim(&message).as_bytes()).unwrap(), message);
        }
    }
}
