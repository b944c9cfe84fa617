//! `/sync`, and what it shares with the other ways to read rooms.

pub mod access;
pub mod filter;
pub mod heads;
pub mod json;
pub mod lazy;
pub mod lens;
pub mod page;
mod service;
#[cfg(test)]
mod tests;
pub mod token;
pub mod v3;
pub mod viewer;

pub use service::SyncService;
