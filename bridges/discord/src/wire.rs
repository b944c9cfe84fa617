//! Discord's JSON, as far as the bridge reads it. twilight's models are strict: a component or embed of a kind they don't know would lose
//! the message it is in. Here everything that isn't needed may be missing or different, and a bad item of a list is left out.

mod chat;
mod embed;
mod lax;
mod message;

pub use chat::{
    Channel, ChannelKind, Emoji, Guild, GuildMember, Overwrite, Role, Tag, ThreadMetadata, User,
};
pub use embed::{Embed, EmbedAuthor, EmbedField, EmbedFooter, EmbedMedia};
pub use message::{
    Attachment, Call, Component, ComponentKind, Count, Kind, Message, Poll, PollAnswer, PollMedia,
    PollResults, Reaction, Reference, ReferenceKind, Snapshot, Sticker, StickerFormat,
};
