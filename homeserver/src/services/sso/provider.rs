//! One identity provider: where its endpoints are, and how somebody's identity is had from it (OpenID Connect Core 1.0,
//! section 3.1, the authorisation code flow, with PKCE).

mod known;

use std::sync::Arc;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use self::known::{Endpoints, Known};
use super::claims::{Disbelief, Expected, fit, subject};
use super::jws::{BadToken, Claims, Keys};
use super::template::{Attributes, Templates};
use crate::clock::Clock;
use crate::config::{ClientAuth, Secret, SsoProvider};
use crate::outbound::FetchError;
use crate::outbound::post::Answer;
use crate::outbound::trusted::Trusted;

/// How much of what a provider says of its troubles is logged.
const MAX_LOGGED: usize = 200;

/// Why nobody's identity was had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// The provider could not be reached.
    #[error("the provider could not be reached: {0}")]
    Unreachable(#[from] FetchError),
    /// It answered with something else than the protocol says.
    #[error("the provider's {0} is not as it should be")]
    Answer(&'static str),
    /// It refused the code.
    #[error("the provider refused: {0}")]
    Refused(String),
    /// A token's signature or form is bad.
    #[error("the provider's token: {0}")]
    Token(#[from] BadToken),
    /// A token doesn't say what it should.
    #[error("the provider's token: {0}")]
    Claims(#[from] Disbelief),
    /// The person lacks a claim that the settings require.
    #[error("a required claim is missing")]
    NotAllowed,
}

/// Why a provider can't be used as it is set.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// The secret isn't there.
    #[error("sso.providers, {0}: no client secret: {1}")]
    Secret(String, String),
    /// A template is wrong.
    #[error("sso.providers, {0}: a template: {1}")]
    Template(String, String),
    /// An address is wrong.
    #[error("sso.providers, {0}: {1:?} is not an address")]
    Address(String, String),
}

/// What belongs to one attempt to sign in.
#[derive(Debug, Clone)]
pub struct Attempt<'a> {
    /// Where the provider sends people back to.
    pub redirect_uri: &'a str,
    /// What the ID token has to repeat.
    pub nonce: &'a str,
    /// The secret of PKCE.
    pub verifier: &'a str,
    /// Whether people have to show who they are even if the provider knows them already.
    pub proof: bool,
}

/// Who somebody is, by a provider's word.
#[derive(Debug, Clone)]
pub struct Identity {
    /// What the provider calls them.
    pub subject: String,
    /// Their session there.
    pub sid: Option<String>,
    /// What they are called.
    pub attributes: Attributes,
    /// When they showed who they are, in ms since 1970; `None` where the provider doesn't say.
    pub proven_ms: Option<i64>,
}

/// An identity provider.
pub struct Provider {
    settings: SsoProvider,
    issuer: Url,
    secret: Option<Secret>,
    templates: Templates,
    http: Trusted,
    clock: Arc<dyn Clock>,
    known: tokio::sync::Mutex<Option<Arc<Known>>>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: Option<String>,
    id_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

fn secret(settings: &SsoProvider) -> Result<Option<Secret>, SettingError> {
    let failed = |reason: String| SettingError::Secret(settings.id.clone(), reason);
    let text = if let Some(secret) = &settings.client_secret {
        return Ok(Some(secret.clone()));
    } else if let Some(file) = &settings.client_secret_file {
        std::fs::read_to_string(file).map_err(|e| failed(format!("{}: {e}", file.display())))?
    } else if let Some(name) = &settings.client_secret_env {
        std::env::var(name).map_err(|_| failed(format!("the environment has no {name}")))?
    } else {
        return Ok(None);
    };
    match text.trim() {
        "" => Err(failed("it is empty".to_owned())),
        secret => Ok(Some(Secret::new(secret))),
    }
}

fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect()
}

fn json_headers() -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))])
}

fn authorization(scheme: &str, credentials: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {credentials}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Provider {
    /// A provider as it is set. Nothing is asked of it yet, so that the server starts while a provider is away.
    pub fn new(
        settings: SsoProvider,
        http: Trusted,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SettingError> {
        let wrong = |error: minijinja::Error| {
            SettingError::Template(settings.id.clone(), error.to_string())
        };
        let templates = Templates::new(&settings).map_err(wrong)?;
        let issuer = Url::parse(&settings.issuer)
            .map_err(|_| SettingError::Address(settings.id.clone(), settings.issuer.clone()))?;
        let (secret, known) = (secret(&settings)?, tokio::sync::Mutex::default());
        Ok(Self { settings, issuer, secret, templates, http, clock, known })
    }

    /// The settings. The secret may be elsewhere.
    pub const fn settings(&self) -> &SsoProvider {
        &self.settings
    }

    /// Where to send somebody who signs in.
    pub async fn authorize(
        &self,
        attempt: &Attempt<'_>,
        state: &str,
    ) -> Result<Url, ProviderError> {
        let endpoints = self.endpoints().await?;
        let mut url = endpoints.authorization.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", attempt.redirect_uri)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", state)
            .append_pair("nonce", attempt.nonce);
        if attempt.proof {
            // The second has the provider say when that was (section 3.1.2.1).
            query.append_pair("prompt", "login").append_pair("max_age", "0");
        }
        if self.settings.pkce {
            let challenge = Sha256::digest(attempt.verifier.as_bytes());
            query
                .append_pair("code_challenge", &BASE64_URL_SAFE_NO_PAD.encode(challenge))
                .append_pair("code_challenge_method", "S256");
        }
        drop(query);
        Ok(url)
    }

    /// Whether the issuer that an answer names is this one (RFC 9207), so that no provider can pass off the codes of another.
    pub async fn may_have_answered(&self, named: Option<&str>) -> Result<bool, ProviderError> {
        let endpoints = self.endpoints().await?;
        Ok(match named {
            Some(named) => named == endpoints.issuer,
            None => !endpoints.names_itself,
        })
    }

    /// Trades a code for the identity of whoever signed in.
    pub async fn identify(
        &self,
        code: &str,
        attempt: &Attempt<'_>,
    ) -> Result<Identity, ProviderError> {
        let endpoints = self.endpoints().await?;
        let tokens = self.trade(&endpoints, code, attempt).await?;
        let mut claims = self.open(&tokens.id_token).await?;
        let expected = self.expected(&endpoints);
        expected.id_token(&claims, attempt.nonce)?;
        let proven_ms = expected.proven(&claims, attempt.proof)?;
        if let (Some(url), Some(token), true) =
            (&endpoints.userinfo, &tokens.access_token, self.settings.userinfo)
        {
            let more = self.userinfo(url, token).await?;
            // What it says of somebody else is none of this one's business (section 5.3.2).
            if subject(&more, "sub")? != subject(&claims, "sub")? {
                return Err(ProviderError::Answer("userinfo"));
            }
            claims.extend(more);
        }
        if !fit(&claims, &self.settings.required_claims) {
            return Err(ProviderError::NotAllowed);
        }
        let sid = claims.get("sid").and_then(|sid| sid.as_str()).map(ToOwned::to_owned);
        Ok(Identity {
            subject: subject(&claims, &self.settings.subject_claim)?,
            sid: sid.filter(|sid| sid.len() <= 512 && !sid.contains('\0')),
            attributes: self.templates.attributes(&claims),
            proven_ms,
        })
    }

    /// The session and the subject that a logout token names.
    pub async fn logged_out(
        &self,
        token: &str,
    ) -> Result<(Option<String>, Option<String>), ProviderError> {
        let endpoints = self.endpoints().await?;
        let claims = self.open(token).await?;
        Ok(self.expected(&endpoints).logout_token(&claims)?)
    }

    fn expected<'a>(&'a self, endpoints: &'a Endpoints) -> Expected<'a> {
        let now_ms = self.clock.now_ms();
        Expected { issuer: &endpoints.issuer, client_id: &self.settings.client_id, now_ms }
    }

    /// Checks the signature of a token, if need be with keys that the provider has had for a short while only.
    async fn open(&self, token: &str) -> Result<Claims, ProviderError> {
        let (keys, fresh) = self.keys(false).await?;
        match keys.open(token) {
            Err(BadToken::Signature) if !fresh => Ok(self.keys(true).await?.0.open(token)?),
            opened => Ok(opened?),
        }
    }

    /// The headers and the form by which a code is traded.
    fn request(&self, code: &str, attempt: &Attempt<'_>) -> (HeaderMap, String) {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", attempt.redirect_uri);
        if self.settings.pkce {
            form.append_pair("code_verifier", attempt.verifier);
        }
        let mut headers = json_headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (id, secret) =
            (&self.settings.client_id, self.secret.as_ref().map_or("", Secret::expose));
        match self.settings.client_auth_method {
            ClientAuth::ClientSecretBasic => {
                let both = format!("{}:{}", encoded(id), encoded(secret));
                let value = authorization("Basic", &BASE64_STANDARD.encode(both));
                headers.extend(value.map(|value| (AUTHORIZATION, value)));
            }
            ClientAuth::ClientSecretPost => {
                form.append_pair("client_id", id).append_pair("client_secret", secret);
            }
            ClientAuth::None => {
                form.append_pair("client_id", id);
            }
        }
        (headers, form.finish())
    }

    async fn trade(
        &self,
        endpoints: &Endpoints,
        code: &str,
        attempt: &Attempt<'_>,
    ) -> Result<Tokens, ProviderError> {
        let (headers, body) = self.request(code, attempt);
        let answer = self.http.post(&endpoints.token, headers, Bytes::from(body)).await?;
        if !answer.status.is_success() {
            let refusal = serde_json::from_slice::<Refusal>(&answer.body);
            let error = refusal.map_or_else(|_| answer.status.to_string(), |refusal| refusal.error);
            return Err(ProviderError::Refused(logged(&error)));
        }
        serde_json::from_slice(&answer.body).map_err(|_| ProviderError::Answer("token answer"))
    }

    async fn userinfo(&self, url: &Url, access_token: &str) -> Result<Claims, ProviderError> {
        let mut headers = json_headers();
        let value = authorization("Bearer", access_token);
        headers.insert(AUTHORIZATION, value.ok_or(ProviderError::Answer("access token"))?);
        let answer = succeeded(self.http.get(url, headers).await?)?;
        let kind = answer.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with("application/jwt")) {
            let token =
                std::str::from_utf8(&answer.body).map_err(|_| ProviderError::Answer("userinfo"))?;
            return self.open(token.trim()).await;
        }
        serde_json::from_slice(&answer.body).map_err(|_| ProviderError::Answer("userinfo"))
    }
}

fn succeeded(answer: Answer) -> Result<Answer, ProviderError> {
    if answer.status.is_success() {
        Ok(answer)
    } else {
        Err(ProviderError::Refused(answer.status.to_string()))
    }
}

/// What a provider said, fit for a log.
pub(super) fn logged(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_LOGGED).collect()
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("id", &self.settings.id).finish_non_exhaustive()
    }
}
