//! Messages: text, what it answers, where it was forwarded from, what it carries.

use std::time::Duration;

use grammers_tl_types as tl;
use landbridge_framework::{
    MessageRef, RemoteId as _,
    event::{Body, Content, Disappear, Message, MessageProfile, Part, RemoteEvent, Sender},
    format::{Rich, Style, UserTarget},
};

use super::{
    buttons,
    content::{Carried, carried},
    entities, poll,
    reader::{Read, Reader, topic_of},
};
use crate::{
    config::Albums,
    connector::Telegram,
    ids::{ChatId, Peer, UserId},
    raw::{Known, facts},
};

impl Reader<'_> {
    /// A message as it comes, live or from history. Those of the past bring their reactions.
    pub(super) fn message(&self, message: &tl::enums::Message, known: &Known) -> Read {
        match message {
            tl::enums::Message::Message(message) => Ok(vec![self.ordinary(message, known)]),
            tl::enums::Message::Service(message) => self.service(message, known),
            tl::enums::Message::Empty(_) => Ok(Vec::new()),
        }
    }

    pub(super) fn past(&self, message: &tl::enums::Message, known: &Known) -> Read {
        let mut events = self.message(message, known)?;
        if let tl::enums::Message::Message(message) = message
            && let Some(tl::enums::MessageReactions::Reactions(reactions)) = &message.reactions
        {
            let at =
                (Peer::from(&message.peer_id), topic_of(message.reply_to.as_ref()), message.id);
            let seen = i64::from(message.edit_date.unwrap_or(message.date)) * 1000;
            events.extend(self.reactions(seen, at, reactions, known));
        }
        Ok(events)
    }

    fn ordinary(&self, message: &tl::types::Message, known: &Known) -> RemoteEvent<Telegram> {
        let (chat, body) = self.remote_message(message, known);
        self.event(chat, self.author(message), message.date, format!("m{}", message.id), body)
            .ordered(i64::from(message.id))
    }

    /// An edited message. The version is the chat's own counter, the same for every account that sees it.
    #[allow(clippy::unnecessary_wraps, reason = "all that is read has one form")]
    pub(super) fn edited(
        &self,
        seen: i64,
        message: &tl::enums::Message,
        pts: i32,
        known: &Known,
    ) -> Read {
        let tl::enums::Message::Message(message) = message else { return Ok(Vec::new()) };
        let (chat, new) = self.remote_message(message, known);
        let version = u64::try_from(pts).unwrap_or_default();
        let date = message.edit_date.unwrap_or(message.date);
        let sender = self.author(message);
        // A poll's edits are its results; a game's, its scores: nothing is said anew.
        let silent =
            message.edit_hide || matches!(message.media, Some(tl::enums::MessageMedia::Poll(_)));
        let mut events = Vec::new();
        if !silent {
            let body = Body::Edit { target: message.id, version, new };
            let key = format!("e{}:{pts}", message.id);
            events.push(self.event(chat, sender, date, key, body).only_in_known_portals());
        }
        if let Some(tl::enums::MessageMedia::Poll(media)) = &message.media {
            let tl::enums::Poll::Poll(poll) = &media.poll;
            let counts = poll::counts(&media.results);
            let body = Body::PollResults { poll: message.id, counts, ended: poll.closed };
            let key = format!("pr{}:{pts}", message.id);
            events.push(self.event(chat, Sender::System, date, key, body).only_in_known_portals());
        }
        if let Some(tl::enums::MessageReactions::Reactions(reactions)) = &message.reactions {
            let at =
                (Peer::from(&message.peer_id), topic_of(message.reply_to.as_ref()), message.id);
            events.extend(self.reactions(seen, at, reactions, known));
        }
        Ok(events)
    }

    /// Who wrote a message: this account, whoever it names, the channel it is a post of, or the other in a direct chat.
    pub(super) fn author(&self, message: &tl::types::Message) -> Sender<Telegram> {
        if message.out && !message.post {
            return Sender::Me;
        }
        self.writer(message.from_id.as_ref(), &message.peer_id)
    }

    pub(super) fn writer(
        &self,
        from: Option<&tl::enums::Peer>,
        chat: &tl::enums::Peer,
    ) -> Sender<Telegram> {
        self.sender(from.unwrap_or(chat).into())
    }

    /// A message and the chat it belongs in.
    fn remote_message(
        &self,
        message: &tl::types::Message,
        known: &Known,
    ) -> (ChatId, Message<Telegram>) {
        let peer: Peer = (&message.peer_id).into();
        let topic = topic_of(message.reply_to.as_ref());
        let (chat, thread) = self.chat_of(peer, topic, known);
        let mut text = entities::rich(
            &message.message,
            message.entities.as_deref().unwrap_or_default(),
            known,
        );
        if let Some(markup) = &message.reply_markup {
            buttons::append(&mut text, markup);
        }
        let mut head = Rich::new();
        if let Some(tl::enums::MessageFwdHeader::Header(forward)) = &message.fwd_from {
            // What is kept in "Saved messages" was forwarded there by its owner.
            head = forwarded(forward, known);
        }
        let reply = reply(message.reply_to.as_ref(), topic, known);
        let head = joined(&head, &reply.quote);
        let carried = message
            .media
            .as_ref()
            .map_or(Carried::Nothing, |media| carried(media, chat, message.id));
        let link = link(peer, message.id);
        let (parts, expires) = parts(carried, &head, &text, link);
        let ttl = message.ttl_period.and_then(|ttl| u64::try_from(ttl).ok()).filter(|ttl| *ttl > 0);
        let disappear = expires.map(Disappear::after_reading);
        let disappear =
            disappear.or_else(|| ttl.map(|ttl| Disappear::after_sending(Duration::from_secs(ttl))));
        let gallery = self.albums == Albums::Gallery;
        // Posts of a channel are the channel's, but may be signed.
        let author = message.post_author.as_deref().filter(|author| !author.is_empty());
        let out = Message::new(message.id, parts)
            .replying_to(reply.target.map(MessageRef::whole))
            .in_thread(thread)
            .shown_as(author.map(MessageProfile::named))
            .in_album(message.grouped_id.filter(|_| gallery).map(|album| album.to_string()))
            .disappearing(disappear);
        (chat, out)
    }
}

/// Where a message can be seen on Telegram: channels' messages have addresses.
pub(super) fn link(peer: Peer, message: i32) -> Option<String> {
    match peer {
        Peer::Channel(id) => Some(format!("https://t.me/c/{id}/{message}")),
        Peer::User(_) | Peer::Group(_) => None,
    }
}

fn joined(head: &Rich, body: &Rich) -> Rich {
    let mut out = head.clone();
    if !out.is_empty() && !body.is_empty() {
        out.push("\n");
    }
    out.append(body);
    out
}

fn parts(
    carried: Carried,
    head: &Rich,
    text: &Rich,
    link: Option<String>,
) -> (Vec<Part<Telegram>>, Option<Duration>) {
    let said = joined(head, text);
    let with_text = |first: Part<Telegram>| {
        let mut parts = vec![first];
        if !said.is_empty() {
            parts.push(Part::named("text", Content::Text(said.clone())));
        }
        (parts, None)
    };
    match carried {
        Carried::File(mut file, expires) => {
            file.caption = Some(said).filter(|said| !said.is_empty());
            (vec![Part::main(Content::Media(*file))], expires)
        }
        Carried::Alone(content) => with_text(Part::main(content)),
        Carried::Elsewhere(what) => with_text(Part::main(Content::Unsupported { what, link })),
        Carried::Words(words) => {
            (vec![Part::main(Content::Text(joined(&joined(head, &words), text)))], None)
        }
        Carried::Nothing if said.is_empty() => {
            let what = "a message of a new kind".to_owned();
            (vec![Part::main(Content::Unsupported { what, link })], None)
        }
        Carried::Nothing => (vec![Part::main(Content::Text(said))], None),
    }
}

/// What a forwarded message says of its origin.
fn forwarded(header: &tl::types::MessageFwdHeader, known: &Known) -> Rich {
    let mut out = Rich::new();
    out.push("\u{21b7} Forwarded from ");
    let from = header.from_id.as_ref().map(Peer::from);
    let name = from
        .and_then(|peer| facts(known, peer).map(|facts| facts.name.clone()))
        .or_else(|| header.from_name.clone())
        .filter(|name| !name.is_empty());
    match (from, name) {
        (Some(user @ Peer::User(_)), name) => {
            let name = name.unwrap_or_else(|| "a user".into());
            let id = UserId(user).encode();
            out.push_styled(&name, Style::User(UserTarget::Remote(id)));
        }
        (Some(peer), name) => {
            let name = name.unwrap_or_else(|| "a channel".into());
            let username = facts(known, peer).and_then(|facts| facts.username.clone());
            let url = match (username, header.channel_post) {
                (Some(username), Some(post)) => Some(format!("https://t.me/{username}/{post}")),
                (Some(username), None) => Some(format!("https://t.me/{username}")),
                (None, Some(post)) => link(peer, post),
                (None, None) => None,
            };
            out.push_styled(&name, url.map_or(Style::Bold, |url| Style::Link { url }));
        }
        (None, name) => {
            let name = name.unwrap_or_else(|| "somebody".into());
            out.push_styled(&name, Style::Bold);
        }
    }
    if let Some(author) = header.post_author.as_deref().filter(|author| !author.is_empty()) {
        out.push(&format!(" ({author})"));
    }
    out
}

/// What a message answers.
struct Answered {
    target: Option<i32>,
    /// What of it was picked out, or what it said if it is in another chat.
    quote: Rich,
}

fn reply(
    header: Option<&tl::enums::MessageReplyHeader>,
    topic: Option<i32>,
    known: &Known,
) -> Answered {
    let nothing = Answered { target: None, quote: Rich::new() };
    let header = match header {
        Some(tl::enums::MessageReplyHeader::Header(header)) => header,
        Some(tl::enums::MessageReplyHeader::MessageReplyStoryHeader(_)) => {
            let mut quote = Rich::new();
            quote.push_styled("In answer to a story", Style::Italic);
            return Answered { target: None, quote };
        }
        None => return nothing,
    };
    let elsewhere = header.reply_to_peer_id.is_some();
    let text = header.quote_text.as_deref().filter(|text| !text.trim().is_empty());
    let mut quote = Rich::new();
    if let Some(text) = text.filter(|_| header.quote || elsewhere) {
        let words =
            entities::rich(text, header.quote_entities.as_deref().unwrap_or_default(), known);
        let from = header.reply_from.as_ref().filter(|_| elsewhere);
        if let Some(tl::enums::MessageFwdHeader::Header(from)) = from
            && let Some(name) = from.from_name.as_deref().or_else(|| {
                from.from_id
                    .as_ref()
                    .and_then(|id| facts(known, id.into()))
                    .map(|facts| facts.name.as_str())
            })
        {
            quote.push_styled(name, Style::Bold);
            quote.push(": ");
        }
        quote.append(&words);
        let all = 0..quote.text().trim_end_matches('\n').len();
        quote.style(all, Style::Quote);
    }
    // Each message of a topic names the topic's first as what it answers, unless it answers another.
    let target = header.reply_to_msg_id.filter(|id| {
        let names_topic =
            header.forum_topic && header.reply_to_top_id.is_none() && Some(*id) == topic;
        !elsewhere && !names_topic
    });
    Answered { target, quote }
}
