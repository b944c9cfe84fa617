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

/// Pages of history that are looked through.
const PAGES: usize = 10;
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
        let found = search(&session, &at.id.channel, None, now - WINDOW, ours).await;
        Ok(found.map_err(ApiError::looking)?.map(Ts::new))
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
    let found = search(session, &place.chat.channel, thread, since, ours).await;
    // Nothing is sent before it is known.
    found.map_err(|error| match error {
        ApiError::Limited(wait) => SendError::limited(wait, LimitScope::Chat),
        error => SendError::unknown(error),
    })
}

async fn search(
    session: &Session,
    channel: &str,
    thread: Option<&str>,
    since: i64,
    ours: impl Fn(&Value) -> bool,
) -> Result<Option<String>, ApiError> {
    let oldest = ids::ts_of_micros(since);
    let method = if thread.is_some() { "conversations.replies" } else { "conversations.history" };
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let mut params = vec![
            ("channel", channel),
            ("oldest", oldest.as_str()),
            ("include_all_metadata", "true"),
            ("limit", "200"),
        ];
        params.extend(thread.map(|thread| ("ts", thread)));
        params.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let page = session.get(method, &params).await?;
        if let Some(found) = list(&page, "messages").iter().find(|message| ours(message)) {
            return Ok(text(found, "ts").map(ToOwned::to_owned));
        }
        cursor = next_cursor(&page);
        if cursor.is_none() {
            break;
        }
    }
    Ok(None)
}
