//! The `landbridge` program: reads one configuration, builds the homeserver and its bridges from it, runs them, stops them.

mod cli;
mod compose;
mod config;
mod logging;
mod signals;

use std::process::ExitCode;

use clap::Parser as _;

/// A message costs about an eighth less of the processor than with the system's allocator (`tests/bench`, S3). Without huge pages:
/// they hold a third more memory and gain nothing that shows there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    // One TLS library with one provider in the whole program; another one installed first would be a mistake of ours.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return cli::failed(&"the TLS provider was installed twice");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(&error),
    };
    let done = runtime.block_on(cli::run(arguments));
    // What still runs on blocking threads (a password being hashed) has nobody left to tell.
    runtime.shutdown_background();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::failed(&error),
    }
}
