//! `/sync`, and what it shares with the other ways to read rooms.

pub mod access;
pub(crate) mod account_data;
mod changes;
pub mod filter;
pub mod heads;
pub(crate) mod invites;
pub mod json;
pub mod lazy;
pub mod lens;
pub mod order;
pub mod page;
pub mod personal;
pub mod ranking;
mod service;
pub mod sliding;
mod sticky;
#[cfg(test)]
mod tests;
pub mod token;
pub mod v3;
pub mod viewer;
pub mod warm;
pub mod watch;
mod window;

pub use service::SyncService;
