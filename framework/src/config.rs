//! The framework's part of a bridge's configuration. The doc comments become the annotated default.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{event::ThreadMode, permissions::Level};

/// How a bridge behaves towards Matrix.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BridgeConfig {
    /// Localpart of the bridge's bot.
    pub bot_username: String,
    /// The bot's name.
    pub bot_displayname: String,
    /// The bot's picture, as an mxc: address.
    pub bot_avatar: Option<String>,
    /// Localpart of ghosts; `{}` stands for the user's identifier on the network.
    pub username_template: String,
    /// Name of ghosts; `{}` stands for the user's name on the network.
    pub displayname_template: String,
    /// Localpart of aliases on demand; `{}` stands for the chat's name on the network. Empty: none.
    pub alias_template: String,
    /// What a command begins with in rooms that are bridged.
    pub command_prefix: String,
    /// Who may do what: by Matrix ID, server name or `*`. Levels: block, relay, user, admin. Matrix IDs may hold `*`, so that
    /// another bridge's ghosts, say, can be kept from being relayed: `"@irc_*:example.org" = "block"`.
    pub permissions: BTreeMap<String, Level>,
    /// Matrix users without a login.
    pub relay: RelayConfig,
    /// People's own Matrix accounts, used for what they do on the network itself.
    pub double_puppet: DoublePuppetConfig,
    /// History.
    pub backfill: BackfillConfig,
    /// Spaces that hold the rooms of chats.
    pub spaces: SpacesConfig,
    /// How threads are shown that are chats of their own on the network: `threads` in the room of the chat they belong to, or
    /// `rooms` of their own. It can be chosen for each chat, too.
    pub threads: ThreadMode,
    /// Portals that always exist.
    pub portals: Vec<PortalConfig>,
    /// Whether rooms of portals can be joined from other homeservers.
    pub federate_rooms: bool,
    /// Whether to send `com.beeper.message_send_status` events.
    pub message_status_events: bool,
    /// Whether to say in the room that a message could not be sent.
    pub error_notices: bool,
    /// How many events of the network may wait before no more are read.
    pub inbox_limit: u32,
    /// Hours after which a message that could not be sent to the network is given up.
    pub message_expiry_hours: u32,
    /// Hours that an edit, reaction or deletion waits for the message it is about.
    pub parking_hours: u32,
    /// Days that handled events are kept, for looking back.
    pub keep_days: u32,
    /// How many portals are worked on at the same time.
    pub concurrency: u32,
    /// The bridge's own address as everybody sees it, for networks that take files as links. Unset: no links are given.
    pub public_address: Option<String>,
    /// Days that such a link is good.
    pub link_days: u32,
    /// The API for web pages and apps that log people in.
    pub provisioning: ProvisioningSettings,
    /// Whether the homeserver keeps what it has accepted: it stores appservice transactions before it acknowledges and
    /// remembers transaction ids. Unset: asked of the homeserver. Where it doesn't, rooms are read back after failures.
    pub homeserver_is_durable: Option<bool>,
}

impl BridgeConfig {
    /// The defaults for a network of this short name.
    pub fn for_network(id: &str) -> Self {
        Self {
            bot_username: format!("{id}bot"),
            bot_displayname: format!("{id} bridge"),
            bot_avatar: None,
            username_template: format!("{id}_{{}}"),
            displayname_template: "{}".into(),
            alias_template: format!("{id}_{{}}"),
            command_prefix: format!("!{id}"),
            permissions: BTreeMap::from([("*".into(), Level::Relay)]),
            relay: RelayConfig::default(),
            double_puppet: DoublePuppetConfig::default(),
            backfill: BackfillConfig::default(),
            spaces: SpacesConfig::default(),
            threads: ThreadMode::default(),
            portals: Vec::new(),
            federate_rooms: true,
            message_status_events: false,
            error_notices: true,
            inbox_limit: 100_000,
            message_expiry_hours: 24,
            parking_hours: 24,
            keep_days: 7,
            concurrency: 64,
            public_address: None,
            link_days: 365,
            provisioning: ProvisioningSettings::default(),
            homeserver_is_durable: None,
        }
    }
}
impl Default for BridgeConfig {
    fn default() -> Self {
        Self::for_network("bridge")
    }
}

/// How Matrix users without a login appear on the network.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// Whether portals relay without being told to, where the network has an account for it.
    pub default: bool,
    /// What a relayed text looks like; `{name}` is the sender's name, `{mxid}` their Matrix ID, `{message}` what they said.
    pub text: String,
    /// The same for an emote (`/me`).
    pub emote: String,
    /// Whether notices, which bots send, are relayed.
    pub notices: bool,
    /// Whether people's joins and leaves are told to the network, where it can show them.
    pub membership: bool,
}
impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            default: true,
            text: "{name}: {message}".into(),
            emote: "* {name} {message}".into(),
            notices: false,
            membership: true,
        }
    }
}

/// People's own Matrix accounts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DoublePuppetConfig {
    /// Whether the bridge may act as users of its own homeserver. The homeserver must allow it: ours does, others by a
    /// registration whose namespace includes the users.
    pub automatic: bool,
}
impl Default for DoublePuppetConfig {
    fn default() -> Self {
        Self { automatic: true }
    }
}

/// History.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackfillConfig {
    /// How many messages are fetched when a portal is created.
    pub on_create: u32,
    /// How many missed messages are fetched at most when a connection was lost.
    pub catch_up: u32,
    /// How many older messages are imported afterwards, where the homeserver can put them before the others.
    pub older: u32,
    /// How many messages are asked for at a time.
    pub page: u32,
}
impl Default for BackfillConfig {
    fn default() -> Self {
        Self { on_create: 50, catch_up: 500, older: 0, page: 100 }
    }
}

/// Spaces. What the network itself groups (a server, a category, a forum) is always one.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpacesConfig {
    /// Whether each login gets a space for those of its chats that are part of nothing.
    pub personal: bool,
}

/// The API for web pages and apps that log people in.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProvisioningSettings {
    /// Whoever knows this may act for every user. At least 16 characters; unset: nobody may.
    pub shared_secret: Option<String>,
    /// Whether users of the homeserver may use their own access token.
    pub matrix_auth: bool,
}
impl Default for ProvisioningSettings {
    fn default() -> Self {
        Self { shared_secret: None, matrix_auth: true }
    }
}
impl std::fmt::Debug for ProvisioningSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvisioningSettings")
            .field("matrix_auth", &self.matrix_auth)
            .finish_non_exhaustive()
    }
}

/// A portal that always exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PortalConfig {
    /// The chat's identifier on the network.
    pub remote_id: String,
    /// An existing room to use, by id or alias; otherwise one is created.
    pub room: Option<String>,
    /// The room's alias: its localpart.
    pub alias: Option<String>,
    /// Whether everybody may join the room that is created, even if the chat is open to fewer.
    pub public: bool,
    /// Who is invited, by Matrix ID.
    pub invite: Vec<String>,
    /// How its threads are shown, if not as elsewhere: `threads` or `rooms`.
    pub threads: Option<ThreadMode>,
}
