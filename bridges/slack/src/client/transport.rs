//! How requests travel: slack-morphism's client over the program's own HTTP library, with a bound on everything that comes back.

use std::time::Duration;

use futures::future::BoxFuture;
use http::{StatusCode, header};
use reqwest::RequestBuilder;
use serde::{Serialize, de::DeserializeOwned};
use slack_morphism::{
    ClientResult, SlackClientApiCallContext, SlackClientHttpConnector, SlackClientId,
    SlackClientSecret, SlackEnvelopeMessage,
    errors::{
        SlackClientApiError, SlackClientError, SlackClientHttpError, SlackClientHttpProtocolError,
        SlackClientProtocolError, SlackClientSystemError, SlackRateLimitError,
    },
    multipart_form::FileMultipartData,
    prelude::ValueStruct as _,
};
use url::Url;

/// How long Slack may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read: a page of a thousand people or messages fits.
const MAX_ANSWER: usize = 32 << 20;

/// Carries requests to the Web API at an address.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: String,
}

impl Transport {
    /// To the Web API at `base`, such as `https://slack.com/api`.
    pub(super) fn new(http: reqwest::Client, base: &Url) -> Self {
        Self { http, base: base.as_str().trim_end_matches('/').to_owned() }
    }

    fn with_token(
        request: RequestBuilder,
        context: &SlackClientApiCallContext<'_>,
    ) -> RequestBuilder {
        match context.token {
            Some(token) => request.bearer_auth(token.token_value.value()),
            None => request,
        }
    }
}

impl SlackClientHttpConnector for Transport {
    fn create_method_uri_path(&self, method: &str) -> ClientResult<Url> {
        Ok(Url::parse(&format!("{}/{method}", self.base))?)
    }

    fn http_get_uri<'a, RS>(
        &'a self,
        full_uri: Url,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        Box::pin(answer(Self::with_token(self.http.get(full_uri), &context)))
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        full_uri: Url,
        client_id: &'a SlackClientId,
        client_secret: &'a SlackClientSecret,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        let request = self.http.get(full_uri);
        Box::pin(answer(request.basic_auth(client_id.value(), Some(client_secret.value()))))
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        full_uri: Url,
        request_body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RQ: Serialize + Send + Sync,
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        // Without the charset Slack adds a warning to every answer.
        let mime = "application/json; charset=utf-8";
        let request = self.http.post(full_uri).header(header::CONTENT_TYPE, mime);
        let request = request.json(request_body);
        Box::pin(answer(Self::with_token(request, &context)))
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        _full_uri: Url,
        _file: Option<FileMultipartData<'p>>,
        _params: &'p PT,
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        // Slack has ended the only methods that took forms with files; uploads go in three steps (`files`).
        let message = "forms with files are not sent".to_owned();
        let error = SlackClientSystemError::new().with_message(message);
        Box::pin(std::future::ready(Err(SlackClientError::SystemError(error))))
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        full_uri: Url,
        content_type: String,
        data: &'a [u8],
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        let request = self.http.post(full_uri).body(data.to_vec());
        let request = request.header(header::CONTENT_TYPE, content_type);
        Box::pin(answer(Self::with_token(request, &context)))
    }
}

/// Sends, and reads the whole answer within its limit. No error holds a body or an address: either may hold a token.
async fn answer<RS: DeserializeOwned>(request: RequestBuilder) -> ClientResult<RS> {
    let mut response = request.timeout(TIMEOUT).send().await.map_err(lost)?;
    let status = response.status();
    let seconds = response.headers().get(header::RETRY_AFTER).and_then(|after| after.to_str().ok());
    let retry_after = seconds.and_then(|after| after.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(broken("it is too large".into()));
        }
        body.extend_from_slice(&chunk);
    }
    let limited = || SlackRateLimitError::new().opt_retry_after(retry_after);
    if status == StatusCode::TOO_MANY_REQUESTS {
        return Err(SlackClientError::RateLimitError(limited()));
    }
    if !status.is_success() {
        return Err(SlackClientError::HttpError(SlackClientHttpError::new(status)));
    }
    let envelope: SlackEnvelopeMessage = serde_json::from_slice(&body).map_err(unreadable)?;
    match envelope.error {
        Some(code) if matches!(code.as_str(), "ratelimited" | "rate_limited") => {
            Err(SlackClientError::RateLimitError(limited().with_code(code)))
        }
        Some(code) => Err(SlackClientError::ApiError(SlackClientApiError::new(code))),
        None if !envelope.ok => {
            Err(SlackClientError::ApiError(SlackClientApiError::new("unknown_error".into())))
        }
        None => serde_json::from_slice(&body).map_err(unreadable),
    }
}

fn unreadable(error: serde_json::Error) -> SlackClientError {
    SlackClientError::ProtocolError(SlackClientProtocolError::new(error))
}

fn broken(message: String) -> SlackClientError {
    SlackClientError::SystemError(SlackClientSystemError::new().with_message(message))
}

fn lost(error: reqwest::Error) -> SlackClientError {
    let unreachable = error.is_connect() || error.is_builder();
    let error = error.without_url();
    if unreachable {
        let error = SlackClientHttpProtocolError::new().with_cause(Box::new(error));
        return SlackClientError::HttpProtocolError(error);
    }
    broken(error.to_string())
}
