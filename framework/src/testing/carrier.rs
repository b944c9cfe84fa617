//! The way from the bridge to the homeserver, with faults.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response, StatusCode};
use serde_json::json;

use super::faults::{CrashPoint, Fate, Faults};
use crate::matrix::{Body, ByteStream, Carrier, CarrierError};

/// A carrier that loses, doubles, delays and refuses what it carries.
pub struct FaultyCarrier {
    inner: Arc<dyn Carrier>,
    faults: Faults,
}

impl FaultyCarrier {
    /// Before `inner`.
    pub fn new(inner: Arc<dyn Carrier>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

#[async_trait]
impl Carrier for FaultyCarrier {
    async fn call(&self, request: Request<Body>) -> Result<Response<ByteStream>, CarrierError> {
        self.faults.point(CrashPoint::BeforeRequest).await;
        if !self.faults.homeserver_up() {
            return Err(CarrierError::Unreachable("the simulated homeserver is down".into()));
        }
        let answer = match self.faults.fate().await {
            Fate::Drop => return Err(CarrierError::NoAnswer("the request was lost".into())),
            Fate::DropAnswer => {
                self.inner.call(request).await?;
                Err(CarrierError::NoAnswer("the answer was lost".into()))
            }
            // Those who read it are the ones who can be quicker than the answer.
            Fate::LateAnswer(wait) if request.uri().path().contains("/send/") => {
                let answer = self.inner.call(request).await;
                tokio::time::sleep(wait).await;
                answer
            }
            Fate::Pass | Fate::LateAnswer(_) => self.inner.call(request).await,
            Fate::Duplicate => {
                if let Some(first) = copy(&request) {
                    self.inner.call(first).await?;
                }
                self.inner.call(request).await
            }
            Fate::RateLimit(wait) => {
                let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow down", "retry_after_ms": wait.as_millis() as u64 });
                let body = futures::stream::iter([Ok(Bytes::from(body.to_string()))]).boxed();
                let mut answer = Response::new(body);
                *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
                return Ok(answer);
            }
        };
        self.faults.point(CrashPoint::AfterRequest).await;
        answer
    }
}

/// A second one of a request, where its body can be copied. Only requests that may be repeated are: a second
/// `createRoom` is a second room with every homeserver.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    let body = match request.body() {
        _ if request.method() == http::Method::POST => return None,
        Body::Empty => Body::Empty,
        Body::Bytes(bytes) => Body::Bytes(bytes.clone()),
        Body::Stream(_) => return None,
    };
    let mut second = Request::new(body);
    *second.method_mut() = request.method().clone();
    *second.uri_mut() = request.uri().clone();
    *second.headers_mut() = request.headers().clone();
    Some(second)
}
