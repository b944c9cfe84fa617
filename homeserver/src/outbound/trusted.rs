//! Requests to addresses that the settings name, such as identity providers: they may lie in the administrator's own network.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::post::{Answer, answer};
use super::{CONNECT, FetchError, SILENCE};

/// The longest answer that is read.
const MAX_ANSWER: usize = 512 * 1024;
const TIME: Duration = Duration::from_secs(15);

/// The way to addresses that the settings name. Redirects are not followed; an answer with an error is an answer.
#[derive(Clone, Debug)]
pub struct Trusted(reqwest::Client);

impl Trusted {
    /// A way out. `extra_root` is one more certificate (PEM) that other servers may show.
    pub fn new(extra_root: Option<&[u8]>) -> Result<Self, FetchError> {
        let failed = |error: reqwest::Error| FetchError::Client(error.to_string());
        // reqwest takes the process's provider; whoever was first to install one, it is this one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = extra_root.map(reqwest::Certificate::from_pem_bundle).transpose();
        let client = reqwest::Client::builder()
            .tls_certs_merge(roots.map_err(failed)?.unwrap_or_default())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .user_agent(concat!("Landbridge/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failed)?;
        Ok(Self(client))
    }

    /// Gets what is at a URL.
    pub async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Answer, FetchError> {
        answer(self.0.get(url.clone()).headers(headers), MAX_ANSWER, TIME).await
    }

    /// Posts a body.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, FetchError> {
        answer(self.0.post(url.clone()).headers(headers).body(body), MAX_ANSWER, TIME).await
    }
}
