//! Requests to one application service: over HTTP, or straight into a router in this process. Both carry the
//! same requests, so that a service cannot tell them apart.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use axum::Router;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::FutureExt as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use landbridge_registration::Registration;
use tower::ServiceExt as _;

/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 1 << 20;
const CONNECT: Duration = Duration::from_secs(10);

/// What a service answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status of the answer.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The service has no URL and is not attached in this process.
    #[error("the application service has no URL")]
    NoUrl,
    /// It took too long.
    #[error("the application service did not answer in time")]
    Timeout,
    /// It could not be reached, or broke off.
    #[error("the application service could not be reached: {0}")]
    Connection(String),
}

/// The way to one service.
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Option<String>,
    authorization: HeaderValue,
    router: ArcSwapOption<Router>,
    /// Whether it knows only the paths from before the API had versions ("Legacy routes").
    legacy: AtomicBool,
}

/// The client for all services: connections stay open, redirects are not followed, since they could lead a
/// token elsewhere. `extra_root` is one more certificate (PEM) that their servers may show.
pub(super) fn client(extra_root: Option<&[u8]>) -> Result<reqwest::Client, reqwest::Error> {
    // reqwest takes the process's provider; whoever was first to install one, it is this one everywhere.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let roots = extra_root.map(reqwest::Certificate::from_pem_bundle).transpose()?;
    reqwest::Client::builder()
        .tls_certs_merge(roots.unwrap_or_default())
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .http1_only()
        .no_proxy()
        .user_agent(concat!("Landbridge/", env!("CARGO_PKG_VERSION")))
        .build()
}

impl Transport {
    pub(super) fn new(http: reqwest::Client, registration: &Registration) -> Self {
        let bearer = format!("Bearer {}", registration.hs_token.expose());
        // A registration's tokens are checked to fit into a header.
        let mut authorization =
            HeaderValue::from_str(&bearer).unwrap_or(HeaderValue::from_static("Bearer"));
        authorization.set_sensitive(true);
        Self {
            http,
            base: registration.url.as_deref().map(|url| url.trim_end_matches('/').to_owned()),
            authorization,
            router: ArcSwapOption::empty(),
            legacy: AtomicBool::new(false),
        }
    }

    pub(super) fn inherit(&self, before: &Self) {
        self.router.store(before.router.load_full());
    }

    pub(super) fn attach(&self, router: Router) {
        self.router.store(Some(Arc::new(router)));
    }

    /// Calls a path below `/_matrix/app/v1`. A service that does not know it is asked once more by its
    /// `legacy` path.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        legacy: Option<&str>,
        body: Option<Bytes>,
        time: Duration,
    ) -> Result<Answer, CallError> {
        let current = format!("/_matrix/app/v1{path}");
        let work = async {
            let Some(old) = legacy else {
                return self.once(&method, &current, body).await;
            };
            if self.legacy.load(Ordering::Relaxed) {
                let answer = self.once(&method, old, body.clone()).await?;
                if !is_unknown(&answer) {
                    return Ok(answer);
                }
                // It has been updated meanwhile, perhaps.
                self.legacy.store(false, Ordering::Relaxed);
            }
            let answer = self.once(&method, &current, body.clone()).await?;
            if !is_unknown(&answer) {
                return Ok(answer);
            }
            let second = self.once(&method, old, body).await?;
            if second.status.is_success() {
                self.legacy.store(true, Ordering::Relaxed);
                return Ok(second);
            }
            // The answer by the current path says more: it may be a plain "no such user".
            Ok(answer)
        };
        tokio::time::timeout(time, work).await.unwrap_or(Err(CallError::Timeout))
    }

    async fn once(
        &self,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, CallError> {
        if let Some(router) = self.router.load_full() {
            return self.in_process(&router, method, path, body).await;
        }
        let base = self.base.as_ref().ok_or(CallError::NoUrl)?;
        let mut request = self
            .http
            .request(method.clone(), format!("{base}{path}"))
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        // The URL may hold a password; the cause alone is told.
        let told = |error: reqwest::Error| CallError::Connection(error.without_url().to_string());
        let mut response = request.send().await.map_err(told)?;
        let status = response.status();
        let mut answer = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(told)? {
            if answer.len() + chunk.len() > ANSWER_BYTES {
                return Err(CallError::Connection("the answer is too long".to_owned()));
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body: answer.freeze() })
    }

    async fn in_process(
        &self,
        router: &Router,
        method: &Method,
        path: &str,
        body: Option<Bytes>,
    ) -> Result<Answer, CallError> {
        let told = |error: &dyn std::fmt::Display| CallError::Connection(error.to_string());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(|error| told(&error))?;
        // A bridge that panics must not take the delivery down with it.
        let answered = AssertUnwindSafe(router.clone().oneshot(request)).catch_unwind().await;
        let Ok(Ok(response)) = answered else {
            return Err(CallError::Connection("the bridge panicked".to_owned()));
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| told(&error))?;
        Ok(Answer { status, body: body.to_bytes() })
    }
}

/// Whether an answer says that the path is not known, rather than what it asks for.
fn is_unknown(answer: &Answer) -> bool {
    #[derive(serde::Deserialize)]
    struct Said {
        errcode: String,
    }
    let Answer { status, body } = answer;
    let by_path =
        [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::NOT_IMPLEMENTED];
    by_path.contains(status)
        && serde_json::from_slice::<Said>(body)
            .map_or(true, |said| said.errcode == "M_UNRECOGNIZED")
}

/// A path segment: everything but unreserved characters is escaped.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len() + 16), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
