//! One puppet: a Matrix user's connection, the channels it is in, and what is said to it in private.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use landbridge_framework::Inbox;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Identity;
use crate::client::{self, ClientEvent, ClientHandle, Failure, Incoming, SendFailure, State};
use crate::connector::Irc;
use crate::ctcp;
use crate::hub::Hub;

/// Events of a puppet that wait to be handled.
const EVENTS: usize = 32;

/// A Matrix user's connection.
#[derive(Debug)]
pub struct Puppet {
    /// The Matrix user.
    pub mxid: String,
    /// Whether it is an account of their own: then it stays connected and tells them what is said to it by its own login.
    pub personal: bool,
    /// The connection.
    pub handle: ClientHandle,
    /// Ends it.
    pub stop: CancellationToken,
    used: Mutex<Instant>,
    offline_since: Mutex<Option<Instant>>,
    channels: Mutex<BTreeMap<String, String>>,
    own_inbox: watch::Sender<Option<InboxSlot>>,
}

/// A personal login's inbox, kept out of debug output.
#[derive(Clone)]
struct InboxSlot(Inbox<Irc>);

impl std::fmt::Debug for InboxSlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

impl Puppet {
    /// Begins the connection.
    pub(super) fn connect(
        hub: &Arc<Hub>,
        mxid: &str,
        display: Option<&str>,
        identity: Option<&Identity>,
    ) -> Arc<Self> {
        let (sender, events) = mpsc::channel(EVENTS);
        let stop = hub.stop.child_token();
        let settings = hub.puppet_settings(mxid, display, identity);
        let handle = client::spawn(settings, sender, stop.clone());
        let puppet = Arc::new(Self {
            mxid: mxid.to_owned(),
            personal: identity.is_some(),
            handle,
            stop,
            used: Mutex::new(Instant::now()),
            offline_since: Mutex::new(Some(Instant::now())),
            channels: Mutex::new(BTreeMap::new()),
            own_inbox: watch::channel(None).0,
        });
        tokio::spawn(follow(Arc::clone(&puppet), Arc::downgrade(hub), events));
        puppet
    }

    /// It was used just now.
    pub fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long it has been silent.
    pub fn idle(&self) -> Duration {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether its connection has ended for good.
    pub fn is_closed(&self) -> bool {
        self.stop.is_cancelled() || matches!(self.handle.state(), State::Closed(_))
    }

    /// How much of `patience` is left for it to come online: a connection that has been down for longer isn't waited for again.
    pub fn patience_left(&self, patience: Duration) -> Duration {
        let since = *self.offline_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.map_or(patience, |since| patience.saturating_sub(since.elapsed()))
    }

    /// Joins a channel, and again after every reconnect.
    pub async fn join(&self, channel: &str) -> Result<(), SendFailure> {
        self.handle.join(channel, None).await?;
        let mapping = self.handle.snapshot().map(|me| me.isupport.casemapping).unwrap_or_default();
        self.channels().insert(mapping.fold(channel), channel.to_owned());
        Ok(())
    }

    /// Leaves a channel.
    pub async fn part(&self, channel: &str, reason: &str) -> Result<(), SendFailure> {
        let Some(me) = self.handle.snapshot() else { return Ok(()) };
        self.channels().remove(&me.isupport.casemapping.fold(channel));
        if me.is_in(channel) {
            self.handle.command(crate::message::Message::new("PART", [channel, reason])).await
        } else {
            Ok(())
        }
    }

    /// Where what is said to it goes, for an account of the user's own.
    pub fn set_inbox(&self, inbox: Inbox<Irc>) {
        self.own_inbox.send_replace(Some(InboxSlot(inbox)));
    }

    fn channels(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn inbox(&self, hub: &Hub) -> Option<Inbox<Irc>> {
        if !self.personal {
            return hub.bot_inbox().await;
        }
        let mut watched = self.own_inbox.subscribe();
        tokio::select! {
            () = self.stop.cancelled() => None,
            inbox = watched.wait_for(Option::is_some) => inbox.ok().and_then(|slot| slot.clone()).map(|slot| slot.0),
        }
    }
}

/// Handles what happens to a puppet until its connection ends.
async fn follow(puppet: Arc<Puppet>, hub: Weak<Hub>, mut events: mpsc::Receiver<ClientEvent>) {
    let mut nick = String::new();
    let mut answers = ctcp::Answers::default();
    while let Some(event) = events.recv().await {
        let Some(hub) = hub.upgrade() else { break };
        match event {
            ClientEvent::Up(me) => {
                *puppet.offline_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
                nick = me.isupport.casemapping.fold(&me.me.name);
                hub.own.claim(&nick, &puppet.mxid);
                let channels: Vec<String> = puppet.channels().values().cloned().collect();
                let rejoining = Arc::clone(&puppet);
                tokio::spawn(async move {
                    for channel in channels {
                        // A channel that no longer lets it in is met again, with its answer, at the next message.
                        let _ = rejoining.handle.join(&channel, None).await;
                    }
                });
            }
            ClientEvent::Down(failure) => {
                puppet
                    .offline_since
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert_with(Instant::now);
                hub.own.retire(&nick);
                if let Failure::Credentials(reason) = failure {
                    tracing::warn!(mxid = %puppet.mxid, %reason, "an IRC connection was refused");
                }
            }
            ClientEvent::Line(line) => {
                let Some(me) = puppet.handle.snapshot() else { continue };
                match line.message.command.as_str() {
                    "NICK" if me.is_me(line.message.param(0)) => {
                        hub.own.retire(&nick);
                        nick = me.isupport.casemapping.fold(&me.me.name);
                        hub.own.claim(&nick, &puppet.mxid);
                    }
                    "KICK" if me.is_me(line.message.param(1)) => {
                        puppet
                            .channels()
                            .remove(&me.isupport.casemapping.fold(line.message.param(0)));
                    }
                    "PRIVMSG" | "NOTICE" => private(&puppet, &hub, &line, &mut answers).await,
                    _ => {}
                }
            }
        }
    }
    if let Some(hub) = hub.upgrade() {
        hub.own.retire(&nick);
    }
}

/// Something was said to the puppet alone.
async fn private(puppet: &Puppet, hub: &Hub, line: &Incoming, answers: &mut ctcp::Answers) {
    let source = line.message.source.clone().unwrap_or_default();
    // A server's own notices (no address) are its small talk, and our other puppets speak over Matrix.
    if source.host.is_none() || hub.is_ours(&source) {
        return;
    }
    if let Some(answer) = answers.answer(&line.message) {
        let _ = puppet.handle.command(answer).await;
        return;
    }
    let Some(inbox) = puppet.inbox(hub).await else { return };
    let owner = (!puppet.personal).then_some(puppet.mxid.as_str());
    let raw = hub.said(line, owner);
    // The same msgid can come by two puppets' connections; the key is of one of them.
    let key = format!("{}:{}", raw.key, puppet.mxid);
    if let Err(error) = inbox.put(key, raw).await {
        tracing::error!(mxid = %puppet.mxid, %error, "a private message could not be stored");
    }
}
