//! Messages: what people say, and how tests see it.

use grammers_tl_types as tl;

use super::{Other, Place, What, World, polls::Vote};
use crate::build;

/// What was said, as a test sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// Who.
    pub from: i64,
    /// What.
    pub text: String,
    /// Whether it was edited.
    pub edited: bool,
    /// The reactions: who, and with what.
    pub reactions: Vec<(i64, String)>,
    /// The number of the message that it answers; in direct chats and basic groups, its author's own.
    pub reply_to: Option<i32>,
    /// The topic that it belongs to, in a forum.
    pub topic: Option<i32>,
    /// The album that it belongs to.
    pub album: Option<i64>,
    /// The size of its file.
    pub file: Option<i64>,
    /// Where its author is, and for how many seconds they share it.
    pub live: Option<String>,
    /// What it carries.
    pub media: Option<tl::enums::MessageMedia>,
    /// What holds where in its text.
    pub entities: Vec<tl::enums::MessageEntity>,
    /// Whether it is pinned.
    pub pinned: bool,
    /// After how many seconds it disappears.
    pub timer: Option<i32>,
}

/// What somebody says, where it is more than a text.
#[derive(Clone, Default)]
pub struct Sent {
    /// The text.
    pub text: String,
    /// What holds where in it.
    pub entities: Vec<tl::enums::MessageEntity>,
    /// What it carries.
    pub media: Option<tl::enums::MessageMedia>,
    /// The number of the message that it answers.
    pub reply_to: Option<i32>,
    /// The part that it is about, of what it answers.
    pub quote: Option<String>,
    /// The chat of what it answers and who said it there, if that is another chat.
    pub elsewhere: Option<(tl::enums::Peer, tl::enums::Peer)>,
    /// Where it was said first: by whom, or under which name if they hide, and as which post of a channel.
    pub forward: Option<(Option<tl::enums::Peer>, Option<String>, Option<i32>)>,
    /// Who has written it, if it is a channel's.
    pub signature: Option<String>,
    /// After how many seconds it disappears.
    pub timer: Option<i32>,
}

#[derive(Clone, Default)]
pub(crate) struct Message {
    pub(crate) from: i64,
    pub(crate) text: String,
    pub(crate) entities: Vec<tl::enums::MessageEntity>,
    pub(crate) date: i32,
    pub(crate) edited: Option<i32>,
    pub(crate) reply_to: Option<i32>,
    /// The topic of a forum that it belongs to.
    pub(crate) topic: Option<i32>,
    /// What happened, if nothing was said.
    pub(crate) action: Option<tl::enums::MessageAction>,
    pub(crate) media: Option<tl::enums::MessageMedia>,
    pub(crate) reactions: Vec<(i64, tl::enums::Reaction)>,
    /// Buttons under it: what they say, and what their bot is told.
    pub(crate) buttons: Vec<(String, Vec<u8>)>,
    /// The votes in it, if it is a poll.
    pub(crate) votes: Vec<Vote>,
    /// The album that it belongs to.
    pub(crate) album: Option<i64>,
    /// Where it was said first.
    pub(crate) forward: Option<tl::types::MessageFwdHeader>,
    /// The part that it is about, of what it answers.
    pub(crate) quote: Option<String>,
    /// The chat of what it answers and who said it there, if that is another chat.
    pub(crate) elsewhere: Option<(tl::enums::Peer, tl::enums::Peer)>,
    /// Who has written it, if it is a channel's.
    pub(crate) signature: Option<String>,
    pub(crate) pinned: bool,
    /// After how many seconds it disappears.
    pub(crate) timer: Option<i32>,
}

impl Message {
    pub(crate) fn plain(from: i64, text: &str) -> Self {
        Self { from, text: text.into(), ..Self::default() }
    }

    /// Nothing is said, but something has happened.
    pub(crate) fn happened(from: i64, action: impl Into<tl::enums::MessageAction>) -> Self {
        Self { from, action: Some(action.into()), ..Self::default() }
    }
}

impl World {
    /// Somebody who isn't bridged says something; gives its number in a supergroup, or among its author's own.
    pub fn send(&mut self, from: i64, place: Place, sent: Sent) -> i32 {
        let forward = sent.forward.map(|(from, name, post)| build::forward(from, name, post));
        let message = Message {
            entities: sent.entities,
            media: sent.media,
            reply_to: sent.reply_to,
            quote: sent.quote,
            elsewhere: sent.elsewhere,
            forward,
            signature: sent.signature,
            timer: sent.timer,
            ..Message::plain(from, &sent.text)
        };
        self.add(place, message)
    }

    /// Pins a message of a supergroup, or no longer.
    pub fn pin(&mut self, channel: i64, number: i32, pinned: bool) {
        let there = self.channels.get_mut(&channel);
        if let Some(message) = there.and_then(|channel| channel.messages.get_mut(&number)) {
            message.pinned = pinned;
            self.log_channel(channel, What::Pin(number, pinned));
        }
    }

    /// Something happens in a chat of which its messages tell.
    pub fn happens(&mut self, by: i64, place: Place, action: tl::enums::MessageAction) -> i32 {
        self.add(place, Message::happened(by, action))
    }

    /// A photo, to be sent.
    pub fn photo(&mut self, bytes: &[u8]) -> tl::types::MessageMediaPhoto {
        let number = self.keep(bytes);
        tl::types::MessageMediaPhoto {
            spoiler: false,
            live_photo: false,
            photo: Some(build::photo(number, bytes.len()).into()),
            ttl_seconds: None,
            video: None,
        }
    }

    /// A file with what is said of it, to be sent.
    pub fn document(
        &mut self,
        mime: &str,
        bytes: &[u8],
        attributes: Vec<tl::enums::DocumentAttribute>,
    ) -> tl::types::Document {
        let number = self.keep(bytes);
        build::document(number, mime, bytes.len() as i64, attributes)
    }

    /// Gives a file a preview.
    pub fn preview(&mut self, document: &mut tl::types::Document, bytes: &[u8]) {
        let size =
            tl::types::PhotoSize { r#type: "m".into(), w: 320, h: 320, size: bytes.len() as i32 };
        document.thumbs.get_or_insert_default().push(size.into());
        self.previews.insert((document.id, "m".into()), bytes.to_vec());
    }

    /// Makes a custom emoji; gives its number.
    pub fn custom_emoji(&mut self, mime: &str, bytes: &[u8], stands_for: &str) -> i64 {
        let attribute = tl::types::DocumentAttributeCustomEmoji {
            free: true,
            text_color: false,
            alt: stands_for.into(),
            stickerset: tl::types::InputStickerSetId { id: 1, access_hash: 7 }.into(),
        };
        let document = self.document(mime, bytes, vec![attribute.into()]);
        let number = document.id;
        self.emoji.insert(number, document);
        number
    }

    /// What was said, in order.
    pub fn said(&self, place: Place) -> Vec<Said> {
        let spoken = |message: &&Message| message.action.is_none();
        let said = |message: &Message| Said {
            reply_to: message.reply_to,
            topic: message.topic,
            album: message.album,
            file: message.media.as_ref().and_then(build::size),
            live: message.media.as_ref().and_then(build::live),
            from: message.from,
            text: message.text.clone(),
            edited: message.edited.is_some(),
            media: message.media.clone(),
            entities: message.entities.clone(),
            pinned: message.pinned,
            timer: message.timer,
            reactions: message
                .reactions
                .iter()
                .map(|(who, reaction)| {
                    let reaction = match reaction {
                        tl::enums::Reaction::Emoji(emoji) => emoji.emoticon.clone(),
                        tl::enums::Reaction::CustomEmoji(emoji) => {
                            format!("emoji {}", emoji.document_id)
                        }
                        other => format!("{other:?}"),
                    };
                    (*who, reaction)
                })
                .collect(),
        };
        match place {
            Place::Channel(id) => self
                .channels
                .get(&id)
                .map(|channel| channel.messages.values().filter(spoken).map(said).collect()),
            Place::Direct(a, b) => {
                let with = self.mail(a, Other::Person(b)).into_iter();
                Some(with.map(|(_, message)| message).filter(spoken).map(said).collect())
            }
            Place::Group(id) => self.groups.get(&id).and_then(|group| {
                let in_it = self.mail(*group.members.first()?, Other::Group(id)).into_iter();
                Some(in_it.map(|(_, message)| message).filter(spoken).map(said).collect())
            }),
        }
        .unwrap_or_default()
    }
}

/// A file as messages carry it, to be sent.
pub fn carried(document: tl::types::Document) -> tl::types::MessageMediaDocument {
    build::carried(document)
}
