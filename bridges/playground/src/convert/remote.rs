//! What the network says, as the framework's events. Pure: the same raw event gives the same events for ever.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use landbridge_framework::{
    Login, MessageRef, PortalKey,
    event::{
        Body, ChatDelta, Content, EchoOf, Emoji, MemberChange, Membership,
        Message as RemoteMessage, Poll, PollOption, RemoteEvent, Sender, TypingKind,
    },
};

use super::markup;
use crate::{
    connector::{Playground, Raw},
    wire::{Event, EventBody, Message},
};

/// How long somebody is shown as typing when the network doesn't say that they stopped.
const TYPING: Duration = Duration::from_secs(15);

/// Reads what came by `login`. `bot` is the account that relays; keys that begin with its name and a dot are this bridge's own.
pub fn events(login: &Login<Playground>, bot: &str, raw: &Raw) -> Vec<RemoteEvent<Playground>> {
    let reader = Reader { login, bot };
    match raw {
        Raw::Event(event) => reader.live(event).into_iter().collect(),
        Raw::Past { chat, message } => reader.past(chat, message),
        Raw::Typing { chat, person, typing } => {
            reader.typing(chat, person, *typing).into_iter().collect()
        }
    }
}

/// The natural key of the event with this number.
pub(crate) fn event_key(seq: i64) -> String {
    format!("s{seq}")
}

struct Reader<'a> {
    login: &'a Login<Playground>,
    bot: &'a str,
}

impl Reader<'_> {
    /// Direct chats belong to the login that sees them; groups are everybody's.
    fn portal(&self, chat: &str) -> PortalKey<Playground> {
        if chat.starts_with("dm.") {
            PortalKey::private(chat, self.login.id.clone())
        } else {
            PortalKey::shared(chat)
        }
    }

    fn sender(&self, person: &str) -> Sender<Playground> {
        if person == self.login.id { Sender::Me } else { Sender::User(person.into()) }
    }

    fn event(
        &self,
        chat: &str,
        actor: &str,
        at: i64,
        seq: i64,
        body: impl Into<Body<Playground>>,
    ) -> RemoteEvent<Playground> {
        RemoteEvent::new(self.portal(chat), self.sender(actor), time(at), event_key(seq), body)
    }

    /// What of a key comes back as the framework gave it, if this bridge gave it.
    fn own<'k>(&self, key: Option<&'k str>) -> Option<&'k str> {
        key?.strip_prefix(self.bot)?.strip_prefix('.')
    }

    fn live(&self, event: &Event) -> Option<RemoteEvent<Playground>> {
        let own = self.own(event.key.as_deref());
        let make = |body: Body<Playground>| {
            self.event(&event.chat, &event.actor, event.at, event.seq, body)
        };
        let known = |body: Body<Playground>| make(body).only_in_known_portals();
        if let EventBody::Message(message) = &event.body {
            let body = remote_message(message).echo(own.map(EchoOf::nonce));
            return Some(make(body.into()).ordered(message.number));
        }
        // Everything else that this bridge did is known on the Matrix side, where it was done.
        if own.is_some() {
            return None;
        }
        Some(match &event.body {
            EventBody::Message(_) => return None,
            EventBody::Created(chat) => make(
                ChatDelta {
                    name: chat.name.clone(),
                    topic: chat.topic.clone(),
                    ..ChatDelta::default()
                }
                .into(),
            ),
            EventBody::Edited { message, version, text } => known(Body::Edit {
                target: message.clone(),
                version: u64::try_from(*version).unwrap_or_default(),
                new: RemoteMessage::of(message.clone(), content(text)),
            }),
            EventBody::Deleted { message } => known(Body::Remove {
                target: MessageRef::whole(message.as_str()),
                for_me_only: false,
            }),
            EventBody::Reacted { message, emoji, set } => known(react(message, emoji, *set)),
            EventBody::Voted { message, choice } => known(vote(message, *choice)),
            EventBody::Closed { message } => known(Body::PollEnd { poll: message.clone() }),
            EventBody::Read { message } => {
                known(Body::Read { up_to: MessageRef::whole(message.as_str()) })
            }
            EventBody::Joined { person } | EventBody::Left { person } if person == self.bot => {
                return None;
            }
            EventBody::Joined { person } => known(self.member(person, Membership::Join)),
            EventBody::Left { person } => known(self.member(person, Membership::Leave)),
            EventBody::Named { name } => {
                known(ChatDelta::name(name.clone().unwrap_or_default()).into())
            }
            EventBody::Topic { topic } => {
                known(ChatDelta::topic(topic.clone().unwrap_or_default()).into())
            }
        })
    }

    fn member(&self, person: &str, membership: Membership) -> Body<Playground> {
        vec![MemberChange { user: self.sender(person), membership, reason: None }].into()
    }

    /// A message of the past in its present state, and the reactions it has now: under the keys that the live events had.
    fn past(&self, chat: &str, message: &Message) -> Vec<RemoteEvent<Playground>> {
        if message.deleted {
            return Vec::new();
        }
        let first =
            self.event(chat, &message.sender, message.at, message.seq, remote_message(message));
        let mut events = vec![first.ordered(message.number)];
        events.extend(message.reactions.iter().map(|reaction| {
            self.event(
                chat,
                &reaction.person,
                reaction.at,
                reaction.seq,
                react(&message.id, &reaction.emoji, true),
            )
            .only_in_known_portals()
        }));
        let poll = message.poll.iter();
        events.extend(poll.clone().flat_map(|poll| &poll.votes).map(|cast| {
            let body = vote(&message.id, Some(cast.choice));
            self.event(chat, &cast.person, cast.at, cast.seq, body).only_in_known_portals()
        }));
        events.extend(poll.filter(|poll| poll.closed > 0).map(|poll| {
            // When it was closed isn't kept: it comes last anyway.
            let last = poll.votes.last().map_or(message.at, |vote| vote.at);
            let body = Body::PollEnd { poll: message.id.clone() };
            self.event(chat, &message.sender, last, poll.closed, body).only_in_known_portals()
        }));
        events
    }

    fn typing(&self, chat: &str, person: &str, typing: bool) -> Option<RemoteEvent<Playground>> {
        if person == self.bot || person == self.login.id {
            return None;
        }
        let timeout = if typing { TYPING } else { Duration::ZERO };
        let body = Body::Typing { kind: TypingKind::Text, timeout };
        let event =
            RemoteEvent::new(self.portal(chat), self.sender(person), UNIX_EPOCH, "typing", body);
        Some(event.only_in_known_portals())
    }
}

fn remote_message(message: &Message) -> RemoteMessage<Playground> {
    let content = match &message.poll {
        Some(poll) => Content::Poll(remote_poll(&message.text, &poll.options)),
        None => content(&message.text),
    };
    RemoteMessage::of(message.id.clone(), content)
        .replying_to(message.reply_to.as_deref().map(MessageRef::whole))
}

/// A poll; its answers are named by their places.
fn remote_poll(question: &str, options: &[String]) -> Poll {
    let option =
        |(place, text): (usize, &String)| PollOption { id: place.to_string(), text: text.clone() };
    Poll {
        question: markup::read(question).into_text(),
        options: options.iter().enumerate().map(option).collect(),
        max_choices: 1,
        disclosed: true,
    }
}

fn vote(poll: &str, choice: Option<u32>) -> Body<Playground> {
    let choices = choice.iter().map(ToString::to_string).collect();
    Body::PollVote { poll: poll.into(), choices }
}

/// `/me` at the beginning says what the sender does.
fn content(text: &str) -> Content {
    match text.strip_prefix("/me ") {
        Some(done) => Content::Emote(markup::read(done)),
        None => Content::Text(markup::read(text)),
    }
}

fn react(message: &str, emoji: &str, set: bool) -> Body<Playground> {
    Body::React { target: MessageRef::whole(message), emoji: Emoji::Unicode(emoji.into()), set }
}

fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

#[cfg(test)]
mod tests;
