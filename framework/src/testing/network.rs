//! A chat network in memory: chats, users, history, idempotent sends, and a stream of events that is delivered at least
//! once, from the last one acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::faults::{CrashPoint, Fate, Faults};
use crate::handlers::{LimitScope, SendError};
use crate::network::ConnectError;

/// One message as the network has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimMessage {
    /// Identifies it.
    pub id: String,
    /// Where.
    pub chat: String,
    /// Who said it.
    pub user: String,
    /// Its text now.
    pub text: String,
    /// How often it was edited.
    pub edits: u64,
    /// The key it was sent with, if it came over a session.
    pub key: Option<String>,
}

/// Something that happened on the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SimEvent {
    /// Somebody said something.
    Message {
        /// Position in the stream: what is acknowledged.
        seq: u64,
        /// Milliseconds since the Unix epoch.
        ms: u64,
        /// The message.
        message: SimMessage,
    },
    /// Somebody changed what they had said.
    Edit {
        /// Position in the stream.
        seq: u64,
        /// Milliseconds since the Unix epoch.
        ms: u64,
        /// The message with its new text.
        message: SimMessage,
    },
    /// Somebody deleted what they had said.
    Remove {
        /// Position in the stream.
        seq: u64,
        /// Milliseconds since the Unix epoch.
        ms: u64,
        /// Which message.
        id: String,
        /// Where.
        chat: String,
        /// Who.
        user: String,
    },
}

impl SimEvent {
    /// Its position in the stream.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Message { seq, .. } | Self::Edit { seq, .. } | Self::Remove { seq, .. } => *seq,
        }
    }

    /// The chat it happened in.
    pub fn chat(&self) -> &str {
        match self {
            Self::Message { message, .. } | Self::Edit { message, .. } => &message.chat,
            Self::Remove { chat, .. } => chat,
        }
    }
}

/// The network didn't do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SimError {
    /// It was surely not done.
    #[error("the network can't be reached")]
    Unreachable,
    /// It may have been done.
    #[error("the network didn't answer")]
    NoAnswer,
    /// Not now.
    #[error("slow down")]
    RateLimited(Duration),
    /// Never.
    #[error("{0}")]
    Refused(String),
}

impl From<SimError> for SendError {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Unreachable => Self::retry(error),
            SimError::NoAnswer => Self::unknown(error),
            SimError::RateLimited(after) => Self::limited(after, LimitScope::Login),
            SimError::Refused(reason) => Self::refused(reason),
        }
    }
}

impl From<SimError> for ConnectError {
    fn from(error: SimError) -> Self {
        match error {
            SimError::Refused(reason) => Self::BadCredentials(reason),
            error => Self::Temporary(error.to_string()),
        }
    }
}

/// The network. Cheap to clone; it outlives the bridge's crashes.
#[derive(Clone)]
pub struct SimNetwork {
    state: Arc<Mutex<State>>,
    news: Arc<Notify>,
    faults: Faults,
}

#[derive(Default)]
struct State {
    next: u64,
    messages: Vec<SimMessage>,
    events: Vec<SimEvent>,
    by_key: HashMap<(String, String), String>,
    acked: BTreeMap<String, u64>,
    refuse: Option<String>,
}

impl SimNetwork {
    /// An empty network, with these faults on the way to it.
    pub fn new(faults: Faults) -> Self {
        Self { state: Arc::default(), news: Arc::default(), faults }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody who isn't bridged says something; gives the message's ID.
    pub fn say(&self, chat: &str, user: &str, text: &str) -> String {
        let id = self.state().say(chat, user, text, None);
        self.news.notify_waiters();
        id
    }

    /// Somebody changes what they said.
    pub fn change(&self, id: &str, text: &str) -> Result<(), SimError> {
        let done = self.state().change(id, text);
        self.news.notify_waiters();
        done
    }

    /// Somebody deletes what they said.
    pub fn delete(&self, id: &str) {
        self.state().delete(id);
        self.news.notify_waiters();
    }

    /// The messages of a chat, in order.
    pub fn messages(&self, chat: &str) -> Vec<SimMessage> {
        self.state().messages.iter().filter(|m| m.chat == chat).cloned().collect()
    }

    /// Refuses every send with this reason, or no longer.
    pub fn refuse_sends(&self, reason: Option<&str>) {
        self.state().refuse = reason.map(ToOwned::to_owned);
    }

    /// Connects an account, whose token is its user name.
    pub async fn connect(&self, token: &str) -> Result<SimSession, SimError> {
        if token.is_empty() {
            return Err(SimError::Refused("that token is not known".into()));
        }
        self.call(|_| Ok(())).await?;
        let seen = self.state().acked.get(token).copied().unwrap_or(0);
        Ok(SimSession {
            network: self.clone(),
            user: token.to_owned(),
            cursor: Mutex::new(Delivery { seen, held: None }),
        })
    }

    /// One call to the network, with whatever may go wrong.
    async fn call<T>(
        &self,
        work: impl Fn(&mut State) -> Result<T, SimError>,
    ) -> Result<T, SimError> {
        self.faults.point(CrashPoint::BeforeNetwork).await;
        if !self.faults.network_up() {
            return Err(SimError::Unreachable);
        }
        let result = match self.faults.fate().await {
            Fate::Pass => work(&mut self.state()),
            Fate::Drop => Err(SimError::NoAnswer),
            Fate::DropAnswer => work(&mut self.state()).and(Err(SimError::NoAnswer)),
            Fate::LateAnswer(wait) => {
                let result = work(&mut self.state());
                self.news.notify_waiters();
                tokio::time::sleep(wait).await;
                result
            }
            Fate::Duplicate => {
                let _ = work(&mut self.state());
                work(&mut self.state())
            }
            Fate::RateLimit(wait) => Err(SimError::RateLimited(wait)),
        };
        self.news.notify_waiters();
        self.faults.point(CrashPoint::AfterNetwork).await;
        result
    }
}

impl State {
    fn stamp(&mut self) -> (u64, u64) {
        self.next += 1;
        (self.next, 1_700_000_000_000 + self.next)
    }

    fn say(&mut self, chat: &str, user: &str, text: &str, key: Option<&str>) -> String {
        let (seq, ms) = self.stamp();
        let message = SimMessage {
            id: format!("m{seq}"),
            chat: chat.to_owned(),
            user: user.to_owned(),
            text: text.to_owned(),
            edits: 0,
            key: key.map(ToOwned::to_owned),
        };
        self.messages.push(message.clone());
        self.events.push(SimEvent::Message { seq, ms, message: message.clone() });
        message.id
    }

    fn change(&mut self, id: &str, text: &str) -> Result<(), SimError> {
        let (seq, ms) = self.stamp();
        let message = self.messages.iter_mut().find(|m| m.id == id);
        let message = message.ok_or_else(|| SimError::Refused("no such message".into()))?;
        if message.text != text {
            text.clone_into(&mut message.text);
            message.edits += 1;
            let message = message.clone();
            self.events.push(SimEvent::Edit { seq, ms, message });
        }
        Ok(())
    }

    fn delete(&mut self, id: &str) {
        let (seq, ms) = self.stamp();
        let Some(at) = self.messages.iter().position(|m| m.id == id) else { return };
        let message = self.messages.remove(at);
        let (chat, user) = (message.chat, message.user);
        self.events.push(SimEvent::Remove { seq, ms, id: message.id, chat, user });
    }
}

/// One account's connection.
pub struct SimSession {
    network: SimNetwork,
    user: String,
    cursor: Mutex<Delivery>,
}

/// Where a connection's stream stands.
struct Delivery {
    seen: u64,
    /// An event that was overtaken by the one after it.
    held: Option<SimEvent>,
}

impl SimSession {
    /// Whose connection it is.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Waits for the next event. Events come again from the last acknowledged one when the account connects again, and
    /// sometimes twice anyway.
    pub async fn next(&self) -> Result<SimEvent, SimError> {
        self.network.faults.point(CrashPoint::BeforeNetwork).await;
        loop {
            let news = self.network.news.notified();
            if !self.network.faults.network_up() {
                return Err(SimError::Unreachable);
            }
            if let Some(event) = self.deliver() {
                return Ok(event);
            }
            // The timeout is for a network that goes down without news.
            let _ = tokio::time::timeout(Duration::from_secs(1), news).await;
        }
    }

    fn deliver(&self) -> Option<SimEvent> {
        let mut at = self.cursor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = at.held.take() {
            return Some(event);
        }
        let state = self.network.state();
        let rates = self.network.faults.rates();
        if at.seen > 0 && self.network.faults.chance(rates.duplicate) {
            return state.events.iter().find(|e| e.seq() == at.seen).cloned();
        }
        let mut coming = state.events.iter().filter(|e| e.seq() > at.seen);
        let first = coming.next()?;
        if let Some(second) = coming.next()
            && second.chat() != first.chat()
            && self.network.faults.chance(rates.reorder)
        {
            at.seen = second.seq();
            at.held = Some(first.clone());
            return Some(second.clone());
        }
        at.seen = first.seq();
        Some(first.clone())
    }

    /// Everything up to and including `seq` needn't be delivered again.
    pub async fn ack(&self, seq: u64) -> Result<(), SimError> {
        // An overtaken event that waits would be lost with an acknowledgement past it.
        let held = self
            .cursor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .held
            .as_ref()
            .map(SimEvent::seq);
        let seq = held.map_or(seq, |held| seq.min(held - 1));
        let user = self.user.clone();
        self.network
            .call(move |state| {
                let acked = state.acked.entry(user.clone()).or_default();
                *acked = (*acked).max(seq);
                Ok(())
            })
            .await
    }

    /// Sends a message once per `key`; gives its ID.
    pub async fn send(&self, chat: &str, text: &str, key: &str) -> Result<String, SimError> {
        self.send_as(&self.user, chat, text, key).await
    }

    /// Sends a message under another name, as a relay does.
    pub async fn send_as(
        &self,
        user: &str,
        chat: &str,
        text: &str,
        key: &str,
    ) -> Result<String, SimError> {
        self.network
            .call(|state| {
                if let Some(reason) = &state.refuse {
                    return Err(SimError::Refused(reason.clone()));
                }
                let scope = (self.user.clone(), key.to_owned());
                if let Some(id) = state.by_key.get(&scope) {
                    return Ok(id.clone());
                }
                let id = state.say(chat, user, text, Some(key));
                state.by_key.insert(scope, id.clone());
                Ok(id)
            })
            .await
    }

    /// Changes a message. Doing it again is harmless.
    pub async fn edit(&self, id: &str, text: &str) -> Result<(), SimError> {
        self.network.call(|state| state.change(id, text)).await
    }

    /// Deletes a message. Doing it again is harmless.
    pub async fn remove(&self, id: &str) -> Result<(), SimError> {
        self.network
            .call(|state| {
                state.delete(id);
                Ok(())
            })
            .await
    }

    /// Up to `limit` messages of a chat before `before`, or the newest, oldest first.
    pub async fn history(
        &self,
        chat: &str,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<SimEvent>, SimError> {
        self.network
            .call(|state| {
                let all: Vec<&SimEvent> = state
                    .events
                    .iter()
                    .filter(|e| e.chat() == chat && matches!(e, SimEvent::Message { .. }))
                    .collect();
                let end = before
                    .and_then(|id| {
                        all.iter().position(
                            |e| matches!(e, SimEvent::Message { message, .. } if message.id == id),
                        )
                    })
                    .unwrap_or(all.len());
                Ok(all[end.saturating_sub(limit)..end].iter().map(|e| (*e).clone()).collect())
            })
            .await
    }

    /// The message sent with `key`, if there is one.
    pub async fn find(&self, key: &str) -> Result<Option<String>, SimError> {
        self.network
            .call(|state| Ok(state.by_key.get(&(self.user.clone(), key.to_owned())).cloned()))
            .await
    }
}
