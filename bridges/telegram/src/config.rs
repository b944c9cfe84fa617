//! The bridge's section of the configuration.

use std::{fmt, net::SocketAddrV4};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The bridge to Telegram.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The number of your application: <https://my.telegram.org>, "API development tools". Needed.
    pub api_id: i32,
    /// The hash that belongs to it. Needed, and secret.
    pub api_hash: Secret,
    /// The bot that relays for Matrix users who have no account of their own there: its token, from @BotFather. Unset: only people's
    /// own accounts are bridged.
    pub bot_token: Option<Secret>,
    /// How forums appear: each topic as a room of its own in the forum's space, or all in one room with a thread for each topic.
    pub topics: Topics,
    /// How albums from Telegram appear: an event for each picture or film, which every client shows, or one gallery (MSC4274), which
    /// Element X and few others do: others show its text only. Galleries from Matrix are albums on Telegram in either case.
    pub albums: Albums,
    /// How many of the latest chats get a room when somebody logs in. Others get theirs with their next message.
    pub chats_at_login: usize,
    /// How many people of a large group are shown in its room before they have spoken. Those of groups with fewer are all shown.
    pub members: usize,
    /// What the account's owner sees under "Devices" in Telegram's settings.
    pub device: String,
    /// The largest file taken from Telegram or sent to it, in bytes. Telegram's own limit is 2,000 MiB, or 4,000 MiB with Premium.
    pub max_file_bytes: u64,
    /// A program that makes GIF or WebP of animated stickers: called with the file of the sticker (gzipped Lottie) on standard input,
    /// it writes the picture to standard output. Its words, for example `["lottie2webp", "256"]`. Unset: the sticker's still preview is
    /// shown.
    pub sticker_converter: Vec<String>,
    /// The same for stickers that are short films (WebM), for example
    /// `["ffmpeg", "-v", "error", "-c:v", "libvpx-vp9", "-i", "-", "-loop", "0", "-f", "webp", "-"]`.
    pub video_sticker_converter: Vec<String>,
    /// Another server than Telegram's, for tests. Never for the real network.
    pub test_server: Option<TestServer>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_id: 0,
            api_hash: Secret::default(),
            bot_token: None,
            topics: Topics::default(),
            albums: Albums::default(),
            chats_at_login: 30,
            members: 100,
            device: "Landbridge".into(),
            max_file_bytes: 2000 << 20,
            sticker_converter: Vec::new(),
            video_sticker_converter: Vec::new(),
            test_server: None,
        }
    }
}

/// How forums appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topics {
    /// Each topic as a room of its own.
    #[default]
    Rooms,
    /// One room, with a thread for each topic.
    Threads,
}

/// How albums appear.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Albums {
    /// Each item as an event of its own.
    #[default]
    Events,
    /// One event with a gallery.
    Gallery,
}

/// A server that speaks Telegram's protocol.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestServer {
    /// Where it listens.
    pub address: SocketAddrV4,
    /// The number of the data centre that it is.
    pub dc: i32,
    /// Where the keys of connections come from: a server that can't prove to be Telegram can't agree on keys with its clients, so both
    /// make them of this word. Unset: a key is agreed upon, as with Telegram's own test servers.
    pub key_seed: Option<Secret>,
}

/// Something that must not be seen.
#[derive(Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { "\"...\"" })
    }
}

// Only what is empty is written: the annotated default configuration shows the key, and nothing else is ever shown.
impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("")
    }
}

impl Config {
    /// What is wrong with it, and what to do.
    pub fn check(&self) -> Result<(), String> {
        if self.api_id <= 0 || self.api_hash.0.is_empty() {
            return Err("api_id and api_hash are needed: get them at https://my.telegram.org, \"API development tools\"".into());
        }
        if self.bot_token.is_some() && self.bot_id().is_none() {
            return Err("bot_token must look as @BotFather gives it: 123456789:letters".into());
        }
        if let Some(server) = &self.test_server
            && !(1..=10_000).contains(&server.dc)
        {
            return Err("test_server.dc must be between 1 and 10000".into());
        }
        Ok(())
    }

    /// The bot's own id, which its token begins with.
    pub fn bot_id(&self) -> Option<i64> {
        let token = self.bot_token.as_ref()?;
        let (id, rest) = token.0.trim().split_once(':')?;
        id.parse().ok().filter(|id| *id > 0 && !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        Config { api_id: 1, api_hash: Secret("x".into()), ..Config::default() }
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(good().check().is_ok());
        assert!(Config::default().check().unwrap_err().contains("my.telegram.org"));
        let bad = Config { bot_token: Some(Secret("nonsense".into())), ..good() };
        assert!(bad.check().unwrap_err().contains("BotFather"));
        let bot = Config { bot_token: Some(Secret("123:abc".into())), ..good() };
        assert_eq!((bot.check(), bot.bot_id()), (Ok(()), Some(123)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let config = Config {
            api_hash: Secret("hush".into()),
            bot_token: Some(Secret("1:hush".into())),
            ..good()
        };
        assert!(!format!("{config:?}").contains("hush"));
        assert!(!serde_json::to_string(&config).unwrap().contains("hush"));
    }
}
