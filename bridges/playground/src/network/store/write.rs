//! One change of the network: its checks, its rows and its events, in one transaction.

use landbridge_database::{Database, Transaction, args};

use super::super::{error::NetworkError, limits};
use crate::wire::{Chat, Event, EventBody, Message, Person, Poll, Profile};

/// A change under way. Dropped without [`Write::commit`], it never was.
pub(crate) struct Write {
    tx: Transaction,
    now: i64,
    next: i64,
    events: Vec<Event>,
}

/// What a change needs to know about a message.
pub(crate) struct Stored {
    pub(crate) chat: String,
    pub(crate) sender: String,
    pub(crate) text: String,
    pub(crate) version: i64,
    pub(crate) deleted: bool,
    /// How many answers it has, where it is a poll.
    pub(crate) options: Option<usize>,
    pub(crate) closed: bool,
}

/// A message to be written.
pub(crate) struct Draft<'a> {
    pub(crate) sender: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) text: &'a str,
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) profile: Option<&'a Profile>,
    pub(crate) bridged: bool,
    pub(crate) poll: Option<&'a [String]>,
}

impl Write {
    pub(super) async fn begin(db: &Database, now: i64) -> Result<Self, NetworkError> {
        let mut tx = db.begin().await?;
        let newest = tx.fetch_optional("SELECT COALESCE(MAX(seq), 0) FROM event", args![]).await?;
        let newest = newest.map(|row| row.int(0)).transpose()?.unwrap_or(0);
        if newest >= limits::MAX_EVENTS {
            return Err(NetworkError::Full { what: "events", limit: limits::MAX_EVENTS });
        }
        Ok(Self { tx, now, next: newest + 1, events: Vec::new() })
    }

    /// Makes it so. Returns the events, in order, for those who wait.
    pub(crate) async fn commit(self) -> Result<Vec<Event>, NetworkError> {
        self.tx.commit().await?;
        Ok(self.events)
    }

    /// What an actor did with this key, if anything: a repeated request is answered with it.
    pub(crate) async fn done_with_key(
        &mut self,
        actor: &str,
        key: Option<&str>,
    ) -> Result<Option<Event>, NetworkError> {
        let Some(key) = key else { return Ok(None) };
        let sql = "SELECT seq, at, chat, actor, key, body FROM event WHERE actor = $1 AND key = $2";
        self.tx
            .fetch_optional(sql, args![actor, key])
            .await?
            .map(|row| super::event(&row))
            .transpose()
    }

    /// Appends to the log.
    pub(crate) async fn event(
        &mut self,
        chat: &str,
        actor: &str,
        key: Option<&str>,
        body: EventBody,
    ) -> Result<(), NetworkError> {
        let event = Event {
            seq: self.next,
            at: self.now,
            chat: chat.into(),
            actor: actor.into(),
            key: key.map(Into::into),
            body,
        };
        let text = serde_json::to_string(&event.body)?;
        let subject = event.body.subject().map(ToOwned::to_owned);
        let sql = "INSERT INTO event (seq, at, chat, actor, key, subject, body) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let args = args![event.seq, event.at, chat, actor, event.key.clone(), subject, text];
        self.tx.execute(sql, args).await?;
        self.next += 1;
        self.events.push(event);
        Ok(())
    }

    async fn count(&mut self, sql: &'static str) -> Result<i64, NetworkError> {
        let row = self.tx.fetch_optional(sql, args![]).await?;
        Ok(row.map(|row| row.int(0)).transpose()?.unwrap_or(0))
    }

    /// Adds a person.
    pub(crate) async fn add_person(&mut self, person: &Person) -> Result<(), NetworkError> {
        if self.count("SELECT COUNT(*) FROM person").await? >= limits::MAX_PEOPLE {
            return Err(NetworkError::Full { what: "people", limit: limits::MAX_PEOPLE });
        }
        let sql = "INSERT INTO person (id, name, bot, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";
        let args = args![&person.id, &person.name, i64::from(person.bot), self.now];
        if self.tx.execute(sql, args).await? == 0 {
            return Err(NetworkError::Exists { what: "person", id: person.id.clone() });
        }
        Ok(())
    }

    /// Gives a person another name.
    pub(crate) async fn rename_person(&mut self, id: &str, name: &str) -> Result<(), NetworkError> {
        if self.tx.execute("UPDATE person SET name = $2 WHERE id = $1", args![id, name]).await? == 0
        {
            return Err(NetworkError::NotFound { what: "person", id: id.into() });
        }
        Ok(())
    }

    /// Gives a person a token; an older one ends.
    pub(crate) async fn set_token(&mut self, id: &str, hash: &[u8]) -> Result<(), NetworkError> {
        if self
            .tx
            .execute("UPDATE person SET token_hash = $2 WHERE id = $1", args![id, hash])
            .await?
            == 0
        {
            return Err(NetworkError::NotFound { what: "person", id: id.into() });
        }
        Ok(())
    }

    /// Fails unless there is such a person.
    pub(crate) async fn need_person(&mut self, id: &str) -> Result<(), NetworkError> {
        let row = self.tx.fetch_optional("SELECT 1 FROM person WHERE id = $1", args![id]).await?;
        row.map(|_| ()).ok_or_else(|| NetworkError::NotFound { what: "person", id: id.into() })
    }

    /// The kind, name and topic of a chat, without its members.
    pub(crate) async fn chat(&mut self, id: &str) -> Result<Chat, NetworkError> {
        let sql = "SELECT id, kind, name, topic, last_number FROM chat WHERE id = $1";
        let row = self.tx.fetch_optional(sql, args![id]).await?;
        super::chat(&row.ok_or_else(|| NetworkError::NotFound { what: "chat", id: id.into() })?)
    }

    /// Whether a person is in a chat.
    pub(crate) async fn is_member(
        &mut self,
        chat: &str,
        person: &str,
    ) -> Result<bool, NetworkError> {
        let sql = "SELECT 1 FROM member WHERE chat = $1 AND person = $2";
        Ok(self.tx.fetch_optional(sql, args![chat, person]).await?.is_some())
    }

    /// Fails unless the person is in the chat.
    pub(crate) async fn need_member(
        &mut self,
        chat: &str,
        person: &str,
    ) -> Result<(), NetworkError> {
        if self.is_member(chat, person).await? {
            return Ok(());
        }
        self.chat(chat).await?;
        Err(NetworkError::NotAMember { person: person.into(), chat: chat.into() })
    }

    /// Makes a chat with its first members and says so in the log.
    pub(crate) async fn add_chat(
        &mut self,
        chat: Chat,
        actor: &str,
        key: Option<&str>,
    ) -> Result<(), NetworkError> {
        if self.count("SELECT COUNT(*) FROM chat").await? >= limits::MAX_CHATS {
            return Err(NetworkError::Full { what: "chats", limit: limits::MAX_CHATS });
        }
        let sql = "INSERT INTO chat (id, kind, name, topic, last_number, created_at) VALUES ($1, $2, $3, $4, 0, $5)
             ON CONFLICT (id) DO NOTHING";
        let args =
            args![&chat.id, chat.kind.as_str(), chat.name.clone(), chat.topic.clone(), self.now];
        if self.tx.execute(sql, args).await? == 0 {
            return Err(NetworkError::Exists { what: "chat", id: chat.id });
        }
        for person in &chat.members {
            self.need_person(person).await?;
            self.tx
                .execute(
                    "INSERT INTO member (chat, person) VALUES ($1, $2)",
                    args![&chat.id, person],
                )
                .await?;
        }
        let id = chat.id.clone();
        self.event(&id, actor, key, EventBody::Created(chat)).await
    }

    /// Changes a chat's name and topic.
    pub(crate) async fn describe(
        &mut self,
        id: &str,
        name: Option<&str>,
        topic: Option<&str>,
    ) -> Result<(), NetworkError> {
        let sql = "UPDATE chat SET name = $2, topic = $3 WHERE id = $1";
        self.tx
            .execute(sql, args![id, name.map(ToOwned::to_owned), topic.map(ToOwned::to_owned)])
            .await?;
        Ok(())
    }

    /// Lets a person in. Says whether that is new.
    pub(crate) async fn add_member(
        &mut self,
        chat: &str,
        person: &str,
    ) -> Result<bool, NetworkError> {
        let sql = "SELECT COUNT(*) FROM member WHERE chat = $1";
        let row = self.tx.fetch_optional(sql, args![chat]).await?;
        if row.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= limits::MAX_MEMBERS {
            return Err(NetworkError::Full { what: "members", limit: limits::MAX_MEMBERS });
        }
        let sql = "INSERT INTO member (chat, person) VALUES ($1, $2) ON CONFLICT (chat, person) DO NOTHING";
        Ok(self.tx.execute(sql, args![chat, person]).await? > 0)
    }

    /// Takes a person out. Says whether they were in.
    pub(crate) async fn remove_member(
        &mut self,
        chat: &str,
        person: &str,
    ) -> Result<bool, NetworkError> {
        Ok(self
            .tx
            .execute("DELETE FROM member WHERE chat = $1 AND person = $2", args![chat, person])
            .await?
            > 0)
    }

    /// Writes a message and its event.
    pub(crate) async fn add_message(
        &mut self,
        chat: &Chat,
        draft: Draft<'_>,
    ) -> Result<(), NetworkError> {
        if let Some(reply_to) = draft.reply_to {
            let answered = self.message(reply_to).await?;
            if answered.chat != chat.id {
                return Err(NetworkError::Invalid(
                    "a reply must be to a message of the same chat".into(),
                ));
            }
        }
        let number = chat.last_number + 1;
        let message = Message {
            id: format!("m{}", self.next),
            number,
            seq: self.next,
            at: self.now,
            sender: draft.sender.into(),
            profile: draft.profile.cloned(),
            text: draft.text.into(),
            reply_to: draft.reply_to.map(Into::into),
            version: 0,
            deleted: false,
            bridged: draft.bridged,
            poll: draft.poll.map(|options| Poll { options: options.to_vec(), ..Poll::default() }),
            reactions: Vec::new(),
        };
        let profile = draft.profile.map(serde_json::to_string).transpose()?;
        let poll = draft.poll.map(serde_json::to_string).transpose()?;
        let sql = "INSERT INTO message (id, chat, number, seq, at, sender, profile, text, reply_to, version, deleted, bridged, poll)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10, $11)";
        let args = args![
            &message.id,
            &chat.id,
            number,
            message.seq,
            message.at,
            draft.sender,
            profile,
            draft.text,
            message.reply_to.clone(),
            i64::from(draft.bridged),
            poll
        ];
        self.tx.execute(sql, args).await?;
        self.tx
            .execute("UPDATE chat SET last_number = $2 WHERE id = $1", args![&chat.id, number])
            .await?;
        self.event(&chat.id, draft.sender, draft.key, EventBody::Message(message)).await
    }

    /// What stands about a message.
    pub(crate) async fn message(&mut self, id: &str) -> Result<Stored, NetworkError> {
        let sql =
            "SELECT chat, sender, text, version, deleted, poll, closed FROM message WHERE id = $1";
        let row = self.tx.fetch_optional(sql, args![id]).await?;
        let row = row.ok_or_else(|| NetworkError::NotFound { what: "message", id: id.into() })?;
        let options: Option<Vec<String>> =
            row.opt_text(5)?.map(|options| serde_json::from_str(&options)).transpose()?;
        Ok(Stored {
            chat: row.text(0)?,
            sender: row.text(1)?,
            text: row.text(2)?,
            version: row.int(3)?,
            deleted: row.int(4)? != 0,
            options: options.map(|options| options.len()),
            closed: row.int(6)? != 0,
        })
    }

    /// Gives a message another text.
    pub(crate) async fn edit(
        &mut self,
        id: &str,
        version: i64,
        text: &str,
    ) -> Result<(), NetworkError> {
        self.tx
            .execute(
                "UPDATE message SET text = $2, version = $3 WHERE id = $1",
                args![id, text, version],
            )
            .await?;
        Ok(())
    }

    /// Takes a message back: its text and reactions go, its place stays.
    pub(crate) async fn delete(&mut self, id: &str) -> Result<(), NetworkError> {
        self.tx
            .execute("UPDATE message SET text = '', deleted = 1 WHERE id = $1", args![id])
            .await?;
        self.tx.execute("DELETE FROM reaction WHERE message = $1", args![id]).await?;
        self.tx.execute("DELETE FROM vote WHERE message = $1", args![id]).await?;
        Ok(())
    }

    /// Sets a person's vote, or takes it back. Says whether that is new.
    pub(crate) async fn vote(
        &mut self,
        message: &str,
        person: &str,
        choice: Option<u32>,
    ) -> Result<bool, NetworkError> {
        let Some(choice) = choice else {
            let sql = "DELETE FROM vote WHERE message = $1 AND person = $2";
            return Ok(self.tx.execute(sql, args![message, person]).await? > 0);
        };
        let sql = "INSERT INTO vote (message, person, choice, seq, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (message, person) DO UPDATE SET choice = excluded.choice, seq = excluded.seq, at = excluded.at
             WHERE vote.choice <> excluded.choice";
        let args = args![message, person, i64::from(choice), self.next, self.now];
        Ok(self.tx.execute(sql, args).await? > 0)
    }

    /// Closes a poll, by the event that is to be written next.
    pub(crate) async fn close(&mut self, message: &str) -> Result<(), NetworkError> {
        let sql = "UPDATE message SET closed = $2 WHERE id = $1";
        self.tx.execute(sql, args![message, self.next]).await?;
        Ok(())
    }

    /// Sets a reaction. Says whether that is new.
    pub(crate) async fn add_reaction(
        &mut self,
        message: &str,
        person: &str,
        emoji: &str,
    ) -> Result<bool, NetworkError> {
        let row = self
            .tx
            .fetch_optional("SELECT COUNT(*) FROM reaction WHERE message = $1", args![message])
            .await?;
        if row.map(|row| row.int(0)).transpose()?.unwrap_or(0) >= limits::MAX_REACTIONS {
            return Err(NetworkError::Full { what: "reactions", limit: limits::MAX_REACTIONS });
        }
        let sql =
            "INSERT INTO reaction (message, person, emoji, seq, at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (message, person, emoji) DO NOTHING";
        Ok(self.tx.execute(sql, args![message, person, emoji, self.next, self.now]).await? > 0)
    }

    /// Takes a reaction off. Says whether it was there.
    pub(crate) async fn remove_reaction(
        &mut self,
        message: &str,
        person: &str,
        emoji: &str,
    ) -> Result<bool, NetworkError> {
        let sql = "DELETE FROM reaction WHERE message = $1 AND person = $2 AND emoji = $3";
        Ok(self.tx.execute(sql, args![message, person, emoji]).await? > 0)
    }

    /// Moves a person's read mark forward. Says whether it moved.
    pub(crate) async fn mark_read(
        &mut self,
        chat: &str,
        person: &str,
        message: &str,
    ) -> Result<bool, NetworkError> {
        let sql = "INSERT INTO read_mark (chat, person, number) SELECT $1, $2, number FROM message WHERE id = $3
             ON CONFLICT (chat, person) DO UPDATE SET number = excluded.number WHERE excluded.number > read_mark.number";
        Ok(self.tx.execute(sql, args![chat, person, message]).await? > 0)
    }
}
