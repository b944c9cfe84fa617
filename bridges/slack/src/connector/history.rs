//! Reading history.

use std::collections::BTreeMap;

use landbridge_framework::{Dir, Next, Page, PageQuery, prelude::*};
use serde_json::Value;

use super::{Connection, Slack};
use crate::{
    client::{ApiError, Session, api::next_cursor},
    decode::thread_of,
    hub::with_reactions,
    ids,
    json::{flag, list, number, text},
};

/// Replies of one thread that come with a page.
const REPLIES: &str = "100";
/// Threads of a page whose replies come with it.
const THREADS: usize = 20;

/// See the module.
pub(super) struct Past;

impl History<Slack> for Past {
    async fn page(
        &self,
        client: &Connection,
        at: &PortalKey<Slack>,
        query: PageQuery<Slack>,
    ) -> Result<Page<Slack>, NetError> {
        let (session, lookup) = client.eyes(&at.id.team)?;
        let channel = at.id.channel.as_str();
        let read = match &query.thread {
            Some(root) => thread_page(&session, channel, &root.ts, &query).await,
            None if query.dir == Dir::Older => older(&session, channel, &query).await,
            None => newer(&session, channel, &query, client.hub.config.catch_up_max).await,
        };
        let (messages, next) = read.map_err(|error| match error {
            ApiError::Refused(code) if code == "not_in_channel" => {
                NetError::permanent("the app is not in this channel, and can't read its history")
            }
            error => error.looking(),
        })?;
        let now = client.hub.now_ts();
        let mut raw = Vec::with_capacity(messages.len());
        for message in messages.into_values() {
            raw.extend(with_reactions(&client.hub, &at.id, &lookup, message, &now).await);
        }
        Ok(Page { raw, next })
    }
}

type Read = Result<(BTreeMap<i64, Value>, Next), ApiError>;

/// Towards the past: each page ends where the next begins.
async fn older(session: &Session, channel: &str, query: &PageQuery<Slack>) -> Read {
    let limit = query.limit.clamp(1, 200).to_string();
    let latest = query.cursor.clone().or_else(|| query.anchor.as_ref().map(|ts| ts.ts.clone()));
    let mut params =
        vec![("channel", channel), ("limit", limit.as_str()), ("include_all_metadata", "true")];
    params.extend(latest.as_deref().map(|latest| ("latest", latest)));
    let answer = session.get_patiently("conversations.history", &params).await?;
    let mut messages = by_time(list(&answer, "messages"));
    let oldest = messages.first_key_value().and_then(|(_, message)| text(message, "ts"));
    let next = match oldest {
        Some(oldest) if flag(&answer, "has_more") => Next::Cursor(oldest.to_owned()),
        _ => Next::Done,
    };
    with_replies(session, channel, &mut messages, i64::MIN).await?;
    Ok((messages, next))
}

/// Towards the present. Slack gives the newest first, so all of it is read before its beginning is known.
async fn newer(session: &Session, channel: &str, query: &PageQuery<Slack>, max: usize) -> Read {
    let oldest = query.cursor.clone().or_else(|| query.anchor.as_ref().map(|ts| ts.ts.clone()));
    let mut params = vec![("channel", channel), ("limit", "200"), ("include_all_metadata", "true")];
    params.extend(oldest.as_deref().map(|oldest| ("oldest", oldest)));
    let all = session.pages("conversations.history", &params, "messages", max).await?;
    let all = by_time(&all);
    let limit = query.limit.max(1);
    let more = all.len() > limit;
    let mut messages: BTreeMap<i64, Value> = all.into_iter().take(limit).collect();
    let last = messages.last_key_value().and_then(|(_, message)| text(message, "ts"));
    let next = match last {
        Some(last) if more => Next::Cursor(last.to_owned()),
        _ => Next::Done,
    };
    let since = oldest.as_deref().and_then(ids::micros).unwrap_or(i64::MIN);
    with_replies(session, channel, &mut messages, since).await?;
    Ok((messages, next))
}

/// The replies of one thread, oldest first as Slack gives them.
async fn thread_page(
    session: &Session,
    channel: &str,
    root: &str,
    query: &PageQuery<Slack>,
) -> Read {
    let limit = query.limit.clamp(1, 200).to_string();
    let mut params = vec![
        ("channel", channel),
        ("ts", root),
        ("limit", limit.as_str()),
        ("include_all_metadata", "true"),
    ];
    params.extend(query.cursor.as_deref().map(|cursor| ("cursor", cursor)));
    let answer = session.get_patiently("conversations.replies", &params).await?;
    let next = next_cursor(&answer).map_or(Next::Done, Next::Cursor);
    Ok((by_time(list(&answer, "messages")), next))
}

/// Adds the replies of the threads that begin among some messages.
async fn with_replies(
    session: &Session,
    channel: &str,
    messages: &mut BTreeMap<i64, Value>,
    since: i64,
) -> Result<(), ApiError> {
    let roots: Vec<String> = messages
        .values()
        .filter(|message| number(message, "reply_count").unwrap_or_default() > 0)
        .filter(|message| thread_of(message).is_none())
        .filter_map(|message| text(message, "ts").map(ToOwned::to_owned))
        .take(THREADS)
        .collect();
    for root in roots {
        let params = [
            ("channel", channel),
            ("ts", root.as_str()),
            ("limit", REPLIES),
            ("include_all_metadata", "true"),
        ];
        let answer = session.get_patiently("conversations.replies", &params).await?;
        let replies = by_time(list(&answer, "messages"));
        messages.extend(
            replies.into_iter().filter(|(at, reply)| *at > since && thread_of(reply).is_some()),
        );
    }
    Ok(())
}

fn by_time(messages: &[Value]) -> BTreeMap<i64, Value> {
    let place =
        |message: &Value| Some((text(message, "ts").and_then(ids::micros)?, message.clone()));
    messages.iter().filter_map(place).collect()
}
