//! From Slack's forms to the framework's.

mod attachments;
mod blocks;
mod date;
mod files;
mod kinds;
mod mentions;
mod message;
mod mrkdwn;
mod page;
mod rich_text;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use attachments::previews;
pub(crate) use files::picture_ref;
pub use files::{file_ref, read_file_ref};
pub use message::{Said, profile, read};
pub use mrkdwn::{plain, rich};

pub(crate) use kinds::{own_name, reaction};
