//! Signing in by OAuth 2.0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Secret};

/// Signing in by OAuth 2.0: clients send people to pages of this server in their browser, and never see a password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth {
    /// Whether it is offered; it needs `public_base_url`. Unset: where that begins with `https://`.
    pub enabled: Option<bool>,
    /// For how long somebody stays signed in in a browser: from a minute to 400 days, which is the longest that browsers remember. What can't be taken back asks for a fresh sign-in anyway.
    pub browser_session_lifetime_seconds: u64,
    /// A matrix-authentication-service that keeps the accounts and signs people in in this server's stead.
    pub delegation: Option<Delegation>,
}

/// A matrix-authentication-service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delegation {
    /// Where this server reaches it, for example `http://localhost:8080/`; clients are told the address that it says itself.
    pub endpoint: String,
    /// The secret that both share (`matrix.secret` in its configuration).
    pub secret: Secret,
}

impl Default for OAuth {
    fn default() -> Self {
        Self {
            enabled: None,
            browser_session_lifetime_seconds: 14 * 24 * 60 * 60,
            delegation: None,
        }
    }
}

impl OAuth {
    pub(super) fn check(&self, base: Option<&str>) -> Result<(), ConfigError> {
        if self.enabled == Some(true) && base.is_none() {
            let problem = "needs public_base_url: its pages are there".to_owned();
            return Err(ConfigError { key: "oauth.enabled", problem });
        }
        if !(60..=400 * 24 * 60 * 60).contains(&self.browser_session_lifetime_seconds) {
            let problem = "must be from 60 to 34560000 (400 days)".to_owned();
            return Err(ConfigError { key: "oauth.browser_session_lifetime_seconds", problem });
        }
        let Some(delegation) = &self.delegation else { return Ok(()) };
        let fail = |key, problem: &str| Err(ConfigError { key, problem: problem.to_owned() });
        if self.enabled.is_some() {
            return fail("oauth.enabled", "must not be set beside oauth.delegation");
        }
        let url = url::Url::parse(&delegation.endpoint);
        if !url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            return fail(
                "oauth.delegation.endpoint",
                "must be an address with http:// or https://",
            );
        }
        let secret = delegation.secret.expose();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return fail("oauth.delegation.secret", "must be of visible ASCII characters");
        }
        Ok(())
    }

    /// The address below which this server offers it, if it does.
    pub(super) fn base<'a>(&self, base: Option<&'a str>) -> Option<&'a str> {
        if self.delegation.is_some() {
            return None;
        }
        let base = base?.trim_end_matches('/');
        self.enabled.unwrap_or_else(|| base.starts_with("https://")).then_some(base)
    }
}
