//! When the program is asked to stop.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use landbridge_homeserver::app::App;
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
        let mut asked: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            // A supervisor that signals the process and its group signals twice: that is no hurry.
            if asked.is_some_and(|first| first.elapsed() > Duration::from_secs(1)) {
                tracing::warn!("asked to stop again: stopping at once");
                std::process::exit(130);
            }
            if asked.is_none() {
                asked = Some(Instant::now());
                tracing::info!("stopping; what was begun is finished first");
                token.cancel();
            }
        }
    });
    Ok(stop)
}

/// Reads the registrations of the appservice folder again at each SIGHUP. When one of them is wrong, those before stay in force.
pub(crate) fn reload_on_hangup(app: &Arc<App>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let Some(app) = app.upgrade() else { return };
            match app.appservices.reload() {
                Ok(()) => tracing::info!("read the registrations again"),
                Err(error) => {
                    tracing::error!(%error, "the registrations can't be read; those before stay in force");
                }
            }
        }
    });
    Ok(())
}
