//! How people's devices are told of what happens.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Push notifications to the gateways of apps. Gateways that are not on public addresses need an entry in
/// `outbound.allowed_addresses`, which also lets their URLs begin with `http://` if they name the address itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PushPolicy {
    /// Whether the number on an app's icon counts the rooms in which there are unread messages, rather than the messages.
    pub count_rooms: bool,
}
