//! The IRC bridge: channels and private messages of any IRC network as Matrix rooms, with a connection of their own for the Matrix
//! users who speak there, and a relay for the rest.

pub mod casemap;
pub mod client;
pub mod convert;
pub mod isupport;
pub mod message;
pub mod nick;
