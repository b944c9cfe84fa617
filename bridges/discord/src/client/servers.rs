//! The servers, asked for: a new session is told them by the gateway, a resumed one is not.

use serde::Deserialize;

use super::{ApiError, Call, Hub, Wait};
use crate::{
    ids::Id,
    wire::{Channel, Guild, GuildMember},
};

/// With more servers than this, asking for them takes longer than a new session.
const MOST: usize = 100;

#[derive(Deserialize)]
struct Listed {
    id: Id,
}

#[derive(Deserialize)]
struct Threads {
    #[serde(default)]
    threads: Vec<Channel>,
}

/// Threads that were put away.
#[derive(Deserialize)]
pub(crate) struct PutAway {
    /// The threads, the last put away first.
    #[serde(default)]
    pub threads: Vec<Channel>,
    /// Whether there are more.
    #[serde(default)]
    pub has_more: bool,
}

impl Hub {
    /// Whether the servers are known, asking for them if need be.
    pub async fn knows_servers(&self) -> bool {
        if self.cache().guilds().next().is_some() {
            return true;
        }
        match self.ask_servers().await {
            Ok(known) => known,
            Err(error) => {
                tracing::info!(%error, "the servers can't be asked for; a new session is begun");
                false
            }
        }
    }

    async fn ask_servers(&self) -> Result<bool, ApiError> {
        let call = Call::get("users/@me/guilds").query("limit", MOST + 1);
        let listed: Vec<Listed> = self.rest.ask(call, Wait::Yes).await?;
        if listed.len() > MOST {
            return Ok(false);
        }
        let mut all = Vec::with_capacity(listed.len());
        for Listed { id } in listed {
            all.push(self.ask_server(id).await?);
        }
        for guild in all {
            self.cache_mut().put_guild(guild);
        }
        Ok(true)
    }

    async fn ask_server(&self, id: Id) -> Result<Guild, ApiError> {
        let mut guild: Guild = self.rest.ask(Call::get(format!("guilds/{id}")), Wait::Yes).await?;
        guild.channels =
            self.rest.ask(Call::get(format!("guilds/{id}/channels")), Wait::Yes).await?;
        guild.threads = self.active_threads(id).await?;
        Ok(guild)
    }

    /// The threads of a server that are not put away.
    pub async fn active_threads(&self, guild: Id) -> Result<Vec<Channel>, ApiError> {
        let call = Call::get(format!("guilds/{guild}/threads/active"));
        let active: Threads = self.rest.ask(call, Wait::Yes).await?;
        Ok(active.threads)
    }

    /// The threads of a channel that were put away, the last first: those that everybody in the channel sees, put away `before` a time as
    /// the API writes it.
    pub(crate) async fn put_away(
        &self,
        channel: Id,
        limit: usize,
        before: Option<String>,
    ) -> Result<PutAway, ApiError> {
        let call = Call::get(format!("channels/{channel}/threads/archived/public"));
        let call = call.query("limit", limit.clamp(2, 100));
        let call = match before {
            Some(before) => call.query("before", before),
            None => call,
        };
        self.rest.ask(call, Wait::Yes).await
    }

    /// A member of a server, if they are one.
    pub async fn member(&self, guild: Id, user: Id) -> Result<Option<GuildMember>, ApiError> {
        let call = Call::get(format!("guilds/{guild}/members/{user}"));
        match self.rest.ask(call, Wait::Yes).await {
            Ok(member) => Ok(Some(member)),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Everybody in a server, page by page up to `most`; needs the intent "Server Members".
    pub async fn members(&self, guild: Id, most: usize) -> Result<Vec<GuildMember>, ApiError> {
        let mut all: Vec<GuildMember> = Vec::new();
        let mut after = Id(0);
        while all.len() < most {
            let call = Call::get(format!("guilds/{guild}/members"))
                .query("limit", (most - all.len()).min(1_000))
                .query("after", after);
            let page: Vec<GuildMember> = self.rest.ask(call, Wait::Yes).await?;
            let Some(last) = page.iter().filter_map(|m| m.user.as_ref().map(|u| u.id)).max() else {
                break;
            };
            after = last;
            let full = page.len() >= 1_000;
            all.extend(page);
            if !full {
                break;
            }
        }
        Ok(all)
    }
}

/// What a thread is called that begins with a text: as its first line.
pub(crate) fn thread_name(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("Thread");
    line.trim().chars().take(MAX_NAME).collect()
}

/// A thread has begun with this message before.
const HAS_THREAD: u64 = 160_004;
/// The longest name of a thread.
const MAX_NAME: usize = 100;

impl Hub {
    /// Begins a thread with a message: it gets the message's identifier. Done twice it is done once.
    pub async fn begin_thread(&self, channel: Id, message: Id, name: &str) -> Result<(), ApiError> {
        let name = thread_name(name);
        let call = Call::post(format!("channels/{channel}/messages/{message}/threads"))
            .json(serde_json::json!({ "name": name }));
        match self.rest.ask::<Channel>(call, Wait::No).await {
            Ok(thread) => {
                if let Some(guild) = thread.guild_id {
                    self.cache_mut().put_channel(guild, thread);
                }
                Ok(())
            }
            Err(error) if error.code() == Some(HAS_THREAD) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
