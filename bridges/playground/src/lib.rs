//! The Playground: a chat network of our own ([`network`]) and the bridge to it, so that a newcomer sees messages cross with nothing
//! else installed, and tests have a network that they can kill.

pub mod client;
mod config;
mod connector;
pub mod convert;
pub mod network;
pub mod wire;

pub use config::Config;
pub use connector::{Connection, Credentials, Playground, Raw};
