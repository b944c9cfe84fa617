//! Posting to addresses that clients name: push gateways and push services.

use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};
use url::{Host, Url};

use super::{FetchError, Outbound, read, told};

/// The longest answer that is read.
const MAX_ANSWER: usize = 64 * 1024;

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Outbound {
    /// Whether a URL may be posted to, as far as that can be said without resolving its host: HTTPS, or plain HTTP to an address that
    /// the settings allow, since what goes there stays in the administrator's own network.
    pub fn may_post(&self, url: &Url) -> Result<(), FetchError> {
        let literal = match url.host() {
            None => return Err(FetchError::NotHttp),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Refused);
        }
        match (url.scheme(), literal) {
            (_, Some(address)) if !self.addresses.admit(address) => Err(FetchError::NotPublic),
            ("https", _) => Ok(()),
            ("http", Some(address)) if self.addresses.exempts(address) => Ok(()),
            ("http", _) => Err(FetchError::Refused),
            _ => Err(FetchError::NotHttp),
        }
    }

    /// Posts a body. Redirects are not followed; an answer with an error is an answer.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        time: Duration,
    ) -> Result<Answer, FetchError> {
        self.may_post(url)?;
        let agent = concat!("Landbridge/", env!("CARGO_PKG_VERSION"));
        let request = self.client.post(url.clone()).header(USER_AGENT, agent);
        answer(request.headers(headers).body(body), MAX_ANSWER, time).await
    }
}

/// Sends a request and reads the answer, which has so much time in all.
pub(super) async fn answer(
    request: reqwest::RequestBuilder,
    max_bytes: usize,
    time: Duration,
) -> Result<Answer, FetchError> {
    let work = async {
        let mut response = request.send().await.map_err(told)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let body = read(&mut response, max_bytes, false).await?;
        Ok(Answer { status, headers, body })
    };
    tokio::time::timeout(time, work).await.unwrap_or(Err(FetchError::Timeout))
}
