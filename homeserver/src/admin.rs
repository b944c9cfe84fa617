//! Administration: accounts by shared secret, rights, health and metrics.

pub mod health;
pub mod local;
pub mod mas;
pub mod media;
pub mod notices;
pub mod register;
pub mod registration_tokens;
pub mod reports;
mod request;
pub mod rooms;
pub mod server_info;
#[cfg(test)]
mod tests;
pub mod users;
pub mod welcome;
pub mod work;
