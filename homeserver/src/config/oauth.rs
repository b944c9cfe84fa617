//! Signing in by OAuth 2.0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// Signing in by OAuth 2.0: clients send people to pages of this server in their browser, and never see a password.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OAuth {
    /// Whether it is offered; it needs `public_base_url`. Unset: where that begins with `https://`.
    pub enabled: Option<bool>,
    /// For how long somebody stays signed in in a browser. What can't be taken back asks for a fresh sign-in anyway.
    pub browser_session_lifetime_seconds: u64,
}

impl Default for OAuth {
    fn default() -> Self {
        Self { enabled: None, browser_session_lifetime_seconds: 14 * 24 * 60 * 60 }
    }
}

impl OAuth {
    pub(super) fn check(&self, base: Option<&str>) -> Result<(), ConfigError> {
        if self.enabled == Some(true) && base.is_none() {
            let problem = "needs public_base_url: its pages are there".to_owned();
            return Err(ConfigError { key: "oauth.enabled", problem });
        }
        Ok(())
    }

    /// The address below which it is offered, if it is.
    pub(super) fn base<'a>(&self, base: Option<&'a str>) -> Option<&'a str> {
        let base = base?.trim_end_matches('/');
        self.enabled.unwrap_or_else(|| base.starts_with("https://")).then_some(base)
    }
}
