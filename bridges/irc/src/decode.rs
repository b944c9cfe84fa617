//! From what a server said to what happened: pure, so that it can be run again after a crash and tested from recorded lines.

use landbridge_framework::clock::time;
use landbridge_framework::event::{
    ChatDelta, Emoji, JoinRule, MemberChange, Membership, Message as Said, PowerLevels, Presence,
    TypingKind, UserInfo,
};
use landbridge_framework::prelude::{Body, Content, Rich, Sender};
use landbridge_framework::{DecodeError, MessageRef, PortalKey, Scope};

use crate::connector::Irc;
use crate::convert::to_matrix;
use crate::ids::{Account, Chat, Nick};
use crate::message::Message;
use crate::modes;
use crate::raw::{Flags, Raw, Standing, What};

type Event = landbridge_framework::event::RemoteEvent<Irc>;

/// How long a typing notice holds (IRCv3 "typing client tag": active notices come every three seconds, and end after six).
const TYPING_HOLDS: std::time::Duration = std::time::Duration::from_secs(6);

/// What happened.
pub fn decode(login: &Account, raw: &Raw) -> Result<Vec<Event>, DecodeError> {
    let reader = Reader { login, raw };
    Ok(match &raw.what {
        What::Said { line, mentions } => {
            let message =
                Message::parse(line.as_bytes()).map_err(|error| DecodeError(error.to_string()))?;
            reader.said(&message, mentions)
        }
        What::Members { channel, by, changes } => {
            let by = by.as_deref().map_or(Sender::System, |by| reader.user(by));
            let own = changes.len() == 1 && matches!(by, Sender::System);
            let changes: Vec<_> = changes
                .iter()
                .map(|change| MemberChange {
                    user: reader.user(&change.nick),
                    membership: match change.to {
                        Standing::In => Membership::Join,
                        Standing::Out => Membership::Leave,
                        Standing::Banned => Membership::Ban,
                    },
                    reason: change.reason.clone(),
                })
                .collect();
            // A single join or part is its subject's own doing.
            let sender = if own {
                changes.first().map_or(Sender::System, |change| change.user.clone())
            } else {
                by
            };
            vec![reader.event(channel, sender, Body::Members(changes))]
        }
        What::Renamed { channels, from, to, shown } => reader.renamed(channels, from, to, *shown),
        What::Topic { channel, by, text } => {
            let topic = to_matrix::rich(text).into_text();
            vec![reader.event(channel, reader.user(by), Body::ChatInfo(ChatDelta::topic(topic)))]
        }
        What::Modes { channel, by, flags, levels } => {
            let levels = levels.iter().map(|(nick, level)| (reader.user(nick), *level)).collect();
            let join_rule = flags.invite_only.filter(|on| *on).map(|_| JoinRule::Invite);
            let delta =
                ChatDelta { power: Some(power(*flags, levels)), join_rule, ..ChatDelta::default() };
            vec![reader.event(channel, reader.user(by), Body::ChatInfo(delta))]
        }
        What::Away { channel, nick, text } => {
            let presence = text.clone().map_or(Presence::Online, |text| Presence::Away(Some(text)));
            vec![reader.event(channel, reader.user(nick), Body::Presence(presence))]
        }
        What::Notice { channel, text } => {
            let said = Said::of(raw.key.clone(), Content::Notice(Rich::plain(text)));
            vec![reader.event(channel, Sender::System, Body::Message(said))]
        }
        What::Resync { channel } => vec![reader.event(channel, Sender::System, Body::Resync)],
    })
}

/// The power levels that a channel's switches and ranks stand for.
pub(crate) fn power(flags: Flags, users: Vec<(Sender<Irc>, i64)>) -> PowerLevels<Irc> {
    let mut levels = PowerLevels { users, ..PowerLevels::default() };
    levels.events_default = flags.moderated.map(|on| if on { modes::VOICE } else { 0 });
    if let Some(locked) = flags.topic_locked {
        levels.events.insert("m.room.topic".into(), if locked { modes::OPERATOR } else { 0 });
    }
    levels
}

struct Reader<'a> {
    login: &'a Account,
    raw: &'a Raw,
}

impl Reader<'_> {
    fn fold(&self, name: &str) -> String {
        self.raw.mapping.fold(name)
    }

    fn user(&self, nick: &str) -> Sender<Irc> {
        Sender::User(Nick::new(&self.raw.network, self.fold(nick)))
    }

    fn event(&self, channel: &str, sender: Sender<Irc>, body: Body<Irc>) -> Event {
        let portal = PortalKey {
            id: Chat::channel(&self.raw.network, self.fold(channel)),
            scope: Scope::Shared,
        };
        // Which channels are bridged is decided on Matrix: what is said elsewhere creates no rooms.
        Event::new(portal, sender, time(self.raw.at), self.raw.key.clone(), body)
            .only_in_known_portals()
    }

    /// An event of the chat that a line was addressed to.
    fn addressed(&self, message: &Message, body: Body<Irc>) -> Event {
        // "@#channel" is said to its operators only.
        let target = message.param(0).trim_start_matches(['@', '+', '%', '~']);
        let sender = self.user(message.nick());
        if target.starts_with(['#', '&', '!']) {
            return self.event(target, sender, body);
        }
        let nick = self.fold(message.nick());
        let portal = match &self.login.owner {
            Some(_) => PortalKey {
                id: Chat::Query { network: self.raw.network.clone(), nick, owner: None },
                scope: Scope::Private(self.login.clone()),
            },
            None => PortalKey {
                id: Chat::Query {
                    network: self.raw.network.clone(),
                    nick,
                    owner: self.raw.owner.clone(),
                },
                scope: Scope::Shared,
            },
        };
        Event::new(portal, sender, time(self.raw.at), self.raw.key.clone(), body)
    }

    fn said(&self, message: &Message, mentions: &[(String, String)]) -> Vec<Event> {
        let reply = message
            .tag("+draft/reply")
            .or_else(|| message.tag("+reply"))
            .filter(|id| !id.is_empty());
        let target = reply.map(|id| MessageRef::whole(msgid_key(id)));
        if message.command == "TAGMSG" {
            return self.tag_message(message, target).into_iter().collect();
        }
        let body = match to_matrix::text(message.param(1), message.command == "NOTICE", mentions) {
            to_matrix::Said::Content(content) => content,
            to_matrix::Said::Ctcp(_) => return Vec::new(),
        };
        let said = Said::of(self.raw.key.clone(), body).replying_to(target);
        vec![self.addressed(message, Body::Message(said))]
    }

    /// IRCv3 client tags without text: typing and reactions.
    fn tag_message(&self, message: &Message, target: Option<MessageRef<Irc>>) -> Option<Event> {
        if let Some(typing) = message.tag("+typing").or_else(|| message.tag("+draft/typing")) {
            let timeout = if typing == "active" { TYPING_HOLDS } else { std::time::Duration::ZERO };
            return Some(self.addressed(message, Body::Typing { kind: TypingKind::Text, timeout }));
        }
        let (emoji, set) = match (message.tag("+draft/react"), message.tag("+draft/unreact")) {
            (Some(emoji), _) => (emoji, true),
            (None, Some(emoji)) => (emoji, false),
            (None, None) => return None,
        };
        let emoji = Emoji::Unicode(emoji.chars().take(64).collect());
        Some(self.addressed(message, Body::React { target: target?, emoji, set }))
    }

    fn renamed(&self, channels: &[String], from: &str, to: &str, shown: bool) -> Vec<Event> {
        let keyed = |mut event: Event, what: &str, channel: &str| {
            event.key = format!("{}:{what}:{channel}", self.raw.key).into();
            event
        };
        if self.fold(from) == self.fold(to) {
            let user = Nick::new(&self.raw.network, self.fold(to));
            let changed = Body::UserChanged { user, info: Some(UserInfo::named(to)) };
            return channels
                .first()
                .map(|channel| keyed(self.event(channel, self.user(to), changed), "case", channel))
                .into_iter()
                .collect();
        }
        let leave = || MemberChange {
            user: self.user(from),
            membership: Membership::Leave,
            reason: Some(format!("is now known as {to}")),
        };
        let join = || MemberChange {
            user: self.user(to),
            membership: Membership::Join,
            reason: Some(format!("was known as {from}")),
        };
        let both = channels.iter().flat_map(|channel| {
            let left = keyed(
                self.event(channel, self.user(from), Body::Members(vec![leave()])),
                "from",
                channel,
            );
            let joined = shown.then(|| {
                keyed(
                    self.event(channel, self.user(to), Body::Members(vec![join()])),
                    "to",
                    channel,
                )
            });
            std::iter::once(left).chain(joined)
        });
        both.collect()
    }
}

/// The message id that a server's msgid becomes.
pub(crate) fn msgid_key(msgid: &str) -> String {
    format!("m:{msgid}")
}

#[cfg(test)]
mod tests;
