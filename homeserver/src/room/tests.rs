//! Rooms from the outside: made, spoken in, closed and opened again.

mod history;
mod interest;
mod local;
mod model;
mod peer;
mod plain;
mod remote;
mod rig;
