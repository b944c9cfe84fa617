//! The past of a channel, page by page, each message under the name that it had when it was new. With the newest page come the threads that
//! began in it; a forum's past are its newest posts.

use landbridge_framework::{Dir, History, NetError, Next, Page, PageQuery, PortalKey};
use serde::Deserialize;
use serde_json::Value;

use super::{Discord, DiscordClient};
use crate::{
    client::{ApiError, Hub, catch_up::PAGE},
    ids::{Id, Place},
    wire::Channel,
};

/// How many threads are read along with a page.
const THREADS: usize = 20;
/// How many messages of each.
const IN_THREAD: usize = 50;

/// Reads channels.
pub(crate) struct ChannelHistory;

impl History<Discord> for ChannelHistory {
    async fn page(
        &self,
        client: &DiscordClient,
        at: &PortalKey<Discord>,
        query: PageQuery<Discord>,
    ) -> Result<Page<Discord>, NetError> {
        let hub = &client.hub;
        let Place::Channel(room) = at.id else {
            return Ok(Page { raw: Vec::new(), next: Next::Done });
        };
        let known = hub.cache().channel(room).map(|(guild, c)| (guild, c.kind));
        let guild = known.map(|(guild, _)| guild);
        let newest = query.dir == Dir::Older
            && query.anchor.is_none()
            && query.cursor.is_none()
            && query.thread.is_none();
        let (mut page, next) = match known {
            Some((_, kind)) if kind.is_forum() => (Vec::new(), Next::Done),
            Some((_, kind)) if !kind.has_messages() => (Vec::new(), Next::Done),
            _ => read(hub, room, &query).await?,
        };
        if newest {
            let forum = known.is_some_and(|(_, kind)| kind.is_forum());
            let threads = if forum { posts(hub, room).await? } else { begun(&page) };
            for thread in threads.into_iter().take(THREADS) {
                let id = thread.id;
                if let Some(guild) = thread.guild_id.or(guild) {
                    hub.cache_mut().put_channel(guild, thread);
                }
                match hub.page(id, ("before", None), IN_THREAD).await {
                    Ok(found) => page.extend(found),
                    // Hidden from the bot, or gone since.
                    Err(ApiError::Refused { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            page.sort_by_key(|(id, _)| *id);
        }
        let raw = page.into_iter().filter_map(|(_, message)| hub.past(guild, message)).collect();
        Ok(Page { raw, next })
    }
}

/// One page of a channel or thread.
async fn read(
    hub: &Hub,
    room: Id,
    query: &PageQuery<Discord>,
) -> Result<(Vec<(Id, Value)>, Next), NetError> {
    let channel = query.thread.map_or(room, |root| root.thread.unwrap_or(root.id));
    let cursor = query.cursor.as_deref().map(str::parse::<Id>).transpose();
    let cursor = cursor.map_err(NetError::permanent)?;
    let anchor = cursor.or(query.anchor.map(|post| post.id));
    let (from, anchor) = match query.dir {
        Dir::Older => ("before", anchor),
        // Without one it begins with the first message there is.
        Dir::Newer => ("after", Some(anchor.unwrap_or_default())),
    };
    let limit = query.limit.clamp(1, PAGE);
    let page = match hub.page(channel, (from, anchor), limit).await {
        Ok(page) => page,
        Err(ApiError::Refused { status: 403, .. }) => {
            return Err(NetError::permanent(
                "the bridge's bot may not read this channel's history on Discord",
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let more = page.len() >= limit;
    let edge = match query.dir {
        Dir::Older => page.first(),
        Dir::Newer => page.last(),
    };
    let next = match edge {
        Some((id, _)) if more => Next::Cursor(id.to_string()),
        _ => Next::Done,
    };
    Ok((page, next))
}

/// The threads that began with messages of a page.
fn begun(page: &[(Id, Value)]) -> Vec<Channel> {
    page.iter()
        .filter_map(|(_, message)| Channel::deserialize(message.get("thread")?).ok())
        .filter(|thread| thread.id != Id(0))
        .collect()
}

/// The newest posts of a forum: those that are in use, then those that were put away last.
async fn posts(hub: &Hub, forum: Id) -> Result<Vec<Channel>, NetError> {
    let mut posts: Vec<Channel> = hub.cache().threads_of(forum).cloned().collect();
    posts.sort_by_key(|post| std::cmp::Reverse(post.last_message_id));
    if posts.len() < THREADS {
        match hub.put_away(forum, THREADS - posts.len(), None).await {
            Ok(found) => {
                let new = |post: &Channel| !posts.iter().any(|known| known.id == post.id);
                let more: Vec<Channel> = found.threads.into_iter().filter(new).collect();
                posts.extend(more);
            }
            Err(ApiError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(posts)
}
