//! What the program says about itself while it runs: to standard error, as text or as JSON. Secrets are kept out where they are held,
//! by types that don't print them.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Starts logging. `RUST_LOG` goes before the configuration's filter. A filter that can't be read is an error, not silence.
pub(crate) fn start(log: &Log) -> Result<(), FilterError> {
    let text = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| log.filter.clone());
    let filter = EnvFilter::try_new(&text)
        .map_err(|error| FilterError { filter: text, reason: error.to_string() })?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // An error means that logging runs already, as in tests; then it stays as it is.
    let _ = match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// The filter of log messages can't be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "the log filter {filter:?} can't be read: {reason}; an example is \"info,landbridge_framework=debug\""
)]
pub(crate) struct FilterError {
    filter: String,
    reason: String,
}
