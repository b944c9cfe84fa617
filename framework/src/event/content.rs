//! Messages and what is in them.

use std::time::{Duration, SystemTime};

use super::{Disappear, DisappearFrom};
use crate::{
    format::Rich,
    handlers::IdempotencyKey,
    network::{MessageRef, Network, PartId, StreamOrder},
};

/// A message: one or more parts in order.
#[derive(Debug, Clone)]
pub struct Message<N: Network> {
    /// Its identifier in its chat.
    pub id: N::MessageId,
    /// Its parts; each becomes one Matrix event.
    pub parts: Vec<Part<N>>,
    /// The message it answers.
    pub reply_to: Option<MessageRef<N>>,
    /// The root of the thread it belongs to.
    pub thread: Option<N::MessageId>,
    /// Set if the network says that this is the echo of something this bridge sent.
    pub echo_of: Option<EchoOf>,
    /// How long after it was read (or sent, as `disappear_from` says) it disappears.
    pub disappear: Option<Duration>,
    /// What `disappear` is counted from.
    pub disappear_from: DisappearFrom,
    /// The name and picture it is shown under, where they aren't its sender's own: a program that speaks for several.
    pub profile: Option<MessageProfile>,
    /// The album it belongs to: see [`Self::in_album`].
    pub album: Option<String>,
    /// What else of its album came with it; put together by the framework.
    pub(crate) rest: Vec<AlbumItem<N>>,
}

/// Another message of an album.
#[derive(Debug, Clone)]
pub(crate) struct AlbumItem<N: Network> {
    pub(crate) message: Message<N>,
    pub(crate) at: SystemTime,
    pub(crate) order: Option<StreamOrder>,
}

impl<N: Network> Message<N> {
    /// A message of the given parts.
    pub fn new(id: impl Into<N::MessageId>, parts: Vec<Part<N>>) -> Self {
        Self {
            id: id.into(),
            parts,
            reply_to: None,
            thread: None,
            echo_of: None,
            disappear: None,
            disappear_from: DisappearFrom::Read,
            profile: None,
            album: None,
            rest: Vec::new(),
        }
    }
    /// Plain text.
    pub fn text(id: impl Into<N::MessageId>, text: impl Into<String>) -> Self {
        Self::of(id, Content::Text(Rich::plain(text)))
    }
    /// One part.
    pub fn of(id: impl Into<N::MessageId>, content: Content) -> Self {
        Self::new(id, vec![Part::main(content)])
    }
    /// As an answer to another message.
    #[must_use]
    pub fn replying_to(mut self, target: Option<MessageRef<N>>) -> Self {
        self.reply_to = target;
        self
    }
    /// Within a thread.
    #[must_use]
    pub fn in_thread(mut self, root: Option<N::MessageId>) -> Self {
        self.thread = root;
        self
    }
    /// As the echo of something sent from Matrix.
    #[must_use]
    pub fn echo(mut self, of: Option<EchoOf>) -> Self {
        self.echo_of = of;
        self
    }
    /// As something that disappears.
    #[must_use]
    pub fn disappearing(mut self, when: Option<Disappear>) -> Self {
        self.disappear = when.map(|when| when.after);
        self.disappear_from = when.map(|when| when.from).unwrap_or_default();
        self
    }
    /// Under another name and picture than its sender's.
    #[must_use]
    pub fn shown_as(mut self, profile: Option<MessageProfile>) -> Self {
        self.profile = profile;
        self
    }
    /// As part of an album: messages of one sender, one after the other, each a single file, that the network shows as one.
    /// They become one event with a gallery (MSC4274); each keeps its own identifier for edits, deletions and answers. The name
    /// is the album's in its chat, the same whichever login saw it.
    #[must_use]
    pub fn in_album(mut self, album: Option<String>) -> Self {
        self.album = album;
        self
    }
    /// When it disappears.
    pub(crate) fn timer(&self) -> Option<Disappear> {
        self.disappear.map(|after| Disappear { after, from: self.disappear_from })
    }
}

/// The name and picture of one message (MSC4144, "Per-message profiles").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageProfile {
    /// Tells profiles of one sender apart: the same for all messages under it.
    pub id: String,
    /// The name.
    pub name: String,
    /// The picture.
    pub avatar: Option<MediaRef>,
}
impl MessageProfile {
    /// A name, which also names the profile.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { id: name.clone(), name, avatar: None }
    }
}

/// What a network gives back of an [`IdempotencyKey`] when it echoes a message, in whatever form it was passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EchoOf(pub(crate) String);
impl EchoOf {
    /// Of [`IdempotencyKey::as_nonce`].
    pub fn nonce(nonce: impl Into<String>) -> Self {
        Self(nonce.into())
    }
    /// Of [`IdempotencyKey::as_i64`].
    pub fn int(int: i64) -> Self {
        Self(format!("{:016x}", int.cast_unsigned()))
    }
}
impl From<IdempotencyKey> for EchoOf {
    fn from(key: IdempotencyKey) -> Self {
        Self(key.as_nonce(64))
    }
}

/// One part of a message.
pub struct Part<N: Network> {
    /// Its name within the message; empty for the main part.
    pub id: PartId,
    /// What it says.
    pub content: Content,
    /// The connector's data of it.
    pub meta: N::MessageMeta,
    /// What the links in its text lead to, as the network shows them.
    pub previews: Vec<LinkPreview>,
}

/// What a link leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinkPreview {
    /// The link, as it stands in the text.
    pub url: String,
    /// The page's title.
    pub title: Option<String>,
    /// What it says about itself.
    pub description: Option<String>,
    /// Its picture.
    pub image: Option<MediaRef>,
}
// By hand, because the derived one would ask the network itself to be `Clone`.
impl<N: Network> Clone for Part<N> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            content: self.content.clone(),
            meta: self.meta.clone(),
            previews: self.previews.clone(),
        }
    }
}
// `meta` stays out of logs: it is the connector's, and may be secret.
impl<N: Network> std::fmt::Debug for Part<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("id", &self.id)
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}
impl<N: Network> Part<N> {
    /// The main part.
    pub fn main(content: Content) -> Self {
        Self::named("", content)
    }
    /// A named part.
    pub fn named(id: impl Into<String>, content: Content) -> Self {
        Self { id: PartId(id.into()), content, meta: Default::default(), previews: Vec::new() }
    }
    /// With what the links in its text lead to.
    #[must_use]
    pub fn previewing(mut self, previews: Vec<LinkPreview>) -> Self {
        self.previews = previews;
        self
    }
}

/// What a part says. What Matrix has no form for becomes [`Content::Unsupported`]: readable, with a link, never silence.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Text.
    Text(Rich),
    /// Text of a program, which other programs don't answer.
    Notice(Rich),
    /// What the sender does (`/me`).
    Emote(Rich),
    /// A file. Named here; the framework streams, dedupes, uploads and retries it.
    Media(MediaPart),
    /// A place.
    Location(Geo),
    /// A poll.
    Poll(Poll),
    /// Something else.
    Unsupported {
        /// What it is, in words.
        what: String,
        /// Where it can be seen.
        link: Option<String>,
    },
}

/// A file, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaPart {
    /// What [`crate::MediaSource`] opens.
    pub source: MediaRef,
    /// What sort of file.
    pub kind: MediaKind,
    /// The file's name.
    pub name: String,
    /// Its media type, if the network says so.
    pub mime: Option<String>,
    /// Its size in bytes, if the network says so.
    pub size: Option<u64>,
    /// Width and height in pixels.
    pub dimensions: Option<(u32, u32)>,
    /// Length of sound or film.
    pub duration: Option<Duration>,
    /// Text that goes with it.
    pub caption: Option<Rich>,
    /// Whether it is hidden until the reader asks for it (MSC4193).
    pub spoiler: bool,
    /// A small picture of it, shown until it is opened.
    pub thumbnail: Option<MediaRef>,
}
impl MediaPart {
    /// A file of a sort, by source and name.
    pub fn new(source: impl Into<String>, kind: MediaKind, name: impl Into<String>) -> Self {
        Self {
            source: MediaRef(source.into()),
            kind,
            name: name.into(),
            mime: None,
            size: None,
            dimensions: None,
            duration: None,
            caption: None,
            spoiler: false,
            thumbnail: None,
        }
    }
}

/// A stable name of a file on the network (an id or an address): the dedupe of uploads is keyed by it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaRef(pub String);

/// The sort of file.
#[derive(Debug, Clone, PartialEq)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A picture that moves, without sound: also a film of it, where `mime` says so.
    Gif,
    /// A film.
    Video,
    /// A round film message.
    VideoNote,
    /// Sound.
    Audio,
    /// A voice message; the waveform's values are 0 to 255.
    Voice {
        /// The loudness over time.
        waveform: Vec<u8>,
    },
    /// Anything else.
    File,
    /// A sticker.
    Sticker {
        /// The pack it belongs to.
        pack: Option<String>,
    },
}

/// A reaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Emoji {
    /// A Unicode emoji.
    Unicode(String),
    /// One of the network's own.
    Custom {
        /// Its identifier.
        id: String,
        /// Its name, without colons.
        shortcode: String,
        /// Its picture.
        media: Option<MediaRef>,
    },
}
impl Emoji {
    /// What names it in the database.
    pub fn id(&self) -> &str {
        match self {
            Self::Unicode(text) => text,
            Self::Custom { id, .. } => id,
        }
    }
}

/// Whether two of [`Emoji::id`] mean the same. Networks differ in whether they write the variation selector.
pub(crate) fn same_emoji(one: &str, other: &str) -> bool {
    let bare = |c: &char| *c != '\u{fe0f}';
    one.chars().filter(bare).eq(other.chars().filter(bare))
}

/// A place.
#[derive(Debug, Clone, PartialEq)]
pub struct Geo {
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// What it is called.
    pub name: Option<String>,
}

/// A poll.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// The answers to choose from.
    pub options: Vec<PollOption>,
    /// How many may be chosen.
    pub max_choices: u32,
    /// Whether who voted what is shown while it runs.
    pub disclosed: bool,
}

/// An answer of a poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollOption {
    /// Its identifier in the poll.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// A call that happened on the network: shown as a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallNotice {
    /// What to say.
    pub text: String,
    /// Where it can be joined.
    pub link: Option<String>,
}

/// What somebody who is "typing" does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypingKind {
    /// Typing.
    Text,
    /// Uploading a file.
    Uploading,
    /// Recording a voice message.
    Recording,
}
