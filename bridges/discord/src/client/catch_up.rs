//! Messages that were missed: when Discord has forgotten a session, every bridged channel is read from the newest message that is known, in
//! order, before anything newer is taken.

use std::time::Duration;

use landbridge_framework::{Closed, EventKey, Inbox};
use serde_json::Value;

use super::{ApiError, Call, Hub, Wait};
use crate::{
    connector::Discord,
    convert::date,
    ids::Id,
    raw::Raw,
    wire::{Channel, ChannelKind},
};

/// How much further back than the newest known message is read: messages of different channels don't arrive quite in order. What
/// was stored before is known by its key.
const MARGIN: Duration = Duration::from_mins(5);
/// The most that the API gives at a time.
pub(crate) const PAGE: usize = 100;

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
pub enum CatchUpError {
    /// Nothing more can be stored.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// Discord doesn't answer.
    #[error(transparent)]
    Api(#[from] ApiError),
}

impl Hub {
    /// Reads what was missed in the channels of these servers since `newest`.
    pub async fn catch_up(
        &self,
        inbox: &Inbox<Discord>,
        guilds: &[Id],
        newest: Id,
    ) -> Result<(), CatchUpError> {
        if newest == Id(0) {
            // Nothing was ever stored: what is older is history, which is fetched with the room.
            return Ok(());
        }
        let since = newest.earlier(MARGIN);
        let bridged = self.bridged();
        self.find_put_away(guilds, &bridged, since).await?;
        for channel in bridged.iter().copied() {
            let behind = self.behind(guilds, &bridged, channel, since);
            let Some((guild, behind)) = behind else { continue };
            let mut missed: Vec<(Id, EventKey, Raw)> = Vec::new();
            for place in behind {
                match self.missed(guild, place, since, newest).await {
                    Ok(found) => missed.extend(found),
                    // Its channel is gone, or hidden from the bot since.
                    Err(error @ ApiError::Refused { .. }) => {
                        tracing::warn!(channel = %place, %error, "what was missed in a channel can't be read");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            // A room shows a channel and its threads: in the order in which they were said.
            missed.sort_by_key(|(id, ..)| *id);
            tracing::info!(%channel, messages = missed.len(), "read what was missed");
            let mut missed = missed.into_iter().map(|(_, key, raw)| (key, raw));
            loop {
                let some: Vec<_> = missed.by_ref().take(PAGE).collect();
                if some.is_empty() {
                    break;
                }
                inbox.put_all(some, None).await?;
            }
        }
        Ok(())
    }

    /// Looks for threads that were put away since then, something having been said in them before: the servers don't tell them.
    async fn find_put_away(
        &self,
        guilds: &[Id],
        bridged: &[Id],
        since: Id,
    ) -> Result<(), ApiError> {
        for channel in bridged.iter().copied() {
            let known = self.cache().channel(channel).map(|(guild, c)| (guild, c.kind));
            let found = match known {
                Some((guild, kind)) if guilds.contains(&guild) && kind.has_threads() => {
                    self.put_away_since(guild, channel, since).await
                }
                Some(_) => Ok(()),
                // A thread with a room of its own, or it is gone.
                None => self.ask_thread(channel).await,
            };
            match found {
                Err(error @ ApiError::Refused { .. }) => {
                    tracing::info!(%channel, %error, "threads that were put away can't be asked for");
                }
                found => found?,
            }
        }
        Ok(())
    }

    async fn put_away_since(&self, guild: Id, channel: Id, since: Id) -> Result<(), ApiError> {
        let mut before = None;
        loop {
            let page = self.put_away(channel, PAGE, before.take()).await?;
            for thread in page.threads {
                before = thread.thread_metadata.as_ref().and_then(|m| m.archive_timestamp.clone());
                let at = before.as_deref().and_then(date::parse_ms);
                if at.is_none_or(|at| Id::at_ms(at) < since) {
                    return Ok(());
                }
                self.cache_mut().put_channel(guild, thread);
            }
            if !page.has_more || before.is_none() {
                return Ok(());
            }
        }
    }

    async fn ask_thread(&self, thread: Id) -> Result<(), ApiError> {
        let call = Call::get(format!("channels/{thread}"));
        let channel: Channel = self.rest.ask(call, Wait::Yes).await?;
        if let Some(guild) = channel.guild_id {
            self.cache_mut().put_channel(guild, channel);
        }
        Ok(())
    }

    /// The channel and its threads that have messages since then.
    fn behind(
        &self,
        guilds: &[Id],
        bridged: &[Id],
        channel: Id,
        since: Id,
    ) -> Option<(Id, Vec<Id>)> {
        let cache = self.cache();
        let (guild, known) = cache.channel(channel)?;
        if !guilds.contains(&guild) {
            return None;
        }
        let newer = |c: &&Channel| c.last_message_id.is_some_and(|last| last > since);
        // Those with rooms of their own are read for themselves.
        let threads = cache
            .threads_of(channel)
            .filter(newer)
            .filter(|thread| thread.kind != ChannelKind::PrivateThread)
            .filter(|thread| !bridged.contains(&thread.id))
            .map(|thread| thread.id);
        let own = Some(known).filter(newer).filter(|c| c.kind != ChannelKind::Category);
        Some((guild, own.map(|c| c.id).into_iter().chain(threads).collect()))
    }

    /// A channel's messages since a time a little before the newest known one. What lies before that was most likely stored, and doesn't
    /// count among what is read of what came after it.
    async fn missed(
        &self,
        guild: Id,
        channel: Id,
        since: Id,
        newest: Id,
    ) -> Result<Vec<(Id, EventKey, Raw)>, ApiError> {
        let most = self.checked.config.gateway.catch_up as usize;
        let mut found = Vec::new();
        let mut keep = |page: Vec<(Id, Value)>| {
            for (id, message) in page.into_iter().filter(|(id, _)| *id > since) {
                if let Some((key, raw)) = self.past(Some(guild), message) {
                    found.push((id, key, raw));
                }
            }
        };
        let (mut before, mut read) = (newest, 0);
        while read < most {
            let page = self.page(channel, ("before", Some(before)), PAGE).await?;
            let Some((first, _)) = page.first() else { break };
            before = *first;
            read += page.len();
            let full = page.len() >= PAGE;
            keep(page);
            if !full || before <= since {
                break;
            }
        }
        let (mut after, mut read) = (Id(newest.0.saturating_sub(1)), 0);
        loop {
            let page = self.page(channel, ("after", Some(after)), PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            read += page.len();
            let full = page.len() >= PAGE;
            keep(page);
            if full && read >= most {
                tracing::warn!(%channel, most, "more was missed in a channel than is caught up with (discord.gateway.catch_up)");
                break;
            }
            if !full {
                break;
            }
        }
        Ok(found)
    }

    /// A page of a channel's messages, oldest first. `from`: `after`, `before` or `around`, and which message.
    pub async fn page(
        &self,
        channel: Id,
        from: (&'static str, Option<Id>),
        limit: usize,
    ) -> Result<Vec<(Id, Value)>, ApiError> {
        let mut call =
            Call::get(format!("channels/{channel}/messages")).query("limit", limit.clamp(1, PAGE));
        if let (name, Some(id)) = from {
            call = call.query(name, id);
        }
        let page: Vec<Value> = self.rest.ask(call, Wait::Yes).await?;
        let id = |message: &Value| message.get("id")?.as_str()?.parse::<Id>().ok();
        let mut page: Vec<(Id, Value)> =
            page.into_iter().filter_map(|message| Some((id(&message)?, message))).collect();
        page.sort_by_key(|(id, _)| *id);
        Ok(page)
    }
}
