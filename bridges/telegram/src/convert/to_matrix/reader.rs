//! What reading needs to know beside the event itself: whose account it came by, and what the settings say.

use grammers_tl_types as tl;
use landbridge_framework::{
    Login, PortalKey,
    event::{Body, RemoteEvent, Sender},
};

use super::content::Unreadable;
use crate::{
    config::{Albums, Topics},
    connector::Telegram,
    convert::dates,
    ids::{ChatId, GENERAL, Peer, UserId},
    raw::{Known, Raw, facts},
};

/// Reads what came by a login.
pub struct Reader<'a> {
    pub(super) login: &'a Login<Telegram>,
    pub(super) topics: Topics,
    pub(super) albums: Albums,
}

/// Events, or why there are none.
pub(super) type Read = Result<Vec<RemoteEvent<Telegram>>, Unreadable>;

impl<'a> Reader<'a> {
    /// For a login, with the settings' treatment of forums.
    pub fn new(login: &'a Login<Telegram>, topics: Topics) -> Self {
        Self { login, topics, albums: Albums::Events }
    }

    /// With the settings' treatment of albums.
    #[must_use]
    pub fn with_albums(self, albums: Albums) -> Self {
        Self { albums, ..self }
    }

    /// Reads one raw event.
    pub fn read(&self, raw: &Raw) -> Result<Vec<RemoteEvent<Telegram>>, Unreadable> {
        match raw {
            Raw::Update { seen, update, known } => self.update(*seen, &update.0, known),
            Raw::Past { message, known } => self.past(&message.0, known),
            Raw::Reactions { seen, peer, topic, message, all, known } => {
                let at = ((&peer.0).into(), *topic, *message);
                Ok(self.all_reactions(*seen, at, all, known))
            }
            Raw::Deleted { seen, chats } => self.deleted(*seen, chats),
            Raw::Pinned { seen, pinned, chats } => self.pinned(*seen, *pinned, chats),
            Raw::Gap { seen, chats } => self.gap(*seen, chats),
            Raw::Voted { seen, chat, message, voter, options } => {
                self.voted(*seen, chat, *message, (&voter.0).into(), options)
            }
        }
    }

    /// Channels are everybody's. Users and basic groups are each account's own: their message ids are.
    pub(super) fn portal(&self, chat: ChatId) -> PortalKey<Telegram> {
        if chat.peer.is_account_wide() {
            PortalKey::private(chat, self.login.id)
        } else {
            PortalKey::shared(chat)
        }
    }

    pub(super) fn sender(&self, peer: Peer) -> Sender<Telegram> {
        if peer == Peer::User(self.login.id) { Sender::Me } else { Sender::User(UserId(peer)) }
    }

    /// The chat of a message, and the thread in it: topics are rooms or threads.
    pub(super) fn chat_of(
        &self,
        peer: Peer,
        topic: Option<i32>,
        known: &Known,
    ) -> (ChatId, Option<i32>) {
        let forum = topic.is_some() || facts(known, peer).is_some_and(|facts| facts.forum);
        match (forum, self.topics) {
            (false, _) => (ChatId::of(peer), None),
            (true, Topics::Rooms) => (ChatId::topic(peer, topic.unwrap_or(GENERAL)), None),
            (true, Topics::Threads) => (ChatId::of(peer), topic.filter(|topic| *topic != GENERAL)),
        }
    }

    pub(super) fn event(
        &self,
        chat: ChatId,
        sender: Sender<Telegram>,
        date: i32,
        key: String,
        body: impl Into<Body<Telegram>>,
    ) -> RemoteEvent<Telegram> {
        let event = RemoteEvent::new(self.portal(chat), sender, dates::time(date), key, body);
        // The relay's bot opens no rooms for chats that it was put into, but for those with people who write to it.
        if self.login.owner.is_none() && !matches!(chat.peer, Peer::User(_)) {
            event.only_in_known_portals()
        } else {
            event
        }
    }

    /// An event about something that must be there already. Its key holds when it was noticed: Telegram numbers neither these events
    /// nor the states they lead to.
    pub(super) fn noticed(
        &self,
        chat: ChatId,
        sender: Sender<Telegram>,
        seen: i64,
        what: &str,
        body: impl Into<Body<Telegram>>,
    ) -> RemoteEvent<Telegram> {
        let key = format!("{what}:{}:{seen}", self.login.id);
        RemoteEvent::new(self.portal(chat), sender, dates::time_ms(seen), key, body)
            .only_in_known_portals()
    }
}

/// The topic that a message belongs to, as its header says: the first message of a topic names it as what it answers.
pub fn topic_of(reply: Option<&tl::enums::MessageReplyHeader>) -> Option<i32> {
    match reply? {
        tl::enums::MessageReplyHeader::Header(header) if header.forum_topic => {
            header.reply_to_top_id.or(header.reply_to_msg_id)
        }
        _ => None,
    }
}
