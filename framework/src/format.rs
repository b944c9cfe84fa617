//! Rich text that belongs to no network: [`Rich`] is plain text with styled spans. Every network converts
//! its own form to and from it, and this module converts it to and from Matrix HTML.
//!
//! Layout of blocks: the text of a quote, list item, heading or code block begins and ends at line breaks
//! of [`Rich::text`]; markers such as `>` or `-` are not part of the text, renderers add them.

mod content;
mod from_html;
mod markdown;
mod plain;
mod rich;
mod to_html;

#[cfg(test)]
mod tests;

pub(crate) use content::profile;
pub use content::{from_content, strip_reply_fallback, to_content};
pub use from_html::from_html;
pub use markdown::from_markdown;
pub use plain::{to_fallback, to_plain};
pub use rich::{Rgb, Rich, RoomTarget, Run, Span, Style, UserTarget};
pub use to_html::to_html;
