//! Rooms from the outside: made, spoken in, closed and opened again.

mod local;
mod rig;
