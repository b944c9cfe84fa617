//! How many requests are served to whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// How many requests are served to whom. Application services whose registration says `rate_limited: false` are exempt.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Whether there are limits at all.
    pub enabled: bool,
    /// Events sent, per user.
    pub message: Rate,
    /// Joins, invites, knocks and rooms created, per user.
    pub join: Rate,
    /// Log-ins and refreshes, per address and again per account.
    pub login: Rate,
    /// Accounts created, per address.
    pub registration: Rate,
    /// E-mails that are asked for to prove an address, per address they are asked from and again per recipient.
    pub email: Rate,
    /// Everything else that writes, per user.
    pub other: Rate,
}

/// A rate with a burst on top.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests that are allowed per second in the long run; may be a fraction.
    pub per_second: f64,
    /// Requests that are allowed at once.
    pub burst: u32,
}

impl Rate {
    const fn new(per_second: f64, burst: u32) -> Self {
        Self { per_second, burst }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            enabled: true,
            message: Rate::new(5.0, 50),
            join: Rate::new(1.0, 30),
            login: Rate::new(0.2, 10),
            registration: Rate::new(0.05, 5),
            email: Rate::new(0.01, 5),
            other: Rate::new(10.0, 100),
        }
    }
}

impl RateLimits {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        for (key, rate) in [
            ("rate_limits.message", self.message),
            ("rate_limits.join", self.join),
            ("rate_limits.login", self.login),
            ("rate_limits.registration", self.registration),
            ("rate_limits.email", self.email),
            ("rate_limits.other", self.other),
        ] {
            if !(rate.per_second > 0.0 && rate.per_second.is_finite()) || rate.burst == 0 {
                let problem =
                    "per_second and burst must be above 0; enabled = false turns limits off"
                        .to_owned();
                return Err(ConfigError { key, problem });
            }
        }
        Ok(())
    }
}
