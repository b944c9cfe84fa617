//! The administration API through the router of a whole server, on either engine.

mod deletion;
mod media;
mod redaction;
mod rig;
mod rooms;
mod tokens;
mod users;
