//! Everything that changes the network. Each act checks, writes and logs in one transaction, and is told only after the commit.

use super::{
    super::{
        error::NetworkError,
        limits,
        store::write::{Draft, Write},
    },
    Caller, Service, hash,
};
use crate::wire::{
    Act, Chat, ChatKind, Describe, Edit, EventBody, MarkRead, NewChat, Outcome, Person,
    PersonToken, React, Send, SetTyping,
};

impl Service {
    /// Ends a change: commits, wakes those who wait, answers with its first event.
    pub(super) async fn finish(&self, write: Write) -> Result<Outcome, NetworkError> {
        let events = write.commit().await?;
        if let Some(last) = events.last() {
            self.newest.send_if_modified(|newest| {
                let grown = last.seq > *newest;
                *newest = last.seq.max(*newest);
                grown
            });
        }
        Ok(Outcome { event: events.into_iter().next(), repeated: false })
    }

    /// Begins a change by `actor`. The answer is given already when the key is known.
    pub(super) async fn begin(
        &self,
        actor: &str,
        key: Option<&str>,
    ) -> Result<Result<Write, Outcome>, NetworkError> {
        limits::key(key)?;
        let mut write = self.store.write((self.now)()).await?;
        if let Some(event) = write.done_with_key(actor, key).await? {
            return Ok(Err(Outcome { event: Some(event), repeated: true }));
        }
        write.need_person(actor).await?;
        Ok(Ok(write))
    }

    /// Adds a person. Only the network's own token may.
    pub(crate) async fn add_person(
        &self,
        caller: &Caller,
        person: Person,
    ) -> Result<Person, NetworkError> {
        if *caller != Caller::Network {
            return Err(NetworkError::Forbidden("only the network's token adds people"));
        }
        limits::id("person", &person.id)?;
        limits::name(&person.name)?;
        let mut write = self.store.write((self.now)()).await?;
        write.add_person(&person).await?;
        write.commit().await?;
        Ok(person)
    }

    /// Gives a person another name.
    pub(crate) async fn rename_person(
        &self,
        caller: &Caller,
        id: &str,
        name: &str,
    ) -> Result<Person, NetworkError> {
        let id = caller.actor(Some(id))?;
        limits::name(name)?;
        let mut write = self.store.write((self.now)()).await?;
        write.rename_person(&id, name).await?;
        write.commit().await?;
        self.store.person(&id).await
    }

    /// Makes a token that acts as a person; an older one ends.
    pub(crate) async fn new_token(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<PersonToken, NetworkError> {
        let id = caller.actor(Some(id))?;
        let token = format!("playground_{}", super::super::random_token());
        let mut write = self.store.write((self.now)()).await?;
        write.set_token(&id, &hash(&token)).await?;
        write.commit().await?;
        Ok(PersonToken { token })
    }

    /// Makes a chat. Asking for a direct chat that exists is answered with no event.
    pub(crate) async fn new_chat(
        &self,
        caller: &Caller,
        new: NewChat,
    ) -> Result<(Chat, Outcome), NetworkError> {
        let actor = caller.actor(new.actor.as_deref())?;
        new.name.as_deref().map_or(Ok(()), limits::name)?;
        new.topic.as_deref().map_or(Ok(()), limits::topic)?;
        let mut members = new.members;
        members.push(actor.clone());
        members.sort();
        members.dedup();
        if members.len() as i64 > limits::MAX_MEMBERS {
            return Err(NetworkError::Full { what: "members", limit: limits::MAX_MEMBERS });
        }
        let id = match (new.kind, new.id, members.as_slice()) {
            (ChatKind::Group, Some(id), _) => {
                limits::id("chat", &id)?;
                if id.starts_with("dm.") {
                    return Err(NetworkError::Invalid(
                        "only direct chats begin with \"dm.\"".into(),
                    ));
                }
                id
            }
            (ChatKind::Direct, None, [one, other]) => direct_id(one, other),
            (ChatKind::Group, None, _) => {
                return Err(NetworkError::Invalid("a group needs an \"id\"".into()));
            }
            (ChatKind::Direct, ..) => {
                return Err(NetworkError::Invalid(
                    "a direct chat has two members and no \"id\" of its own".into(),
                ));
            }
        };
        let mut write = match self.begin(&actor, new.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok((self.store.chat(&id).await?, outcome)),
        };
        let chat = Chat {
            id: id.clone(),
            kind: new.kind,
            name: new.name,
            topic: new.topic,
            members,
            last_number: 0,
        };
        match write.add_chat(chat, &actor, new.key.as_deref()).await {
            Err(NetworkError::Exists { .. }) if new.kind == ChatKind::Direct => {
                drop(write);
                Ok((self.store.chat(&id).await?, Outcome { event: None, repeated: false }))
            }
            Err(error) => Err(error),
            Ok(()) => {
                let outcome = self.finish(write).await?;
                Ok((self.store.chat(&id).await?, outcome))
            }
        }
    }

    /// Changes a chat's name or topic.
    pub(crate) async fn describe(
        &self,
        caller: &Caller,
        chat: &str,
        change: Describe,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(change.actor.as_deref())?;
        let key = change.key.as_deref();
        let mut write = match self.begin(&actor, key).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        write.need_member(chat, &actor).await?;
        let old = write.chat(chat).await?;
        let (mut name, mut topic) = (old.name.clone(), old.topic.clone());
        if let Some(new) = change.name {
            name = Some(new).filter(|name| !name.is_empty());
            name.as_deref().map_or(Ok(()), limits::name)?;
        }
        if let Some(new) = change.topic {
            topic = Some(new).filter(|topic| !topic.is_empty());
            topic.as_deref().map_or(Ok(()), limits::topic)?;
        }
        write.describe(chat, name.as_deref(), topic.as_deref()).await?;
        // The key belongs to the first event; one request makes at most two.
        let mut key = key;
        if name != old.name {
            write.event(chat, &actor, key.take(), EventBody::Named { name }).await?;
        }
        if topic != old.topic {
            write.event(chat, &actor, key.take(), EventBody::Topic { topic }).await?;
        }
        self.finish(write).await
    }

    /// Lets a person into a group.
    pub(crate) async fn join(
        &self,
        caller: &Caller,
        chat: &str,
        person: &str,
        act: Act,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(act.actor.as_deref())?;
        let mut write = match self.begin(&actor, act.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        write.need_person(person).await?;
        if write.chat(chat).await?.kind == ChatKind::Direct
            && !write.is_member(chat, person).await?
        {
            return Err(NetworkError::Forbidden("a direct chat has its two members for ever"));
        }
        if actor != person {
            write.need_member(chat, &actor).await?;
        }
        if write.add_member(chat, person).await? {
            let body = EventBody::Joined { person: person.into() };
            write.event(chat, &actor, act.key.as_deref(), body).await?;
        }
        self.finish(write).await
    }

    /// Takes a person out of a group.
    pub(crate) async fn leave(
        &self,
        caller: &Caller,
        chat: &str,
        person: &str,
        act: Act,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(act.actor.as_deref())?;
        let mut write = match self.begin(&actor, act.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        if write.chat(chat).await?.kind == ChatKind::Direct {
            return Err(NetworkError::Forbidden("a direct chat has its two members for ever"));
        }
        if actor != person {
            write.need_member(chat, &actor).await?;
        }
        if write.remove_member(chat, person).await? {
            let body = EventBody::Left { person: person.into() };
            write.event(chat, &actor, act.key.as_deref(), body).await?;
            self.typing.set(chat, person, false, (self.now)());
        }
        self.finish(write).await
    }

    /// Sends a message.
    pub(crate) async fn send(
        &self,
        caller: &Caller,
        chat: &str,
        message: Send,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(message.actor.as_deref())?;
        limits::text(&message.text)?;
        if let Some(profile) = &message.profile {
            limits::name(&profile.name)?;
            profile.avatar.as_deref().map_or(Ok(()), limits::topic)?;
        }
        message.poll.as_deref().map_or(Ok(()), limits::answers)?;
        let mut write = match self.begin(&actor, message.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        write.need_member(chat, &actor).await?;
        let chat = write.chat(chat).await?;
        let draft = Draft {
            sender: &actor,
            key: message.key.as_deref(),
            text: &message.text,
            reply_to: message.reply_to.as_deref(),
            profile: message.profile.as_ref(),
            bridged: message.bridged,
            poll: message.poll.as_deref(),
        };
        write.add_message(&chat, draft).await?;
        self.typing.set(&chat.id, &actor, false, (self.now)());
        self.finish(write).await
    }

    /// Edits a message. Only its sender may.
    pub(crate) async fn edit(
        &self,
        caller: &Caller,
        id: &str,
        edit: Edit,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(edit.actor.as_deref())?;
        limits::text(&edit.text)?;
        let mut write = match self.begin(&actor, edit.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        let message = write.message(id).await?;
        if message.sender != actor {
            return Err(NetworkError::Forbidden("only its sender edits a message"));
        }
        if message.deleted {
            return Err(NetworkError::NotFound { what: "message", id: id.into() });
        }
        if message.options.is_some() {
            return Err(NetworkError::Forbidden("a poll stays as it is"));
        }
        if message.text != edit.text {
            let version = message.version + 1;
            write.edit(id, version, &edit.text).await?;
            let body = EventBody::Edited { message: id.into(), version, text: edit.text };
            write.event(&message.chat, &actor, edit.key.as_deref(), body).await?;
        }
        self.finish(write).await
    }

    /// Takes a message back. Only its sender may.
    pub(crate) async fn delete(
        &self,
        caller: &Caller,
        id: &str,
        act: Act,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(act.actor.as_deref())?;
        let mut write = match self.begin(&actor, act.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        let message = write.message(id).await?;
        if message.sender != actor {
            return Err(NetworkError::Forbidden("only its sender deletes a message"));
        }
        if !message.deleted {
            write.delete(id).await?;
            let body = EventBody::Deleted { message: id.into() };
            write.event(&message.chat, &actor, act.key.as_deref(), body).await?;
        }
        self.finish(write).await
    }

    /// Sets a reaction or takes it off.
    pub(crate) async fn react(
        &self,
        caller: &Caller,
        id: &str,
        react: React,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(react.actor.as_deref())?;
        limits::emoji(&react.emoji)?;
        let mut write = match self.begin(&actor, react.key.as_deref()).await? {
            Ok(write) => write,
            Err(outcome) => return Ok(outcome),
        };
        let message = write.message(id).await?;
        write.need_member(&message.chat, &actor).await?;
        if message.deleted {
            return Err(NetworkError::NotFound { what: "message", id: id.into() });
        }
        let changed = if react.set {
            write.add_reaction(id, &actor, &react.emoji).await?
        } else {
            write.remove_reaction(id, &actor, &react.emoji).await?
        };
        if changed {
            let body =
                EventBody::Reacted { message: id.into(), emoji: react.emoji, set: react.set };
            write.event(&message.chat, &actor, react.key.as_deref(), body).await?;
        }
        self.finish(write).await
    }

    /// Moves a read mark forward.
    pub(crate) async fn mark_read(
        &self,
        caller: &Caller,
        chat: &str,
        mark: MarkRead,
    ) -> Result<Outcome, NetworkError> {
        let actor = caller.actor(mark.actor.as_deref())?;
        let mut write = self.store.write((self.now)()).await?;
        write.need_member(chat, &actor).await?;
        if write.message(&mark.message).await?.chat != chat {
            return Err(NetworkError::NotFound { what: "message", id: mark.message });
        }
        if write.mark_read(chat, &actor, &mark.message).await? {
            let body = EventBody::Read { message: mark.message };
            write.event(chat, &actor, None, body).await?;
        }
        self.finish(write).await
    }

    /// Notes that somebody begins or ends typing.
    pub(crate) async fn set_typing(
        &self,
        caller: &Caller,
        chat: &str,
        set: SetTyping,
    ) -> Result<(), NetworkError> {
        let actor = caller.actor(set.actor.as_deref())?;
        if !self.store.is_member(chat, &actor).await? {
            return Err(NetworkError::NotAMember { person: actor, chat: chat.into() });
        }
        self.typing.set(chat, &actor, set.typing, (self.now)());
        Ok(())
    }
}

/// The identifier of the direct chat of two people: the same whoever asks, and no other pair's. Lengths go before the names because
/// identifiers may hold the separator.
fn direct_id(one: &str, other: &str) -> String {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    format!("dm.{}.{first}.{second}", first.len())
}

#[cfg(test)]
mod tests {
    use super::direct_id;

    #[test]
    fn direct_chats_have_one_identifier_per_pair() {
        assert_eq!(direct_id("bob", "alice"), direct_id("alice", "bob"));
        assert_ne!(direct_id("a.b", "c"), direct_id("a", "b.c"));
    }
}
