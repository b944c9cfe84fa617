//! From what Discord said to the framework's events. Pure: the same words give the same events for ever.

mod chat;
mod messages;

use std::time::SystemTime;

use landbridge_framework::{
    DecodeError, EventKey, PortalKey,
    event::{Body, RemoteEvent, Sender},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    connector::Discord,
    convert::to_matrix::thread_root,
    ids::{Id, Person, Place},
    raw::{PAST, RESYNC, Raw, Scene},
};

pub use chat::{CHANNEL_STANDS, GONE, GUILD_STANDS, OPEN, PINS, POWER, PROFILE};
pub(crate) use chat::{join_rule, join_rule_of_posts, profile};
pub use messages::RETAGGED;
pub(crate) use messages::key_of;

/// Reads what Discord said.
pub fn decode(raw: &Raw) -> Result<Vec<RemoteEvent<Discord>>, DecodeError> {
    let at = At { raw, scene: &raw.scene };
    Ok(match raw.name.as_str() {
        "MESSAGE_CREATE" => messages::created(&at, &read(&raw.data)?)?,
        PAST => messages::past(&at, &read(&raw.data)?)?,
        "MESSAGE_UPDATE" => messages::updated(&at, &read(&raw.data)?)?,
        RETAGGED => messages::retagged(&at, &read(&raw.data)?)?,
        "MESSAGE_DELETE" => messages::deleted(&at, &read(&raw.data)?),
        "MESSAGE_DELETE_BULK" => messages::deleted_in_bulk(&at, &read(&raw.data)?),
        "MESSAGE_REACTION_ADD" => messages::reacted(&at, &read(&raw.data)?, true),
        "MESSAGE_REACTION_REMOVE" => messages::reacted(&at, &read(&raw.data)?, false),
        "MESSAGE_REACTION_REMOVE_ALL" => messages::unreacted(&at, &read(&raw.data)?),
        "MESSAGE_POLL_VOTE_ADD" | "MESSAGE_POLL_VOTE_REMOVE" => {
            messages::voted(&at, &read(&raw.data)?)
        }
        "TYPING_START" => chat::typing(&at, &read(&raw.data)?),
        "PRESENCE_UPDATE" => chat::presence(&at, &read(&raw.data)?),
        "CHANNEL_UPDATE" | "THREAD_UPDATE" | CHANNEL_STANDS => {
            chat::channel_changed(&at, &read(&raw.data)?)
        }
        "CHANNEL_DELETE" | "THREAD_DELETE" => chat::channel_gone(&at),
        "GUILD_UPDATE" | GUILD_STANDS => chat::guild_changed(&at, &read(&raw.data)?),
        "GUILD_MEMBER_UPDATE" => chat::member_changed(&at, &read(&raw.data)?),
        PROFILE => chat::user_changed(&at, &read(&raw.data)?),
        GONE => chat::member_gone(&at, &read(&raw.data)?),
        POWER => chat::power_changed(&at, &read(&raw.data)?),
        OPEN => chat::opened(&at),
        PINS => chat::pinned(&at, &read(&raw.data)?),
        RESYNC => {
            vec![at.event(Sender::System, SystemTime::UNIX_EPOCH, at.stamp(""), Body::Resync)]
        }
        // Everything else is no chat's.
        _ => Vec::new(),
    })
}

fn read<T: DeserializeOwned>(data: &Value) -> Result<T, DecodeError> {
    T::deserialize(data).map_err(|error| DecodeError(error.to_string()))
}

/// What is read, and where it happened.
struct At<'a> {
    raw: &'a Raw,
    scene: &'a Scene,
}

impl At<'_> {
    /// A key for what Discord gives no identifier: the session it came by, and its number there.
    fn stamp(&self, what: &str) -> EventKey {
        EventKey(format!("gw:{}:{what}", self.raw.stamp))
    }

    fn event(
        &self,
        sender: Sender<Discord>,
        at: SystemTime,
        key: impl Into<EventKey>,
        body: impl Into<Body<Discord>>,
    ) -> RemoteEvent<Discord> {
        let channel = |id| PortalKey::shared(Place::Channel(id));
        let event = RemoteEvent::new(channel(self.scene.place()), sender, at, key, body);
        let event = match thread_root(self.scene) {
            Some(root) => event.in_thread_of(channel(self.scene.channel), root),
            None => event,
        };
        if self.scene.open { event } else { event.only_in_known_portals() }
    }

    /// Something that only says more about a chat that is known.
    fn known(
        &self,
        sender: Sender<Discord>,
        at: SystemTime,
        key: impl Into<EventKey>,
        body: impl Into<Body<Discord>>,
    ) -> RemoteEvent<Discord> {
        self.event(sender, at, key, body).only_in_known_portals()
    }
}

fn user(id: Id) -> Sender<Discord> {
    Sender::User(Person::User(id))
}
