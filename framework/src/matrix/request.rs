//! Building one request, sending it once, reading its answer within limits.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response};
use serde_json::Value;

use super::Matrix;
use super::carrier::{Body, ByteStream};
use super::error::MatrixError;

/// The largest JSON answer that is read. `/joined_members` of a huge room is the largest there is.
const MAX_JSON: usize = 64 * 1024 * 1024;
/// Waits before a read is repeated.
const READ_RETRIES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(500)];

/// One request: what every endpoint needs and no more.
pub(super) struct Call {
    method: Method,
    uri: String,
    has_query: bool,
    body: Body,
    content_type: Option<String>,
    headers: Vec<(http::HeaderName, HeaderValue)>,
}

impl Call {
    /// `prefix` is taken as it is, each of `segments` is percent-encoded.
    pub(super) fn new(method: Method, prefix: &str, segments: &[&str]) -> Self {
        let mut uri = prefix.to_owned();
        for segment in segments {
            uri.push('/');
            encode(&mut uri, segment);
        }
        Self {
            method,
            uri,
            has_query: false,
            body: Body::Empty,
            content_type: None,
            headers: Vec::new(),
        }
    }

    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.uri.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        encode(&mut self.uri, key);
        self.uri.push('=');
        encode(&mut self.uri, value);
        self
    }

    pub(super) fn query_opt(self, key: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.query(key, value),
            None => self,
        }
    }

    pub(super) fn json(mut self, value: &Value) -> Self {
        self.body = Body::Bytes(Bytes::from(value.to_string()));
        self.content_type = Some("application/json".to_owned());
        self
    }

    pub(super) fn stream(mut self, stream: ByteStream, mime: &str, size: Option<u64>) -> Self {
        self.body = Body::Stream(stream);
        self.content_type = Some(mime.to_owned());
        if let Some(size) = size {
            self.headers.push((http::header::CONTENT_LENGTH, HeaderValue::from(size)));
        }
        self
    }

    fn is_read(&self) -> bool {
        self.method == Method::GET && matches!(self.body, Body::Empty)
    }

    fn into_request(self, token: &str) -> Result<Request<Body>, MatrixError> {
        let mut auth = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
            MatrixError::Invalid("the access token has impossible characters".into())
        })?;
        auth.set_sensitive(true);
        let mut builder =
            Request::builder().method(self.method).uri(self.uri).header(AUTHORIZATION, auth);
        if let Some(mime) = self.content_type {
            let mime = HeaderValue::try_from(mime)
                .unwrap_or(HeaderValue::from_static("application/octet-stream"));
            builder = builder.header(CONTENT_TYPE, mime);
        }
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder
            .body(self.body)
            .map_err(|error| MatrixError::Invalid(format!("impossible request: {error}")))
    }
}

impl Matrix {
    /// Sends a call and reads the JSON of its answer. Reads are repeated twice when the connection fails.
    pub(super) async fn json(&self, token: &str, call: Call) -> Result<Value, MatrixError> {
        let retries: &[Duration] = if call.is_read() { &READ_RETRIES } else { &[] };
        let (method, uri) = (call.method.clone(), call.uri.clone());
        let mut call = Some(call);
        for wait in retries {
            let again = Call::new(method.clone(), &uri, &[]);
            match self.json_once(token, call.take().unwrap_or(again)).await {
                Err(error) if error.is_transport() || error.is_gateway() => {
                    tokio::time::sleep(*wait).await;
                }
                result => return result,
            }
        }
        self.json_once(token, call.take().unwrap_or_else(|| Call::new(method, &uri, &[]))).await
    }

    async fn json_once(&self, token: &str, call: Call) -> Result<Value, MatrixError> {
        self.json_within(token, call, self.inner.config.timeout).await
    }

    /// The same with a time limit of its own, and never repeated.
    pub(super) async fn json_within(
        &self,
        token: &str,
        call: Call,
        limit: Duration,
    ) -> Result<Value, MatrixError> {
        let work = async {
            let answer = self.open(token, call).await?;
            let body = read(answer.into_body(), MAX_JSON).await?;
            serde_json::from_slice(&body).map_err(|error| MatrixError::BadAnswer(error.to_string()))
        };
        self.timed(limit, work).await
    }

    /// Sends a call and gives the answer's stream once its status says that it succeeded.
    pub(super) async fn open(
        &self,
        token: &str,
        call: Call,
    ) -> Result<Response<ByteStream>, MatrixError> {
        let request = call.into_request(token)?;
        let answer = self.inner.carrier.call(request).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let retry =
            answer.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
        let body = read(answer.into_body(), 64 * 1024).await.unwrap_or_default();
        Err(MatrixError::refused(status, retry.as_deref(), &body))
    }

    /// Ends `work` after `limit`; what was asked may have been done.
    pub(super) async fn timed<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, MatrixError>>,
    ) -> Result<T, MatrixError> {
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(MatrixError::NoAnswer(format!("none within {} s", limit.as_secs())))
        })
    }

    /// The appservice's own token.
    pub(super) fn as_token(&self) -> &str {
        self.inner.config.as_token.expose()
    }
}

/// Reads a body to its end, up to `limit` bytes.
pub(super) async fn read(mut body: ByteStream, limit: usize) -> Result<Bytes, MatrixError> {
    let mut out = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| MatrixError::NoAnswer(error.to_string()))?;
        if out.len() + chunk.len() > limit {
            return Err(MatrixError::BadAnswer(format!("it is larger than {limit} bytes")));
        }
        out.extend_from_slice(&chunk);
    }
    Ok(out.freeze())
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}
