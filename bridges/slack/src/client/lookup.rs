//! Names of those whom a workspace's JSON names by identifier only: looked up once, kept for a while, in bounded number.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use landbridge_framework::event::UserInfo;
use quick_cache::sync::Cache;
use serde_json::Value;
use tokio::time::Instant;

use super::{ApiError, Session};
use crate::{
    emoji,
    ids::{self, User},
    json::{list, said, text},
    people,
    raw::Names,
};

/// How long a name is believed, where no event tells that it changed.
const FRESH: Duration = Duration::from_hours(1);
/// How long it is not asked again for a list that could not be had.
const RETRY: Duration = Duration::from_mins(1);
/// How long a message waits for names: Slack wants every event acknowledged within three seconds.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Names in one message that are looked up.
const MAX_NAMES: usize = 100;
/// The workspace's own emoji, and its groups, that are kept.
const MAX_LISTED: usize = 20_000;

/// What is known of a workspace's people, channels, groups and emoji.
pub struct Lookup {
    session: Session,
    users: Cache<String, (Instant, Arc<str>)>,
    channels: Cache<String, (Instant, Arc<str>)>,
    groups: Mutex<Listed>,
    emoji: Mutex<Listed>,
}

/// A list that is read whole.
#[derive(Default)]
struct Listed {
    read: Option<Instant>,
    known: Arc<BTreeMap<String, String>>,
}

/// Who and what a piece of JSON names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) users: BTreeSet<String>,
    pub(crate) channels: BTreeSet<String>,
    pub(crate) groups: BTreeSet<String>,
    pub(crate) emoji: BTreeSet<String>,
}

impl Lookup {
    /// Of the workspace that a token belongs to.
    pub fn new(session: Session) -> Self {
        Self {
            session,
            users: Cache::new(20_000),
            channels: Cache::new(10_000),
            groups: Mutex::default(),
            emoji: Mutex::default(),
        }
    }

    /// The names of all that some JSON names; those that can't be had in time are left out.
    pub async fn names(&self, json: &Value) -> Names {
        let wanted = named_in(json);
        let mut names = Names::default();
        let looked = async {
            for id in wanted.users.iter().take(MAX_NAMES) {
                if let Some(name) = self.user_name(id).await {
                    names.users.insert(id.clone(), name.to_string());
                }
            }
            for id in wanted.channels.iter().take(MAX_NAMES) {
                if let Some(name) = self.channel_name(id).await {
                    names.channels.insert(id.clone(), name.to_string());
                }
            }
            if !wanted.groups.is_empty() {
                let known = self.groups().await;
                names.groups = picked(&known, &wanted.groups);
            }
            if !wanted.emoji.is_empty() {
                let known = self.emoji().await;
                names.emoji = picked(&known, &wanted.emoji);
                // What they stand for too.
                let more: BTreeSet<String> = names
                    .emoji
                    .values()
                    .filter_map(|value| value.strip_prefix("alias:").map(ToOwned::to_owned))
                    .collect();
                names.emoji.extend(picked(&known, &more));
            }
        };
        // Late names are known the next time.
        let _ = tokio::time::timeout(PATIENCE, looked).await;
        names
    }

    async fn user_name(&self, id: &str) -> Option<Arc<str>> {
        if let Some(known) = fresh(&self.users, id) {
            return Some(known);
        }
        let answer = self.session.get("users.info", &[("user", id)]).await.ok()?;
        let name: Arc<str> = people::user_name(answer.get("user")?)?.into();
        self.users.insert(id.to_owned(), (Instant::now(), name.clone()));
        Some(name)
    }

    async fn channel_name(&self, id: &str) -> Option<Arc<str>> {
        if let Some(known) = fresh(&self.channels, id) {
            return Some(known);
        }
        let answer = self.session.get("conversations.info", &[("channel", id)]).await.ok()?;
        let name: Arc<str> = said(answer.get("channel")?, "name")?.into();
        self.channels.insert(id.to_owned(), (Instant::now(), name.clone()));
        Some(name)
    }

    /// The user groups' handles by identifier.
    pub async fn groups(&self) -> Arc<BTreeMap<String, String>> {
        self.listed(&self.groups, "usergroups.list", |answer| {
            let pair = |group: &Value| {
                Some((text(group, "id")?.to_owned(), said(group, "handle")?.to_owned()))
            };
            list(answer, "usergroups").iter().filter_map(pair).take(MAX_LISTED).collect()
        })
        .await
    }

    /// The workspace's own emoji by name: an address, or `alias:` and another name.
    pub async fn emoji(&self) -> Arc<BTreeMap<String, String>> {
        self.listed(&self.emoji, "emoji.list", |answer| {
            let all = answer.get("emoji").and_then(Value::as_object);
            let pair =
                |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
            all.into_iter().flatten().filter_map(pair).take(MAX_LISTED).collect()
        })
        .await
    }

    async fn listed(
        &self,
        cell: &Mutex<Listed>,
        method: &str,
        read: impl FnOnce(&Value) -> BTreeMap<String, String>,
    ) -> Arc<BTreeMap<String, String>> {
        let known = {
            let cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
            if cell.read.is_some_and(|until| until > Instant::now()) {
                return cell.known.clone();
            }
            cell.known.clone()
        };
        let (known, wait) = match self.session.get(method, &[]).await {
            Ok(answer) => (Arc::new(read(&answer)), FRESH),
            Err(error) => {
                tracing::debug!(method, %error, "a list could not be had");
                (known, RETRY)
            }
        };
        let mut cell = cell.lock().unwrap_or_else(PoisonError::into_inner);
        *cell = Listed { read: Some(Instant::now() + wait), known: known.clone() };
        known
    }

    /// Takes over what an event tells about names.
    pub(crate) fn note(&self, kind: &str, event: &Value) {
        match kind {
            "user_change" | "user_profile_changed" | "team_join" => {
                if let Some(user) = event.get("user")
                    && let (Some(id), Some(name)) = (text(user, "id"), people::user_name(user))
                {
                    self.users.insert(id.to_owned(), (Instant::now(), name.into()));
                }
            }
            "channel_rename" | "group_rename" | "channel_created" => {
                if let Some(channel) = event.get("channel")
                    && let (Some(id), Some(name)) = (text(channel, "id"), said(channel, "name"))
                {
                    self.channels.insert(id.to_owned(), (Instant::now(), name.into()));
                }
            }
            "emoji_changed" => forget(&self.emoji),
            "subteam_created" | "subteam_updated" => forget(&self.groups),
            _ => {}
        }
    }

    /// What is known about somebody.
    pub async fn user_info(&self, user: &User) -> Result<UserInfo, ApiError> {
        if user.is_bot() {
            let answer = self.session.get("bots.info", &[("bot", user.user.as_str())]).await?;
            return Ok(people::bot_info(answer.get("bot").unwrap_or(&Value::Null)));
        }
        let answer = self.session.get("users.info", &[("user", user.user.as_str())]).await?;
        let found = answer.get("user").unwrap_or(&Value::Null);
        if let Some(name) = people::user_name(found) {
            self.users.insert(user.user.clone(), (Instant::now(), name.into()));
        }
        Ok(people::user_info(found))
    }

    /// Completes the files of a message of which Slack only says that they are to be asked for (Slack Connect).
    pub(crate) async fn complete_files(&self, message: &mut Value) {
        let Some(files) = message.get_mut("files").and_then(Value::as_array_mut) else { return };
        for file in
            files.iter_mut().filter(|file| text(file, "file_access") == Some("check_file_info"))
        {
            let Some(id) = text(file, "id").map(ToOwned::to_owned) else { continue };
            if let Ok(answer) = self.session.get("files.info", &[("file", id.as_str())]).await
                && let Some(found) = answer.get("file")
            {
                *file = found.clone();
            }
        }
    }
}

fn fresh(cache: &Cache<String, (Instant, Arc<str>)>, id: &str) -> Option<Arc<str>> {
    cache.get(id).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, name)| name)
}

fn forget(cell: &Mutex<Listed>) {
    cell.lock().unwrap_or_else(PoisonError::into_inner).read = None;
}

fn picked(known: &BTreeMap<String, String>, wanted: &BTreeSet<String>) -> BTreeMap<String, String> {
    let pair = |id: &String| Some((id.clone(), known.get(id)?.clone()));
    wanted.iter().take(MAX_NAMES).filter_map(pair).collect()
}

/// Who and what is named anywhere in some JSON.
pub(crate) fn named_in(json: &Value) -> Named {
    let mut named = Named::default();
    // A list of what is left to look at, because JSON may be nested as deep as its sender likes.
    let mut left = vec![json];
    while let Some(value) = left.pop() {
        match value {
            Value::Array(values) => left.extend(values),
            Value::Object(map) => {
                for (key, value) in map {
                    match (key.as_str(), value.as_str()) {
                        ("user_id", Some(id)) if ids::is_id(id) => {
                            named.users.insert(id.into());
                        }
                        ("channel_id", Some(id)) if ids::is_id(id) => {
                            named.channels.insert(id.into());
                        }
                        ("usergroup_id", Some(id)) if ids::is_id(id) => {
                            named.groups.insert(id.into());
                        }
                        ("reaction", Some(name)) => own_emoji(&mut named, name),
                        // Slack says by `unicode` that it is none of the workspace's.
                        ("name", Some(_)) if map.contains_key("unicode") => {}
                        ("name", Some(name))
                            if map.get("type").and_then(Value::as_str) == Some("emoji")
                                || map.contains_key("count") && map.contains_key("users") =>
                        {
                            own_emoji(&mut named, name);
                        }
                        (_, Some(words)) => in_words(&mut named, words),
                        (_, None) => left.push(value),
                    }
                }
            }
            Value::String(words) => in_words(&mut named, words),
            _ => {}
        }
    }
    named
}

fn own_emoji(named: &mut Named, name: &str) {
    let base = name.split("::").next().unwrap_or(name);
    if emoji::is_name(base) {
        named.emoji.insert(base.to_owned());
    }
}

/// `<@U1>`, `<#C1>`, `<!subteam^S1>` and `:name:`.
fn in_words(named: &mut Named, words: &str) {
    for piece in words.split('<').skip(1) {
        let inner = piece.split(['>', '|']).next().unwrap_or_default();
        let id = |id: &str| ids::is_id(id).then(|| id.to_owned());
        if let Some(user) = inner.strip_prefix('@') {
            named.users.extend(id(user));
        } else if let Some(channel) = inner.strip_prefix('#') {
            named.channels.extend(id(channel));
        } else if let Some(group) = inner.strip_prefix("!subteam^") {
            named.groups.extend(id(group));
        }
    }
    let mut pieces = words.split(':').skip(1).take(2 * MAX_NAMES).peekable();
    while let Some(piece) = pieces.next() {
        // The last piece has no colon after it.
        if pieces.peek().is_some() && piece.len() <= 60 && emoji::is_name(piece) {
            own_emoji(named, piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_named_is_found() {
        let named = named_in(&json!({
            "text": "<@U01> in <#C01|general> and <!subteam^S01|@team>: :parrot: at 10:30 <https://x.org>",
            "blocks": [{"elements": [
                {"type": "user", "user_id": "U02"}, {"type": "channel", "channel_id": "C02"},
                {"type": "emoji", "name": "party"}, {"type": "emoji", "name": "wave", "unicode": "1f44b"}]}],
            "reactions": [{"name": "ship", "users": ["U03"], "count": 1}],
            "reaction": "blob::skin-tone-2",
        }));
        let all = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(all(&named.users), "U01 U02");
        assert_eq!(all(&named.channels), "C01 C02");
        assert_eq!(all(&named.groups), "S01");
        assert_eq!(all(&named.emoji), "blob parrot party ship");
    }
}
