//! Groups begun from Matrix. What is wanted is noted before the network is asked, and what came of it before a room is opened:
//! a bridge that is killed in between goes on with it at its next start, and the connector is told that it may have been made.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    adapter::Account,
    control::{ControlError, GroupInfo, GroupWanted},
    engine::{Engine, guarded_async},
    format::{from_markdown, to_content},
    handlers::{
        Attempt, Checkpoint, CheckpointPort, GroupField, GroupKind, GroupMade, IdempotencyKey,
        NewGroup, Op, SendError,
    },
    keys,
    kv::KeyValue,
    network::{PortalKey, Scope},
    permissions::Level,
    plain::Plain,
    store::{Batch, StoreError},
};

/// Where what is under way is kept.
const PREFIX: &str = "group/";
/// How long a handler may take; then it may have been made.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long the network is left alone before it is asked whether something was made.
const SETTLING: Duration = Duration::from_secs(5);
/// How often it is tried, and the longest wait that the network may want in between.
const ATTEMPTS: u32 = 4;
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How long new rooms wait for a group that is being begun for a room that is there, in milliseconds.
const HOLD: i64 = 180_000;
/// How long after a start its login is waited for.
const CONNECTS: Duration = Duration::from_mins(10);
/// The most people that are named at once.
const MAX_MEMBERS: usize = 10_000;

/// Those that are being begun for a room that is there, and until when others wait for them.
#[derive(Default)]
pub(crate) struct Groups(Mutex<HashMap<String, i64>>);

impl Groups {
    fn begin(&self, key: &str, now: i64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(key.to_owned(), now + HOLD);
    }
    fn end(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
    /// Whether a chat without a room may be one of them.
    pub(crate) fn holds(&self, now: i64) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().any(|until| (now..=now + HOLD).contains(until))
    }
}

/// One that is being begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::bridge) struct Job {
    key: String,
    user: String,
    login: String,
    wanted: GroupWanted,
    began_ms: i64,
    /// Whether the network may have made it.
    maybe: bool,
    note: Option<String>,
    /// Its chat, and whose view of it that is.
    made: Option<(String, Option<String>)>,
    failed: Vec<(String, String)>,
}

/// Keeps a handler's notes with the job.
struct Notes {
    engine: Arc<Engine>,
    job: Mutex<Job>,
}
#[async_trait]
impl CheckpointPort for Notes {
    async fn save(&self, note: &str) -> Result<(), SendError> {
        let job = {
            let mut job = self.job.lock().unwrap_or_else(PoisonError::into_inner);
            job.note = Some(note.to_owned());
            job.clone()
        };
        self.engine.keep_group(&job).await.map_err(SendError::unknown)
    }
}

/// What is wrong with what is wanted, for the user.
fn check(kind: &GroupKind, wanted: &GroupWanted) -> Result<(), String> {
    let chars = |text: &Option<String>| text.as_ref().map_or(0, |text| text.chars().count());
    let fits = |what: &str, unit: &str, field: GroupField, count: usize| {
        if count > 0 && !field.allowed {
            return Err(format!("such a group has no {what}"));
        }
        if count < field.min {
            return Err(format!("its {what} must have at least {} {unit}", field.min));
        }
        if field.max > 0 && count > field.max {
            return Err(format!("its {what} may have at most {} {unit}", field.max));
        }
        Ok(())
    };
    fits("name", "characters", kind.name, chars(&wanted.name))?;
    fits("topic", "characters", kind.topic, chars(&wanted.topic))?;
    fits("membership", "people beside you", kind.members, wanted.members.len())?;
    if wanted.avatar.is_some() && !kind.avatar.allowed {
        return Err("such a group has no picture".into());
    }
    Ok(())
}

/// A state event's text, if it has some.
fn said(state: &HashMap<(String, String), Value>, kind: &str, field: &str) -> Option<String> {
    let content = state.get(&(kind.to_owned(), String::new()))?;
    content.get(field)?.as_str().map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned)
}

impl Engine {
    async fn keep_group(&self, job: &Job) -> Result<(), StoreError> {
        let text =
            serde_json::to_string(job).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let key = format!("{PREFIX}{}", job.key);
        self.store.put(&key, &text).await.map_err(|error| StoreError::Corrupt(error.to_string()))
    }

    async fn kept_groups(&self) -> Result<Vec<Job>, StoreError> {
        let all = self.store.list(PREFIX).await;
        let all = all.map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok(all.into_iter().filter_map(|(_, text)| serde_json::from_str(&text).ok()).collect())
    }

    /// What was under way when the bridge ended; rooms that may be its wait from here on.
    pub(in crate::bridge) async fn recall_groups(&self) -> Result<Vec<Job>, StoreError> {
        let jobs = self.kept_groups().await?;
        for job in jobs.iter().filter(|job| job.wanted.room.is_some()) {
            self.groups.begin(&job.key, self.now());
        }
        Ok(jobs)
    }

    pub(super) async fn create_group(
        self: &Arc<Self>,
        user: &str,
        login: Option<&str>,
        wanted: GroupWanted,
    ) -> Result<GroupInfo, ControlError> {
        let kinds = &self.connector.abilities().groups;
        if kinds.is_empty() {
            return Err(ControlError::Unsupported(
                "This network has no groups to begin from here.".into(),
            ));
        }
        let kind = kinds.iter().find(|kind| kind.id == wanted.kind).ok_or_else(|| {
            ControlError::Unsupported(format!("There are no groups called {:?}.", wanted.kind))
        })?;
        let (login, _) = self.login_of(user, login)?;
        if login.owner.as_deref() != Some(user) {
            return Err(ControlError::NoLogin(
                "That needs an account of your own: log in to the network first.".into(),
            ));
        }
        let wanted = self.with_what_the_room_says(user, kind, wanted).await?;
        check(kind, &wanted)
            .map_err(|why| ControlError::Denied(format!("It can't be made: {why}.")))?;
        let same = |job: &Job| {
            let other = GroupWanted { asked: wanted.asked.clone(), ..job.wanted.clone() };
            job.user == user && other == wanted
        };
        if self.kept_groups().await?.iter().any(same) {
            return Err(ControlError::Failed("That very group is being made already.".into()));
        }
        let cause = match &wanted.asked {
            Some((_, event)) => event.clone(),
            None => format!("{PREFIX}{}", self.store.next_id()),
        };
        let key = IdempotencyKey::derive(self.connector.id(), &cause, "create-group");
        let job = Job {
            key: key.to_hex(),
            user: user.to_owned(),
            login: login.id,
            wanted,
            began_ms: self.now(),
            maybe: false,
            note: None,
            made: None,
            failed: Vec::new(),
        };
        self.keep_group(&job).await?;
        if job.wanted.room.is_some() {
            self.groups.begin(&job.key, self.now());
        }
        let (told, outcome) = tokio::sync::oneshot::channel();
        let engine = self.clone();
        // Whoever asked may go away in the middle; it is done all the same.
        self.spawn(async move { drop(told.send(engine.group(job).await)) });
        outcome.await.unwrap_or_else(|_| {
            Err(ControlError::Failed("the bridge is stopping; it goes on at its next start".into()))
        })
    }

    /// What isn't given, from the room that is to be the group's; as far as the network takes it.
    async fn with_what_the_room_says(
        &self,
        user: &str,
        kind: &GroupKind,
        mut wanted: GroupWanted,
    ) -> Result<GroupWanted, ControlError> {
        if let Some(room) = &wanted.room {
            let bot = self.matrix.bot();
            bot.ensure_joined(room).await?;
            if self.portal_of_room(room).await?.is_some() {
                return Err(ControlError::Denied("This room is bridged already.".into()));
            }
            let mut state = HashMap::new();
            let mut people = Vec::new();
            for event in bot.full_state(room).await? {
                let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
                let content = event.get("content").cloned().unwrap_or_default();
                if text("type") == "m.room.member"
                    && matches!(content["membership"].as_str(), Some("join" | "invite"))
                {
                    people.push(text("state_key").to_owned());
                }
                state.insert((text("type").to_owned(), text("state_key").to_owned()), content);
            }
            let short = |text: String, field: GroupField| match field.max {
                0 => text,
                max => text.chars().take(max).collect(),
            };
            let (name, topic) = (kind.name, kind.topic);
            let from = |kind: &str, key: &str, field: GroupField| {
                said(&state, kind, key).filter(|_| field.allowed).map(|text| short(text, field))
            };
            wanted.name = wanted.name.or_else(|| from("m.room.name", "name", name));
            wanted.topic = wanted.topic.or_else(|| from("m.room.topic", "topic", topic));
            wanted.avatar = wanted.avatar.or_else(|| from("m.room.avatar", "url", kind.avatar));
            for mxid in people {
                let own = self.logins.of_owner(&mxid).into_iter().find_map(|login| login.user);
                let remote = match own {
                    Some(id) => Some(id),
                    None if self.is_ghost(&mxid) => self.user_of_ghost(&mxid).await?,
                    None => None,
                };
                wanted.members.extend(remote);
            }
        }
        let own: Vec<String> =
            self.logins.of_owner(user).into_iter().filter_map(|login| login.user).collect();
        let mut known = std::collections::HashSet::new();
        wanted.members.retain(|id| !own.contains(id) && known.insert(id.clone()));
        if wanted.members.len() > MAX_MEMBERS {
            return Err(ControlError::Denied(
                "It can't be made: those are too many people.".into(),
            ));
        }
        Ok(wanted)
    }

    /// After a start.
    pub(in crate::bridge) async fn go_on_with_group(self: Arc<Self>, job: Job) {
        let asked = job.wanted.asked.clone();
        let key = job.key.clone();
        let outcome = self.group(job).await;
        let words = match &outcome {
            Ok(made) => format!("The group is made: https://matrix.to/#/{}", made.room_id),
            Err(error) => format!("The bridge was restarted while it made your group: {error}"),
        };
        if let Err(error) = &outcome {
            tracing::warn!(%error, "a group was not made");
        }
        let Some((room, event)) = asked else { return };
        let bot = self.matrix.bot();
        let txn = keys::txn_id(self.connector.id(), 0, bot.user_id(), &key, &event, "notice", 0);
        let content = Value::Object(to_content(&from_markdown(&words), "m.notice"));
        if let Err(error) = bot.send(&room, "m.room.message", &txn, &content, None).await {
            tracing::warn!(%error, "nobody could be told of a group");
        }
    }

    /// Makes it, opens its room, and forgets that it was wanted.
    async fn group(self: &Arc<Self>, mut job: Job) -> Result<GroupInfo, ControlError> {
        let outcome = match self.make_group(&mut job).await {
            Ok(()) => self.open_group(&job).await,
            Err(error) => Err(error),
        };
        let forgotten = self.store.delete(&format!("{PREFIX}{}", job.key)).await;
        self.groups.end(&job.key);
        forgotten.map_err(|error| ControlError::Failed(error.to_string()))?;
        outcome
    }

    async fn account_for(&self, login: &str) -> Result<Arc<dyn Account>, ControlError> {
        let end = tokio::time::Instant::now() + CONNECTS;
        loop {
            match self.logins.account(login) {
                Some(account) => return Ok(account),
                None if tokio::time::Instant::now() < end && self.logins.state(login).is_some() => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                None => return Err(ControlError::NoLogin("The login is not connected.".into())),
            }
        }
    }

    async fn make_group(self: &Arc<Self>, job: &mut Job) -> Result<(), ControlError> {
        let mut attempt = 0;
        while job.made.is_none() {
            attempt += 1;
            let account = self.account_for(&job.login).await?;
            let before = job.maybe;
            if before {
                tokio::time::sleep(SETTLING).await;
            }
            job.maybe = true;
            self.keep_group(job).await?;
            let (answer, note) = self.ask_for_group(&account, job, before).await?;
            job.note = note;
            match answer {
                Ok(made) => {
                    job.made = Some((
                        made.chat.id,
                        match made.chat.scope {
                            Scope::Shared => None,
                            Scope::Private(login) => Some(login),
                        },
                    ));
                    job.failed = made.failed;
                    self.keep_group(job).await?;
                }
                Err(SendError::Refused { user }) => {
                    return Err(ControlError::Denied(format!("It can't be made: {user}")));
                }
                Err(SendError::Retry { after, reason, .. }) => {
                    // It was not made this time.
                    job.maybe = before;
                    let wait = after.unwrap_or(Duration::from_secs(2));
                    if attempt >= ATTEMPTS || wait > LONGEST_WAIT {
                        return Err(ControlError::Failed(format!("It was not made: {reason}")));
                    }
                    tokio::time::sleep(wait).await;
                }
                Err(SendError::Unknown { reason }) => {
                    if attempt >= ATTEMPTS {
                        return Err(ControlError::Failed(format!(
                            "It may have been made: look for it before you try again. {reason}"
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks once; with what the handler has noted.
    async fn ask_for_group(
        self: &Arc<Self>,
        account: &Arc<dyn Account>,
        job: &Job,
        maybe_sent: bool,
    ) -> Result<(Result<GroupMade<Plain>, SendError>, Option<String>), ControlError> {
        let wanted = &job.wanted;
        let group = NewGroup {
            kind: wanted.kind.clone(),
            name: wanted.name.clone(),
            topic: wanted.topic.clone(),
            avatar: wanted.avatar.clone(),
            members: wanted.members.clone(),
        };
        let mut request =
            self.passing_request(&job.login, None, &job.user, Op::Group(group)).await?;
        if let Some(key) = IdempotencyKey::from_hex(&job.key) {
            request.key = key;
        }
        request.origin.ts_ms = job.began_ms;
        request.attempt = Attempt { before: u32::from(maybe_sent), maybe_sent };
        let notes = Arc::new(Notes { engine: self.clone(), job: Mutex::new(job.clone()) });
        request.checkpoint = Checkpoint { note: job.note.clone(), port: notes.clone() };
        let call = guarded_async(Box::pin(account.create_group(request)));
        let answer = match tokio::time::timeout(PATIENCE, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => Err(SendError::refused(panic)),
            Err(_) => Err(SendError::unknown("the network did not answer in time")),
        };
        let note = notes.job.lock().unwrap_or_else(PoisonError::into_inner).note.clone();
        Ok((answer, note))
    }

    async fn open_group(self: &Arc<Self>, job: &Job) -> Result<GroupInfo, ControlError> {
        let Some((id, scope)) = &job.made else {
            return Err(ControlError::Failed("it was not made".into()));
        };
        let scope = scope.clone().map_or(Scope::Shared, Scope::Private);
        let key: PortalKey<Plain> = PortalKey { id: id.clone(), scope };
        let mut attempt = 0;
        let room_id = loop {
            attempt += 1;
            match self.group_room(job, &key).await {
                Ok(room) => break room,
                Err(ControlError::Failed(why)) if attempt < ATTEMPTS => {
                    tracing::info!(why, "a group's room waits");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(GroupInfo { id: id.clone(), room_id, failed: job.failed.clone() })
    }

    async fn group_room(
        self: &Arc<Self>,
        job: &Job,
        key: &PortalKey<Plain>,
    ) -> Result<String, ControlError> {
        let login = self.logins.stored(&job.login);
        let login = login.ok_or_else(|| ControlError::NoLogin("The login is gone.".into()))?;
        let portal = self.portal_for_key(key).await?;
        if let Some(room) = &job.wanted.room
            && portal.room_id().is_none()
        {
            if portal.note_login(&login.id) {
                let mut batch = Batch::new();
                batch.add_portal_login(portal.id, &login.id);
                self.store.commit(batch).await?;
            }
            self.plumb(&portal, room, Some(&login.id)).await?;
            return Ok(room.clone());
        }
        self.open_for(&job.user, &login, key).await
    }

    /// Whether ghosts may wait in a room until a group is begun for it.
    pub(crate) fn may_begin_groups(&self, user: &str) -> bool {
        !self.connector.abilities().groups.is_empty() && self.level(user) >= Level::User
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_group_must_have_is_said() {
        let kind = GroupKind {
            id: "group",
            name: GroupField::from_to(1, 5),
            members: GroupField::from_to(1, 2),
            ..GroupKind::default()
        };
        let wanted = |name: &str, members: &[&str]| GroupWanted {
            name: Some(name.into()).filter(|_| !name.is_empty()),
            members: members.iter().map(|id| (*id).to_owned()).collect(),
            ..GroupWanted::default()
        };
        assert_eq!(check(&kind, &wanted("Club", &["a"])), Ok(()));
        assert!(check(&kind, &wanted("", &["a"])).unwrap_err().contains("name"));
        assert!(check(&kind, &wanted("A long name", &["a"])).unwrap_err().contains("at most 5"));
        assert!(check(&kind, &wanted("Club", &[])).unwrap_err().contains("at least 1"));
        assert!(check(&kind, &wanted("Club", &["a", "b", "c"])).unwrap_err().contains("at most 2"));
        let topical = GroupWanted { topic: Some("x".into()), ..wanted("Club", &["a"]) };
        assert!(check(&kind, &topical).unwrap_err().contains("no topic"));
    }

    #[test]
    fn rooms_wait_only_so_long() {
        let groups = Groups::default();
        assert!(!groups.holds(1000));
        groups.begin("a", 1000);
        assert!(groups.holds(1000) && groups.holds(1000 + HOLD));
        assert!(!groups.holds(1001 + HOLD));
        groups.end("a");
        assert!(!groups.holds(1000));
    }
}
