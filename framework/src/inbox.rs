//! What a client hands its events to. Durable when it returns; waits while the inbox is full.

use std::{marker::PhantomData, sync::Arc};

use async_trait::async_trait;

pub(crate) mod decode;
pub(crate) mod gate;

use crate::{
    network::{Closed, EventKey, LoginState, NetError, Network, PortalKey, Scope},
    plain::{Plain, ToPlain},
};

/// A login's way into the bridge. Cheap to clone.
pub struct Inbox<N: Network> {
    port: Arc<dyn InboxPort>,
    network: PhantomData<fn() -> N>,
}
impl<N: Network> Clone for Inbox<N> {
    fn clone(&self) -> Self {
        Self { port: self.port.clone(), network: PhantomData }
    }
}

/// Whether an event was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is new, and now stored.
    New,
    /// It was stored before: nothing was done, but for the cursor.
    Seen,
}

/// What became of the wish to end a chat's bridging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbridged {
    /// It is ended.
    Done,
    /// It was not bridged.
    NotBridged,
    /// The configuration says that it is bridged, and would bridge it again.
    Configured,
}

/// One event to put: its key, its raw JSON, and whether it is passing and never stored.
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) raw: String,
}

/// The inbox with the network's types taken away.
#[async_trait]
pub(crate) trait InboxPort: Send + Sync + 'static {
    async fn put(
        &self,
        entries: Vec<Entry>,
        cursor: Option<(&str, &str)>,
    ) -> Result<Vec<Put>, Closed>;
    async fn passing(&self, raw: String) -> Result<(), Closed>;
    async fn cursor(&self, stream: &str) -> Result<Option<String>, Closed>;
    async fn portals(&self) -> Result<Vec<(String, Option<String>)>, Closed>;
    async fn unbridge(&self, key: PortalKey<Plain>, why: &str) -> Result<Unbridged, NetError>;
    fn state(&self, state: LoginState);
}

impl<N: Network> Inbox<N> {
    pub(crate) fn new(port: Arc<dyn InboxPort>) -> Self {
        Self { port, network: PhantomData }
    }

    fn entry(key: EventKey, raw: &N::Raw) -> Result<Entry, Closed> {
        let raw = serde_json::to_string(raw).map_err(|error| Closed::Store(error.to_string()))?;
        Ok(Entry { key: key.0, raw })
    }

    /// Stores an event. Durable when it returns: acknowledge it to the network only then. `key` is unique per login, so a
    /// replay is a no-op; the portal dedupes again, over all logins, by the decoded event's key.
    pub async fn put(&self, key: impl Into<EventKey> + Send, raw: N::Raw) -> Result<Put, Closed> {
        let entry = Self::entry(key.into(), &raw)?;
        Ok(self.port.put(vec![entry], None).await?.first().copied().unwrap_or(Put::Seen))
    }

    /// Stores an event, and where the network's stream has got to, in one transaction.
    pub async fn put_with_cursor(
        &self,
        key: impl Into<EventKey> + Send,
        raw: N::Raw,
        cursor: &str,
    ) -> Result<Put, Closed> {
        let entry = Self::entry(key.into(), &raw)?;
        Ok(self
            .port
            .put(vec![entry], Some(("", cursor)))
            .await?
            .first()
            .copied()
            .unwrap_or(Put::Seen))
    }

    /// Stores several events in order, and a named stream's cursor, in one transaction.
    pub async fn put_all(
        &self,
        events: Vec<(EventKey, N::Raw)>,
        cursor: Option<(&str, &str)>,
    ) -> Result<Vec<Put>, Closed> {
        let entries = events
            .into_iter()
            .map(|(key, raw)| Self::entry(key, &raw))
            .collect::<Result<_, _>>()?;
        self.port.put(entries, cursor).await
    }

    /// Hands over something whose value passes with it (typing, presence, receipts): latest wins, never stored.
    pub async fn passing(&self, raw: N::Raw) -> Result<(), Closed> {
        let entry = Self::entry(EventKey(String::new()), &raw)?;
        self.port.passing(entry.raw).await
    }

    /// The cursor stored last.
    pub async fn cursor(&self) -> Result<Option<String>, Closed> {
        self.port.cursor("").await
    }

    /// A named stream's cursor.
    pub async fn cursor_of(&self, stream: &str) -> Result<Option<String>, Closed> {
        self.port.cursor(stream).await
    }

    /// The portals that are open for this login: shared ones, and its own, without spaces.
    pub async fn portals(&self) -> Result<Vec<PortalKey<N>>, Closed> {
        use crate::network::RemoteId;
        let stored = self.port.portals().await?;
        let read = |(id, login): (String, Option<String>)| {
            Ok(PortalKey {
                id: N::PortalId::decode(&id)?,
                scope: match login {
                    None => Scope::Shared,
                    Some(login) => Scope::Private(N::LoginId::decode(&login)?),
                },
            })
        };
        let keys: Result<Vec<_>, crate::network::BadId> = stored.into_iter().map(read).collect();
        keys.map_err(|error| Closed::Store(error.to_string()))
    }

    /// Ends a chat's bridging, as somebody on the network wants it who may decide that: the room stays, and is told `why` in
    /// words. Whether they may is the connector's to know.
    pub async fn unbridge(&self, chat: &PortalKey<N>, why: &str) -> Result<Unbridged, NetError> {
        self.port.unbridge(chat.clone().plain(), why).await
    }

    /// Says how the connection stands.
    pub fn state(&self, state: LoginState) {
        self.port.state(state);
    }
}
