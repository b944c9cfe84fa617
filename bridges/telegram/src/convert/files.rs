//! The names of files: what must be known to fetch one, in a form that stays the same whenever it is seen again, since uploads to Matrix
//! are remembered by it. Telegram's file references, which expire, are not part of it: the client keeps them, and asks again.

use landbridge_framework::event::MediaRef;

use crate::ids::{ChatId, Peer};
use landbridge_framework::RemoteId;

/// Where a file can be asked for again when its reference has expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Home {
    /// In a message.
    Message(ChatId, i32),
    /// In a set of stickers: the set's id and access hash.
    Set(i64, i64),
    /// Nowhere, but custom emoji are found by their own id.
    Emoji,
}

/// A file of Telegram's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileRef {
    /// A document: anything but a photo.
    Document {
        /// Its id.
        id: i64,
        /// Its access hash.
        hash: i64,
        /// The data centre that has it.
        dc: i32,
        /// Where it was seen.
        home: Home,
    },
    /// A preview of a document, of the size of that name.
    Thumb {
        /// The document's id.
        id: i64,
        /// Its access hash.
        hash: i64,
        /// The data centre that has it.
        dc: i32,
        /// The size's name.
        size: String,
        /// Where it was seen.
        home: Home,
    },
    /// A photo, of the size of that name.
    Photo {
        /// Its id.
        id: i64,
        /// Its access hash.
        hash: i64,
        /// The data centre that has it.
        dc: i32,
        /// The size's name.
        size: String,
        /// Where it was seen.
        home: Home,
    },
    /// The picture of a user or chat.
    Avatar {
        /// Whose.
        peer: Peer,
        /// The picture's id.
        photo: i64,
        /// The data centre that has it.
        dc: i32,
    },
    /// A custom emoji of which only the id is known.
    Emoji(i64),
}

impl Home {
    fn encode(&self) -> String {
        match self {
            Self::Message(chat, message) => format!("m:{}:{message}", chat.encode()),
            Self::Set(id, hash) => format!("s:{id}:{hash}"),
            Self::Emoji => "e".into(),
        }
    }

    fn decode(parts: &[&str]) -> Option<Self> {
        match parts {
            ["m", chat, message] => {
                Some(Self::Message(ChatId::decode(chat).ok()?, message.parse().ok()?))
            }
            ["s", id, hash] => Some(Self::Set(id.parse().ok()?, hash.parse().ok()?)),
            ["e"] => Some(Self::Emoji),
            _ => None,
        }
    }
}

impl FileRef {
    /// The text form.
    pub fn encode(&self) -> MediaRef {
        MediaRef(match self {
            Self::Document { id, hash, dc, home } => {
                format!("doc:{id}:{hash}:{dc}:{}", home.encode())
            }
            Self::Thumb { id, hash, dc, size, home } => {
                format!("thumb:{id}:{hash}:{dc}:{size}:{}", home.encode())
            }
            Self::Photo { id, hash, dc, size, home } => {
                format!("photo:{id}:{hash}:{dc}:{size}:{}", home.encode())
            }
            Self::Avatar { peer, photo, dc } => format!("avatar:{peer}:{photo}:{dc}"),
            Self::Emoji(id) => format!("emoji:{id}"),
        })
    }

    /// Reads the text form.
    pub fn decode(text: &MediaRef) -> Option<Self> {
        let parts: Vec<&str> = text.0.split(':').collect();
        match parts.as_slice() {
            ["doc", id, hash, dc, home @ ..] => Some(Self::Document {
                id: id.parse().ok()?,
                hash: hash.parse().ok()?,
                dc: dc.parse().ok()?,
                home: Home::decode(home)?,
            }),
            ["thumb", id, hash, dc, size, home @ ..] => Some(Self::Thumb {
                id: id.parse().ok()?,
                hash: hash.parse().ok()?,
                dc: dc.parse().ok()?,
                size: (*size).to_owned(),
                home: Home::decode(home)?,
            }),
            ["photo", id, hash, dc, size, home @ ..] => Some(Self::Photo {
                id: id.parse().ok()?,
                hash: hash.parse().ok()?,
                dc: dc.parse().ok()?,
                size: (*size).to_owned(),
                home: Home::decode(home)?,
            }),
            ["avatar", peer, photo, dc] => Some(Self::Avatar {
                peer: ChatId::decode(peer).ok()?.peer,
                photo: photo.parse().ok()?,
                dc: dc.parse().ok()?,
            }),
            ["emoji", id] => Some(Self::Emoji(id.parse().ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        let home = Home::Message(ChatId::topic(Peer::Channel(3), 9), 77);
        let size = || "y".to_owned();
        for file in [
            FileRef::Document { id: 1, hash: -2, dc: 4, home: home.clone() },
            FileRef::Document { id: 1, hash: -2, dc: 4, home: Home::Set(5, -6) },
            FileRef::Document { id: 1, hash: -2, dc: 4, home: Home::Emoji },
            FileRef::Thumb { id: 1, hash: 2, dc: 4, size: size(), home: home.clone() },
            FileRef::Photo { id: i64::MIN, hash: 2, dc: 4, size: size(), home },
            FileRef::Avatar { peer: Peer::User(3), photo: 5, dc: 2 },
            FileRef::Emoji(8),
        ] {
            assert_eq!(FileRef::decode(&file.encode()), Some(file));
        }
        for bad in ["", "doc", "doc:1:2:3", "doc:1:2:3:m:u1", "photo:1:2:3:e", "avatar:u0:1:2"] {
            assert_eq!(FileRef::decode(&MediaRef(bad.into())), None, "{bad}");
        }
    }
}
