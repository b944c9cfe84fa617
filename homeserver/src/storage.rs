//! The only place with SQL: one file per family of tables, both engines in one text.
//!
//! Reads take a [`Database`](landbridge_database::Database), writes a
//! [`CommitTx`](crate::commit::CommitTx): so nothing is written but through the committer.

pub mod aliases;
mod error;
pub mod events;
pub mod memberships;
pub mod receipts;
pub mod relations;
pub mod rooms;
mod schema;
pub mod server;
pub mod state_groups;
pub mod timeline;
pub mod timeline_read;
pub mod txns;

pub use error::StorageError;
pub use schema::SCHEMA;
