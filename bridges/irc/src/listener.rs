//! The listening connection of a network: the only one whose channel lines reach the inbox, so that a line said in a channel where
//! twenty puppets are is told once.

use std::sync::Arc;
use std::time::Duration;

use landbridge_framework::prelude::{CancellationToken, Exit, NetError};
use landbridge_framework::{EventKey, Inbox, LoginState};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{self, ClientEvent, ClientHandle, Failure, Incoming, Snapshot};
use crate::connector::Irc;
use crate::ctcp;
use crate::hub::Hub;
use crate::ids::Chat;
use crate::membership::Context;
use crate::message::{Message, Source};
use crate::raw::{Raw, What};

/// Lines taken at once, and stored in one transaction.
const BATCH: usize = 64;
/// How often idle puppets are looked for, and channels that refused the bot are tried again.
const ROUND: Duration = Duration::from_mins(1);
/// The most letters of a JOIN's list of channels.
const JOIN_LIST: usize = 400;

/// Listens until `stop` is cancelled or the bot's credentials are refused.
pub(crate) async fn run(hub: &Arc<Hub>, inbox: Inbox<Irc>, stop: CancellationToken) -> Exit {
    let ends = hub.stop.child_token();
    // However this ends, nobody of ours stays behind on IRC without its listener.
    let _bot = ends.clone().drop_guard();
    let _puppets = ClosePuppets(hub);
    let (sender, events) = mpsc::channel(BATCH);
    let handle = client::spawn(hub.bot_settings(), sender, ends.clone());
    match inbox.portals().await {
        Ok(portals) => {
            for portal in portals {
                if let Chat::Channel { network, name } = &portal.id
                    && *network == hub.network
                {
                    hub.want(name);
                }
            }
        }
        Err(error) => return Exit::Lost(NetError::temporary(error)),
    }
    hub.set_listener(handle.clone());
    hub.set_inbox(inbox.clone());
    inbox.state(LoginState::Connecting);
    let mut listener = Listener {
        hub,
        inbox,
        handle,
        answers: ctcp::Answers::default(),
        told_refused: std::collections::BTreeSet::new(),
    };
    listener.run(events, &ends, stop).await
}

/// Closes the puppets when it is dropped.
struct ClosePuppets<'a>(&'a Arc<Hub>);

impl Drop for ClosePuppets<'_> {
    fn drop(&mut self) {
        self.0.pool.close_all();
    }
}

struct Listener<'a> {
    hub: &'a Arc<Hub>,
    inbox: Inbox<Irc>,
    handle: ClientHandle,
    answers: ctcp::Answers,
    /// Channels that refused the bot, and whose rooms have been told.
    told_refused: std::collections::BTreeSet<String>,
}

impl Listener<'_> {
    async fn run(
        &mut self,
        mut events: mpsc::Receiver<ClientEvent>,
        ends: &CancellationToken,
        stop: CancellationToken,
    ) -> Exit {
        let mut stopping = false;
        let mut round = tokio::time::interval(ROUND);
        let mut taken = Vec::with_capacity(BATCH);
        loop {
            let due = self.hub.tracker().next_due();
            let held = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let mut entries = Vec::new();
            let mut exit = None;
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    // What has been read already is stored yet; then the connection says goodbye.
                    stopping = true;
                    ends.cancel();
                    continue;
                }
                count = events.recv_many(&mut taken, BATCH) => {
                    if count == 0 && stopping {
                        return Exit::Stopped;
                    }
                    if count == 0 {
                        return Exit::Lost(NetError::temporary("the IRC connection ended"));
                    }
                    for event in taken.drain(..) {
                        exit = exit.or(self.on(event, &mut entries).await);
                    }
                }
                () = held => {}
                _ = round.tick() => self.round().await,
            }
            self.held(&mut entries);
            if let Err(error) = self.store(entries).await {
                return Exit::Lost(NetError::temporary(error));
            }
            if let Some(exit) = exit {
                return exit;
            }
        }
    }

    async fn on(&mut self, event: ClientEvent, entries: &mut Vec<Raw>) -> Option<Exit> {
        match event {
            ClientEvent::Up(me) => {
                self.hub.tracker().reset();
                self.told_refused.clear();
                self.inbox.state(LoginState::Connected);
                self.join(&me).await;
            }
            ClientEvent::Down(Failure::Credentials(reason)) => {
                return Some(Exit::BadCredentials(reason));
            }
            ClientEvent::Down(failure) => {
                self.inbox.state(LoginState::Transient(failure.to_string()));
            }
            ClientEvent::Line(line) => self.line(&line, entries).await,
        }
        None
    }

    /// Joins the wanted channels the bot isn't in, many with one command.
    async fn join(&self, me: &Snapshot) {
        let mut list = String::new();
        let missing = self.hub.wanted_channels().into_iter().filter(|channel| !me.is_in(channel));
        for channel in missing.chain(std::iter::once(String::new())) {
            if !list.is_empty() && (channel.is_empty() || list.len() + channel.len() > JOIN_LIST) {
                // Answered by JOINs or refusals, which come as lines; offline it is done again at the next Up.
                let _ =
                    self.handle.command(Message::new("JOIN", [std::mem::take(&mut list)])).await;
            }
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(&channel);
        }
    }

    async fn round(&self) {
        if let Some(idle) = self.hub.config.puppets.idle() {
            self.hub.pool.reap(idle);
        }
        if let Some(me) = self.handle.snapshot() {
            self.join(&me).await;
        }
    }

    async fn line(&mut self, line: &Incoming, entries: &mut Vec<Raw>) {
        let hub = self.hub;
        let Some(me) = self.handle.snapshot() else { return };
        let message = &line.message;
        let history = line.batch.as_ref().is_some_and(|batch| batch.kind == "chathistory");
        match message.command.as_str() {
            "PRIVMSG" | "NOTICE" => self.said(line, &me, history, entries).await,
            "TAGMSG" => {
                let source = message.source.clone().unwrap_or_default();
                if !hub.is_ours(&source) && !history {
                    self.tag_message(line, entries).await;
                }
            }
            // History that a server plays back by itself is of the past: who came and went then is over.
            _ if history => {}
            "471" | "473" | "474" | "475" | "477" | "403" | "405" | "437" => {
                self.refused(line, entries);
            }
            _ => {
                let told = {
                    let ours = |source: &Source| hub.is_ours(source);
                    hub.tracker().on(line, &Context { me: &me, ours: &ours, now: Instant::now() })
                };
                for (suffix, what) in told {
                    match what {
                        What::Away { .. } => {
                            drop(self.inbox.passing(hub.raw(line, None, "", what)).await);
                        }
                        What::Resync { ref channel } => {
                            // The channel's modes, asked once it is known who is in it; they come as 324.
                            let _ =
                                self.handle.command(Message::new("MODE", [channel.as_str()])).await;
                            entries.push(hub.raw(line, None, &suffix, what));
                        }
                        what => entries.push(hub.raw(line, None, &suffix, what)),
                    }
                }
            }
        }
    }

    async fn said(
        &mut self,
        line: &Incoming,
        me: &Snapshot,
        history: bool,
        entries: &mut Vec<Raw>,
    ) {
        let message = &line.message;
        let source = message.source.clone().unwrap_or_default();
        let channel = message
            .param(0)
            .trim_start_matches(|c| me.isupport.prefixes.iter().any(|(_, sign)| *sign == c));
        if me.isupport.is_channel(channel) {
            // Played-back history is told only where an id keeps it from being told twice.
            if !self.hub.is_ours(&source) && (!history || line.msgid().is_some()) {
                entries.push(self.hub.said(line, None));
            }
        } else if let Some(answer) = self.answers.answer(message) {
            let _ = self.handle.command(answer).await;
        }
    }

    async fn tag_message(&self, line: &Incoming, entries: &mut Vec<Raw>) {
        let typing =
            line.message.tag("+typing").or_else(|| line.message.tag("+draft/typing")).is_some();
        let raw = self.hub.said(line, None);
        if typing {
            let _ = self.inbox.passing(raw).await;
        } else if line.message.tags.iter().any(|(name, _)| name.starts_with("+draft/")) {
            entries.push(raw);
        }
    }

    fn refused(&mut self, line: &Incoming, entries: &mut Vec<Raw>) {
        let channel = self.hub.fold(line.message.param(1));
        if self.told_refused.len() < 1_000 && self.told_refused.insert(channel.clone()) {
            let text = format!(
                "The bridge can't join {}: {}. It will try again.",
                line.message.param(1),
                line.message.last()
            );
            entries.push(self.hub.raw(line, None, "refused", What::Notice { channel, text }));
        }
    }

    /// Quits whose time is over.
    fn held(&self, entries: &mut Vec<Raw>) {
        let told = self.hub.tracker().due(Instant::now());
        for (channel, what) in told {
            entries.push(Raw {
                network: self.hub.network.clone(),
                mapping: self.hub.mapping(),
                at: self.hub.now_ms(),
                // Nobody said this now: the quits were said earlier, and their keys are of this moment alone.
                key: format!("q:{:016x}:{channel}", self.hub.random.next()),
                owner: None,
                what,
            });
        }
    }

    async fn store(&self, entries: Vec<Raw>) -> Result<(), landbridge_framework::Closed> {
        if entries.is_empty() {
            return Ok(());
        }
        let keyed = entries.into_iter().map(|raw| (EventKey(raw.key.clone()), raw)).collect();
        self.inbox.put_all(keyed, None).await.map(drop)
    }
}
