//! Notices that the homeserver was away, however short: a request that hangs breaks off when its process ends. Asking now
//! and then whether it is there would miss a restart between two questions, and with it what that restart forgot.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    engine::Engine,
    matrix::{Intent, MatrixError},
};

/// How long the hanging request may hang: as clients have it, so that proxies allow it.
const HANG: Duration = Duration::from_secs(30);
/// An answer before this means that the homeserver doesn't let requests hang.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How often a homeserver is asked whether it is there where nothing can hang.
const PROBE: Duration = Duration::from_secs(2);
/// The same while it is away.
const AWAY: Duration = Duration::from_millis(300);
/// When an answer counts as none.
const PATIENCE: Duration = Duration::from_secs(5);
/// After how long all rooms are read back though nothing was seen to fail.
const SUSPICION: Duration = Duration::from_mins(10);
/// Who hangs, in place of a ghost's id. No id is encoded like this, and who is in no room is told of nothing.
const WATCHER: &str = "=watch";

impl Engine {
    /// A request to the homeserver failed: it may have been restarted. Every failure counts, since what was read back
    /// before it may have been read from the process that ended.
    pub(crate) fn homeserver_failed(&self) {
        self.readback.outages.fetch_add(1, Ordering::AcqRel);
        self.readback.down.store(true, Ordering::Release);
    }

    /// Watches the homeserver: when it is back, whoever waits tries again, and what may be missing is read back.
    pub(crate) async fn watch_homeserver(self: Arc<Self>) {
        let mut since = None;
        loop {
            let answered = tokio::time::timeout(PATIENCE, self.matrix.bot().versions()).await;
            match answered {
                Ok(Ok(versions)) => {
                    *self.features.write().await = Some(Arc::new(versions));
                    if self.readback.down.swap(false, Ordering::AcqRel) {
                        tracing::info!("the homeserver is back");
                        self.portals.retry_now.notify_waiters();
                    }
                    self.readback.wake.notify_one();
                    self.watch_until_it_fails(&mut since).await;
                }
                Ok(Err(error)) if !error.is_temporary() => {
                    tracing::warn!(%error, "the homeserver refuses to say what it can do");
                    tokio::time::sleep(PROBE).await;
                }
                Ok(Err(_)) | Err(_) => {
                    if !self.readback.down.load(Ordering::Acquire) {
                        tracing::warn!("the homeserver does not answer");
                    }
                    self.homeserver_failed();
                    tokio::time::sleep(AWAY).await;
                }
            }
        }
    }

    /// Hangs, again and again, until that fails: with no pause in which the homeserver could end unseen. Where it can't hang,
    /// or need not, this only waits a while.
    async fn watch_until_it_fails(&self, since: &mut Option<String>) {
        // One that keeps everything may come and go as it likes.
        if !matches!(self.homeserver_is_durable().await, Ok(false)) {
            return tokio::time::sleep(PROBE).await;
        }
        let localpart = self.config.username_template.replace("{}", WATCHER);
        let watcher = self.matrix.ghost(&self.matrix.user_id(&localpart));
        loop {
            let started = Instant::now();
            match hang(&watcher, since).await {
                Ok(()) if started.elapsed() < AT_ONCE => return tokio::time::sleep(PROBE).await,
                Ok(()) => {}
                Err(error) if error.is_transport() || error.is_gateway() => {
                    tracing::info!(%error, "the homeserver broke off");
                    return self.homeserver_failed();
                }
                Err(error) => {
                    tracing::debug!(%error, "the homeserver lets nothing hang");
                    *since = None;
                    return tokio::time::sleep(PROBE).await;
                }
            }
        }
    }

    /// Reads rooms back when the homeserver was away, and now and then.
    pub(crate) async fn read_back_loop(self: Arc<Self>) {
        let mut swept = 0;
        let mut last = Instant::now();
        loop {
            let outages = self.readback.outages.load(Ordering::Acquire);
            if swept == outages || self.readback.down.load(Ordering::Acquire) {
                let left = SUSPICION.saturating_sub(last.elapsed());
                tokio::select! {
                    () = self.readback.wake.notified() => {}
                    () = tokio::time::sleep(left) => {
                        // Where nothing hangs, a restart can go unseen: what it lost is found in the end.
                        self.readback.outages.fetch_add(1, Ordering::AcqRel);
                        last = Instant::now();
                    }
                }
                continue;
            }
            match self.catch_up_all(false).await {
                Ok(()) => (swept, last) = (outages, Instant::now()),
                Err(failure) => {
                    tracing::warn!(error = %failure, "rooms could not be read back yet");
                    tokio::time::sleep(PROBE).await;
                }
            }
        }
    }
}

/// One request that hangs until it is over, or breaks off.
async fn hang(watcher: &Intent, since: &mut Option<String>) -> Result<(), MatrixError> {
    let from = if let Some(from) = since.take() {
        from
    } else {
        watcher.ensure_registered().await?;
        watcher.nothing_since(None, Duration::ZERO).await?
    };
    *since = Some(watcher.nothing_since(Some(&from), HANG).await?);
    Ok(())
}
