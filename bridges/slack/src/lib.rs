//! The Slack bridge: channels, direct and group conversations of any number of workspaces as Matrix rooms. An app with a bot in each
//! workspace relays Matrix users by name and picture; people may bring their own accounts.
//!
//! What comes in: [`client`] (Socket Mode or the Events API) -> [`hub`] (for whom it is) -> the framework's inbox -> [`decode`]. What goes
//! out: [`connector`]'s handlers -> [`client`]'s Web API.

pub mod client;
pub mod config;
pub mod connector;
pub mod convert;
pub mod decode;
pub mod emoji;
pub mod hub;
pub mod ids;
mod json;
pub mod manifest;
pub mod people;
pub mod raw;

pub use config::SlackConfig;
pub use connector::Slack;
