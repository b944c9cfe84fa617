//! The bridge's section of the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::casemap::CaseMapping;
use crate::client::{FloodLimits, Sasl, Secret, Tls};

/// The IRC bridge.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IrcConfig {
    /// The IRC networks to bridge, each under a short name of letters, digits and dashes that must never change: it is part of the
    /// users' and rooms' identifiers.
    pub networks: BTreeMap<String, NetworkConfig>,
    /// The network whose users and channels are named without the network's name (`@irc_nick`, `#irc_#channel`). Where only one
    /// network is configured, it is that one.
    pub default_network: Option<String>,
    /// How messages are written on IRC.
    pub messages: MessagesConfig,
}

/// One IRC network.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Host name or address of a server.
    pub host: String,
    /// Its port: usually 6697 with TLS and 6667 without.
    pub port: u16,
    /// Whether to speak TLS. Switch it off only for a server on the same machine.
    pub tls: bool,
    /// How the server's certificate is checked.
    pub tls_options: Tls,
    /// The server's own password, if it has one (`PASS`).
    pub password: Option<Secret>,
    /// The bot's nick: it listens in the bridged channels, and speaks for Matrix users who have no connection of their own.
    pub nick: String,
    /// The bot's real name.
    pub realname: String,
    /// The bot's account with the network's services.
    pub sasl: Option<Sasl>,
    /// A password for `NickServ`, for networks without SASL.
    pub nickserv_password: Option<Secret>,
    /// User modes the bot and the puppets set on themselves, for example `+B` (bot) or `+x` (hide the host).
    pub user_modes: Option<String>,
    /// How fast each connection may send. Unset: what the server's software allows by default.
    pub flood: Option<FloodLimits>,
    /// How names are folded until the server has told.
    pub casemapping: CaseMapping,
    /// Connections of their own for Matrix users.
    pub puppets: PuppetsConfig,
    /// Who is shown in the Matrix rooms.
    pub members: MembersConfig,
    /// Channels that may be bridged by joining `#irc_#channel:server`: `*` for any, or names. Empty: none, only plumbing.
    pub open_channels: Vec<String>,
    /// Channels that may never be bridged.
    pub closed_channels: Vec<String>,
    /// Seconds a connection attempt may take.
    pub connect_timeout: u64,
    /// Seconds of silence after which the server is asked whether it is there.
    pub ping_interval: u64,
    /// Seconds before the first new attempt after a connection broke; it doubles up to `reconnect_max`.
    pub reconnect_min: u64,
    /// The most seconds between attempts.
    pub reconnect_max: u64,
}

/// Connections of their own for Matrix users.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PuppetsConfig {
    /// Whether Matrix users get a connection of their own when they speak. Otherwise the bot relays everybody.
    pub enabled: bool,
    /// Whether Matrix users appear in the channel when they join the room, not only when they first speak.
    pub on_join: bool,
    /// The most connections at once. Ask the network first: most allow only a few from one address.
    pub max: usize,
    /// How a Matrix user's nick is made: `$DISPLAY` is the display name, `$LOCALPART` the Matrix ID's first part.
    pub nick: String,
    /// How a Matrix user's real name is made: `$MXID` and `$DISPLAY`.
    pub realname: String,
    /// Hours without a word after which a connection is closed; it comes back with the next word. 0: never.
    pub idle_hours: u64,
    /// Whether the bot relays for a user whose connection can't be made (limit reached, nick refused). A user whom the network or
    /// the channel has banned is never relayed.
    pub fall_back_to_relay: bool,
    /// Seconds a message waits for its author's connection before the bot relays it.
    pub patience: u64,
    /// A word that keeps the puppets' user names from being forged. Any; the same for ever.
    pub ident_key: String,
}

/// Who is shown in the Matrix rooms.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MembersConfig {
    /// Whose joins and parts are shown.
    pub show: ShowMembers,
    /// In channels with more people than this, only those who speak are shown.
    pub max: usize,
    /// Seconds a quit is held back: who is back by then has not left.
    pub quit_debounce: u64,
    /// The same for those who a netsplit took.
    pub netsplit_hold: u64,
}

/// Whose joins and parts are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShowMembers {
    /// Everybody's.
    #[default]
    All,
    /// Only of those who have spoken.
    Speakers,
}

/// How messages are written on IRC.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MessagesConfig {
    /// A message of more lines than this becomes a file with a link, if this bridge can publish files.
    pub max_lines: usize,
    /// The most lines of a message where files can't be published; the user is told when more is refused.
    pub hard_max_lines: usize,
    /// What becomes of messages that bots mark as notices.
    pub notices: Notices,
    /// How an edit is told.
    pub edits: Edits,
}

/// What becomes of notices from Matrix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Notices {
    /// A NOTICE.
    #[default]
    Notice,
    /// An ordinary message.
    Message,
    /// Nothing.
    Drop,
}

/// How an edit is told on IRC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edits {
    /// `s/old/new/` for a small change, else the whole text again behind `* `.
    #[default]
    Correction,
    /// Not at all.
    Drop,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 6697,
            tls: true,
            tls_options: Tls::default(),
            password: None,
            nick: "landbridge".into(),
            realname: "Matrix bridge".into(),
            sasl: None,
            nickserv_password: None,
            user_modes: None,
            flood: None,
            casemapping: CaseMapping::default(),
            puppets: PuppetsConfig::default(),
            members: MembersConfig::default(),
            open_channels: Vec::new(),
            closed_channels: Vec::new(),
            connect_timeout: 60,
            ping_interval: 90,
            reconnect_min: 3,
            reconnect_max: 300,
        }
    }
}

impl Default for PuppetsConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            on_join: false,
            max: 30,
            nick: "$DISPLAY".into(),
            realname: "$MXID".into(),
            idle_hours: 72,
            fall_back_to_relay: true,
            patience: 20,
            ident_key: String::new(),
        }
    }
}

impl Default for MembersConfig {
    fn default() -> Self {
        Self { show: ShowMembers::All, max: 300, quit_debounce: 20, netsplit_hold: 300 }
    }
}

impl Default for MessagesConfig {
    fn default() -> Self {
        Self {
            max_lines: 5,
            hard_max_lines: 40,
            notices: Notices::Notice,
            edits: Edits::Correction,
        }
    }
}

impl IrcConfig {
    /// What is wrong with it, in words that name the place and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        if self.networks.is_empty() {
            return Err("irc.networks is empty: add a network, for example [irc.networks.libera] with host = \"irc.libera.chat\"".into());
        }
        for (name, network) in &self.networks {
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(word) {
                return Err(format!(
                    "irc.networks.{name}: a network's name may hold lower-case letters, digits and dashes"
                ));
            }
            if network.host.is_empty() {
                return Err(format!(
                    "irc.networks.{name}.host is missing: the address of one of the network's servers"
                ));
            }
            if !crate::nick::is_valid(&network.nick) {
                return Err(format!(
                    "irc.networks.{name}.nick: {:?} can't be a nick on IRC",
                    network.nick
                ));
            }
        }
        match &self.default_network {
            Some(name) if !self.networks.contains_key(name) => {
                Err(format!("irc.default_network: there is no network {name:?} in irc.networks"))
            }
            _ => Ok(()),
        }
    }

    /// The network that is named by an empty name in identifiers.
    pub fn default_network(&self) -> Option<&str> {
        match &self.default_network {
            Some(name) => Some(name),
            None if self.networks.len() == 1 => self.networks.keys().next().map(String::as_str),
            None => None,
        }
    }

    /// A network's name as it stands in identifiers: empty for the default one.
    pub fn short_name<'a>(&self, name: &'a str) -> &'a str {
        if self.default_network() == Some(name) { "" } else { name }
    }
}

impl NetworkConfig {
    /// Whether a channel may be bridged by whoever joins its alias.
    pub fn is_open(&self, channel: &str) -> bool {
        let listed = |list: &[String]| {
            list.iter().any(|entry| entry == "*" || self.casemapping.same(entry, channel))
        };
        listed(&self.open_channels) && !self.is_closed(channel)
    }

    /// Whether a channel may never be bridged.
    pub fn is_closed(&self, channel: &str) -> bool {
        self.closed_channels.iter().any(|entry| self.casemapping.same(entry, channel))
    }
}

impl PuppetsConfig {
    /// How long a puppet may be silent.
    pub fn idle(&self) -> Option<Duration> {
        (self.idle_hours > 0).then(|| Duration::from_secs(self.idle_hours * 3_600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let mut config = IrcConfig::default();
        assert!(config.validate().unwrap_err().contains("irc.networks is empty"));
        config.networks.insert("test".into(), NetworkConfig::default());
        assert!(config.validate().unwrap_err().contains("irc.networks.test.host"));
        config
            .networks
            .insert("test".into(), NetworkConfig { host: "h".into(), ..NetworkConfig::default() });
        assert_eq!(config.validate(), Ok(()));
        assert_eq!((config.default_network(), config.short_name("test")), (Some("test"), ""));
        config.networks.insert(
            "other".into(),
            NetworkConfig {
                host: "h".into(),
                nick: "not a nick".into(),
                ..NetworkConfig::default()
            },
        );
        assert!(config.validate().unwrap_err().contains("not a nick"));
        assert_eq!((config.default_network(), config.short_name("test")), (None, "test"));
        config.networks.remove("other");
        config.default_network = Some("gone".into());
        assert!(config.validate().unwrap_err().contains("gone"));
    }

    #[test]
    fn opens_channels_by_name_or_all() {
        let network = NetworkConfig {
            open_channels: vec!["*".into()],
            closed_channels: vec!["#Secret".into()],
            ..NetworkConfig::default()
        };
        assert!(network.is_open("#any") && !network.is_open("#secret"));
        let network =
            NetworkConfig { open_channels: vec!["#a".into()], ..NetworkConfig::default() };
        assert!(network.is_open("#A") && !network.is_open("#b"));
    }
}
