//! `landbridge config`: the default configuration, each key explained.

use super::{Failure, say};

pub(super) fn print() -> Result<(), Failure> {
    let text =
        crate::config::annotated_default().map_err(|error| Failure::Other(error.to_string()))?;
    say(text.trim_end())
}
