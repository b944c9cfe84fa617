//! Slack as a bridge reaches it: its Web API with its rate limits, Socket Mode, the requests it sends itself, files.

pub mod api;
mod error;
pub mod files;
mod limits;
pub mod lookup;
mod socket;
mod transport;
pub mod web;

pub use api::{Api, Session};
pub use error::ApiError;
pub(crate) use limits::Limits;
pub(crate) use socket::run as run_socket;
