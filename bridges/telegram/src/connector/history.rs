//! The past of a chat, a page at a time. The messages come under the keys that they have live.

use grammers_tl_types as tl;
use landbridge_framework::{Dir, Next, Page, PageQuery, prelude::*};

use super::{Connection, Telegram, takeout::past};
use crate::ids::GENERAL;

/// The most that one request gives.
const PAGE: usize = 100;

/// Reads history.
pub(super) struct Past;

impl History<Telegram> for Past {
    async fn page(
        &self,
        client: &Connection,
        at: &PortalKey<Telegram>,
        query: PageQuery<Telegram>,
    ) -> Result<Page<Telegram>, NetError> {
        let live = client.live()?;
        if live.bot {
            // Bots may not read the past (BOT_METHOD_INVALID).
            return Ok(Page { raw: Vec::new(), next: Next::Done });
        }
        let limit = query.limit.clamp(1, PAGE) as i32;
        let from = query.cursor.as_deref().and_then(|cursor| cursor.parse().ok()).or(query.anchor);
        // `offset_id` is the first that is not wanted going back; with a negative `add_offset` the page lies after it.
        let (offset_id, add_offset, min_id) = match (query.dir, from) {
            (Dir::Older, Some(from)) => (from, 0, 0),
            (Dir::Older, None) => (0, 0, 0),
            (Dir::Newer, Some(from)) => (from + 1, -limit, from),
            (Dir::Newer, None) => (1, -limit, 0),
        };
        let peer = live.input(at.id.peer).await?;
        let topic = at.id.topic.or(query.thread).filter(|topic| *topic != GENERAL);
        let answer = match topic {
            Some(msg_id) => {
                let request = tl::functions::messages::GetReplies {
                    peer,
                    msg_id,
                    offset_id,
                    offset_date: 0,
                    add_offset,
                    limit,
                    max_id: 0,
                    min_id,
                    hash: 0,
                };
                past(&live, request).await?
            }
            None => {
                let request = tl::functions::messages::GetHistory {
                    peer,
                    offset_id,
                    offset_date: 0,
                    add_offset,
                    limit,
                    max_id: 0,
                    min_id,
                    hash: 0,
                };
                past(&live, request).await?
            }
        };
        let (raw, edge) = live.past(answer, query.dir == Dir::Newer).await?;
        let full = raw.len() >= limit as usize;
        let next = match edge {
            Some(edge) if full => Next::Cursor(edge.to_string()),
            _ => Next::Done,
        };
        Ok(Page { raw, next })
    }
}
