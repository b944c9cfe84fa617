//! What calls need: events that are sent later, and where the media of calls goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ConfigError;

/// Events that are sent later (MSC4140). Calls use them to notice who has gone.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DelayedEventPolicy {
    /// The longest delay that is taken; 0 turns delayed events off.
    pub max_delay_seconds: u64,
    /// How many events may wait for one user.
    pub max_per_user: u32,
}

impl Default for DelayedEventPolicy {
    fn default() -> Self {
        Self { max_delay_seconds: 24 * 3600, max_per_user: 100 }
    }
}

/// How calls are carried (MSC4143).
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RtcPolicy {
    /// The transports that clients are told of, the preferred one first. Each has a `type` and what that type needs: for `LiveKit`,
    /// `type = "livekit"` and `livekit_service_url`.
    pub transports: Vec<Map<String, Value>>,
}

impl RtcPolicy {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self
            .transports
            .iter()
            .all(|transport| transport.get("type").is_some_and(Value::is_string))
        {
            return Ok(());
        }
        let problem = "each transport needs a type, for example type = \"livekit\"".to_owned();
        Err(ConfigError { key: "rtc.transports", problem })
    }
}
