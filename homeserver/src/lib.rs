//! A Matrix homeserver.

pub mod clock;
pub mod commit;
pub mod config;
pub mod event;
pub mod feed;
pub mod http;
pub mod nid;
pub mod room;
pub mod storage;
