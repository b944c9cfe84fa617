//! What the network does: who may do what, each change once, and word to those who wait.
//!
//! HTTP stands above this ([`super::api`]), the tables below ([`super::store`]).

mod changes;
mod polls;
pub(crate) mod typing;

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::{
    error::NetworkError,
    limits,
    store::{Place, Store},
};
use crate::wire::{Chat, Events, Message, Messages, Person, Typing, Whoami};
use typing::TypingBoard;

/// Tells the time in milliseconds since the Unix epoch.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// The holder of the network's own token, or anybody where there is none: may act as everybody.
    Network,
    /// The holder of one person's token.
    Person(String),
}

impl Caller {
    /// The person that acts: the named one, as far as the caller may.
    fn actor(&self, named: Option<&str>) -> Result<String, NetworkError> {
        match (self, named) {
            (Self::Person(person), None) => Ok(person.clone()),
            (Self::Person(person), Some(named)) if person == named => Ok(person.clone()),
            (Self::Person(_), Some(_)) => {
                Err(NetworkError::Forbidden("this token acts as another person"))
            }
            (Self::Network, Some(named)) => Ok(named.into()),
            (Self::Network, None) => Err(NetworkError::Invalid("say who acts: \"actor\"".into())),
        }
    }

    /// The person whose view is asked for; none for the whole network.
    fn view(&self) -> Option<&str> {
        match self {
            Self::Network => None,
            Self::Person(person) => Some(person),
        }
    }
}

/// The network's acts.
pub(crate) struct Service {
    store: Store,
    now: Now,
    token_hash: Option<[u8; 32]>,
    newest: watch::Sender<i64>,
    typing: TypingBoard,
}

impl Service {
    /// Opens the network over its tables. `token` is the network's own; without one, everybody may do everything.
    pub(crate) async fn open(
        store: Store,
        now: Now,
        token: Option<&str>,
    ) -> Result<Self, NetworkError> {
        let newest = store.newest().await?;
        let typing = TypingBoard::new(now());
        Ok(Self {
            store,
            now,
            token_hash: token.map(hash),
            newest: watch::Sender::new(newest),
            typing,
        })
    }

    /// Whether the network has a token of its own.
    pub(crate) fn guarded(&self) -> bool {
        self.token_hash.is_some()
    }

    /// Finds out who has this token.
    pub(crate) async fn authenticate(&self, token: Option<&str>) -> Result<Caller, NetworkError> {
        match (token.map(hash), self.token_hash) {
            (None, None) => Ok(Caller::Network),
            (None, Some(_)) => Err(NetworkError::Unauthorized),
            // Comparing hashes tells a guesser nothing about the token by the time it takes.
            (Some(given), Some(own)) if given == own => Ok(Caller::Network),
            (Some(given), _) => {
                let person = self.store.person_by_token(&given).await?;
                person.map(Caller::Person).ok_or(NetworkError::Unauthorized)
            }
        }
    }

    /// Who the caller is.
    pub(crate) async fn whoami(&self, caller: &Caller) -> Result<Whoami, NetworkError> {
        let person = match caller {
            Caller::Network => None,
            Caller::Person(id) => Some(self.store.person(id).await?),
        };
        Ok(Whoami { person, newest: self.store.newest().await? })
    }

    /// Narrows what the caller sees to what one person sees.
    pub(crate) async fn view_of(
        &self,
        caller: Caller,
        person: Option<String>,
    ) -> Result<Caller, NetworkError> {
        let Some(person) = person else { return Ok(caller) };
        let person = caller.actor(Some(&person))?;
        self.store.person(&person).await?;
        Ok(Caller::Person(person))
    }

    /// Everybody on the network.
    pub(crate) async fn people(&self, after: &str) -> Result<Vec<Person>, NetworkError> {
        self.store.people(after, limits::MAX_PAGE).await
    }

    /// One person.
    pub(crate) async fn person(&self, id: &str) -> Result<Person, NetworkError> {
        self.store.person(id).await
    }

    /// The chats that the caller can see.
    pub(crate) async fn chats(
        &self,
        caller: &Caller,
        after: &str,
    ) -> Result<Vec<Chat>, NetworkError> {
        self.store.chats(after, limits::MAX_PAGE, caller.view()).await
    }

    /// One chat.
    pub(crate) async fn chat(&self, caller: &Caller, id: &str) -> Result<Chat, NetworkError> {
        let chat = self.store.chat(id).await?;
        match caller {
            Caller::Person(person)
                if chat.kind == crate::wire::ChatKind::Direct && !chat.members.contains(person) =>
            {
                Err(NetworkError::NotFound { what: "chat", id: id.into() })
            }
            _ => Ok(chat),
        }
    }

    /// A page of a chat's messages.
    pub(crate) async fn messages(
        &self,
        caller: &Caller,
        chat: &str,
        place: Place,
        limit: i64,
    ) -> Result<Messages, NetworkError> {
        self.need_view(caller, chat).await?;
        self.store.messages(chat, place, limit.clamp(1, limits::MAX_PAGE)).await
    }

    /// One message.
    pub(crate) async fn message(&self, caller: &Caller, id: &str) -> Result<Message, NetworkError> {
        let (chat, message) = self.store.message(id).await?;
        self.need_view(caller, &chat).await?;
        Ok(message)
    }

    /// What the caller's `actor` did with this key: for those who never heard the answer.
    pub(crate) async fn done_with_key(
        &self,
        caller: &Caller,
        actor: Option<&str>,
        key: &str,
    ) -> Result<crate::wire::Outcome, NetworkError> {
        let actor = caller.actor(actor)?;
        let event = self.store.done_with_key(&actor, key).await?;
        Ok(crate::wire::Outcome { repeated: event.is_some(), event })
    }

    /// Events after `since` that the caller can see.
    pub(crate) async fn events(
        &self,
        caller: &Caller,
        since: i64,
        limit: i64,
    ) -> Result<Events, NetworkError> {
        let limit = limit.clamp(1, limits::MAX_PAGE);
        // Read first: what comes while the rows are read is for the next page.
        let newest = self.store.newest().await?;
        let events = self.store.events(since, limit, caller.view()).await?;
        let next = match events.last() {
            Some(last) if events.len() as i64 == limit => last.seq,
            Some(last) => last.seq.max(newest),
            None => newest.max(since),
        };
        Ok(Events { events, next, typing: self.typing_for(caller).await? })
    }

    /// Who types in the chats that the caller can see.
    pub(crate) async fn typing_for(&self, caller: &Caller) -> Result<Typing, NetworkError> {
        let mut typing = self.typing.look((self.now)());
        if let Caller::Person(person) = caller {
            let mut seen = Vec::with_capacity(typing.people.len());
            for entry in typing.people {
                if self.store.is_member(&entry.0, person).await? {
                    seen.push(entry);
                }
            }
            typing.people = seen;
        }
        Ok(typing)
    }

    /// Wakes at each new event, with its number.
    pub(crate) fn watch_events(&self) -> watch::Receiver<i64> {
        self.newest.subscribe()
    }

    /// Wakes when somebody begins or ends typing, with the new state's number.
    pub(crate) fn watch_typing(&self) -> watch::Receiver<i64> {
        self.typing.watch()
    }

    async fn need_view(&self, caller: &Caller, chat: &str) -> Result<(), NetworkError> {
        match caller {
            Caller::Person(person) if !self.store.is_member(chat, person).await? => {
                Err(NetworkError::NotAMember { person: person.clone(), chat: chat.into() })
            }
            Caller::Network | Caller::Person(_) => Ok(()),
        }
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
