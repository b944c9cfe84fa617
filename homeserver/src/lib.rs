//! A Matrix homeserver.

pub mod admin;
pub mod app;
pub mod client;
pub mod clock;
pub mod commit;
pub mod config;
pub mod event;
pub mod federation;
pub mod feed;
pub mod http;
pub mod metrics;
pub mod nid;
pub mod outbound;
pub mod outbox;
pub mod pages;
pub mod room;
pub mod server;
pub mod services;
pub mod storage;
pub mod sync;

pub use config::Config;
pub use server::Server;
