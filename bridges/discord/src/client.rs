//! The bridge's connection to Discord: the gateway tells what happens, the REST API does things.

mod asking;
mod body;
pub mod cache;
pub mod catch_up;
pub mod error;
pub mod gateway;
pub mod hub;
pub mod intake;
mod lottie;
pub mod media;
pub mod pins;
pub mod rest;
mod send;
pub(crate) mod servers;
pub mod session;
pub mod votes;
pub mod webhooks;

pub use error::ApiError;
pub use hub::Hub;
pub use rest::{Call, Rest, Wait};
pub use send::{Delivery, Piece, Progress, Quote, Save, Speaker, Upload};
