//! What the server does beside rooms, one subject per file.

pub mod typing;
