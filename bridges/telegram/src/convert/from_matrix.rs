//! What Matrix says, as Telegram takes it. Pure: what needs the network (access hashes, uploads) is named, not fetched.

mod attributes;
mod split;
mod text;

pub use attributes::{Class, MAX_PHOTO, Sending, sending};
pub use split::{Chunk, split};
pub use text::{Entity, Kind, Written, to_tl, write};

/// The longest text of a message, in UTF-16 code units (`message_length_max` of help.getConfig).
pub const MAX_TEXT: usize = 4096;
/// The longest caption, in UTF-16 code units (`caption_length_max`).
pub const MAX_CAPTION: usize = 1024;
/// The longest caption of those who pay (`caption_length_limit_premium`).
pub const MAX_CAPTION_PREMIUM: usize = 4096;
/// The most entities of a message; what is more Telegram leaves out.
pub const MAX_ENTITIES: usize = 100;
