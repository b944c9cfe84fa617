//! Catching up: after events may have been missed, each channel is read from where it was left, in order, before anything new in it is
//! taken. What Slack's history can't tell (that something was deleted) is lost to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use landbridge_framework::{CancellationToken, EventKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Hub, Listener, Undelivered};
use crate::{
    client::{ApiError, Session, lookup::Lookup},
    decode::{edited_at, reactions_digest, thread_of},
    ids::{self, Chat},
    json::{list, number, text},
    raw::{Names, Raw, What},
};

/// Threads of a channel in which something was said lately, that are looked at again.
const THREADS: usize = 50;
/// Replies of one thread that are fetched at most.
const MAX_REPLIES: usize = 1_000;
/// Messages before the mark whose edits and reactions are looked at again,
const LOOK_BACK: &str = "50";
/// if they are not older than this.
const LOOK_BACK_MICROS: i64 = 48 * 3_600 * 1_000_000;
/// Messages that are stored at a time.
const CHUNK: usize = 50;
/// How much before the mark messages are read again: Slack sends events almost in order, so one from before the mark may have been on its way
/// when the connection broke. What is known of them is not taken twice. In microseconds.
const OVERLAP: i64 = 60_000_000;
/// How long to wait after a channel could not be caught up with.
const AGAIN: Duration = Duration::from_secs(15);

/// How far an account has got in a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// The last message.
    pub(crate) ts: String,
    /// Where it began: what is older is history.
    #[serde(default)]
    pub(crate) from: String,
    /// The last replies of threads, by root.
    #[serde(default)]
    pub(crate) threads: BTreeMap<String, String>,
}

impl Mark {
    /// From a moment on.
    pub(crate) fn at(ts: impl Into<String>) -> Self {
        let ts = ts.into();
        Self { from: ts.clone(), ts, threads: BTreeMap::new() }
    }

    /// From where on a message may have been missed: a little before `last`, and never before the beginning.
    fn since(&self, last: &str) -> i64 {
        let last = ids::micros(last).unwrap_or_default();
        let from = ids::micros(&self.from).unwrap_or(last);
        (last - OVERLAP).max(from).min(last)
    }

    /// Where it is kept.
    pub(crate) fn stream(chat: &Chat) -> String {
        format!("at/{}-{}", chat.team, chat.channel)
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A message was taken.
    pub(crate) fn pass(&mut self, ts: &str, thread: Option<&str>) {
        let micros = |ts: &str| ids::micros(ts).unwrap_or_default();
        if micros(ts) > micros(&self.ts) {
            ts.clone_into(&mut self.ts);
        }
        let Some(root) = thread else { return };
        let last = self.threads.entry(root.to_owned()).or_default();
        if micros(ts) > micros(last) {
            ts.clone_into(last);
        }
        while self.threads.len() > THREADS {
            let quietest = self.threads.iter().min_by_key(|(_, last)| micros(last));
            let Some(root) = quietest.map(|(root, _)| root.clone()) else { break };
            self.threads.remove(&root);
        }
    }
}

/// The key of a message in an inbox.
pub(crate) fn message_key(channel: &str, ts: &str) -> EventKey {
    EventKey(format!("m:{channel}:{ts}"))
}

impl Listener {
    /// Begins to follow a channel: what comes from now on is not missed, whatever happens.
    pub(crate) async fn begin(&self, hub: &Hub, chat: &Chat) -> Result<(), Undelivered> {
        self.enters(chat);
        if self.inbox.cursor_of(&Mark::stream(chat)).await?.is_none() {
            // A little earlier, because Slack's clock is another; what is known by then is not taken twice.
            let from = ids::micros(&hub.now_ts()).unwrap_or_default() - 60_000_000;
            let mark = Mark::at(ids::ts_of_micros(from));
            self.put(chat, Vec::new(), Some((hub.gaps(), mark))).await?;
        }
        Ok(())
    }

    /// Catches up with a channel, unless it was done since the last gap. Must run in the channel's lane.
    pub(super) async fn ensure(&self, hub: &Hub, chat: &Chat) -> Result<(), Undelivered> {
        let gap = hub.gaps();
        let done = {
            let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            marks.get(chat).is_some_and(|(seen, _)| *seen >= gap)
        };
        if done {
            return Ok(());
        }
        let stored = self.inbox.cursor_of(&Mark::stream(chat)).await?;
        let Some(mark) = stored.as_deref().and_then(Mark::read) else {
            // Nothing was taken here yet: what is older is history.
            self.marks
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(chat.clone(), (gap, Mark::at(hub.now_ts())));
            return Ok(());
        };
        let Some((session, lookup)) = self.eyes(hub, &chat.team) else {
            return Err(Undelivered::NobodyThere);
        };
        let missed = match missed(&session, &chat.channel, &mark, hub.config.catch_up_max).await {
            // It was left, deleted or archived meanwhile: there is nothing to be had.
            Err(ApiError::Refused(code)) if is_gone(&code) => {
                tracing::info!(channel = chat.channel, code, "a channel can't be caught up with");
                Missed::default()
            }
            missed => missed?,
        };
        self.store(hub, chat, &lookup, missed, mark, gap).await
    }

    async fn store(
        &self,
        hub: &Hub,
        chat: &Chat,
        lookup: &Lookup,
        missed: Missed,
        mut mark: Mark,
        gap: u64,
    ) -> Result<(), Undelivered> {
        let count = missed.messages.len();
        let before = mark.ts.clone();
        let messages: Vec<Value> = missed.messages.into_values().collect();
        for chunk in messages.chunks(CHUNK) {
            let mut events = Vec::with_capacity(chunk.len());
            for message in chunk {
                mark.pass(text(message, "ts").unwrap_or_default(), thread_of(message));
                events.extend(with_reactions(hub, chat, lookup, message.clone(), &before).await);
            }
            self.put(chat, events, Some((0, mark.clone()))).await?;
        }
        let mut again = Vec::new();
        if messages.iter().any(tells_of_the_chat) {
            // The name, the topic or the people are others now: what they are is asked, not what they were in between.
            let key = EventKey(format!("s:{}:{}", chat.channel, mark.ts));
            let names = Names { own: hub.own(&chat.team), ..Names::default() };
            let what = What::Resync { channel: chat.channel.clone(), at: mark.ts.clone() };
            again.push((key, Raw { team: chat.team.clone(), names, what }));
        }
        for message in missed.again {
            again.extend(looked_again(hub, chat, lookup, &message, &before).await);
        }
        self.put(chat, again, Some((gap, mark))).await?;
        if count > 0 {
            tracing::info!(
                team = chat.team,
                channel = chat.channel,
                count,
                "caught up with a channel"
            );
        }
        Ok(())
    }

    /// Catches up with all channels, one after the other, after every gap, until `stop`.
    pub(crate) async fn keep_up(self: Arc<Self>, hub: Arc<Hub>, stop: CancellationToken) {
        let mut gaps = hub.watch_gaps();
        // Before there is a connection it makes no sense: when there is one, a gap is told.
        if !*hub.watch_online().borrow() {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = gaps.changed() => if changed.is_err() { return },
            }
        }
        loop {
            gaps.mark_unchanged();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.sweep(&hub) => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = gaps.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn sweep(self: &Arc<Self>, hub: &Arc<Hub>) {
        let portals = loop {
            match self.inbox.portals().await {
                Ok(portals) => break portals,
                Err(landbridge_framework::Closed::Stopping) => return,
                Err(error) => {
                    tracing::warn!(%error, "it is not known which channels are bridged");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        };
        for key in portals {
            let chat = key.id;
            let ours = match &self.account {
                crate::ids::Account::App => true,
                crate::ids::Account::Person(user) => user.team == chat.team && self.is_in(&chat),
            };
            if chat.is_team() || !ours {
                continue;
            }
            loop {
                let (listener, job_hub, job_chat) = (self.clone(), hub.clone(), chat.clone());
                let job = async move { listener.ensure(&job_hub, &job_chat).await };
                match hub.in_lane(&chat, job).await {
                    Some(Err(Undelivered::Behind(error))) => {
                        let wait = match error {
                            ApiError::Limited(wait) => wait,
                            error => {
                                tracing::warn!(channel = chat.channel, %error, "a channel could not be caught up with yet");
                                AGAIN
                            }
                        };
                        tokio::time::sleep(wait).await;
                    }
                    Some(Ok(())) | None => break,
                    Some(Err(error)) => {
                        tracing::warn!(channel = chat.channel, %error, "a channel could not be caught up with");
                        break;
                    }
                }
            }
        }
    }
}

/// Whether a message of the past tells that the chat itself changed.
fn tells_of_the_chat(message: &Value) -> bool {
    let subtype = text(message, "subtype").unwrap_or_default();
    let about = subtype.strip_prefix("channel_").or_else(|| subtype.strip_prefix("group_"));
    matches!(about, Some("topic" | "purpose" | "name" | "join" | "leave"))
}

/// Whether a refusal says that there is nothing to be had of a channel.
fn is_gone(code: &str) -> bool {
    matches!(
        code,
        "channel_not_found"
            | "not_in_channel"
            | "is_archived"
            | "method_not_supported_for_channel_type"
    )
}

/// What was missed in a channel.
#[derive(Default)]
struct Missed {
    /// New messages and replies, in order.
    messages: BTreeMap<i64, Value>,
    /// Messages that were known, as they are now.
    again: Vec<Value>,
}

/// Reads what was missed.
async fn missed(
    session: &Session,
    channel: &str,
    mark: &Mark,
    max: usize,
) -> Result<Missed, ApiError> {
    let known = ids::micros(&mark.ts).unwrap_or_default();
    let after = mark.since(&mark.ts);
    let common = [("channel", channel), ("include_all_metadata", "true")];
    let with = |more: &[(&'static str, &'static str)], rest: &[(&'static str, String)]| {
        let mut params: Vec<(String, String)> =
            common.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        params.extend(more.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        params.extend(rest.iter().map(|(k, v)| ((*k).to_owned(), v.clone())));
        params
    };
    let newer = with(&[("limit", "200")], &[("oldest", ids::ts_of_micros(after))]);
    let newer = session.pages("conversations.history", &borrowed(&newer), "messages", max).await?;
    if newer.len() == max {
        tracing::warn!(
            channel,
            max,
            "more was missed in a channel than is fetched (slack.catch_up_max)"
        );
    }
    let back = with(&[("limit", LOOK_BACK), ("inclusive", "true")], &[("latest", mark.ts.clone())]);
    let back = session.get_patiently("conversations.history", &borrowed(&back)).await?;
    let again: Vec<Value> = list(&back, "messages")
        .iter()
        .filter(|message| place(message).is_some_and(|at| at > known - LOOK_BACK_MICROS))
        .cloned()
        .collect();
    let roots = threads(mark, newer.iter().chain(list(&back, "messages")));
    let mut messages = BTreeMap::new();
    for message in newer {
        if let Some(at) = place(&message).filter(|at| *at > after) {
            messages.insert(at, message);
        }
    }
    for root in roots {
        let from = mark.since(mark.threads.get(&root).unwrap_or(&mark.ts));
        let oldest = ids::ts_of_micros(from);
        let params = with(&[("limit", "200")], &[("ts", root.clone()), ("oldest", oldest)]);
        let replies = session
            .pages("conversations.replies", &borrowed(&params), "messages", MAX_REPLIES)
            .await;
        let replies = match replies {
            // The root was deleted.
            Err(ApiError::Refused(_)) => continue,
            replies => replies?,
        };
        for reply in replies {
            if let Some(at) = place(&reply).filter(|at| *at > from)
                && thread_of(&reply).is_some()
            {
                messages.insert(at, reply);
            }
        }
    }
    Ok(Missed { messages, again })
}

/// The roots of threads in which something may have been said meanwhile. Each costs a request: what the channel's messages tell of their
/// threads spares most of them.
fn threads<'v>(mark: &Mark, seen: impl Iterator<Item = &'v Value>) -> BTreeSet<String> {
    let since = mark.since(&mark.ts);
    let mut roots = mark.threads.clone();
    let mut found = BTreeSet::new();
    for message in seen {
        let Some(root) = text(message, "ts") else { continue };
        let replies = number(message, "reply_count").unwrap_or_default();
        let latest = text(message, "latest_reply").and_then(ids::micros).unwrap_or(i64::MAX);
        let last = roots.remove(root).as_deref().and_then(ids::micros);
        // Of one that was busy when the connection broke a reply may be missing before its last one.
        if replies > 0 && (latest > last.unwrap_or(since) || latest > since) {
            found.insert(root.to_owned());
        }
    }
    // The others are too far back to be told of.
    found.extend(roots.into_keys());
    found
}

fn borrowed(params: &[(String, String)]) -> Vec<(&str, &str)> {
    params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

fn place(message: &Value) -> Option<i64> {
    text(message, "ts").and_then(ids::micros)
}

/// A message of the past, with the names in it.
async fn past(hub: &Hub, chat: &Chat, lookup: &Lookup, mut message: Value) -> (EventKey, Raw) {
    lookup.complete_files(&mut message).await;
    let names = Names { own: hub.own(&chat.team), ..lookup.names(&message).await };
    let key = message_key(&chat.channel, text(&message, "ts").unwrap_or_default());
    let what = What::Past { channel: chat.channel.clone(), message };
    (key, Raw { team: chat.team.clone(), names, what })
}

/// A message of the past, and after it the reactions that it has by now.
pub(crate) async fn with_reactions(
    hub: &Hub,
    chat: &Chat,
    lookup: &Lookup,
    message: Value,
    at: &str,
) -> Vec<(EventKey, Raw)> {
    let again = if list(&message, "reactions").is_empty() {
        Vec::new()
    } else {
        looked_again(hub, chat, lookup, &message, at).await
    };
    let mut events = vec![past(hub, chat, lookup, message).await];
    // The message is as it was last edited: only its reactions come after it.
    events.extend(again.into_iter().filter(|(key, _)| key.0.starts_with("R:")));
    events
}

/// What may have changed about a message that was known at the time `before`.
async fn looked_again(
    hub: &Hub,
    chat: &Chat,
    lookup: &Lookup,
    message: &Value,
    before: &str,
) -> Vec<(EventKey, Raw)> {
    let names = Names { own: hub.own(&chat.team), ..lookup.names(message).await };
    let ts = text(message, "ts").unwrap_or_default();
    let channel = &chat.channel;
    let raw = |what| Raw { team: chat.team.clone(), names: names.clone(), what };
    let mut events = Vec::new();
    if let Some(edited) = edited_at(message) {
        let what = What::Edited { channel: channel.clone(), message: message.clone() };
        events.push((EventKey(format!("e:{channel}:{ts}:{edited}")), raw(what)));
    }
    let state = serde_json::json!({ "ts": ts, "reactions": message.get("reactions") });
    let key = format!("R:{channel}:{ts}:{}:{before}", reactions_digest(message));
    let at = before.to_owned();
    events.push((
        EventKey(key),
        raw(What::Reactions { channel: channel.clone(), message: state, at }),
    ));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_is_read_again_but_nothing_from_before_the_beginning() {
        let mut mark = Mark::at("1000.000000");
        mark.pass("1010.000000", None);
        assert_eq!(mark.since(&mark.ts), 1_000_000_000, "the beginning is nearer");
        mark.pass("5000.000000", Some("1010.000000"));
        assert_eq!(mark.since(&mark.ts), 4_940_000_000);
        assert_eq!(mark.since("1030.000000"), 1_000_000_000);
    }

    #[test]
    fn only_threads_that_may_have_grown_are_asked_for() {
        let mut mark = Mark::at("100.000000");
        for (root, last) in [("200", "1000"), ("300", "1000"), ("400", "9990"), ("50", "2000")] {
            mark.pass(&format!("{last}.000000"), Some(&format!("{root}.000000")));
        }
        mark.pass("10000.000000", None);
        let root = |ts: &str, latest: &str| serde_json::json!({ "ts": format!("{ts}.000000"), "reply_count": 1, "latest_reply": format!("{latest}.000000") });
        let seen = [
            root("200", "1000"),
            root("300", "1001"),
            root("400", "9990"),
            root("500", "700"),
            root("600", "10001"),
        ];
        let asked: Vec<String> = threads(&mark, seen.iter()).into_iter().collect();
        assert_eq!(asked, ["300.000000", "400.000000", "50.000000", "600.000000"]);
    }

    #[test]
    fn a_mark_only_goes_on_and_forgets_quiet_threads() {
        let mut mark = Mark::at("10.000000");
        mark.pass("12.000000", None);
        mark.pass("11.000000", Some("9.000000"));
        assert_eq!(mark.ts, "12.000000");
        assert_eq!(mark.threads["9.000000"], "11.000000");
        assert_eq!(Mark::read(&mark.write()), Some(mark.clone()));
        for root in 20..20 + THREADS {
            mark.pass(&format!("{}.000001", root + 100), Some(&format!("{root}.000000")));
        }
        assert_eq!(mark.threads.len(), THREADS);
        assert!(!mark.threads.contains_key("9.000000"), "the quietest went");
    }
}
