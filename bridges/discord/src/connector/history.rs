//! The past of a channel, page by page, each message under the name that it had when it was new.

use landbridge_framework::{Dir, History, NetError, Next, Page, PageQuery, PortalKey};

use super::{Discord, DiscordClient};
use crate::{
    client::{ApiError, catch_up::PAGE},
    ids::{Id, Place},
};

/// Reads channels.
pub(crate) struct ChannelHistory;

impl History<Discord> for ChannelHistory {
    async fn page(
        &self,
        client: &DiscordClient,
        at: &PortalKey<Discord>,
        query: PageQuery<Discord>,
    ) -> Result<Page<Discord>, NetError> {
        let nothing = || Page { raw: Vec::new(), next: Next::Done };
        let Place::Channel(room) = at.id else { return Ok(nothing()) };
        let hub = &client.hub;
        let known = hub.cache().channel(room).map(|(guild, c)| (guild, c.kind.has_messages()));
        if known.is_some_and(|(_, messages)| !messages) {
            return Ok(nothing());
        }
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
        let guild = known.map(|(guild, _)| guild);
        let raw = page.into_iter().filter_map(|(_, message)| hub.past(guild, message)).collect();
        Ok(Page { raw, next })
    }
}
