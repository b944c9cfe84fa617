//! The server that relays calls between people who can't reach each other directly.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Secret};

/// The TURN server that clients are told to use for calls (Client-Server API, "Voice over IP").
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Turn {
    /// Its addresses, as `turn:turn.example.org?transport=udp` or `turns:...`. Without any, clients are told that there is
    /// no such server.
    pub uris: Vec<String>,
    /// The secret that it shares with this server (coturn's `static-auth-secret`): every user gets credentials of their own,
    /// good for a while.
    pub shared_secret: Option<Secret>,
    /// The user name, where all users have the same credentials.
    pub username: Option<String>,
    /// The password that goes with `username`.
    pub password: Option<Secret>,
    /// For how long clients may use credentials before they ask again.
    pub lifetime_seconds: u64,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            uris: Vec::new(),
            shared_secret: None,
            username: None,
            password: None,
            lifetime_seconds: 86_400,
        }
    }
}

impl Turn {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let fail = |key, problem: &str| Err(ConfigError { key, problem: problem.to_owned() });
        if self.uris.iter().any(|uri| !uri.starts_with("turn:") && !uri.starts_with("turns:")) {
            return fail("turn.uris", "each must start with turn: or turns:");
        }
        let shared = self.shared_secret.is_some();
        match (&self.username, &self.password) {
            (Some(_), Some(_)) if !shared => {}
            (None, None) if shared || self.uris.is_empty() => {}
            _ => {
                let problem = "set either shared_secret, or username and password";
                return fail("turn", problem);
            }
        }
        // Half of what a signed 64-bit time in seconds can hold is far more than anyone needs.
        if self.lifetime_seconds == 0 || self.lifetime_seconds > u64::from(u32::MAX) {
            return fail("turn.lifetime_seconds", "must be from 1 to 4294967295");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_credentials_are_refused() {
        let uris = vec!["turn:turn.example.org".to_owned()];
        let turn = Turn { uris, ..Turn::default() };
        assert_eq!(turn.check().unwrap_err().key, "turn");
        let named = Turn { username: Some("u".to_owned()), ..turn.clone() };
        assert_eq!(named.check().unwrap_err().key, "turn");
        let good = Turn { password: Some(Secret::new("p")), ..named };
        good.check().unwrap();
        let both = Turn { shared_secret: Some(Secret::new("s")), ..good };
        assert_eq!(both.check().unwrap_err().key, "turn");
        let other = Turn { uris: vec!["stun:x".to_owned()], ..Turn::default() };
        assert_eq!(other.check().unwrap_err().key, "turn.uris");
    }
}
