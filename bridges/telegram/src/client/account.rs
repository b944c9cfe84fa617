//! One account: what requests, updates and look-ups share while it is connected.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use grammers_tl_types as tl;
use landbridge_framework::{
    CancellationToken, Client, Closed, Exit, Inbox, Login, NetError, PortalKey,
    clock::Clock,
    event::{ChatInfo, UserInfo},
};
use quick_cache::sync::Cache;
use tokio::sync::{mpsc, watch};

use super::{api::Api, error::ApiError, index::Index, peers::Peers, prepare::message_key};
use crate::{
    config::Config,
    connector::Telegram,
    ids::{Peer, UserId},
};

/// How many own edits are remembered until their echo comes.
const OWN_EDITS: usize = 256;
/// How many file references are remembered.
const FILES: usize = 4096;

/// One account's connection, as the framework has it: [`Client::run`] makes it live.
pub struct Connection {
    pub(crate) config: Arc<Config>,
    pub(crate) login: Login<Telegram>,
    clock: Arc<dyn Clock>,
    live: watch::Sender<Option<Arc<Live>>>,
}

/// What an account has while it is connected.
pub struct Live {
    pub(crate) api: Api,
    pub(crate) peers: Peers,
    pub(crate) index: Index,
    pub(crate) inbox: Inbox<Telegram>,
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    /// The account's own id.
    pub(crate) me: i64,
    /// Its own user name, or nothing.
    pub(crate) username: String,
    /// Whether it is a bot's.
    pub(crate) bot: bool,
    /// Whether it pays, which raises limits.
    pub(crate) premium: bool,
    /// The references of files that were seen lately, by the file's id: they expire.
    pub(crate) files: Cache<i64, Arc<Vec<u8>>>,
    own: Own,
    /// The highest message numbers seen: of each channel, and of the account (under no number).
    newest: Mutex<HashMap<Option<i64>, i32>>,
    /// The time last given by `seen`.
    seen: AtomicI64,
    baselines: mpsc::UnboundedSender<(i64, i32)>,
}

/// What this account has changed itself and need not be told.
#[derive(Default)]
pub struct Own(Mutex<VecDeque<(Peer, i32, String)>>);

impl Own {
    /// A message is about to be given this text.
    pub fn note(&self, peer: Peer, message: i32, text: &str) {
        let mut edits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if edits.len() >= OWN_EDITS {
            edits.pop_front();
        }
        edits.push_back((peer, message, text.to_owned()));
    }

    /// Whether it was this account here that gave a message this text; said once.
    pub fn take(&self, peer: Peer, message: i32, text: &str) -> bool {
        let mut edits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = edits.iter().position(|(p, m, t)| *p == peer && *m == message && t == text);
        at.is_some_and(|at| edits.remove(at).is_some())
    }
}

impl Connection {
    /// Not yet connected.
    pub fn new(config: Arc<Config>, login: Login<Telegram>, clock: Arc<dyn Clock>) -> Self {
        Self { config, login, clock, live: watch::Sender::new(None) }
    }

    /// What it has while it is connected.
    pub fn live(&self) -> Result<Arc<Live>, ApiError> {
        self.live
            .borrow()
            .clone()
            .ok_or_else(|| ApiError::Unreachable("the account is not connected yet".into()))
    }

    /// Whether it is the relay's.
    pub fn relays(&self) -> bool {
        self.login.owner.is_none()
    }
}

impl Live {
    pub(super) fn new(
        connection: &Connection,
        api: Api,
        inbox: Inbox<Telegram>,
        me: &tl::types::User,
        baselines: mpsc::UnboundedSender<(i64, i32)>,
    ) -> Self {
        Self {
            api,
            peers: Peers::new(inbox.clone(), me.bot),
            index: Index::new(inbox.clone()),
            inbox,
            config: connection.config.clone(),
            clock: connection.clock.clone(),
            me: me.id,
            username: me.username.clone().unwrap_or_default(),
            bot: me.bot,
            premium: me.premium,
            files: Cache::new(FILES),
            own: Own::default(),
            newest: Mutex::default(),
            seen: AtomicI64::new(0),
            baselines,
        }
    }

    /// The time, in milliseconds since the Unix epoch; never the same twice, since it tells apart what Telegram doesn't number.
    pub(super) fn seen(&self) -> i64 {
        let now = self.clock.now_ms();
        let mut last = self.seen.load(Ordering::Relaxed);
        loop {
            let next = now.max(last.saturating_add(1));
            match self.seen.compare_exchange(last, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return next,
                Err(other) => last = other,
            }
        }
    }

    /// From here on a channel's updates count, if they didn't before: a room is about to be made for it.
    pub(super) fn begin_channel(&self, id: i64, pts: i32) {
        // Nobody follows any more: the next connection begins anew.
        let _ = self.baselines.send((id, pts));
    }

    /// A message with this number was seen.
    pub(super) fn note_newest(&self, peer: Peer, message: i32) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let known = newest.entry(stream_of(peer)).or_default();
        *known = message.max(*known);
    }

    /// The highest message number seen where a chat's messages are numbered.
    pub(crate) fn newest(&self, peer: Peer) -> Option<i32> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.get(&stream_of(peer)).copied()
    }

    /// Notes an edit before it is made: its echo may come before its answer.
    pub(crate) fn note_edit(&self, peer: Peer, message: i32, text: &str) {
        self.own.note(peer, message, text);
    }

    pub(super) fn is_own_edit(&self, message: &tl::enums::Message) -> bool {
        let Some((_, peer, id)) = message_key(message) else { return false };
        let tl::enums::Message::Message(message) = message else { return false };
        self.own.take(peer, id, &message.message)
    }

    /// Remembers the references of a message's files, so that they need not be asked for.
    pub(crate) fn remember_files(&self, message: &tl::enums::Message) {
        let tl::enums::Message::Message(message) = message else { return };
        match &message.media {
            Some(tl::enums::MessageMedia::Photo(media)) => {
                if let Some(tl::enums::Photo::Photo(photo)) = &media.photo {
                    self.files.insert(photo.id, Arc::new(photo.file_reference.clone()));
                }
            }
            Some(tl::enums::MessageMedia::Document(media)) => {
                if let Some(document) = &media.document {
                    self.remember_document(document);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn remember_document(&self, document: &tl::enums::Document) {
        if let tl::enums::Document::Document(document) = document {
            self.files.insert(document.id, Arc::new(document.file_reference.clone()));
        }
    }

    /// A chat as requests name it.
    pub(crate) async fn input(&self, peer: Peer) -> Result<tl::enums::InputPeer, ApiError> {
        self.peers.input_peer(peer, self.me).await
    }
}

impl Client for Connection {
    type Net = Telegram;

    async fn run(&self, inbox: Inbox<Telegram>, stop: CancellationToken) -> Exit {
        let end = tokio::select! {
            () = stop.cancelled() => Exit::Stopped,
            end = self.follow(inbox, &self.live) => end,
        };
        if let Some(live) = self.live.send_replace(None) {
            live.api.quit();
        }
        end
    }

    async fn chat(&self, key: &PortalKey<Telegram>) -> Result<ChatInfo<Telegram>, NetError> {
        let live = self.live()?;
        Ok(live.describe(key.id, self.relays()).await?)
    }

    async fn user(&self, id: &UserId) -> Result<UserInfo, NetError> {
        let live = self.live()?;
        Ok(live.describe_user(*id).await?)
    }

    async fn logout(&self) {
        if let Ok(live) = self.live()
            && let Err(error) = live.api.invoke(&tl::functions::auth::LogOut {}).await
        {
            tracing::warn!(%error, "Telegram was not told of a logout");
        }
    }
}

/// Which numbers a chat's messages have: a channel's own, or the account's.
fn stream_of(peer: Peer) -> Option<i64> {
    match peer {
        Peer::Channel(id) => Some(id),
        Peer::User(_) | Peer::Group(_) => None,
    }
}

/// The bridge is stopping, or its database fails.
pub(super) fn ended(closed: Closed) -> Exit {
    match closed {
        Closed::Stopping => Exit::Stopped,
        error @ Closed::Store(_) => Exit::Lost(NetError::temporary(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_edit_is_recognised_once() {
        let own = Own::default();
        own.note(Peer::User(1), 5, "new");
        assert!(!own.take(Peer::User(1), 5, "newer"));
        assert!(!own.take(Peer::User(2), 5, "new"));
        assert!(own.take(Peer::User(1), 5, "new"));
        assert!(!own.take(Peer::User(1), 5, "new"));
        for message in 0..1000 {
            own.note(Peer::User(1), message, "x");
        }
        assert!(!own.take(Peer::User(1), 0, "x"), "the oldest are forgotten");
        assert!(own.take(Peer::User(1), 999, "x"));
    }
}
