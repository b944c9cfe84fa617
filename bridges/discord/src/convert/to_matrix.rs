//! From Discord's messages to the framework's.

mod blocks;
mod components;
mod draft;
mod embed;
mod files;
mod inline;
mod message;
mod names;
mod poll;
mod system;
mod tokens;

pub use blocks::{read, read_line};
pub(crate) use files::SPOILER;
pub use files::{avatar, emoji_file, emoji_name, guild_icon, source_of_attachment};
pub(crate) use inline::JOINER;
pub use message::{edit_version, message, placed, tags, thread_root, version_at};
pub use names::Names;
pub use poll::poll;
pub(crate) use tokens::address;
