//! The Discord bridge: a bot reads the channels of its servers and speaks by webhooks for the people of Matrix, each under their own name;
//! people on both sides may prove who they are and be one person.
//!
//! What comes in: [`client::gateway`] -> the framework's inbox -> [`decode`] ([`convert::to_matrix`]). What goes out: [`connector`]'s
//! handlers -> [`convert::from_matrix`] -> the client's REST requests.

pub mod client;
pub mod config;
pub mod connector;
pub mod convert;
pub mod decode;
pub mod ids;
pub mod raw;
pub mod wire;

pub use config::DiscordConfig;
pub use connector::Discord;
