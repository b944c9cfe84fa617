//! When the program is asked to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or SIGINT cancels. The second one ends the program at once: somebody is in a hurry, and nothing that
/// was acknowledged is lost by it.
pub(crate) fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked {
                tracing::warn!("asked to stop again: stopping at once");
                std::process::exit(130);
            }
            asked = true;
            tracing::info!("stopping; what was begun is finished first");
            token.cancel();
        }
    });
    Ok(stop)
}
