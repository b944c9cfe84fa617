//! The web page: three files inside the program, nothing from elsewhere.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::api::App;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(async || file("text/html; charset=utf-8", include_str!("page/index.html"))))
        .route(
            "/page.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("page/page.js"))),
        )
        .route(
            "/markup.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("page/markup.js"))),
        )
        .route(
            "/page.css",
            get(async || file("text/css; charset=utf-8", include_str!("page/page.css"))),
        )
        .route("/icon.svg", get(async || file("image/svg+xml", include_str!("page/icon.svg"))))
}

fn file(mime: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(mime)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}
