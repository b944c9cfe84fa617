//! What a bridge shows to everybody, fetched without a socket.

use axum::{Router, body::Body};
use http::{Request, header};
use tower::ServiceExt as _;

/// More than any test's file.
const LIMIT: usize = 1 << 20;

/// The file that a bridge gives to whoever has the link: its type and its bytes. `None` if it refuses.
///
/// # Panics
///
/// When the link is none.
pub async fn fetch_link(bridge: Router, link: &str) -> Option<(String, Vec<u8>)> {
    let link = url::Url::parse(link).expect("the link is one");
    let request = Request::get(link.path()).body(Body::empty()).expect("a path can be asked for");
    // A router is a service that can't fail.
    let answer = bridge.oneshot(request).await.unwrap_or_else(|never| match never {});
    if !answer.status().is_success() {
        return None;
    }
    let mime = answer.headers().get(header::CONTENT_TYPE)?.to_str().ok()?.to_owned();
    let bytes = axum::body::to_bytes(answer.into_body(), LIMIT).await.ok()?;
    Some((mime, bytes.to_vec()))
}
