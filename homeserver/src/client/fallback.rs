//! Pages by which people log in and register whose clients can't do it themselves (Client-Server API, "Login Fallback"; clients open
//! the page for registration where the specification had it before). They are the only pages with scripts, which come from here alone.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};

use crate::app::App;
use crate::http::router::{Route, get};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
    form-action 'self'; base-uri 'none'";

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/static/client/login", login),
        get("/_matrix/static/client/login/", login),
        get("/_matrix/static/client/login/login.js", login_script),
        get("/_matrix/static/client/register", register),
        get("/_matrix/static/client/register/", register),
        get("/_matrix/static/client/register/register.js", register_script),
        get("/_matrix/static/client/common.js", common_script),
        get("/_matrix/static/client/style.css", style),
    ]
}

async fn login() -> Response {
    file("text/html; charset=utf-8", include_str!("fallback/login.html"))
}

async fn login_script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("fallback/login.js"))
}

async fn register() -> Response {
    file("text/html; charset=utf-8", include_str!("fallback/register.html"))
}

async fn register_script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("fallback/register.js"))
}

async fn common_script() -> Response {
    file("text/javascript; charset=utf-8", include_str!("fallback/common.js"))
}

async fn style() -> Response {
    file("text/css; charset=utf-8", include_str!("fallback/style.css"))
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // The address may hold a token.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
