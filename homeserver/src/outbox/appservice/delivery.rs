//! Sends one service its transactions, one after the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use landbridge_registration::TransactionId;
use rand::RngExt as _;
use tokio::time::Instant;

use super::queue::{Handle, Queue};
use super::{Outbox, Rest, ephemeral, lock};
use crate::services::appservices::Appservice;

/// How long a service may take to take a transaction.
const TIME: Duration = Duration::from_mins(1);
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A service that shows itself alive is tried again at once, but not more often than this.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// For how long a transaction that was taken may wait for another commit to delete it.
const TIDY: Duration = Duration::from_millis(250);

/// Starts delivering a queue, if the outbox has started.
pub(super) fn start(outbox: &Outbox, queue: &Handle) {
    if let Some(rest) = outbox.0.rest.get() {
        rest.background.spawn(run(outbox.clone(), queue.clone()));
    }
}

async fn run(outbox: Outbox, queue: Arc<Queue>) {
    let Some(rest) = outbox.0.rest.get() else { return };
    let mut volatile = ephemeral::Sequence::default();
    while !queue.is_ended() {
        if let Some(txn) = queue.front() {
            let id = TransactionId {
                generation: outbox.0.feed.generation().unsigned_abs(),
                sequence: txn.number.unsigned_abs(),
            };
            if deliver(&outbox, &queue, &id.to_string(), &txn.body, || false).await {
                queue.taken();
                tidy(rest, &queue);
            }
        } else if let Some(next) = ephemeral::next(&outbox, &queue, &mut volatile).await {
            // Something newer or durable is not held up by this.
            let superseded = || queue.front().is_some() || !lock(&queue.pending).is_empty();
            if !deliver(&outbox, &queue, &next.id, &next.body, superseded).await {
                lock(&queue.pending).put_back(next.entries);
            }
        } else {
            wait(rest, &queue).await;
        }
    }
}

/// Waits for something to send, and meanwhile deletes what was taken, if no other commit does.
async fn wait(rest: &Rest, queue: &Queue) {
    if !queue.has_taken() {
        return queue.news.notified().await;
    }
    if tokio::time::timeout(TIDY, queue.news.notified()).await.is_err() {
        flush(rest).await;
    }
}

/// Has waiting items closed, where no commit may be on its way.
fn tidy(rest: &Rest, queue: &Queue) {
    if queue.wants_closing() {
        let committer = rest.committer.clone();
        rest.background.spawn(async move {
            if let Err(error) = committer.flush().await {
                tracing::error!(%error, "an appservice's queue could not go on");
            }
        });
    }
}

/// An empty commit: the outbox does its part in it.
async fn flush(rest: &Rest) {
    if let Err(error) = rest.committer.flush().await {
        tracing::error!(%error, "what an appservice has taken could not be deleted");
        tokio::time::sleep(LONGEST_WAIT).await;
    }
}

/// Sends a transaction until it is taken (true), or until `given_up` after a failure or the service is gone.
async fn deliver(
    outbox: &Outbox,
    queue: &Queue,
    id: &str,
    body: &Bytes,
    given_up: impl Fn() -> bool,
) -> bool {
    let mut failures: u32 = 0;
    loop {
        // Looked up each time: its registration may have changed.
        let Some(service) = outbox.0.appservices.by_id(queue.id()).filter(|_| !queue.is_ended())
        else {
            queue.end();
            return false;
        };
        let started = Instant::now();
        let problem = attempt(&service, id, body).await;
        let outcome = if problem.is_none() { "taken" } else { "failed" };
        let labels = [("service", service.id().to_owned()), ("outcome", outcome.to_owned())];
        metrics::counter!("landbridge_appservice_transactions_total", &labels).increment(1);
        let Some(problem) = problem else {
            metrics::histogram!("landbridge_appservice_delivery_seconds", "service" => service.id().to_owned())
                .record(started.elapsed().as_secs_f64());
            service.signs().stalled.store(false, Ordering::Relaxed);
            if failures > 0 {
                tracing::info!(
                    service = service.id(),
                    txn = id,
                    "the service takes transactions again"
                );
            }
            return true;
        };
        failures += 1;
        // The first failure is told, then ever fewer.
        if failures.is_power_of_two() {
            let queued = queue.queued();
            tracing::warn!(
                service = service.id(),
                txn = id,
                failures,
                queued,
                problem,
                "a transaction failed"
            );
        }
        service.signs().stalled.store(true, Ordering::Relaxed);
        if given_up() {
            // Its place is taken; a service that is away must still not be asked without pause.
            pause(&service, failures, started).await;
            return false;
        }
        pause(&service, failures, started).await;
    }
}

async fn attempt(service: &Appservice, id: &str, body: &Bytes) -> Option<String> {
    let path = format!("/transactions/{id}");
    let transport = service.transport();
    match transport.call(Method::PUT, &path, Some(&path), Some(body.clone()), TIME).await {
        Ok(answer) if answer.status.is_success() => None,
        Ok(answer) => Some(format!("it answered {}", answer.status)),
        Err(error) => Some(error.to_string()),
    }
}

/// Waits before the next attempt: longer each time, shorter if the service shows itself alive.
async fn pause(service: &Appservice, failures: u32, started: Instant) {
    let wait = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    // Services that went away together do not come back all at the same moment.
    let wait = wait.mul_f64(rand::rng().random_range(0.75..1.0));
    let until = Instant::now() + wait;
    tokio::select! {
        () = tokio::time::sleep_until(until) => {}
        () = service.signs().alive.notified() => {
            tokio::time::sleep_until((started + SHORTEST_WAIT).min(until)).await;
        }
    }
}
