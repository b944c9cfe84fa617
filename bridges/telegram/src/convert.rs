//! Between Telegram's values and the framework's: pure, and tested by golden files in both directions.

pub mod dates;
pub mod files;
pub mod from_matrix;
pub mod to_matrix;
pub mod utf16;
pub mod waveform;

#[cfg(test)]
mod tests;
