//! Who asks: by the shared secret, or by their own Matrix access token.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use landbridge_registration::Token;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::ProvisioningConfig;
use super::answer::Problem;
use crate::matrix::Matrix;

/// A shorter secret can be guessed, and counts as none.
const MIN_SECRET: usize = 16;
/// How long the homeserver's word about a token is believed.
const BELIEVED: Duration = Duration::from_mins(5);
/// How many tokens are remembered.
const REMEMBERED: usize = 1_024;

pub(crate) struct Authenticator {
    config: ProvisioningConfig,
    /// Hash of a token to its user.
    known: Mutex<HashMap<[u8; 32], (String, Instant)>>,
}

impl Authenticator {
    pub(crate) fn new(config: ProvisioningConfig) -> Self {
        Self { config, known: Mutex::default() }
    }

    /// The Matrix ID of who makes the request.
    pub(crate) async fn user(
        &self,
        matrix: &Matrix,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<String, Problem> {
        let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let given = header
            .and_then(|value| value.strip_prefix("Bearer "))
            .map(str::trim)
            .unwrap_or_default();
        if given.is_empty() {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "M_MISSING_TOKEN",
                "there is no token",
            ));
        }
        let query = uri.query().unwrap_or_default().as_bytes();
        let named = url::form_urlencoded::parse(query)
            .find(|(key, _)| key == "user_id")
            .map(|(_, value)| value.into_owned());
        let secret =
            self.config.shared_secret.as_ref().filter(|secret| secret.expose().len() >= MIN_SECRET);
        if secret.is_some_and(|secret| secret.matches(given)) {
            return named.ok_or_else(|| Problem::missing("user_id"));
        }
        let unknown =
            || Problem::new(StatusCode::UNAUTHORIZED, "M_UNKNOWN_TOKEN", "that token is not known");
        if !self.config.allow_matrix_auth {
            return Err(unknown());
        }
        let user = self.owner(matrix, given, named.as_deref()).await?.ok_or_else(unknown)?;
        if named.is_some_and(|named| named != user) {
            return Err(unknown());
        }
        Ok(user)
    }

    /// Whose access token it is, by the homeserver's word.
    async fn owner(
        &self,
        matrix: &Matrix,
        token: &str,
        named: Option<&str>,
    ) -> Result<Option<String>, Problem> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let now = Instant::now();
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, (_, until)| *until > now);
            if let Some((user, _)) = known.get(&hash) {
                return Ok(Some(user.clone()));
            }
        }
        let intent = matrix.puppet(named.unwrap_or_default(), Some(Token::new(token)));
        match intent.whoami().await {
            Ok(who) => {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                if known.len() < REMEMBERED {
                    known.insert(hash, (who.user_id.clone(), now + BELIEVED));
                }
                Ok(Some(who.user_id))
            }
            Err(error) if error.is_temporary() => Err(Problem::new(
                StatusCode::BAD_GATEWAY,
                "M_UNKNOWN",
                "the homeserver could not be asked",
            )),
            Err(_) => Ok(None),
        }
    }
}
