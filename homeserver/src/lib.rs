//! A Matrix homeserver.

pub mod config;
pub mod event;
pub mod http;
pub mod nid;
pub mod room;
