//! The bridge's section of the configuration.

use std::{fmt, net::SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

/// A token or key: never printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }
    /// What it is.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The Slack bridge. `landbridge slack manifest` prints what Slack wants to know to make the app.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlackConfig {
    /// The app's token (`xapp-...`, scope `connections:write`): with it the bridge calls Slack for events (Socket Mode), and needs no
    /// address that Slack can reach.
    pub app_token: Option<Secret>,
    /// The tokens of the app's bots (`xoxb-...`), one for each workspace it was installed in from Slack's own pages. Workspaces that
    /// are installed by the bridge's link need none.
    pub bot_tokens: Vec<Secret>,
    /// The app's client id, for installing it in more workspaces and for people's own accounts.
    pub client_id: Option<String>,
    /// The client secret that goes with it.
    pub client_secret: Option<Secret>,
    /// The app's signing secret: with it Slack may call the bridge for events and commands (Events API), at `public_url`.
    pub signing_secret: Option<Secret>,
    /// Where the bridge listens for Slack and for people's browsers: `127.0.0.1:29340`, say. Unset: nowhere, Socket Mode only.
    pub listen: Option<SocketAddr>,
    /// The address under which Slack and browsers reach `listen`, such as `https://bridge.example.org`.
    pub public_url: Option<String>,
    /// What a reply that isn't in a thread becomes, because Slack has none.
    pub replies: Replies,
    /// The most people of a channel that are shown in its room when it is opened.
    pub members_max: usize,
    /// The most messages that are fetched for one channel after a connection was lost: the newest of them.
    pub catch_up_max: usize,
    /// Where Slack's Web API is. Only tests have another.
    pub api_url: String,
}

/// What a reply that isn't in a thread becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Replies {
    /// A reply in the thread of the message that is answered.
    #[default]
    Thread,
    /// The same, and also sent to the channel.
    Broadcast,
    /// An ordinary message.
    Message,
}

impl Default for SlackConfig {
    fn default() -> Self {
        Self {
            app_token: None,
            bot_tokens: Vec::new(),
            client_id: None,
            client_secret: None,
            signing_secret: None,
            listen: None,
            public_url: None,
            replies: Replies::Thread,
            members_max: 500,
            catch_up_max: 5_000,
            api_url: "https://slack.com/api".into(),
        }
    }
}

impl SlackConfig {
    /// What is wrong with it, in words that name the key and the remedy.
    pub fn validate(&self) -> Result<(), String> {
        let begins = |secret: &Secret, start: &str| secret.expose().starts_with(start);
        if let Some(token) = &self.app_token
            && !begins(token, "xapp-")
        {
            return Err("slack.app_token: an app's token begins with xapp- (Basic Information, App-Level Tokens)".into());
        }
        if self.bot_tokens.iter().any(|token| !begins(token, "xoxb-")) {
            return Err("slack.bot_tokens: a bot's token begins with xoxb- (OAuth & Permissions, Bot User OAuth Token)".into());
        }
        if self.app_token.is_none() && (self.signing_secret.is_none() || self.listen.is_none()) {
            return Err("slack: there is no way for events to come. Set app_token (Socket Mode), or signing_secret and listen (Events API)".into());
        }
        if self.client_id.is_some() != self.client_secret.is_some() {
            return Err("slack: client_id and client_secret go together".into());
        }
        if self.bot_tokens.is_empty() && self.client_id.is_none() {
            return Err("slack: there is no workspace. Set bot_tokens, or client_id and client_secret to install the app by the bridge's link".into());
        }
        self.base()?;
        self.public()?;
        Ok(())
    }

    /// Where the Web API is.
    pub fn base(&self) -> Result<Url, String> {
        address(&self.api_url, "slack.api_url")
    }

    /// The address under which browsers reach the bridge.
    pub fn public(&self) -> Result<Option<Url>, String> {
        self.public_url.as_deref().map(|url| address(url, "slack.public_url")).transpose()
    }
}

fn address(text: &str, key: &str) -> Result<Url, String> {
    Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| format!("{key}: {text:?} must begin with https:// or http://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        let mut config = SlackConfig::default();
        assert!(config.validate().unwrap_err().contains("no way for events"));
        config.app_token = Some(Secret::new("xoxb-1"));
        assert!(config.validate().unwrap_err().contains("xapp-"));
        config.app_token = Some(Secret::new("xapp-1"));
        assert!(config.validate().unwrap_err().contains("no workspace"));
        config.bot_tokens = vec![Secret::new("xoxp-1")];
        assert!(config.validate().unwrap_err().contains("xoxb-"));
        config.bot_tokens = vec![Secret::new("xoxb-1")];
        assert_eq!(config.validate(), Ok(()));
        config.client_id = Some("1.2".into());
        assert!(config.validate().unwrap_err().contains("go together"));
        config.client_secret = Some(Secret::new("s"));
        config.public_url = Some("bridge.example.org".into());
        assert!(config.validate().unwrap_err().contains("public_url"));
        assert!(!format!("{config:?}").contains("xoxb-1"), "secrets are not printed");
    }
}
