//! A Matrix homeserver.

pub mod config;
pub mod http;
