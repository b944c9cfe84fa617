//! The IRC bridge: channels and private messages of any IRC network as Matrix rooms, with a connection of their own for the Matrix
//! users who speak there, and a relay for the rest.
//!
//! What comes in: [`client`] (the bot's connection) -> `listener` -> the framework's inbox -> [`decode`]. What goes
//! out: [`connector`]'s handlers -> [`hub`] (who speaks) -> [`pool`] (their connection) -> [`client`], which confirms every line.

pub mod casemap;
pub mod chan;
pub mod client;
pub mod config;
pub mod connector;
pub mod convert;
mod ctcp;
pub mod decode;
pub mod hub;
pub mod ident;
pub mod ids;
pub mod isupport;
mod listener;
pub mod membership;
pub mod message;
pub mod modes;
pub mod nick;
#[cfg(test)]
mod peer;
pub mod pool;
pub mod raw;

pub use config::IrcConfig;
pub use connector::Irc;
