//! One connection to an IRC server that stays up: connects, registers, keeps alive, comes back, and confirms every line it sends.
//!
//! The owner holds a [`ClientHandle`] and reads [`ClientEvent`]s. All work happens in one task per connection
//! (`supervise`); it never blocks a send on a full event channel, it stops *reading the socket* instead.

mod backoff;
mod batch;
mod caps;
mod flood;
mod orders;
mod pin;
mod register;
mod sasl;
mod session;
mod settings;
mod snapshot;
mod supervise;
mod time;
mod transport;
mod waiting;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use batch::Batch;
pub use caps::Caps;
pub use orders::{Confirmed, OutLine, SendFailure, Whois};
pub use register::Failure;
pub use settings::{FloodLimits, Interest, Random, Sasl, Secret, Settings, Tls};
pub use snapshot::{Incoming, Snapshot};

use crate::message::Message;
use orders::Order;

/// The most orders that wait for a connection's task.
const MAX_ORDERS: usize = 64;

/// What a connection tells its owner, in the order it happened.
#[derive(Debug)]
pub enum ClientEvent {
    /// Registered: channels can be joined. A new epoch begins.
    Up(Arc<Snapshot>),
    /// A line of the server that isn't part of the connection's own business.
    Line(Box<Incoming>),
    /// Gone; another attempt follows unless the failure is one of the credentials.
    Down(Failure),
}

/// Where a connection stands.
#[derive(Clone, Debug)]
pub enum State {
    /// Connecting or waiting for the next attempt, with the last failure.
    Offline(Option<Failure>),
    /// Registered.
    Online(Arc<Snapshot>),
    /// Ended for good: stopped, or refused by the server for its credentials.
    Closed(Option<Failure>),
}

/// The owner's end of a connection. Cheap to clone; the connection ends when its token is cancelled.
#[derive(Clone, Debug)]
pub struct ClientHandle {
    orders: mpsc::Sender<Order>,
    state: watch::Receiver<State>,
}

/// Starts a connection on the current runtime.
pub fn spawn(
    settings: Settings,
    events: mpsc::Sender<ClientEvent>,
    stop: CancellationToken,
) -> ClientHandle {
    let (orders, inbox) = mpsc::channel(MAX_ORDERS);
    let (state, watched) = watch::channel(State::Offline(None));
    tokio::spawn(supervise::run(settings, inbox, events, state, stop));
    ClientHandle { orders, state: watched }
}

impl ClientHandle {
    /// Where the connection stands now.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// The registered connection's facts, if it is online now.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        match &*self.state.borrow() {
            State::Online(snapshot) => Some(Arc::clone(snapshot)),
            _ => None,
        }
    }

    /// Waits until the connection is online, for at most `patience`.
    pub async fn online(&self, patience: Duration) -> Result<Arc<Snapshot>, SendFailure> {
        let mut state = self.state.clone();
        let waited = tokio::time::timeout(
            patience,
            state.wait_for(|state| !matches!(state, State::Offline(_))),
        )
        .await;
        match waited.as_ref().map(|inner| inner.as_deref()) {
            Ok(Ok(State::Online(snapshot))) => Ok(Arc::clone(snapshot)),
            Ok(Ok(State::Closed(Some(failure)))) => Err(SendFailure::NotSent(failure.to_string())),
            Ok(_) => Err(SendFailure::NotSent("the connection is closed".into())),
            Err(_) => {
                drop(waited);
                let reason = match self.state() {
                    State::Offline(Some(failure)) => failure.to_string(),
                    _ => "still connecting".to_owned(),
                };
                Err(SendFailure::NotSent(reason))
            }
        }
    }

    /// Sends one line and waits until the server confirmed it.
    pub async fn send(&self, line: OutLine) -> Result<Confirmed, SendFailure> {
        self.order(|done| Order::Line { line, done }).await
    }

    /// Joins a channel and waits for the server's answer. Joining a channel one is in is no error.
    pub async fn join(&self, channel: &str, key: Option<&str>) -> Result<(), SendFailure> {
        let (channel, key) = (channel.to_owned(), key.map(str::to_owned));
        self.order(|done| Order::Join { channel, key, done }).await
    }

    /// Asks who a nick is; `None` where nobody has it.
    pub async fn whois(&self, nick: &str) -> Result<Option<Whois>, SendFailure> {
        let nick = nick.to_owned();
        self.order(|done| Order::Whois { nick, done }).await
    }

    /// Asks for a stretch of a channel's history: the parameters of CHATHISTORY.
    pub async fn history(&self, params: Vec<String>) -> Result<Vec<Incoming>, SendFailure> {
        self.order(|done| Order::History { params, done }).await
    }

    /// Sends a command and waits until the server has taken or refused it. `about` are the channel and the nick that a refusal may name.
    pub async fn checked(&self, message: Message, about: [&str; 2]) -> Result<(), SendFailure> {
        let about = about.map(str::to_owned);
        self.order(|done| Order::Checked { message, about, done }).await.map(drop)
    }

    /// Where the connection stands, to be watched.
    pub fn watch(&self) -> watch::Receiver<State> {
        self.state.clone()
    }

    /// Sends a command nobody waits for: part, mode, topic, kick. It is refused only while offline.
    pub async fn command(&self, message: Message) -> Result<(), SendFailure> {
        self.order(|done| Order::Command { message, done }).await
    }

    async fn order<T>(
        &self,
        make: impl FnOnce(oneshot::Sender<Result<T, SendFailure>>) -> Order,
    ) -> Result<T, SendFailure> {
        let (done, answer) = oneshot::channel();
        let closed = || SendFailure::NotSent("the connection is closed".into());
        self.orders.send(make(done)).await.map_err(|_| closed())?;
        // The task answers every order it took, also when it ends; a dropped answer means it never came to it.
        answer.await.map_err(|_| SendFailure::Lost)?
    }
}
