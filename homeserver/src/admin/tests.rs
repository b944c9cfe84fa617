//! The administration API through the router of a whole server, on either engine.

mod media;
mod rig;
mod rooms;
mod users;
