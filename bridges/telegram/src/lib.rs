//! The bridge to Telegram, over MTProto: people's own accounts, and a bot that relays for those who have none.
//!
//! What comes in: [`client`] (connection, updates in order) -> the framework's inbox, in the transaction that moves `pts` ->
//! [`convert::to_matrix`]. What goes out: [`connector`]'s handlers -> [`convert::from_matrix`] -> [`client`].

pub mod client;
pub mod config;
pub mod connector;
pub mod convert;
pub mod ids;
pub mod raw;

pub use config::Config;
pub use connector::Telegram;
