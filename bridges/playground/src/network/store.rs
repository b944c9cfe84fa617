//! The network's memory: people, chats, messages and the log of everything that happened. The only SQL of this crate.
//!
//! This module reads; [`write`] changes. The log is the truth that clients follow; the other tables are its present state, changed in
//! the same transaction.

pub(crate) mod schema;
pub(crate) mod write;

use landbridge_database::{Database, Row, args};

use super::{error::NetworkError, limits, store::write::Write};
use crate::wire::{Chat, ChatKind, Event, Message, Messages, Person, Poll, Reaction, Vote};

/// The tables, read. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Store {
    db: Database,
}

/// Which messages of a chat to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The newest ones before this number.
    Before(i64),
    /// The oldest ones after this number.
    After(i64),
}

const ONE: &str = "SELECT id, number, seq, at, sender, profile, text, reply_to, version, deleted, bridged, poll, closed, chat
     FROM message WHERE id = $1";
const BEFORE: &str = "SELECT id, number, seq, at, sender, profile, text, reply_to, version, deleted, bridged, poll, closed
     FROM message WHERE chat = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
const AFTER: &str = "SELECT id, number, seq, at, sender, profile, text, reply_to, version, deleted, bridged, poll, closed
     FROM message WHERE chat = $1 AND number > $2 ORDER BY number LIMIT $3";

impl Store {
    pub(crate) fn new(db: Database) -> Self {
        Self { db }
    }

    /// Begins a change. Changes come one after the other.
    pub(crate) async fn write(&self, now: i64) -> Result<Write, NetworkError> {
        Write::begin(&self.db, now).await
    }

    /// The number of the newest event; 0 when there is none.
    pub(crate) async fn newest(&self) -> Result<i64, NetworkError> {
        let row =
            self.db.fetch_optional("SELECT COALESCE(MAX(seq), 0) FROM event", args![]).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.unwrap_or(0))
    }

    /// Events after `since`, in order. With `person`: only those of chats that person is in, or that are about that person.
    pub(crate) async fn events(
        &self,
        since: i64,
        limit: i64,
        person: Option<&str>,
    ) -> Result<Vec<Event>, NetworkError> {
        let rows = match person {
            None => {
                let sql = "SELECT seq, at, chat, actor, key, body FROM event WHERE seq > $1 ORDER BY seq LIMIT $2";
                self.db.fetch(sql, args![since, limit]).await?
            }
            Some(person) => {
                let sql = "SELECT seq, at, chat, actor, key, body FROM event WHERE seq > $1 AND (subject = $2
                     OR EXISTS (SELECT 1 FROM member WHERE member.chat = event.chat AND member.person = $2)) ORDER BY seq LIMIT $3";
                self.db.fetch(sql, args![since, person, limit]).await?
            }
        };
        rows.iter().map(event).collect()
    }

    /// Everybody, by identifier.
    pub(crate) async fn people(
        &self,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Person>, NetworkError> {
        let sql = "SELECT id, name, bot FROM person WHERE id > $1 ORDER BY id LIMIT $2";
        self.db.fetch(sql, args![after, limit]).await?.iter().map(person).collect()
    }

    /// One person.
    pub(crate) async fn person(&self, id: &str) -> Result<Person, NetworkError> {
        let row = self
            .db
            .fetch_optional("SELECT id, name, bot FROM person WHERE id = $1", args![id])
            .await?;
        let row = row.ok_or_else(|| NetworkError::NotFound { what: "person", id: id.into() })?;
        person(&row)
    }

    /// Whose token has this hash.
    pub(crate) async fn person_by_token(
        &self,
        hash: &[u8],
    ) -> Result<Option<String>, NetworkError> {
        let row = self
            .db
            .fetch_optional("SELECT id FROM person WHERE token_hash = $1", args![hash])
            .await?;
        Ok(row.map(|row| row.text(0)).transpose()?)
    }

    /// The chats, by identifier, with their members. With `person`: those that person is in, and every group.
    pub(crate) async fn chats(
        &self,
        after: &str,
        limit: i64,
        person: Option<&str>,
    ) -> Result<Vec<Chat>, NetworkError> {
        let rows = match person {
            None => {
                self.db
                    .fetch(
                        "SELECT id FROM chat WHERE id > $1 ORDER BY id LIMIT $2",
                        args![after, limit],
                    )
                    .await?
            }
            Some(person) => {
                let sql = "SELECT id FROM chat WHERE id > $1 AND (kind = 'group'
                     OR EXISTS (SELECT 1 FROM member WHERE chat = id AND person = $2)) ORDER BY id LIMIT $3";
                self.db.fetch(sql, args![after, person, limit]).await?
            }
        };
        let mut chats = Vec::with_capacity(rows.len());
        for row in rows {
            chats.push(self.chat(&row.text(0)?).await?);
        }
        Ok(chats)
    }

    /// One chat with its members.
    pub(crate) async fn chat(&self, id: &str) -> Result<Chat, NetworkError> {
        let sql = "SELECT id, kind, name, topic, last_number FROM chat WHERE id = $1";
        let row = self.db.fetch_optional(sql, args![id]).await?;
        let row = row.ok_or_else(|| NetworkError::NotFound { what: "chat", id: id.into() })?;
        let mut chat = chat(&row)?;
        for row in self
            .db
            .fetch("SELECT person FROM member WHERE chat = $1 ORDER BY person", args![id])
            .await?
        {
            chat.members.push(row.text(0)?);
        }
        Ok(chat)
    }

    /// Whether a person is in a chat.
    pub(crate) async fn is_member(&self, chat: &str, person: &str) -> Result<bool, NetworkError> {
        let sql = "SELECT 1 FROM member WHERE chat = $1 AND person = $2";
        Ok(self.db.fetch_optional(sql, args![chat, person]).await?.is_some())
    }

    /// One message with its reactions, and the chat it stands in.
    pub(crate) async fn message(&self, id: &str) -> Result<(String, Message), NetworkError> {
        let row = self.db.fetch_optional(ONE, args![id]).await?;
        let row = row.ok_or_else(|| NetworkError::NotFound { what: "message", id: id.into() })?;
        let mut message = message(&row)?;
        self.add_present(&mut message).await?;
        Ok((row.text(13)?, message))
    }

    /// What an actor did with this key, if anything.
    pub(crate) async fn done_with_key(
        &self,
        actor: &str,
        key: &str,
    ) -> Result<Option<Event>, NetworkError> {
        let sql = "SELECT seq, at, chat, actor, key, body FROM event WHERE actor = $1 AND key = $2";
        self.db.fetch_optional(sql, args![actor, key]).await?.map(|row| event(&row)).transpose()
    }

    /// A page of a chat's messages in their present state, oldest first.
    pub(crate) async fn messages(
        &self,
        chat: &str,
        place: Place,
        limit: i64,
    ) -> Result<Messages, NetworkError> {
        let (sql, from) = match place {
            Place::Before(number) => (BEFORE, number),
            Place::After(number) => (AFTER, number),
        };
        let mut rows = self.db.fetch(sql, args![chat, from, limit + 1]).await?;
        let more = rows.len() as i64 > limit;
        rows.truncate(usize::try_from(limit).unwrap_or(0));
        let mut messages = rows.iter().map(message).collect::<Result<Vec<_>, _>>()?;
        if matches!(place, Place::Before(_)) {
            messages.reverse();
        }
        for message in &mut messages {
            self.add_present(message).await?;
        }
        Ok(Messages { messages, more })
    }

    /// What people have said about a message, as it is now.
    async fn add_present(&self, message: &mut Message) -> Result<(), NetworkError> {
        message.reactions = self.reactions(&message.id).await?;
        if let Some(poll) = &mut message.poll {
            let sql = "SELECT person, choice, seq, at FROM vote WHERE message = $1 ORDER BY seq";
            for row in self.db.fetch(sql, args![&message.id]).await? {
                poll.votes.push(Vote {
                    person: row.text(0)?,
                    choice: u32::try_from(row.int(1)?).unwrap_or_default(),
                    seq: row.int(2)?,
                    at: row.int(3)?,
                });
            }
        }
        Ok(())
    }

    async fn reactions(&self, message: &str) -> Result<Vec<Reaction>, NetworkError> {
        let sql =
            "SELECT person, emoji, seq, at FROM reaction WHERE message = $1 ORDER BY seq LIMIT $2";
        let rows = self.db.fetch(sql, args![message, limits::MAX_REACTIONS]).await?;
        rows.iter()
            .map(|row| {
                Ok(Reaction {
                    person: row.text(0)?,
                    emoji: row.text(1)?,
                    seq: row.int(2)?,
                    at: row.int(3)?,
                })
            })
            .collect()
    }
}

fn event(row: &Row) -> Result<Event, NetworkError> {
    Ok(Event {
        seq: row.int(0)?,
        at: row.int(1)?,
        chat: row.text(2)?,
        actor: row.text(3)?,
        key: row.opt_text(4)?,
        body: serde_json::from_str(&row.text(5)?)?,
    })
}

fn person(row: &Row) -> Result<Person, NetworkError> {
    Ok(Person { id: row.text(0)?, name: row.text(1)?, bot: row.int(2)? != 0 })
}

fn chat(row: &Row) -> Result<Chat, NetworkError> {
    let kind =
        if row.text(1)? == ChatKind::Direct.as_str() { ChatKind::Direct } else { ChatKind::Group };
    Ok(Chat {
        id: row.text(0)?,
        kind,
        name: row.opt_text(2)?,
        topic: row.opt_text(3)?,
        members: Vec::new(),
        last_number: row.int(4)?,
    })
}

fn message(row: &Row) -> Result<Message, NetworkError> {
    let options: Option<Vec<String>> =
        row.opt_text(11)?.map(|options| serde_json::from_str(&options)).transpose()?;
    let closed = row.int(12)?;
    Ok(Message {
        id: row.text(0)?,
        number: row.int(1)?,
        seq: row.int(2)?,
        at: row.int(3)?,
        sender: row.text(4)?,
        profile: row.opt_text(5)?.map(|profile| serde_json::from_str(&profile)).transpose()?,
        text: row.text(6)?,
        reply_to: row.opt_text(7)?,
        version: row.int(8)?,
        deleted: row.int(9)? != 0,
        bridged: row.int(10)? != 0,
        poll: options.map(|options| Poll { options, closed, votes: Vec::new() }),
        reactions: Vec::new(),
    })
}
