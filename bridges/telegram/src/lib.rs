//! The bridge to Telegram, over MTProto: people's own accounts, and a bot that relays for those who have none.
//!
//! What comes in: [`client`] (connection, updates in order) -> the framework's inbox, in the transaction that moves `pts` ->
//! [`convert::to_matrix`]. What goes out: [`connector`]'s handlers -> [`convert::from_matrix`] -> [`client`].

#![allow(
    clippy::large_futures,
    reason = "Telegram's types are large, and a few of these futures live at once for each account"
)]
#![allow(
    clippy::match_same_arms,
    clippy::single_match_else,
    clippy::similar_names,
    clippy::format_push_string,
    reason = "cases stand beside each other as Telegram's documentation has them; short texts are put together as they read"
)]

pub mod client;
pub mod config;
pub mod connector;
pub mod convert;
pub mod ids;
pub mod raw;

pub use config::Config;
pub use connector::Telegram;
