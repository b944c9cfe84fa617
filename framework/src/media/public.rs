//! Addresses at which everybody can fetch a file of Matrix, for networks that take links only. Each carries a signature
//! and an end, so that the bridge serves nothing that it hasn't given an address for.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::{HeaderValue, StatusCode, header};
use sha2::Sha256;
use url::Url;

use crate::clock::Clock;
use crate::matrix::Matrix;

/// Where the files are served, below the bridge's own address.
const PATH: &str = "_landbridge/media";
/// Types that browsers show without running anything in them; all others are for saving.
const SHOWN: [&str; 11] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/avif",
    "audio/mpeg",
    "audio/ogg",
    "audio/mp4",
    "video/mp4",
    "video/webm",
    "text/plain",
];

/// Makes and checks such addresses.
pub struct PublicMedia {
    base: Url,
    key: [u8; 32],
    valid_ms: i64,
    clock: Arc<dyn Clock>,
}

impl PublicMedia {
    /// `base` is the bridge's address as everybody sees it; `key` must stay the same over restarts, or old addresses
    /// end; `valid_ms` is how long an address is good.
    pub fn new(base: Url, key: [u8; 32], valid_ms: i64, clock: Arc<dyn Clock>) -> Self {
        Self { base, key, valid_ms, clock }
    }

    /// The address of a file.
    pub(super) fn link(&self, mxc: &str, name: &str) -> Option<String> {
        let (server, id) = mxc.strip_prefix("mxc://")?.split_once('/')?;
        let until = self.clock.now_ms() + self.valid_ms;
        let signature = self.sign(server, id, until);
        let mut url = self.base.clone();
        let name = if name.is_empty() { "file" } else { name };
        url.path_segments_mut().ok()?.pop_if_empty().extend(PATH.split('/')).extend([
            server,
            id,
            &until.to_string(),
            &signature,
            name,
        ]);
        Some(url.into())
    }

    fn mac(&self, server: &str, id: &str, until: i64) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(format!("{server}\0{id}\0{until}").as_bytes());
        mac
    }

    fn sign(&self, server: &str, id: &str, until: i64) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(server, id, until).finalize().into_bytes())
    }

    /// Whether the address is ours and still good.
    fn holds(&self, server: &str, id: &str, until: i64, signature: &str) -> bool {
        until >= self.clock.now_ms()
            && URL_SAFE_NO_PAD
                .decode(signature)
                .is_ok_and(|given| self.mac(server, id, until).verify_slice(&given).is_ok())
    }
}

/// Serves the files.
pub fn router(public: Arc<PublicMedia>, matrix: Matrix) -> Router {
    Router::new()
        .route(&format!("/{PATH}/{{server}}/{{id}}/{{until}}/{{signature}}/{{name}}"), get(file))
        .with_state((public, matrix))
}

async fn file(
    State((public, matrix)): State<(Arc<PublicMedia>, Matrix)>,
    Path((server, id, until, signature, _name)): Path<(String, String, i64, String, String)>,
) -> Response {
    if !public.holds(&server, &id, until, &signature) {
        return (StatusCode::NOT_FOUND, "This address is not, or no longer, good.").into_response();
    }
    match matrix.bot().download(&format!("mxc://{server}/{id}")).await {
        Ok(found) => {
            let mime = found.mime.as_deref().unwrap_or("application/octet-stream");
            let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            let shown = SHOWN.contains(&essence.as_str());
            let mut response = Response::new(Body::from_stream(found.bytes));
            let headers = response.headers_mut();
            let mime = HeaderValue::from_str(mime)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            headers.insert(header::CONTENT_TYPE, mime);
            if let Some(size) = found.size {
                headers.insert(header::CONTENT_LENGTH, size.into());
            }
            let disposition = if shown { "inline" } else { "attachment" };
            headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(
                header::CONTENT_SECURITY_POLICY,
                HeaderValue::from_static("sandbox; default-src 'none'"),
            );
            headers.insert(
                header::CACHE_CONTROL,
                HeaderValue::from_static("public, max-age=3600, immutable"),
            );
            response
        }
        Err(error) if error.is_temporary() => {
            (StatusCode::BAD_GATEWAY, "The homeserver doesn't answer.").into_response()
        }
        Err(_) => (StatusCode::NOT_FOUND, "There is no such file.").into_response(),
    }
}
