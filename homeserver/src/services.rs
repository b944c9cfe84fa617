//! What the server does beside rooms, one subject per file.

pub mod account_data;
pub mod accounts;
pub mod appservices;
pub mod cache;
pub mod departures;
pub mod device_lists;
pub mod devices;
pub mod directory;
pub mod key_counts;
pub mod keys;
pub mod media;
pub mod nonces;
pub mod notifications;
pub mod password;
pub mod presence;
pub mod profiles;
pub mod push_rules;
pub mod pushers;
pub mod receipts;
pub mod relations;
pub mod search;
pub mod sessions;
pub mod to_device;
pub mod typing;
pub mod uia;
pub mod welcome;
