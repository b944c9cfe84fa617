//! Between Discord's messages and the framework's. Pure: tested from files, both ways.

pub mod date;
pub mod from_matrix;
pub mod to_matrix;

#[cfg(test)]
mod round_trip;
