//! Between the Playground's own forms and the framework's neutral ones.

pub mod markup;
mod remote;

pub(crate) use remote::event_key;
pub use remote::events;

/// How far a message's text may go from Matrix, in characters: with all its markup it stays below the network's limit.
pub const MAX_CHARS: usize = 4_000;
/// How many answers a poll may have.
pub const MAX_ANSWERS: usize = 20;
