//! Requests of the REST API: limits kept to, failures told apart.
//!
//! twilight's own HTTP client tries again by itself what was limited, for as long as it takes, and doesn't say so; but a chat that has to
//! wait must not hold a worker of the bridge, and the framework must know. So requests are made here, with twilight's rate limiter.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use reqwest::{
    Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use twilight_http_ratelimiting::{Endpoint, Method, RateLimitHeaders, RateLimiter};
use url::Url;

use super::{
    ApiError,
    body::{Body, File, multipart},
};
use crate::config::{Checked, Secret};

/// What the bridge calls itself, as the API reference demands it ("User Agent").
const USER_AGENT: &str = concat!(
    "DiscordBot (https://github.com/landbridge/landbridge, ",
    env!("CARGO_PKG_VERSION"),
    ")"
);
/// The longest answer that is read.
const MAX_ANSWER: usize = 16 * 1024 * 1024;
/// Where somebody waits for the answer, a limit shorter than this is waited for in place.
const IN_PLACE: Duration = Duration::from_millis(1_500);
/// How often a request that may wait is tried again.
const TRIES: u32 = 6;

/// What to do when a limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Say so: others have to be served.
    No,
    /// Wait: nobody else is held up.
    Yes,
}

/// A request to be made.
#[derive(Debug)]
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Body,
    token: bool,
    reason: Option<String>,
}

impl Call {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: Body::Empty,
            token: true,
            reason: None,
        }
    }
    /// Reads something. The path begins without a slash; what others chose in it is [`segment`]ed.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::Get, path)
    }
    /// Makes something.
    pub fn post(path: impl Into<String>) -> Self {
        Self::new(Method::Post, path)
    }
    /// Puts something in its place.
    pub fn put(path: impl Into<String>) -> Self {
        Self::new(Method::Put, path)
    }
    /// Changes something.
    pub fn patch(path: impl Into<String>) -> Self {
        Self::new(Method::Patch, path)
    }
    /// Deletes something.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::Delete, path)
    }
    /// With a parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.query.push((name, value.to_string()));
        self
    }
    /// With JSON.
    #[must_use]
    pub fn json(mut self, json: Value) -> Self {
        self.body = Body::Json(json);
        self
    }
    /// With a form, as OAuth2 has it.
    #[must_use]
    pub fn form(mut self, form: Vec<(String, String)>) -> Self {
        self.body = Body::Form(form);
        self
    }
    /// With JSON and files.
    #[must_use]
    pub(super) fn files(mut self, json: Value, files: Vec<File>) -> Self {
        self.body = Body::Files(json, files);
        self
    }
    /// Without the bot's token: the path is proof enough.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        self.token = false;
        self
    }
    /// With words for the server's audit log.
    #[must_use]
    pub fn because(mut self, reason: Option<&str>) -> Self {
        self.reason = reason.map(|reason| reason.chars().take(400).collect());
        self
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint { method: self.method, path: bucket(&self.path) }
    }
}

/// The path by which a limit is known: limits differ by channel, server and webhook, but not by message, user or emoji.
fn bucket(path: &str) -> String {
    let mut out = String::new();
    let mut emoji = false;
    let keep = if path.starts_with("webhooks/") { 3 } else { 2 };
    for (number, segment) in path.split('/').enumerate() {
        if number > 0 {
            out.push('/');
        }
        let id = !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit());
        out.push_str(if number >= keep && id || emoji { "_" } else { segment });
        emoji = segment == "reactions";
    }
    out
}

/// Something that others chose, as one segment of a path.
pub fn segment(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: Url,
    token: Secret,
    limiter: Option<RateLimiter>,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rest").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Rest {
    /// As the configuration says. Must be called within the runtime: the limiter runs beside.
    pub fn new(checked: &Checked) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(checked.config.request_timeout.max(1)))
            // Discord's API doesn't redirect; whatever does would be shown the token.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| error.to_string())?;
        let limiter = checked.config.rate_limiter.then(RateLimiter::default);
        Ok(Self { http, base: checked.api.clone(), token: checked.config.token.clone(), limiter })
    }

    /// Makes a request and reads its answer.
    pub async fn ask<T: DeserializeOwned>(&self, call: Call, wait: Wait) -> Result<T, ApiError> {
        let answer = self.answer(call, wait).await?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::Unreadable(error.to_string()))
    }

    /// Makes a request whose answer says nothing.
    pub async fn tell(&self, call: Call, wait: Wait) -> Result<(), ApiError> {
        self.answer(call, wait).await.map(drop)
    }

    /// Whose an access token is that OAuth2 gave.
    pub async fn whose(&self, token: &str) -> Result<crate::wire::User, ApiError> {
        let url = self
            .base
            .join("users/@me")
            .map_err(|error| ApiError::Unreachable(error.to_string()))?;
        let request = self.http.get(url).bearer_auth(token);
        let answer = read(request.send().await.map_err(|error| lost(&error))?).await?;
        serde_json::from_slice(&answer).map_err(|error| ApiError::Unreadable(error.to_string()))
    }

    async fn answer(&self, call: Call, wait: Wait) -> Result<Vec<u8>, ApiError> {
        let mut tries = 0;
        loop {
            let error = match self.once(&call, wait).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            tries += 1;
            let pause = match &error {
                ApiError::Limited { after, .. } if wait == Wait::Yes => *after,
                ApiError::Limited { after, global: false } if *after <= IN_PLACE && tries == 1 => {
                    *after
                }
                // Reading twice is harmless.
                ApiError::Unreachable(_) | ApiError::Lost(_) | ApiError::Failing(_)
                    if wait == Wait::Yes && call.method == Method::Get =>
                {
                    Duration::from_secs(1 << tries.min(4))
                }
                _ => return Err(error),
            };
            if tries >= TRIES {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, call: &Call, wait: Wait) -> Result<Vec<u8>, ApiError> {
        let permit = match &self.limiter {
            None => None,
            Some(limiter) if wait == Wait::Yes => Some(limiter.acquire(call.endpoint()).await),
            Some(limiter) => {
                let free = |bucket: Option<twilight_http_ratelimiting::Bucket>| {
                    bucket
                        .is_none_or(|b| b.remaining > 0 || b.reset_at <= Instant::now() + IN_PLACE)
                };
                let permit = limiter.acquire_if(call.endpoint(), free).await;
                if permit.is_none() {
                    let bucket = limiter.bucket(call.endpoint()).await;
                    let after = bucket.map_or(IN_PLACE, |bucket| {
                        bucket.reset_at.saturating_duration_since(Instant::now())
                    });
                    return Err(ApiError::Limited { after, global: false });
                }
                permit
            }
        };
        // A permit that is dropped without an answer counts as cancelled.
        let response = self.send(call).await?;
        if let Some(permit) = permit {
            permit.complete(limits(response.headers()));
        }
        read(response).await
    }

    async fn send(&self, call: &Call) -> Result<Response, ApiError> {
        let url = self
            .base
            .join(&call.path)
            .map_err(|error| ApiError::Unreachable(format!("no address: {error}")))?;
        let method = reqwest::Method::from_bytes(call.method.name().as_bytes())
            .map_err(|error| ApiError::Unreachable(error.to_string()))?;
        let mut request = self.http.request(method, url);
        if !call.query.is_empty() {
            request = request.query(&call.query);
        }
        if call.token {
            request = request.header(AUTHORIZATION, format!("Bot {}", self.token.0.trim()));
        }
        if let Some(reason) = &call.reason {
            request = request.header("X-Audit-Log-Reason", segment(reason));
        }
        request = match &call.body {
            Body::Empty if matches!(call.method, Method::Get | Method::Delete) => request,
            Body::Empty => request.header(reqwest::header::CONTENT_LENGTH, 0),
            Body::Json(json) => request.json(json),
            Body::Form(form) => {
                let mut body = url::form_urlencoded::Serializer::new(String::new());
                body.extend_pairs(form);
                request
                    .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .body(body.finish())
            }
            Body::Files(json, files) => {
                let boundary =
                    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
                let (mime, body) = multipart(json, files, &boundary);
                request.header(CONTENT_TYPE, mime).body(body)
            }
        };
        request.send().await.map_err(|error| lost(&error))
    }
}

/// A request that broke: whether it may have been done. The address may hold a webhook's token, and is left out.
fn lost(error: &reqwest::Error) -> ApiError {
    let mut reason = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _ = write!(reason, "{}{cause}", if reason.is_empty() { "" } else { ": " });
        source = cause.source();
    }
    if reason.is_empty() {
        reason.push_str(if error.is_timeout() {
            "it took too long"
        } else {
            "the connection broke"
        });
    }
    if error.is_connect() || error.is_builder() {
        ApiError::Unreachable(reason)
    } else {
        ApiError::Lost(reason)
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What the headers say of the limit that the request counted against.
fn limits(headers: &HeaderMap) -> Option<RateLimitHeaders> {
    let bucket = header(headers, RateLimitHeaders::BUCKET)?.as_bytes().to_vec();
    match header(headers, RateLimitHeaders::SCOPE) {
        Some("global") => return None,
        Some("shared") => {
            let after: f64 = header(headers, "retry-after")?.parse().ok()?;
            return Some(RateLimitHeaders::shared(
                bucket,
                after.ceil().clamp(0.0, 60_000.0) as u16,
            ));
        }
        _ => {}
    }
    let after: f64 = header(headers, RateLimitHeaders::RESET_AFTER)?.parse().ok()?;
    Some(RateLimitHeaders {
        bucket,
        limit: header(headers, RateLimitHeaders::LIMIT)?.parse().ok()?,
        remaining: header(headers, RateLimitHeaders::REMAINING)?.parse().ok()?,
        reset_at: Instant::now()
            + Duration::try_from_secs_f64(after).ok()?.min(Duration::from_hours(24)),
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: u64,
    message: String,
    retry_after: Option<f64>,
    global: bool,
    errors: Option<Value>,
}

async fn read(response: Response) -> Result<Vec<u8>, ApiError> {
    let status = response.status();
    let headers = response.headers().clone();
    let answer = collect(response).await?;
    if status.is_success() {
        return Ok(if answer.is_empty() { b"null".to_vec() } else { answer });
    }
    let refusal: Refusal = serde_json::from_slice(&answer).unwrap_or_default();
    Err(match status {
        StatusCode::TOO_MANY_REQUESTS => {
            let told = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse::<f64>().ok());
            let after = refusal.retry_after.or(told).map(Duration::try_from_secs_f64);
            let after = match after {
                Some(Ok(after)) => after.min(Duration::from_hours(24)),
                _ => Duration::from_secs(5),
            };
            let global =
                refusal.global || header(&headers, RateLimitHeaders::SCOPE) == Some("global");
            ApiError::Limited { after, global }
        }
        StatusCode::UNAUTHORIZED => ApiError::Unauthorized,
        status if status.is_server_error() => ApiError::Failing(status.as_u16()),
        status => {
            let mut message = refusal.message;
            if let Some(errors) = refusal.errors {
                let details: String = errors.to_string().chars().take(300).collect();
                let _ = write!(message, " {details}");
            }
            ApiError::Refused { status: status.as_u16(), code: refusal.code, message }
        }
    })
}

async fn collect(mut response: Response) -> Result<Vec<u8>, ApiError> {
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| lost(&error))? {
        if answer.len() + chunk.len() > MAX_ANSWER {
            return Err(ApiError::Unreadable("it is too long".into()));
        }
        answer.extend_from_slice(&chunk);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_known_by_channel_and_webhook() {
        assert_eq!(bucket("channels/1/messages/2"), "channels/1/messages/_");
        assert_eq!(
            bucket("channels/1/messages/2/reactions/%F0/@me"),
            "channels/1/messages/_/reactions/_/@me"
        );
        assert_eq!(bucket("webhooks/1/token/messages/2"), "webhooks/1/token/messages/_");
        assert_eq!(bucket("webhooks/1/23"), "webhooks/1/23");
        assert_eq!(bucket("guilds/1/members/2"), "guilds/1/members/_");
    }

    #[test]
    fn a_segment_stays_one() {
        assert_eq!(segment("a/b?c"), "a%2Fb%3Fc");
        assert_eq!(segment("👍"), "%F0%9F%91%8D");
    }

    #[test]
    fn limits_are_read_from_headers() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-ratelimit-bucket", "abc"),
            ("x-ratelimit-limit", "5"),
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset-after", "1.5"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let limits = limits(&headers).unwrap();
        assert_eq!((limits.bucket.as_slice(), limits.limit, limits.remaining), (&b"abc"[..], 5, 0));
        assert!(limits.reset_at > Instant::now());
        headers.insert("x-ratelimit-scope", "global".parse().unwrap());
        assert!(super::limits(&headers).is_none());
    }
}
