//! Messages and what is in them.

use serde::Deserialize;

use super::{Channel, Embed, Emoji, GuildMember, User, lax};
use crate::ids::Id;

/// A message (API reference, "Message Object"). In `MESSAGE_UPDATE` nearly everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Message {
    /// Its identifier.
    pub id: Id,
    /// Where it stands.
    pub channel_id: Id,
    /// Who wrote it; missing where only an embed came later.
    #[serde(deserialize_with = "lax::value")]
    pub author: Option<User>,
    /// Who they are in the server.
    #[serde(deserialize_with = "lax::value")]
    pub member: Option<GuildMember>,
    /// The text; `None` where the update doesn't say.
    #[serde(deserialize_with = "lax::value")]
    pub content: Option<String>,
    /// When it was last changed.
    #[serde(deserialize_with = "lax::value")]
    pub edited_timestamp: Option<String>,
    /// Whether everybody, or everybody who is there, was called.
    #[serde(deserialize_with = "lax::value")]
    pub mention_everyone: bool,
    /// The people in its text.
    #[serde(deserialize_with = "lax::list")]
    pub mentions: Vec<User>,
    /// The roles in its text.
    #[serde(deserialize_with = "lax::list")]
    pub mention_roles: Vec<Id>,
    /// Its files.
    #[serde(deserialize_with = "lax::list")]
    pub attachments: Vec<Attachment>,
    /// Its embeds.
    #[serde(deserialize_with = "lax::list")]
    pub embeds: Vec<Embed>,
    /// Its reactions, counted.
    #[serde(deserialize_with = "lax::list")]
    pub reactions: Vec<Reaction>,
    /// The webhook that wrote it.
    #[serde(deserialize_with = "lax::value")]
    pub webhook_id: Option<Id>,
    /// The application that the webhook belongs to.
    #[serde(deserialize_with = "lax::value")]
    pub application_id: Option<Id>,
    /// What sort of message.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Bits, see the constants.
    #[serde(deserialize_with = "lax::value")]
    pub flags: u64,
    /// What it refers to.
    #[serde(deserialize_with = "lax::value")]
    pub message_reference: Option<Reference>,
    /// What was forwarded.
    #[serde(deserialize_with = "lax::list")]
    pub message_snapshots: Vec<Snapshot>,
    /// The thread that began with it.
    #[serde(deserialize_with = "lax::value")]
    pub thread: Option<Channel>,
    /// Its stickers.
    #[serde(deserialize_with = "lax::list")]
    pub sticker_items: Vec<Sticker>,
    /// Its poll.
    #[serde(deserialize_with = "lax::value")]
    pub poll: Option<Poll>,
    /// Its buttons and boxes.
    #[serde(deserialize_with = "lax::list")]
    pub components: Vec<Component>,
    /// A call that it tells of.
    #[serde(deserialize_with = "lax::value")]
    pub call: Option<Call>,
}

impl Message {
    /// A thread began with it.
    pub const HAS_THREAD: u64 = 1 << 5;
    /// Its links show no previews.
    pub const SUPPRESS_EMBEDS: u64 = 1 << 2;
    /// Only one person sees it.
    pub const EPHEMERAL: u64 = 1 << 6;
    /// The program that will write it is still thinking.
    pub const LOADING: u64 = 1 << 7;
    /// A voice message.
    pub const VOICE: u64 = 1 << 13;

    /// The webhook that said it, if one did. An application that answers a command does so by a webhook of its own number, but
    /// speaks as itself.
    pub fn webhook(&self) -> Option<Id> {
        self.webhook_id.filter(|webhook| self.application_id != Some(*webhook))
    }

    /// Whether a flag is set.
    pub fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }
}

/// What sort of message (API reference, "Message Types").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind(pub u32);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lax::value(deserializer).map(Self)
    }
}

impl Kind {
    /// An answer.
    pub const REPLY: Self = Self(19);
    /// The first message of a thread, which only points at the one it began with.
    pub const THREAD_STARTER: Self = Self(21);
    /// A thread was made that began with no message.
    pub const THREAD_CREATED: Self = Self(18);
    /// Somebody pinned a message.
    pub const PINNED: Self = Self(6);
    /// A poll has ended.
    pub const POLL_RESULT: Self = Self(46);
    /// Whether people or programs said it, rather than Discord.
    pub fn is_said(self) -> bool {
        matches!(self.0, 0 | 19 | 20 | 23)
    }
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// Its identifier.
    pub id: Id,
    /// Its name.
    #[serde(deserialize_with = "lax::value")]
    pub filename: String,
    /// Its name with the characters that `filename` can't have.
    #[serde(deserialize_with = "lax::value")]
    pub title: Option<String>,
    /// What there is to see, for those who can't.
    #[serde(deserialize_with = "lax::value")]
    pub description: Option<String>,
    /// Its media type.
    #[serde(deserialize_with = "lax::value")]
    pub content_type: Option<String>,
    /// In bytes.
    #[serde(deserialize_with = "lax::value")]
    pub size: Option<u64>,
    /// Where it can be fetched for some hours.
    #[serde(deserialize_with = "lax::value")]
    pub url: String,
    /// In pixels.
    #[serde(deserialize_with = "lax::value")]
    pub width: Option<u32>,
    /// In pixels.
    #[serde(deserialize_with = "lax::value")]
    pub height: Option<u32>,
    /// Of a voice message.
    #[serde(deserialize_with = "lax::value")]
    pub duration_secs: Option<f64>,
    /// Of a voice message: loudness over time, bytes in base64.
    #[serde(deserialize_with = "lax::value")]
    pub waveform: Option<String>,
}

/// A reaction, counted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reaction {
    /// How many.
    #[serde(deserialize_with = "lax::value")]
    pub count: u64,
    /// With what.
    #[serde(deserialize_with = "lax::value")]
    pub emoji: Emoji,
}

/// What a message refers to.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// Answer or forward.
    #[serde(rename = "type")]
    pub kind: ReferenceKind,
    /// The message.
    #[serde(deserialize_with = "lax::value")]
    pub message_id: Option<Id>,
    /// Its channel.
    #[serde(deserialize_with = "lax::value")]
    pub channel_id: Option<Id>,
    /// Its server.
    #[serde(deserialize_with = "lax::value")]
    pub guild_id: Option<Id>,
}

/// How a message refers to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReferenceKind {
    /// It answers it, or is about it.
    #[default]
    About,
    /// It repeats it.
    Forward,
}

impl<'de> Deserialize<'de> for ReferenceKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind: Option<u32> = lax::value(deserializer)?;
        Ok(if kind == Some(1) { Self::Forward } else { Self::About })
    }
}

/// What was forwarded, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// The message; without author.
    #[serde(deserialize_with = "lax::value")]
    pub message: Box<Message>,
}

/// A sticker.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sticker {
    /// Its identifier.
    pub id: Id,
    /// What it is called.
    #[serde(deserialize_with = "lax::value")]
    pub name: String,
    /// What sort of file.
    pub format_type: StickerFormat,
}

/// What sort of file a sticker is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StickerFormat {
    /// A picture.
    #[default]
    Png,
    /// A PNG that moves.
    Apng,
    /// A vector animation.
    Lottie,
    /// A GIF.
    Gif,
}

impl<'de> Deserialize<'de> for StickerFormat {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match lax::value::<D, Option<u8>>(deserializer)? {
            Some(2) => Self::Apng,
            Some(3) => Self::Lottie,
            Some(4) => Self::Gif,
            _ => Self::Png,
        })
    }
}

/// A poll.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Poll {
    /// The question.
    #[serde(deserialize_with = "lax::value")]
    pub question: PollMedia,
    /// The answers to choose from.
    #[serde(deserialize_with = "lax::list")]
    pub answers: Vec<PollAnswer>,
    /// Whether more than one may be chosen.
    #[serde(deserialize_with = "lax::value")]
    pub allow_multiselect: bool,
    /// The count, as far as it is known.
    #[serde(deserialize_with = "lax::value")]
    pub results: Option<PollResults>,
}

/// What a poll says in one place.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PollMedia {
    /// The words.
    #[serde(deserialize_with = "lax::value")]
    pub text: Option<String>,
    /// An emoji before them.
    #[serde(deserialize_with = "lax::value")]
    pub emoji: Option<Emoji>,
}

/// An answer to choose.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PollAnswer {
    /// Its number.
    #[serde(deserialize_with = "lax::value")]
    pub answer_id: u64,
    /// What it says.
    #[serde(deserialize_with = "lax::value")]
    pub poll_media: PollMedia,
}

/// The count.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PollResults {
    /// Whether the poll has ended and was counted.
    #[serde(deserialize_with = "lax::value")]
    pub is_finalized: bool,
    /// By answer.
    #[serde(deserialize_with = "lax::list")]
    pub answer_counts: Vec<Count>,
}

/// How many chose an answer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Count {
    /// The answer.
    #[serde(deserialize_with = "lax::value")]
    pub id: u64,
    /// How many.
    #[serde(deserialize_with = "lax::value")]
    pub count: u64,
}

/// A call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Call {
    /// When it ended; none while it goes on.
    #[serde(deserialize_with = "lax::value")]
    pub ended_timestamp: Option<String>,
}

/// A button, a box, or something in one (API reference, "Component Reference").
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Component {
    /// What sort.
    #[serde(rename = "type")]
    pub kind: ComponentKind,
    /// What stands on a button.
    #[serde(deserialize_with = "lax::value")]
    pub label: Option<String>,
    /// Where a button leads.
    #[serde(deserialize_with = "lax::value")]
    pub url: Option<String>,
    /// The text of a text display.
    #[serde(deserialize_with = "lax::value")]
    pub content: Option<String>,
    /// What is in a box.
    #[serde(deserialize_with = "lax::list")]
    pub components: Vec<Component>,
    /// What stands beside a section.
    #[serde(deserialize_with = "lax::value")]
    pub accessory: Option<Box<Component>>,
    /// The pictures of a gallery.
    #[serde(deserialize_with = "lax::list")]
    pub items: Vec<Component>,
    /// A picture of a gallery, or a thumbnail's.
    #[serde(deserialize_with = "lax::value")]
    pub media: Option<super::EmbedMedia>,
    /// A file.
    #[serde(deserialize_with = "lax::value")]
    pub file: Option<super::EmbedMedia>,
}

/// What sort of component.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComponentKind {
    /// A row of buttons.
    Row,
    /// A button.
    Button,
    /// Text with something beside it.
    Section,
    /// Text.
    Text,
    /// A small picture.
    Thumbnail,
    /// Pictures.
    Gallery,
    /// A file.
    File,
    /// A line between.
    Separator,
    /// A box.
    Container,
    /// Something else: a menu, say.
    #[default]
    Other,
}

impl<'de> Deserialize<'de> for ComponentKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match lax::value::<D, Option<u8>>(deserializer)? {
            Some(1) => Self::Row,
            Some(2) => Self::Button,
            Some(9) => Self::Section,
            Some(10) => Self::Text,
            Some(11) => Self::Thumbnail,
            Some(12) => Self::Gallery,
            Some(13) => Self::File,
            Some(14) => Self::Separator,
            Some(17) => Self::Container,
            _ => Self::Other,
        })
    }
}
