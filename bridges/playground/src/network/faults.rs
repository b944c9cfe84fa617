//! Misbehaviour on demand, so that tests see a bridge live through it. Only where the network was opened with faults.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::stream;

use super::{api::App, error::NetworkError};
use crate::wire::Faults;

/// Longest delay that can be asked for, in milliseconds.
const MAX_DELAY_MS: u64 = 60_000;

/// The faults in force and the counts they go by.
#[derive(Default)]
pub(crate) struct FaultBoard {
    faults: Mutex<Faults>,
    requests: AtomicU64,
}

impl FaultBoard {
    /// The faults in force.
    pub(crate) fn get(&self) -> Faults {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other faults in force; counts begin anew.
    pub(crate) fn set(&self, mut faults: Faults) {
        faults.delay_ms = faults.delay_ms.min(MAX_DELAY_MS);
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
        self.requests.store(0, Ordering::Relaxed);
    }
}

/// Plays the faults around a request that changes something.
pub(crate) async fn play(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, NetworkError> {
    let Some(board) = &app.faults else { return Ok(next.run(request).await) };
    let faults = board.get();
    tokio::time::sleep(Duration::from_millis(faults.delay_ms)).await;
    if matches!(*request.method(), Method::GET | Method::HEAD)
        || request.uri().path() == "/api/faults"
    {
        return Ok(next.run(request).await);
    }
    let count = board.requests.fetch_add(1, Ordering::Relaxed) + 1;
    let due = |every: u64| every > 0 && count.is_multiple_of(every);
    if due(faults.rate_limit_every) {
        return Err(NetworkError::RateLimited(faults.retry_after_ms));
    }
    if due(faults.drop_before_every) {
        return Ok(broken());
    }
    let response = next.run(request).await;
    Ok(if due(faults.drop_after_every) { broken() } else { response })
}

/// An answer whose body fails, on which the server cuts the connection.
fn broken() -> Response {
    let failure =
        std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "a fault was asked for");
    Body::from_stream(stream::once(async { Err::<bytes::Bytes, _>(failure) })).into_response()
}
