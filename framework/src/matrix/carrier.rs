//! The two ways to a homeserver: HTTP, and its router in the same process. Both speak the same protocol.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use http::{Request, Response};
use tower::ServiceExt;
use url::Url;

/// Bytes as they come.
pub type ByteStream = BoxStream<'static, std::io::Result<Bytes>>;

/// What a request carries.
pub enum Body {
    /// Nothing.
    Empty,
    /// All of it.
    Bytes(Bytes),
    /// A stream, read once; its `Content-Length` is among the headers where it is known.
    Stream(ByteStream),
}

/// A request got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CarrierError {
    /// It was surely not sent.
    #[error("{0}")]
    Unreachable(String),
    /// It may have been sent.
    #[error("{0}")]
    NoAnswer(String),
}

/// Carries requests. The URI holds path and query only.
#[async_trait]
pub trait Carrier: Send + Sync + 'static {
    /// Sends one request, once, and gives the answer's head and its body as it comes.
    async fn call(&self, request: Request<Body>) -> Result<Response<ByteStream>, CarrierError>;
}

/// To any homeserver, over HTTP.
pub struct HttpCarrier {
    client: reqwest::Client,
    base: Url,
}

impl HttpCarrier {
    /// `base` is the homeserver's address, for example `https://matrix.example.org` or `http://localhost:8008`.
    /// The client comes from outside, so that a process has one pool and one set of roots; redirects must be off in it,
    /// since tokens travel in headers.
    pub fn new(client: reqwest::Client, base: Url) -> Self {
        Self { client, base }
    }

    /// A client as this carrier wants it: no redirects, no cookies, connections kept while the homeserver keeps them.
    /// TLS is rustls with the process's default provider, which must have been installed.
    pub fn client(connect_timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
        reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .pool_idle_timeout(Duration::from_secs(50))
            .user_agent(concat!("landbridge/", env!("CARGO_PKG_VERSION")))
            .build()
    }
}

#[async_trait]
impl Carrier for HttpCarrier {
    async fn call(&self, request: Request<Body>) -> Result<Response<ByteStream>, CarrierError> {
        let (head, body) = request.into_parts();
        let base = self.base.as_str().trim_end_matches('/');
        let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let url = Url::parse(&format!("{base}{path}")).map_err(|error| {
            CarrierError::Unreachable(format!("bad homeserver address: {error}"))
        })?;
        let builder = self.client.request(head.method, url).headers(head.headers);
        let builder = match body {
            Body::Empty => builder,
            Body::Bytes(bytes) => builder.body(bytes),
            Body::Stream(stream) => builder.body(reqwest::Body::wrap_stream(stream)),
        };
        // The URL is taken out of errors: it says nothing new, and queries may hold what logs shouldn't.
        let answer = builder.send().await.map_err(|error| {
            let connect = error.is_connect() || error.is_builder();
            let reason = describe(&error.without_url());
            if connect { CarrierError::Unreachable(reason) } else { CarrierError::NoAnswer(reason) }
        })?;
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.headers_mut() = answer.headers().clone();
        let body = answer
            .bytes_stream()
            .map_err(|error| std::io::Error::other(describe(&error.without_url())))
            .boxed();
        Ok(response.map(|()| body))
    }
}

/// An error with its causes, which is where HTTP clients hide what happened.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Straight into a router in this process.
pub struct RouterCarrier {
    router: Router,
}

impl RouterCarrier {
    /// Into this router.
    pub fn new(router: Router) -> Self {
        Self { router }
    }
}

#[async_trait]
impl Carrier for RouterCarrier {
    async fn call(&self, request: Request<Body>) -> Result<Response<ByteStream>, CarrierError> {
        let request = request.map(|body| match body {
            Body::Empty => axum::body::Body::empty(),
            Body::Bytes(bytes) => axum::body::Body::from(bytes),
            Body::Stream(stream) => axum::body::Body::from_stream(stream),
        });
        // Over HTTP a panicking handler breaks one connection; here it must not do more.
        let answer = AssertUnwindSafe(self.router.clone().oneshot(request)).catch_unwind().await;
        let response = match answer {
            Ok(Ok(response)) => response,
            Ok(Err(never)) => match never {},
            Err(_) => return Err(CarrierError::NoAnswer("the homeserver broke off".into())),
        };
        Ok(response.map(|body| body.into_data_stream().map_err(std::io::Error::other).boxed()))
    }
}
