//! Whether the server lives and can work, and what it counts.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::app::App;
use crate::http::auth::{Address, Requester};
use crate::http::error::ApiResult;
use crate::http::router::{Route, get};

const PROMETHEUS: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/health", live),
        get("/_landbridge/live", live),
        get("/_landbridge/ready", ready),
        get("/metrics", metrics),
    ]
}

/// The process answers.
async fn live() -> &'static str {
    "OK"
}

/// The database answers, too.
async fn ready(State(app): State<Arc<App>>) -> Response {
    match app.db.fetch("SELECT 1", Vec::new()).await {
        Ok(_) => "OK".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer").into_response()
        }
    }
}

/// For Prometheus on this machine, and for administrators.
async fn metrics(State(app): State<Arc<App>>, request: Request) -> ApiResult<Response> {
    let (mut parts, _) = request.into_parts();
    let Address(from) = Address::from_request_parts(&mut parts, &app).await?;
    // Behind a reverse proxy on this machine everyone seems to be local.
    let proxied =
        ["x-forwarded-for", "forwarded"].iter().any(|name| parts.headers.contains_key(*name));
    if proxied || !from.is_none_or(|address| address.is_loopback()) {
        Requester::from_request_parts(&mut parts, &app).await?.must_be_admin(&app).await?;
    }
    let mut response = app.metrics.render().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, PROMETHEUS);
    Ok(response)
}
