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
mod tests;

pub(crate) use files::picture_ref;
pub use files::{file_ref, read_file_ref};
pub use message::{Said, read};
pub use mrkdwn::{plain, rich};

/// A reaction or emoji by Slack's name: Unicode's, or the workspace's own.
pub(crate) use kinds::reaction;
