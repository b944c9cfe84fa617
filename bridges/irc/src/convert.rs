//! IRC's formatting to and from the framework's rich text, and texts to lines that fit.

pub mod edits;
pub mod from_matrix;
mod ink;
pub mod lines;
pub mod to_matrix;

#[cfg(test)]
mod tests;

/// The control characters of IRC formatting (<https://modern.ircdocs.horse/formatting>).
pub(crate) mod code {
    pub(crate) const CTCP: char = '\x01';
    pub(crate) const BOLD: char = '\x02';
    pub(crate) const COLOUR: char = '\x03';
    pub(crate) const HEX_COLOUR: char = '\x04';
    pub(crate) const RESET: char = '\x0f';
    pub(crate) const MONOSPACE: char = '\x11';
    pub(crate) const REVERSE: char = '\x16';
    pub(crate) const ITALIC: char = '\x1d';
    pub(crate) const STRIKE: char = '\x1e';
    pub(crate) const UNDERLINE: char = '\x1f';
}
