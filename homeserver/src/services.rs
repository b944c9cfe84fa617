//! What the server does beside rooms, one subject per file.

pub mod account_data;
pub mod accounts;
pub mod appservices;
pub mod cache;
pub mod devices;
pub mod keys;
pub mod media;
pub mod nonces;
pub mod password;
pub mod profiles;
pub mod push_rules;
pub mod pushers;
pub mod sessions;
pub mod to_device;
pub mod typing;
pub mod uia;
