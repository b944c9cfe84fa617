//! The only place with SQL: one file per family of tables, both engines in one text.
//!
//! Reads take a [`Database`](landbridge_database::Database), writes a
//! [`CommitTx`](crate::commit::CommitTx): so nothing is written but through the committer.

pub mod account_data;
mod account_schema;
pub mod accounts;
pub mod admin_users;
pub mod aliases;
pub mod appservice_directory;
pub mod appservice_outbox;
pub mod blocked_rooms;
pub mod cross_signing_grants;
pub mod dehydrated;
pub mod delayed;
pub mod devices;
pub mod erasure;
mod error;
pub mod events;
pub mod external_ids;
pub mod filters;
pub mod gaps;
pub mod jobs;
pub mod key_backup;
pub mod keys;
pub mod media;
pub mod media_admin;
pub mod media_usage;
pub mod memberships;
pub mod notifications;
pub mod profiles;
pub mod published;
pub mod pushers;
pub mod rate_overrides;
pub mod receipts;
pub mod registration_tokens;
pub mod relations;
pub mod reports;
pub mod room_listing;
pub mod room_open;
pub mod room_purge;
pub mod room_sizes;
pub mod rooms;
pub mod said;
mod schema;
pub mod search;
pub mod server;
pub mod server_notices;
pub mod sliding;
pub mod state_groups;
pub mod sticky;
pub mod threads;
pub mod threepids;
pub mod timeline;
pub mod timeline_import;
pub mod timeline_read;
pub mod to_device;
pub mod tokens;
pub mod txns;
pub mod upgrades;
pub mod url_previews;
pub mod user_directory;

pub use account_schema::ACCOUNTS;
pub use error::StorageError;
pub use schema::SCHEMA;
