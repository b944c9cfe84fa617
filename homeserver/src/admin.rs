//! Administration: accounts by shared secret, rights, health and metrics.

pub mod health;
pub mod local;
pub mod notices;
pub mod register;
mod request;
pub mod rooms;
#[cfg(test)]
mod tests;
pub mod users;
pub mod welcome;
