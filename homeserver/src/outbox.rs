//! What goes out of the server by itself: readers of the changes that talk to others.

pub mod appservice;
pub mod push;
