//! What Telegram says, as the framework's events. Pure: the same raw event gives the same events for ever.

mod action;
mod buttons;
mod content;
mod entities;
mod media;
mod message;
mod poll;
mod reaction;
mod reader;
mod update;

pub use buttons::numbered;
pub use content::Unreadable;
pub use entities::rich;
pub use poll::{option_bytes, option_id, option_ids};
pub use reaction::is_complete;
pub use reader::{Reader, topic_of};
