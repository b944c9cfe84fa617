//! What a provider publishes of itself: its endpoints (OpenID Connect Discovery 1.0) and its keys. Both are asked for at the first need,
//! kept for a while, and the keys asked for anew when a token is signed with one that isn't among them.

use std::sync::Arc;

use serde::Deserialize;
use url::Url;

use super::{Keys, Provider, ProviderError, json_headers, succeeded};

/// For how long what was read is believed, in milliseconds.
const FRESH_MS: i64 = 60 * 60 * 1000;
/// How soon keys may be read again for a token that none of them fits, in milliseconds: anybody can send such tokens.
const AGAIN_MS: i64 = 10 * 1000;

/// Where a provider is to be asked what.
#[derive(Debug, Clone)]
pub(super) struct Endpoints {
    pub(super) issuer: String,
    pub(super) authorization: Url,
    pub(super) token: Url,
    pub(super) userinfo: Option<Url>,
    jwks: Url,
    /// Whether its answers always say whose they are (RFC 9207).
    pub(super) names_itself: bool,
}

/// What is known of a provider.
#[derive(Debug, Clone)]
pub(super) struct Known {
    endpoints: Arc<Endpoints>,
    endpoints_ms: i64,
    keys: Option<(Arc<Keys>, i64)>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    jwks_uri: Option<String>,
    authorization_response_iss_parameter_supported: bool,
}

impl Provider {
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, ProviderError> {
        let mut known = self.known.lock().await;
        Ok(Arc::clone(&self.refreshed(&mut known).await?.endpoints))
    }

    /// The keys, and whether they were read just now. With `anew` they are, if that isn't too soon.
    pub(super) async fn keys(&self, anew: bool) -> Result<(Arc<Keys>, bool), ProviderError> {
        let mut lock = self.known.lock().await;
        let known = self.refreshed(&mut lock).await?;
        let now = self.clock.now_ms();
        if let Some((keys, read_ms)) = &known.keys {
            let age = now.saturating_sub(*read_ms);
            if age < if anew { AGAIN_MS } else { FRESH_MS } {
                return Ok((Arc::clone(keys), false));
            }
        }
        let answer = succeeded(self.http.get(&known.endpoints.jwks, json_headers()).await?)?;
        let keys: Keys =
            serde_json::from_slice(&answer.body).map_err(|_| ProviderError::Answer("key set"))?;
        let keys = Arc::new(keys);
        let known = Known { keys: Some((Arc::clone(&keys), now)), ..Known::clone(&known) };
        *lock = Some(Arc::new(known));
        Ok((keys, true))
    }

    async fn refreshed(&self, known: &mut Option<Arc<Known>>) -> Result<Arc<Known>, ProviderError> {
        let now = self.clock.now_ms();
        if let Some(known) = &*known
            && now.saturating_sub(known.endpoints_ms) < FRESH_MS
        {
            return Ok(Arc::clone(known));
        }
        let endpoints = match (self.discover().await, &*known) {
            (Ok(endpoints), _) => Arc::new(endpoints),
            // What was good an hour ago is better than nothing.
            (Err(ProviderError::Unreachable(error)), Some(before)) => {
                tracing::warn!(%error, provider = %self.settings.id, "an identity provider does not answer");
                Arc::clone(&before.endpoints)
            }
            (Err(error), _) => return Err(error),
        };
        let keys = known.take().and_then(|known| known.keys.clone());
        let fresh = Arc::new(Known { endpoints, endpoints_ms: now, keys });
        *known = Some(Arc::clone(&fresh));
        Ok(fresh)
    }

    async fn discover(&self) -> Result<Endpoints, ProviderError> {
        let settings = &self.settings;
        let mut read = Metadata { issuer: settings.issuer.clone(), ..Metadata::default() };
        if settings.discover {
            let url = format!(
                "{}/.well-known/openid-configuration",
                settings.issuer.trim_end_matches('/')
            );
            let wrong = || ProviderError::Answer("configuration");
            let url = Url::parse(&url).map_err(|_| wrong())?;
            let answer = succeeded(self.http.get(&url, json_headers()).await?)?;
            read = serde_json::from_slice(&answer.body).map_err(|_| wrong())?;
            // Whoever speaks for another issuer is not believed (Discovery, section 4.3); people leave the slash out.
            if read.issuer.trim_end_matches('/') != settings.issuer.trim_end_matches('/') {
                return Err(wrong());
            }
        }
        let endpoint = |set: &Option<String>, read: Option<String>| {
            let (text, trusted) = match set {
                Some(set) => (set.clone(), true),
                None => (read?, false),
            };
            let url = Url::parse(&text).ok()?;
            // An issuer on HTTPS has no business elsewhere.
            let fits = url.scheme() == "https"
                || url.scheme() == "http" && (trusted || self.issuer.scheme() == "http");
            fits.then_some(url)
        };
        let missing = ProviderError::Answer;
        Ok(Endpoints {
            authorization: endpoint(&settings.authorization_endpoint, read.authorization_endpoint)
                .ok_or(missing("authorization_endpoint"))?,
            token: endpoint(&settings.token_endpoint, read.token_endpoint)
                .ok_or(missing("token_endpoint"))?,
            userinfo: endpoint(&settings.userinfo_endpoint, read.userinfo_endpoint),
            jwks: endpoint(&settings.jwks_uri, read.jwks_uri).ok_or(missing("jwks_uri"))?,
            names_itself: read.authorization_response_iss_parameter_supported,
            issuer: read.issuer,
        })
    }
}
