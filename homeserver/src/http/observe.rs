//! What happens around every request: CORS, a request id for the log, metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use tracing::Instrument;

use crate::app::App;

const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, DELETE, OPTIONS");
const HEADERS: HeaderValue = HeaderValue::from_static(
    "X-Requested-With, Content-Type, Authorization, If-Match, If-None-Match",
);
const ANYONE: HeaderValue = HeaderValue::from_static("*");

/// The routes' names for what matched none.
const NO_ROUTE: &str = "none";

/// Wraps a request. Neither its query nor its headers are logged: both may carry tokens.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    // Preflight requests are answered before anything else, without authentication (Client-Server API, "Web Browser
    // Clients").
    if request.method() == Method::OPTIONS {
        return with_cors(StatusCode::OK.into_response());
    }
    let began = Instant::now();
    let method = request.method().clone();
    let route: Arc<str> =
        request.extensions().get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str).into();
    let id = app.requests.fetch_add(1, Ordering::Relaxed);
    let span = tracing::debug_span!("request", id, %method, %route);
    let response = next.run(request).instrument(span.clone()).await;
    let (status, took) = (response.status(), began.elapsed());
    app.metrics.request(&route, &method, status, took);
    let _in_span = span.enter();
    if status.is_server_error() {
        tracing::warn!(id, %method, %route, status = status.as_u16(), ?took, "answered with a server error");
    } else {
        tracing::debug!(status = status.as_u16(), ?took, "answered");
    }
    with_cors(response)
}

/// The number of the next request.
pub type RequestCounter = AtomicU64;

fn with_cors(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANYONE);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    response
}
