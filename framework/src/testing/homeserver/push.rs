//! Transactions to the appservice: one at a time, in order, the same until it is acknowledged.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use http::{Method, Request};
use landbridge_registration::Transaction;
use serde_json::value::to_raw_value;
use tower::ServiceExt;

use super::Shared;
use super::state::InFlight;
use crate::testing::faults::{CrashPoint, Fate};

/// Events per transaction, at most.
const BATCH: usize = 20;

/// Pushes for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut wait = Duration::from_millis(50);
    loop {
        let news = shared.news.notified();
        let deaths = shared.faults.deaths();
        let target = shared.target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((router, (id, body))) = target.and_then(|router| Some((router, next(&shared)?)))
        else {
            // The timeout is for a homeserver that comes up without news.
            let _ = tokio::time::timeout(Duration::from_millis(500), news).await;
            continue;
        };
        let killed = shared.killed();
        let delivered = tokio::select! {
            () = killed => false,
            delivered = deliver(&shared, router, &id, body) => delivered,
            // The bridge dies, and with it what it was doing for us.
            () = shared.faults.death_after(deaths) => false,
        };
        if delivered {
            shared.state().in_flight = None;
            wait = Duration::from_millis(50);
        } else {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
        }
    }
}

/// The transaction to send now: the one on its way, or a new one.
fn next(shared: &Shared) -> Option<(String, Bytes)> {
    if !shared.faults.homeserver_up() || shared.faults.is_dead() {
        return None;
    }
    let mut state = shared.state();
    if state.in_flight.is_none() && !(state.queue.is_empty() && state.ephemeral.is_empty()) {
        let count = state.queue.len().min(BATCH);
        let events =
            state.queue.drain(..count).filter_map(|event| to_raw_value(&event).ok()).collect();
        state.next_txn += 1;
        if std::mem::take(&mut state.lose_next) {
            return None;
        }
        let id = state.next_txn.to_string();
        let ephemeral = std::mem::take(&mut state.ephemeral);
        let ephemeral = ephemeral.iter().filter_map(|event| to_raw_value(event).ok()).collect();
        let transaction = Transaction { events, ephemeral, ..Transaction::default() };
        let body = Bytes::from(transaction.to_body(&state.registration));
        state.in_flight = Some(InFlight { id, body, count });
    }
    state.in_flight.as_ref().map(|t| (t.id.clone(), t.body.clone()))
}

/// Sends it, with whatever may go wrong, and says whether it was acknowledged.
async fn deliver(shared: &Shared, router: Router, id: &str, body: Bytes) -> bool {
    shared.faults.point(CrashPoint::BeforeTransaction).await;
    let token = shared.state().registration.hs_token.expose().to_owned();
    let send = |body: Bytes| {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(format!("/_matrix/app/v1/transactions/{id}"))
            .header("authorization", format!("Bearer {token}"))
            .body(axum::body::Body::from(body));
        let router = router.clone();
        async move {
            match request {
                Ok(request) => {
                    router.oneshot(request).await.is_ok_and(|answer| answer.status().is_success())
                }
                Err(_) => false,
            }
        }
    };
    let acknowledged = match shared.faults.fate().await {
        Fate::Drop | Fate::RateLimit(_) => false,
        Fate::DropAnswer => {
            send(body).await;
            false
        }
        Fate::Duplicate => {
            send(body.clone()).await;
            send(body).await
        }
        // What waits for the answer is only the next transaction.
        Fate::Pass | Fate::LateAnswer(_) => send(body).await,
    };
    shared.faults.point(CrashPoint::AfterTransaction).await;
    acknowledged
}
