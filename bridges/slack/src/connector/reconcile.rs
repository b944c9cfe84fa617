//! Finding out whether something was sent: every message carries this bridge's key in its metadata.

use landbridge_framework::prelude::*;
use serde_json::Value;

use super::{
    Connection, Slack,
    send::{Place, nonce},
};
use crate::{
    client::{ApiError, Session, api::next_cursor},
    decode::key_of,
    ids::{self, Ts},
    json::{list, text},
};

/// Pages of history, the newest first, that are looked through; two hundred messages each.
const PAGES: usize = 10;
/// The same right before something is sent again: as many as Slack allows in a minute.
const ALL_PAGES: usize = 40;
/// How much earlier than Matrix's clock is looked: Slack's may be another. In microseconds.
const EARLIER: i64 = 10 * 60 * 1_000_000;
/// How far back is looked where it is not known when something was sent: as long as messages wait, and a little more.
const WINDOW: i64 = 26 * 3_600 * 1_000_000;

/// See the module.
pub(super) struct ByMetadata;

impl Reconcile<Slack> for ByMetadata {
    /// Looks through the channel. Replies in threads are looked for by the handler, which knows the thread.
    async fn find(
        &self,
        client: &Connection,
        at: &PortalKey<Slack>,
        key: &IdempotencyKey,
    ) -> Result<Option<Ts>, NetError> {
        let (session, _) = client.eyes(&at.id.team)?;
        let key = nonce(key);
        let now = ids::micros(&client.hub.now_ts()).unwrap_or_default();
        let ours = |message: &Value| key_of(message) == Some(key.as_str());
        let found = search(&session, &at.id.channel, None, now - WINDOW, PAGES, ours).await;
        match found.map_err(ApiError::looking)? {
            Search::Found(ts) => Ok(Some(Ts::new(ts))),
            // The handler looks further, from where it was sent on.
            Search::Absent | Search::Unfinished => Ok(None),
        }
    }
}

/// Looks for a message whose answer was lost, in its thread if it is for one.
pub(super) async fn look(
    session: &Session,
    place: &Place,
    thread: Option<&str>,
) -> Result<Option<String>, SendError> {
    let key = nonce(&place.key);
    let ours = |message: &Value| key_of(message) == Some(key.as_str());
    let since = place.origin.ts_ms * 1_000 - EARLIER;
    // Nothing is sent before it is known.
    match search(session, &place.chat.channel, thread, since, ALL_PAGES, ours).await {
        Ok(Search::Found(ts)) => Ok(Some(ts)),
        Ok(Search::Absent) => Ok(None),
        Ok(Search::Unfinished) => {
            Err(SendError::unknown("too much was said since then to find out whether it was sent"))
        }
        Err(ApiError::Limited(wait)) => Err(SendError::limited(wait, LimitScope::Chat)),
        Err(error) => Err(SendError::unknown(error)),
    }
}

/// What a search came to.
enum Search {
    /// It is there, as this message.
    Found(String),
    /// It isn't there.
    Absent,
    /// There is more than was looked through.
    Unfinished,
}

async fn search(
    session: &Session,
    channel: &str,
    thread: Option<&str>,
    since: i64,
    max_pages: usize,
    ours: impl Fn(&Value) -> bool,
) -> Result<Search, ApiError> {
    let oldest = ids::ts_of_micros(since);
    let method = if thread.is_some() { "conversations.replies" } else { "conversations.history" };
    let mut cursor: Option<String> = None;
    for _ in 0..max_pages {
        let mut params = vec![
            ("channel", channel),
            ("oldest", oldest.as_str()),
            ("include_all_metadata", "true"),
            ("limit", "200"),
        ];
        params.extend(thread.map(|thread| ("ts", thread)));
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = session.get(method, &params).await?;
        let found = list(&page, "messages").iter().find(|message| ours(message));
        if let Some(ts) = found.and_then(|message| text(message, "ts")) {
            return Ok(Search::Found(ts.to_owned()));
        }
        cursor = next_cursor(&page);
        if cursor.is_none() {
            return Ok(Search::Absent);
        }
    }
    Ok(Search::Unfinished)
}
