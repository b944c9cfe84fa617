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
/// How long after an outage, the homeserver's or the bridge's, the numbers of transactions are looked at. Longer than it takes
/// until a homeserver tries again: Synapse waits up to nine minutes.
const DOUBT_MS: i64 = 20 * 60_000;
/// When all rooms are read back again after they were: for events that come in no transaction any more.
const AGAIN: [Duration; 2] = [Duration::from_secs(15), Duration::from_mins(1)];
/// How long the homeserver rests between two rounds, at least.
const REST: Duration = Duration::from_secs(2);
/// Who hangs, in place of a ghost's id. No id is encoded like this, and who is in no room is told of nothing.
const WATCHER: &str = "=watch";

impl Engine {
    /// A request to the homeserver failed: it may have been restarted. Every failure counts, since what was read back
    /// before it may have been read from the process that ended.
    pub(crate) fn homeserver_failed(&self) {
        self.readback.outages.fetch_add(1, Ordering::AcqRel);
        self.readback.down.store(true, Ordering::Release);
        self.doubt_transactions();
    }

    /// A transaction may have failed: the bridge or the homeserver was away, or too slow. From now on, for a while, numbers matter.
    pub(crate) fn doubt_transactions(&self) {
        self.readback.doubt_until.store(self.now() + DOUBT_MS, Ordering::Release);
    }

    /// Looks at a transaction's number. Synapse numbers them, and loses one when an event comes just as it begins to send
    /// again after a failure: that event waits for the next failure, and those after it don't. The numbers are those of all
    /// its application services, so a missing one is often somebody else's; only for a while is it worth a look.
    pub(crate) fn note_transaction(&self, txn_id: &str) {
        let Ok(number) = txn_id.parse::<i64>() else { return };
        let last = self.readback.last_txn.swap(number, Ordering::AcqRel);
        if last != 0
            && number != last
            && number != last + 1
            && self.now() < self.readback.doubt_until.load(Ordering::Acquire)
        {
            self.readback.outages.fetch_add(1, Ordering::AcqRel);
            self.readback.wake.notify_one();
        }
    }

    /// Watches the homeserver: when it is back, whoever waits tries again, and what may be missing is read back.
    pub(crate) async fn watch_homeserver(self: Arc<Self>) {
        let mut since = None;
        self.doubt_transactions();
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

    /// Reads rooms back when the homeserver was away, twice more soon after, and now and then.
    pub(crate) async fn read_back_loop(self: Arc<Self>) {
        let mut swept = 0;
        let mut again = AGAIN.iter();
        let mut due = Instant::now() + SUSPICION;
        loop {
            let outages = self.readback.outages.load(Ordering::Acquire);
            if swept == outages || self.readback.down.load(Ordering::Acquire) {
                tokio::select! {
                    () = self.readback.wake.notified() => continue,
                    () = tokio::time::sleep_until(due) => {}
                }
                // Where nothing hangs, a restart can go unseen: what it lost is found in the end.
                swept = self.readback.outages.fetch_add(1, Ordering::AcqRel) + 1;
            } else {
                swept = outages;
                again = AGAIN.iter();
            }
            let started = Instant::now();
            due = started + again.next().copied().unwrap_or(SUSPICION);
            if let Err(failure) = self.catch_up_all(false).await {
                tracing::warn!(error = %failure, "rooms could not be read back yet");
                swept = 0;
            }
            tokio::time::sleep(started.elapsed().max(REST)).await;
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
