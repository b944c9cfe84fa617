//! The bot's commands on Matrix.

use std::fmt::Write as _;

use landbridge_framework::handlers::{Args, SendError, Via};

use super::Discord;
use crate::{ids::Id, wire::Channel};

/// The servers the bot is in.
pub(super) async fn servers(Via(client): Via<Discord>) -> Result<String, SendError> {
    let cache = client.hub.cache();
    let mut answer = String::new();
    for guild in cache.guilds() {
        let name = cache.face(guild).map(|face| face.name).unwrap_or_default();
        let _ = writeln!(answer, "- {} `{guild}`", plain(&name));
    }
    if answer.is_empty() {
        answer
            .push_str("The bot is in no server yet: invite it as `docs/bridges/discord.md` says.");
    }
    Ok(answer)
}

/// The channels of a server.
pub(super) async fn channels(
    Via(client): Via<Discord>,
    Args(words): Args,
) -> Result<String, SendError> {
    let query = words.join(" ");
    let hub = &client.hub;
    let cache = hub.cache();
    let found = match query.parse::<Id>() {
        Ok(id) => cache.guilds().find(|guild| *guild == id),
        Err(_) => cache.guilds().find(|guild| {
            cache.face(*guild).is_some_and(|face| face.name.eq_ignore_ascii_case(query.trim()))
        }),
    };
    let guild = found.ok_or_else(|| {
        SendError::refused("the bot is in no such server; `servers` lists those it is in")
    })?;
    let mut all: Vec<&Channel> = cache
        .channels_of(guild)
        .filter(|c| c.kind.is_forum() || c.kind.has_messages() && !c.kind.is_thread())
        .collect();
    all.sort_by_key(|channel| (channel.parent_id, channel.position, channel.id));
    let mut answer = String::new();
    for channel in all.into_iter().take(500) {
        let state = if hub.checked.is_closed(channel.id) {
            " (closed)"
        } else if hub.is_bridged(channel.id) {
            " (bridged)"
        } else {
            ""
        };
        let _ = writeln!(answer, "- #{} `{}`{state}", plain(channel.title()), channel.id);
    }
    if answer.is_empty() {
        answer.push_str("The bot sees no channel of this server.");
    }
    Ok(answer)
}

/// A name without what the answer's Markdown would take for markup.
fn plain(name: &str) -> String {
    name.replace(['`', '*', '\n'], " ")
}
