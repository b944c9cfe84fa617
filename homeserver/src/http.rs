//! Everything between a socket and a handler: extraction, authentication, errors, limits, routing.

pub mod auth;
pub mod error;
pub mod extract;
pub mod json;
pub mod limit;
pub mod observe;
pub mod page;
pub mod params;
#[cfg(feature = "testing")]
pub mod record;
pub mod router;
