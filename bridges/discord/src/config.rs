//! The bridge's section of the configuration.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::ids::Id;

/// A token: never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The Discord bridge.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscordConfig {
    /// The bot's token, from the page "Bot" of the application at <https://discord.com/developers/applications>. Not a person's: Discord
    /// forbids programs to use those.
    pub token: Secret,
    /// The servers whose channels get a room when something is said in them, by their identifiers. Channels of other servers are bridged
    /// one by one, by command or in `portals`.
    pub whole_guilds: Vec<String>,
    /// Channels that are never bridged, by their identifiers.
    pub closed_channels: Vec<String>,
    /// How Matrix users appear.
    pub relay: RelayConfig,
    /// What Matrix users may do to Discord's people and channels.
    pub moderation: ModerationConfig,
    /// Linking Discord accounts by OAuth2. Without it, people link theirs by `/matrix link`.
    pub oauth: Option<OAuthConfig>,
    /// The gateway's connections.
    pub gateway: GatewayConfig,
    /// Files.
    pub files: FilesConfig,
    /// The address of the REST API, for tests and proxies.
    pub api_url: String,
    /// The address that Discord's own pictures are fetched from, for tests and proxies.
    pub cdn_url: String,
    /// Whether to keep to Discord's rate limits before it says that they are reached. Switch it off only where a proxy does it.
    pub rate_limiter: bool,
    /// Seconds that a request may take.
    pub request_timeout: u64,
}

/// How Matrix users appear on Discord.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// What the webhooks are called that the bridge makes.
    pub webhook_name: String,
    /// Whether `@room` of a Matrix user who may use it calls everybody on Discord too.
    pub everyone: bool,
    /// Whether mentions of Discord's people notify them.
    pub mentions: bool,
    /// In how many messages a long one is cut at most; longer ones are refused.
    pub max_messages: usize,
    /// Hours that a poll from Matrix runs on Discord, where every poll has an end.
    pub poll_hours: u32,
}

/// What Matrix users may do to Discord's people and channels. The power that it takes in the room is Matrix's to check.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct ModerationConfig {
    /// Whether redacting deletes messages of Discord's people.
    pub messages: bool,
    /// Whether kicking and banning a ghost kicks and bans the person on Discord.
    pub members: bool,
    /// Whether a room's new name or topic becomes the channel's.
    pub channels: bool,
    /// Whether pinning pins on Discord.
    pub pins: bool,
}

/// Linking Discord accounts by OAuth2.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OAuthConfig {
    /// The application's client ID, from the page "OAuth2".
    pub client_id: String,
    /// The application's client secret, from the same page.
    pub client_secret: Secret,
    /// A redirect that is registered there. The page need not exist: people copy its address back to the bot.
    pub redirect_uri: String,
}

/// The gateway's connections.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// How many connections the servers are spread over. Unset: as many as Discord recommends, which is one for each thousand servers.
    pub shards: Option<u32>,
    /// The address to connect to. Unset: asked of the API.
    pub url: Option<String>,
    /// Whether to ask for the members' joins, names and roles, for which the intent "Server Members" must be allowed.
    pub members: bool,
    /// Whether to ask who is online, for which the intent "Presence" must be allowed.
    pub presence: bool,
    /// How many missed messages of a channel are fetched at most after a session was lost.
    pub catch_up: u32,
}

/// Files.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FilesConfig {
    /// The largest file that is sent to Discord, in bytes. Discord takes 10 MiB, and more in boosted servers. Larger ones become links.
    pub max_upload_bytes: u64,
    /// How many files are sent at the same time: each is held in memory.
    pub concurrent_uploads: usize,
}

impl Default for DiscordConfig {
    fn default() -> Self {
        Self {
            token: Secret::default(),
            whole_guilds: Vec::new(),
            closed_channels: Vec::new(),
            relay: RelayConfig::default(),
            moderation: ModerationConfig::default(),
            oauth: None,
            gateway: GatewayConfig::default(),
            files: FilesConfig::default(),
            api_url: "https://discord.com/api/v10/".into(),
            cdn_url: "https://cdn.discordapp.com/".into(),
            rate_limiter: true,
            request_timeout: 30,
        }
    }
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            webhook_name: "Landbridge".into(),
            everyone: false,
            mentions: true,
            max_messages: 10,
            poll_hours: 24,
        }
    }
}

impl Default for ModerationConfig {
    fn default() -> Self {
        Self { messages: true, members: false, channels: false, pins: true }
    }
}

impl Default for GatewayConfig {
    fn default() -> Self {
        Self { shards: None, url: None, members: false, presence: false, catch_up: 5_000 }
    }
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self { max_upload_bytes: 10 * 1024 * 1024, concurrent_uploads: 4 }
    }
}

/// The configuration after it was checked.
#[derive(Clone, Debug)]
pub struct Checked {
    /// As it was written.
    pub config: DiscordConfig,
    /// The REST API, with a slash at its end.
    pub api: Url,
    /// The CDN, with a slash at its end.
    pub cdn: Url,
    whole_guilds: Vec<Id>,
    closed: Vec<Id>,
}

impl Checked {
    /// Whether all channels of a server are bridged.
    pub fn is_whole(&self, guild: Id) -> bool {
        self.whole_guilds.contains(&guild)
    }
    /// Whether a channel may be bridged at all.
    pub fn is_closed(&self, channel: Id) -> bool {
        self.closed.contains(&channel)
    }
}

impl DiscordConfig {
    /// Reads addresses and identifiers. The error names the place and the remedy.
    pub fn check(self) -> Result<Checked, String> {
        if self.token.0.trim().is_empty() {
            return Err("discord.token is missing: create an application at https://discord.com/developers/applications and copy the \
                        token of its bot (docs/bridges/discord.md)"
                .into());
        }
        if self.token.0.starts_with("mfa.") {
            return Err("discord.token is a person's: Discord forbids programs to use it. Take the token of a bot".into());
        }
        let base = |key: &str, text: &str| {
            let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
            let mut url =
                url.ok_or_else(|| format!("discord.{key}: {text:?} is no address of the web"))?;
            if !url.path().ends_with('/') {
                url.set_path(&format!("{}/", url.path()));
            }
            Ok::<Url, String>(url)
        };
        let id = |key: &str, text: &str| {
            text.parse::<Id>().map_err(|_| {
                format!("discord.{key}: {text:?} is no identifier. Switch on the developer mode in Discord's settings, then right-click, \
                         \"Copy ID\"")
            })
        };
        if self.gateway.shards == Some(0) {
            return Err("discord.gateway.shards: there must be one at least".into());
        }
        if let Some(oauth) = &self.oauth {
            if oauth.client_id.parse::<Id>().is_err() || oauth.client_secret.0.is_empty() {
                return Err("discord.oauth needs client_id and client_secret, from the page OAuth2 of the application".into());
            }
            if Url::parse(&oauth.redirect_uri).is_err() {
                return Err("discord.oauth.redirect_uri must be an address that is registered as a redirect of the application".into());
            }
        }
        let ids = |key: &str, texts: &[String]| {
            texts.iter().map(|text| id(key, text)).collect::<Result<Vec<Id>, String>>()
        };
        let whole_guilds = ids("whole_guilds", &self.whole_guilds)?;
        let closed = ids("closed_channels", &self.closed_channels)?;
        let (api, cdn) = (base("api_url", &self.api_url)?, base("cdn_url", &self.cdn_url)?);
        Ok(Checked { api, cdn, whole_guilds, closed, config: self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> DiscordConfig {
        DiscordConfig { token: Secret("t".into()), ..DiscordConfig::default() }
    }

    #[test]
    fn mistakes_are_named() {
        let problem = |config: DiscordConfig| config.check().unwrap_err();
        assert!(problem(DiscordConfig::default()).contains("discord.token is missing"));
        assert!(
            problem(DiscordConfig { api_url: "discord".into(), ..config() }).contains("api_url")
        );
        let whole = DiscordConfig { whole_guilds: vec!["my server".into()], ..config() };
        assert!(problem(whole).contains("Copy ID"));
        let oauth = Some(OAuthConfig { client_id: "1".into(), ..OAuthConfig::default() });
        assert!(problem(DiscordConfig { oauth, ..config() }).contains("client_secret"));
        assert!(!format!("{:?}", config()).contains("\"t\""));
    }

    #[test]
    fn addresses_end_in_a_slash() {
        let checked = config().check().unwrap();
        assert_eq!(checked.api.as_str(), "https://discord.com/api/v10/");
    }
}
