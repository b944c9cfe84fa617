//! Who is who: names, pictures, and the access hashes without which Telegram lets nobody be asked about. Kept in the login's
//! stream cursors, one for each; a part of them in memory.

use std::sync::Arc;

use futures::future::try_join_all;
use grammers_tl_types as tl;
use landbridge_framework::{Closed, Inbox, RemoteId as _, event::UserInfo};
use quick_cache::sync::Cache;
use serde::{Deserialize, Serialize};

use super::error::ApiError;
use crate::{
    connector::Telegram,
    convert::files::FileRef,
    ids::{ChatId, Peer, UserId},
    raw::{Facts, Known},
};

/// How many are remembered without asking the database.
const CACHED: usize = 20_000;

/// What is known of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Note {
    /// The access hash that this account was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<i64>,
    /// Where they were seen, while there is no hash of theirs: the chat and the message ("min" constructors,
    /// core.telegram.org/api/min).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<(String, i32)>,
    /// Name, user name, kind.
    #[serde(flatten)]
    pub(crate) facts: Facts,
    /// The picture: its id and data centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) photo: Option<(i64, i32)>,
    /// Whether it is a program.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) bot: bool,
    /// The phone number, if they show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) phone: Option<String>,
}

/// Everybody a login knows.
pub(crate) struct Peers {
    inbox: Inbox<Telegram>,
    /// A bot may ask about whoever it has met without knowing access hashes.
    bot: bool,
    cache: Cache<Peer, Arc<Note>>,
}

fn stream(peer: Peer) -> String {
    format!("peer/{peer}")
}

impl Peers {
    /// Kept in a login's cursors.
    pub(crate) fn new(inbox: Inbox<Telegram>, bot: bool) -> Self {
        Self { inbox, bot, cache: Cache::new(CACHED) }
    }

    /// What is known of somebody.
    pub(crate) async fn get(&self, peer: Peer) -> Result<Option<Arc<Note>>, Closed> {
        if let Some(note) = self.cache.get(&peer) {
            return Ok(Some(note));
        }
        let Some(text) = self.inbox.cursor_of(&stream(peer)).await? else { return Ok(None) };
        let Ok(note) = serde_json::from_str::<Note>(&text) else { return Ok(None) };
        let note = Arc::new(note);
        self.cache.insert(peer, note.clone());
        Ok(Some(note))
    }

    /// Remembers those who came with an answer or an update; durable when it returns.
    pub(crate) async fn learn(
        &self,
        users: &[tl::enums::User],
        chats: &[tl::enums::Chat],
    ) -> Result<(), Closed> {
        let noted = users.iter().filter_map(of_user).chain(chats.iter().filter_map(of_chat));
        try_join_all(noted.map(|(peer, note)| self.note(peer, note))).await?;
        Ok(())
    }

    /// Remembers where people without access hash were seen.
    pub(crate) async fn seen_in(
        &self,
        users: &[tl::enums::User],
        chat: Peer,
        message: i32,
    ) -> Result<(), Closed> {
        for user in users {
            if let tl::enums::User::User(user) = user
                && user.min
            {
                let seen = Some((chat.to_string(), message));
                self.note(Peer::User(user.id), Note { seen, ..Note::default() }).await?;
            }
        }
        Ok(())
    }

    async fn note(&self, peer: Peer, new: Note) -> Result<(), Closed> {
        let old = self.get(peer).await?;
        let merged = merged(old.as_deref(), new);
        if old.as_deref() == Some(&merged) {
            return Ok(());
        }
        let text =
            serde_json::to_string(&merged).map_err(|error| Closed::Store(error.to_string()))?;
        self.inbox.put_all(Vec::new(), Some((&stream(peer), &text))).await?;
        self.cache.insert(peer, Arc::new(merged));
        Ok(())
    }

    /// The facts of those who are named, for an event that is stored with them.
    pub(crate) async fn known(
        &self,
        named: impl IntoIterator<Item = Peer>,
    ) -> Result<Known, Closed> {
        let mut known = Known::new();
        for peer in named {
            if let Some(note) = self.get(peer).await? {
                known.insert(peer.to_string(), note.facts.clone());
            }
        }
        Ok(known)
    }

    /// A chat as requests name it.
    pub(crate) async fn input_peer(
        &self,
        peer: Peer,
        me: i64,
    ) -> Result<tl::enums::InputPeer, ApiError> {
        match peer {
            Peer::User(id) if id == me => Ok(tl::enums::InputPeer::PeerSelf),
            Peer::Group(chat_id) => Ok(tl::types::InputPeerChat { chat_id }.into()),
            Peer::User(user_id) => Ok(match self.handle(peer).await? {
                Handle::Hash(access_hash) => {
                    tl::types::InputPeerUser { user_id, access_hash }.into()
                }
                Handle::Seen(peer, msg_id) => {
                    tl::types::InputPeerUserFromMessage { peer, msg_id, user_id }.into()
                }
            }),
            Peer::Channel(channel_id) => Ok(match self.handle(peer).await? {
                Handle::Hash(access_hash) => {
                    tl::types::InputPeerChannel { channel_id, access_hash }.into()
                }
                Handle::Seen(peer, msg_id) => {
                    tl::types::InputPeerChannelFromMessage { peer, msg_id, channel_id }.into()
                }
            }),
        }
    }

    /// A person as requests name them.
    pub(crate) async fn input_user(
        &self,
        id: i64,
        me: i64,
    ) -> Result<tl::enums::InputUser, ApiError> {
        if id == me {
            return Ok(tl::enums::InputUser::UserSelf);
        }
        Ok(match self.handle(Peer::User(id)).await? {
            Handle::Hash(access_hash) => tl::types::InputUser { user_id: id, access_hash }.into(),
            Handle::Seen(peer, msg_id) => {
                tl::types::InputUserFromMessage { peer, msg_id, user_id: id }.into()
            }
        })
    }

    /// A channel as requests name it.
    pub(crate) async fn input_channel(&self, id: i64) -> Result<tl::enums::InputChannel, ApiError> {
        Ok(match self.handle(Peer::Channel(id)).await? {
            Handle::Hash(access_hash) => {
                tl::types::InputChannel { channel_id: id, access_hash }.into()
            }
            Handle::Seen(peer, msg_id) => {
                tl::types::InputChannelFromMessage { peer, msg_id, channel_id: id }.into()
            }
        })
    }

    async fn handle(&self, peer: Peer) -> Result<Handle, ApiError> {
        match self.known_handle(peer).await? {
            Some(handle) => Ok(handle),
            None if self.bot => Ok(Handle::Hash(0)),
            None => Err(ApiError::Unknown(match peer {
                Peer::User(_) => "that person".into(),
                Peer::Group(_) | Peer::Channel(_) => "that chat".into(),
            })),
        }
    }

    async fn known_handle(&self, peer: Peer) -> Result<Option<Handle>, ApiError> {
        let closed = |error: Closed| ApiError::Unreachable(error.to_string());
        let Some(note) = self.get(peer).await.map_err(closed)? else { return Ok(None) };
        if let Some(hash) = note.hash {
            return Ok(Some(Handle::Hash(hash)));
        }
        let Some((chat, message)) = note.seen.clone() else { return Ok(None) };
        let Ok(chat) = ChatId::decode(&chat) else { return Ok(None) };
        Ok(match chat.peer {
            Peer::Group(chat_id) => {
                Some(Handle::Seen(tl::types::InputPeerChat { chat_id }.into(), message))
            }
            Peer::Channel(channel_id) => {
                let note = self.get(chat.peer).await.map_err(closed)?;
                note.and_then(|note| note.hash).map(|access_hash| {
                    let chat = tl::types::InputPeerChannel { channel_id, access_hash };
                    Handle::Seen(chat.into(), message)
                })
            }
            Peer::User(_) => None,
        })
    }
}

/// What lets somebody be named.
enum Handle {
    Hash(i64),
    Seen(tl::enums::InputPeer, i32),
}

/// What is new over what was known. A "min" form has no hash of its own, and takes none away.
fn merged(old: Option<&Note>, new: Note) -> Note {
    let Some(old) = old else { return new };
    let only_seen = new.facts == Facts::default() && new.hash.is_none();
    if only_seen {
        return Note { seen: new.seen.or_else(|| old.seen.clone()), ..old.clone() };
    }
    Note {
        hash: new.hash.or(old.hash),
        seen: new.seen.or_else(|| old.seen.clone()),
        phone: new.phone.or_else(|| old.phone.clone()),
        ..new
    }
}

fn full_name(first: Option<&str>, last: Option<&str>) -> String {
    let parts = [first, last].into_iter().flatten().map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(" ")
}

fn active(usernames: Option<&Vec<tl::enums::Username>>) -> Option<String> {
    usernames?
        .iter()
        .find_map(|tl::enums::Username::Username(name)| name.active.then(|| name.username.clone()))
}

/// What Telegram says of a person.
pub(super) fn of_user(user: &tl::enums::User) -> Option<(Peer, Note)> {
    let tl::enums::User::User(user) = user else { return None };
    let name = full_name(user.first_name.as_deref(), user.last_name.as_deref());
    let name = match (name.is_empty(), user.deleted) {
        (_, true) => "Deleted account".to_owned(),
        (true, false) => "No name".to_owned(),
        (false, false) => name,
    };
    let photo = match &user.photo {
        Some(tl::enums::UserProfilePhoto::Photo(photo)) => Some((photo.photo_id, photo.dc_id)),
        _ => None,
    };
    let note = Note {
        hash: user.access_hash.filter(|_| !user.min),
        seen: None,
        facts: Facts {
            name,
            username: user.username.clone().or_else(|| active(user.usernames.as_ref())),
            ..Facts::default()
        },
        photo,
        bot: user.bot,
        phone: user.phone.clone().filter(|_| !user.min),
    };
    Some((Peer::User(user.id), note))
}

/// What Telegram says of a chat.
pub(super) fn of_chat(chat: &tl::enums::Chat) -> Option<(Peer, Note)> {
    let photo = |photo: &tl::enums::ChatPhoto| match photo {
        tl::enums::ChatPhoto::Photo(photo) => Some((photo.photo_id, photo.dc_id)),
        tl::enums::ChatPhoto::Empty => None,
    };
    Some(match chat {
        tl::enums::Chat::Chat(chat) => {
            let facts = Facts { name: chat.title.clone(), ..Facts::default() };
            (Peer::Group(chat.id), Note { facts, photo: photo(&chat.photo), ..Note::default() })
        }
        tl::enums::Chat::Channel(channel) => {
            let facts = Facts {
                name: channel.title.clone(),
                username: channel.username.clone().or_else(|| active(channel.usernames.as_ref())),
                forum: channel.forum,
                broadcast: channel.broadcast,
                gone: channel.left,
            };
            let hash = channel.access_hash.filter(|_| !channel.min);
            (
                Peer::Channel(channel.id),
                Note { hash, facts, photo: photo(&channel.photo), ..Note::default() },
            )
        }
        tl::enums::Chat::ChannelForbidden(channel) => {
            let facts = Facts {
                name: channel.title.clone(),
                broadcast: channel.broadcast,
                gone: true,
                ..Facts::default()
            };
            (
                Peer::Channel(channel.id),
                Note { hash: Some(channel.access_hash), facts, ..Note::default() },
            )
        }
        tl::enums::Chat::Forbidden(chat) => {
            let facts = Facts { name: chat.title.clone(), ..Facts::default() };
            (Peer::Group(chat.id), Note { facts, ..Note::default() })
        }
        tl::enums::Chat::Empty(_)
        | tl::enums::Chat::Community(_)
        | tl::enums::Chat::CommunityForbidden(_) => return None,
    })
}

/// What a ghost shows of somebody.
pub(super) fn profile(user: UserId, note: &Note) -> UserInfo {
    let mut identifiers = Vec::new();
    if let Some(username) = &note.facts.username {
        identifiers.push(format!("https://t.me/{username}"));
    }
    if let Some(phone) = note.phone.as_deref().filter(|phone| !phone.is_empty()) {
        identifiers.push(format!("tel:+{}", phone.trim_start_matches('+')));
    }
    UserInfo {
        name: Some(note.facts.name.clone()).filter(|name| !name.is_empty()),
        avatar: note.photo.map(|(photo, dc)| FileRef::Avatar { peer: user.0, photo, dc }.encode()),
        bot: note.bot,
        identifiers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_is_not_more() {
        let full = Note {
            hash: Some(5),
            facts: Facts { name: "Alice".into(), ..Facts::default() },
            phone: Some("1".into()),
            ..Note::default()
        };
        let renamed =
            Note { facts: Facts { name: "Alicia".into(), ..Facts::default() }, ..Note::default() };
        let now = merged(Some(&full), renamed);
        assert_eq!(
            (now.hash, now.facts.name.as_str(), now.phone.as_deref()),
            (Some(5), "Alicia", Some("1"))
        );
        let seen = Note { seen: Some(("c5".into(), 7)), ..Note::default() };
        let now = merged(Some(&full), seen);
        assert_eq!(
            (now.hash, now.facts.name.as_str(), now.seen),
            (Some(5), "Alice", Some(("c5".into(), 7)))
        );
    }
}
