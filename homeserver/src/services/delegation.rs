//! A matrix-authentication-service that signs people in in our stead: its metadata, and whom its tokens are (RFC 7662).
//!
//! What is known of a token is kept for two minutes, and for some seconds that it is nobody's, or that there was no answer; requests with
//! one token wait for one answer. A token whose device is gone is not good, even when it is remembered: that is how signing out is told.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use crate::app::App;
use crate::clock::Clock;
use crate::config::{Delegation as Settings, Secret};
use crate::http::error::{ApiError, ApiResult};
use crate::outbound::FetchError;
use crate::services::oauth::scope::{device_of, grants_admin, grants_api};
use crate::services::sessions::Session;
use crate::storage::tokens::TokenHash;

const TIME: Duration = Duration::from_secs(10);
const KNOWN: usize = 100_000;
/// For how long an answer about a token is believed.
const KNOWN_MS: i64 = 2 * 60 * 1000;
/// For how long it is believed that a token is nobody's.
const NOBODY_MS: i64 = 10 * 1000;
/// For how long nobody is asked again after there was no answer.
const RETRY_MS: i64 = 2 * 1000;
/// For how long the metadata is believed.
const METADATA_MS: i64 = 10 * 60 * 1000;
/// Longer answers are not read.
const MAX_ANSWER: usize = 1 << 20;
/// Longer tokens are not asked about.
const MAX_TOKEN: usize = 4_096;
/// The longest device ID.
const MAX_DEVICE_ID: usize = 255;

/// Somebody whom the service let in.
#[derive(Debug, Clone)]
pub struct Delegated {
    /// Who.
    pub user: OwnedUserId,
    /// Their session, where it has a device.
    pub session: Option<Arc<Session>>,
    /// Whether it may use the administration API.
    pub admin: bool,
}

/// What the service said of a token.
#[derive(Clone)]
enum Found {
    Somebody(Delegated),
    Nobody,
    Failed(ApiError),
}

#[derive(Clone)]
struct Known {
    found: Found,
    until_ms: i64,
}

/// The metadata as it was told last, and until when that is believed, or nobody asks again.
#[derive(Default)]
struct Metadata {
    told: Option<Map<String, Value>>,
    until_ms: i64,
}

#[derive(Deserialize)]
struct Introspection {
    active: bool,
    scope: Option<String>,
    username: Option<String>,
    device_id: Option<String>,
    expires_in: Option<i64>,
}

/// The service.
pub struct Delegation {
    http: reqwest::Client,
    endpoint: String,
    secret: Secret,
    clock: Arc<dyn Clock>,
    metadata: Mutex<Metadata>,
    /// Held by whoever asks for the metadata.
    asking: tokio::sync::Mutex<()>,
    known: Cache<TokenHash, Known>,
}

fn out_of_reach(cause: impl std::fmt::Display) -> ApiError {
    tracing::warn!(%cause, "the authentication service could not be asked");
    unreachable()
}

fn unreachable() -> ApiError {
    let text = "The authentication service can't be reached";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", text)
}

impl Delegation {
    /// The service that the settings name. `extra_root` is one more certificate (PEM) that it may show.
    pub fn new(
        settings: &Settings,
        extra_root: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, FetchError> {
        let failed = |error: reqwest::Error| FetchError::Client(error.to_string());
        // reqwest takes the process's provider; whoever was first to install one, it is this one everywhere.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let roots = extra_root.map(reqwest::Certificate::from_pem_bundle).transpose();
        let http = reqwest::Client::builder()
            .tls_certs_merge(roots.map_err(failed)?.unwrap_or_default())
            .timeout(TIME)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("Landbridge/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failed)?;
        Ok(Self {
            http,
            endpoint: settings.endpoint.trim_end_matches('/').to_owned(),
            secret: settings.secret.clone(),
            clock,
            metadata: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            known: Cache::new(KNOWN),
        })
    }

    /// Whether a request from the service has shown the secret.
    pub fn shares(&self, secret: &str) -> bool {
        // Compared as hashes, so that the time taken tells nothing of how much was right.
        TokenHash::of(secret) == TokenHash::of(self.secret.expose())
    }

    /// The service's metadata, for clients (RFC 8414). What it said last is told on where it doesn't answer, and while somebody else waits
    /// for its answer.
    pub async fn metadata(&self) -> ApiResult<Map<String, Value>> {
        if let Some(kept) = self.kept_metadata(false) {
            return kept;
        }
        let _asking = match self.asking.try_lock() {
            Ok(asking) => asking,
            Err(_) => match self.kept_metadata(true) {
                Some(kept) => return kept,
                None => self.asking.lock().await,
            },
        };
        // Whoever asked before may have been told.
        if let Some(kept) = self.kept_metadata(false) {
            return kept;
        }
        let asked = self.ask_metadata().await;
        let now = self.clock.now_ms();
        let mut kept = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        match asked {
            Ok(told) => {
                *kept = Metadata { told: Some(told.clone()), until_ms: now + METADATA_MS };
                Ok(told)
            }
            Err(error) => {
                kept.until_ms = now + RETRY_MS;
                kept.told.clone().ok_or(error)
            }
        }
    }

    /// What is known of the metadata, or that it can't be known now; with `old`, also what is too old.
    fn kept_metadata(&self, old: bool) -> Option<ApiResult<Map<String, Value>>> {
        let kept = self.metadata.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.until_ms > self.clock.now_ms() {
            return Some(kept.told.clone().ok_or_else(unreachable));
        }
        kept.told.clone().filter(|_| old).map(Ok)
    }

    async fn ask_metadata(&self) -> ApiResult<Map<String, Value>> {
        let url = format!("{}/.well-known/openid-configuration", self.endpoint);
        let metadata: Map<String, Value> = self.ask(self.http.get(url)).await?;
        let is_url = |key: &str| {
            metadata.get(key).and_then(Value::as_str).is_some_and(|url| Url::parse(url).is_ok())
        };
        if !is_url("issuer") || !is_url("token_endpoint") {
            return Err(out_of_reach("its metadata lacks issuer or token_endpoint"));
        }
        Ok(metadata)
    }

    /// Where people manage their account.
    pub async fn account_uri(&self) -> ApiResult<String> {
        let metadata = self.metadata().await?;
        let text = |key: &str| metadata.get(key).and_then(Value::as_str);
        let uri = text("account_management_uri").or_else(|| text("issuer"));
        Ok(uri.unwrap_or_default().to_owned())
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> ApiResult<T> {
        let sent = request.header(ACCEPT, "application/json").send().await;
        let mut response = sent.map_err(out_of_reach)?;
        if response.status() != StatusCode::OK {
            return Err(out_of_reach(format!("it answered {}", response.status())));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(out_of_reach)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(out_of_reach("its answer is too long"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(out_of_reach)
    }

    /// Whose token this is, if it was asked about lately.
    pub async fn known(&self, app: &App, token: &str) -> ApiResult<Option<Delegated>> {
        let known = self.known.get(&TokenHash::of(token));
        let known = known.filter(|known| known.until_ms > self.clock.now_ms());
        let Some(Known { found: Found::Somebody(found), .. }) = known else { return Ok(None) };
        Ok(lives(app, &found).await?.then_some(found))
    }

    /// Asks whose token this is, unless that is known; `None` when it is nobody's any more.
    pub async fn introspect(&self, app: &App, token: &str) -> ApiResult<Option<Delegated>> {
        if token.len() > MAX_TOKEN {
            return Ok(None);
        }
        let (hash, now) = (TokenHash::of(token), self.clock.now_ms());
        self.known.remove_if(&hash, |known| known.until_ms <= now);
        let asked = async { Ok::<_, Infallible>(self.ask_about(app, token).await) };
        let Ok(known) = self.known.get_or_insert_async(&hash, asked).await;
        match known.found {
            Found::Somebody(found) => Ok(lives(app, &found).await?.then_some(found)),
            Found::Nobody => Ok(None),
            Found::Failed(error) => Err(error),
        }
    }

    /// Forgets the tokens of a device that is gone: one of the same name is another.
    pub fn forget(&self, user: &UserId, device: &DeviceId) {
        self.known.retain(|_, known| match &known.found {
            Found::Somebody(found) => {
                let session = found.session.as_ref().and_then(|session| session.device.as_deref());
                found.user != user || session != Some(device)
            }
            Found::Nobody | Found::Failed(_) => true,
        });
    }

    async fn ask_about(&self, app: &App, token: &str) -> Known {
        let now = self.clock.now_ms();
        match self.asked_about(app, token).await {
            Ok(Some((found, expires_ms))) => {
                let until_ms = expires_ms.min(now + KNOWN_MS);
                Known { found: Found::Somebody(found), until_ms }
            }
            Ok(None) => Known { found: Found::Nobody, until_ms: now + NOBODY_MS },
            // Counted from the answer: it may have been long in not coming.
            Err(error) => {
                Known { found: Found::Failed(error), until_ms: self.clock.now_ms() + RETRY_MS }
            }
        }
    }

    /// Whose token this is, and until when, in milliseconds since 1970.
    async fn asked_about(&self, app: &App, token: &str) -> ApiResult<Option<(Delegated, i64)>> {
        let fields = [("token", token), ("token_type_hint", "access_token")];
        let form =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .http
            .post(format!("{}/oauth2/introspect", self.endpoint))
            .header(AUTHORIZATION, format!("Bearer {}", self.secret.expose()))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            // The device of sessions that began by the older API is said apart from the scope.
            .header("x-mas-supports-device-id", "1")
            .body(form);
        let asked_ms = self.clock.now_ms();
        let answer: Introspection = self.ask(request).await?;
        let scope = answer.scope.as_deref().unwrap_or_default();
        if !answer.active || !grants_api(scope) {
            return Ok(None);
        }
        let name = answer.username.as_deref().unwrap_or_default();
        let user = UserId::parse(format!("@{name}:{}", app.config.server_name))
            .map_err(|_| ApiError::internal("the authentication service named no user"))?;
        let device = match answer.device_id {
            Some(id) => Some(id),
            None => device_of(scope)
                .map_err(|_| {
                    ApiError::internal("the authentication service named several devices")
                })?
                .map(ToOwned::to_owned),
        };
        if device.as_ref().is_some_and(|id| id.is_empty() || id.len() > MAX_DEVICE_ID) {
            return Err(ApiError::internal("the authentication service named an odd device"));
        }
        let device = device.map(OwnedDeviceId::from);
        let session = device.map(|device| Arc::new(Session::delegated(user.clone(), device)));
        let admin = grants_admin(scope);
        let expires_ms = answer
            .expires_in
            .map_or(i64::MAX, |seconds| asked_ms.saturating_add(seconds.saturating_mul(1000)));
        Ok(Some((Delegated { user, session, admin }, expires_ms)))
    }
}

/// Whether the account is there and open, and the device too: the service makes and deletes both.
async fn lives(app: &App, found: &Delegated) -> ApiResult<bool> {
    if !app.accounts.active(&found.user).await? {
        return Ok(false);
    }
    match found.session.as_ref().and_then(|session| session.device.as_ref()) {
        Some(device) => Ok(app.devices.exists(&found.user, device).await?),
        None => Ok(true),
    }
}

impl std::fmt::Debug for Delegation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delegation").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
