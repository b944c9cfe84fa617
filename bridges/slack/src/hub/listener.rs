//! One account among those that events are for: what it sees, and how far it has got in each channel.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use landbridge_framework::{CancellationToken, EventKey, Inbox};
use serde_json::Value;

use super::{Hub, Undelivered, catch_up::Mark, channel_of, moved};
use crate::{
    client::{Session, lookup::Lookup},
    connector::Slack,
    decode::{edited_at, thread_of},
    ids::{Account, Chat, User},
    json::{said, text},
    raw::{Names, Raw, What},
};

/// What an account sees.
pub(crate) enum Sight {
    /// The app: the channels that are bridged, of all workspaces.
    App {
        /// Those channels.
        bridged: RwLock<HashSet<Chat>>,
    },
    /// A person: the channels they are in.
    Person {
        /// The Web API as they may call it.
        session: Session,
        /// Their workspace's people, channels and emoji.
        lookup: Arc<Lookup>,
        /// Their channels.
        seen: RwLock<HashSet<String>>,
        /// Cancelled when they took back what they had allowed.
        revoked: CancellationToken,
    },
}

/// An account's place among those that events are for.
pub(crate) struct Listener {
    pub(crate) account: Account,
    pub(crate) inbox: Inbox<Slack>,
    pub(crate) sight: Sight,
    /// How far it has got, in the channels it was caught up in since a gap of that number.
    pub(super) marks: Mutex<HashMap<Chat, (u64, Mark)>>,
}

impl Listener {
    pub(super) fn new(account: Account, inbox: Inbox<Slack>, sight: Sight) -> Self {
        Self { account, inbox, sight, marks: Mutex::default() }
    }

    /// The way to ask about a workspace.
    pub(crate) fn eyes(&self, hub: &Hub, team: &str) -> Option<(Session, Arc<Lookup>)> {
        match &self.sight {
            Sight::App { .. } => hub
                .workspace(team)
                .map(|workspace| (workspace.session.clone(), workspace.lookup.clone())),
            Sight::Person { session, lookup, .. } => Some((session.clone(), lookup.clone())),
        }
    }

    /// A channel is bridged, or the account came into it.
    pub(crate) fn enters(&self, chat: &Chat) {
        match &self.sight {
            Sight::App { bridged } => {
                bridged.write().unwrap_or_else(PoisonError::into_inner).insert(chat.clone());
            }
            Sight::Person { seen, .. } => {
                seen.write().unwrap_or_else(PoisonError::into_inner).insert(chat.channel.clone());
            }
        }
    }

    /// A channel is no longer bridged, or the account left it.
    pub(crate) fn leaves(&self, chat: &Chat) {
        match &self.sight {
            Sight::App { bridged } => {
                bridged.write().unwrap_or_else(PoisonError::into_inner).remove(chat);
            }
            Sight::Person { seen, .. } => {
                seen.write().unwrap_or_else(PoisonError::into_inner).remove(&chat.channel);
            }
        }
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).remove(chat);
    }

    /// Whether a channel is seen, as far as is known.
    pub(crate) fn is_in(&self, chat: &Chat) -> bool {
        match &self.sight {
            Sight::App { bridged } => {
                bridged.read().unwrap_or_else(PoisonError::into_inner).contains(chat)
            }
            Sight::Person { seen, .. } => {
                seen.read().unwrap_or_else(PoisonError::into_inner).contains(&chat.channel)
            }
        }
    }

    /// Whether an event is for this account. `seers` are those through whom it came; `installed` says whether the bot is there.
    pub(super) fn sees(
        &self,
        team: &str,
        channel: Option<&str>,
        seers: &[User],
        installed: bool,
    ) -> bool {
        let person = match &self.account {
            Account::App if !installed => return false,
            Account::App => None,
            Account::Person(user) if user.team != team => return false,
            Account::Person(user) => Some(user),
        };
        let Some(channel) = channel else { return true };
        if person.is_some_and(|person| seers.contains(person)) {
            self.enters(&Chat::new(team, channel));
            return true;
        }
        self.is_in(&Chat::new(team, channel))
    }

    /// Takes over what an event tells about where the account is.
    pub(super) fn note(&self, team: &str, kind: &str, event: &Value) {
        if let Some((_, new)) = moved(team, event).filter(|(old, _)| self.is_in(old)) {
            self.enters(&new);
        }
        let Some(person) = self.account.person().filter(|person| person.team == team) else {
            return;
        };
        if let Sight::Person { lookup, .. } = &self.sight {
            lookup.note(kind, event);
        }
        let me = text(event, "user") == Some(&person.user);
        let Some(channel) = channel_of(event) else { return };
        let chat = Chat::new(team, channel);
        match kind {
            "member_joined_channel" | "im_created" | "im_open" | "mpim_open" | "group_open"
                if me =>
            {
                self.enters(&chat);
            }
            _ => {}
        }
    }

    /// What was allowed was taken back.
    pub(super) fn revoke(&self) {
        if let Sight::Person { revoked, .. } = &self.sight {
            revoked.cancel();
        }
    }

    /// Stores an event for this account; what was missed before it, first.
    pub(super) async fn take(
        &self,
        hub: &Arc<Hub>,
        team: &str,
        kind: &str,
        callback: &Value,
    ) -> Result<(), Undelivered> {
        let Some(event) = callback.get("event") else { return Ok(()) };
        let Some((_, lookup)) = self.eyes(hub, team) else { return Ok(()) };
        if matches!(kind, "user_change" | "user_profile_changed") {
            return self.take_profile(hub, team, event).await;
        }
        let Some(channel) = channel_of(event) else { return Ok(()) };
        let chat = Chat::new(team, channel);
        let is_message = kind == "message" && is_said(event);
        if is_message {
            self.ensure(hub, &chat).await?;
        }
        let mut event = event.clone();
        lookup.complete_files(&mut event).await;
        if let Some(message) = event.get_mut("message") {
            lookup.complete_files(message).await;
        }
        let names = Names { own: hub.own(team), ..lookup.names(&event).await };
        let key = inbox_key(channel, &event, callback);
        let mark = is_message.then(|| self.passed(hub, &chat, &event)).flatten();
        let raw = Raw { team: team.to_owned(), names, what: What::Event { event } };
        self.put(&chat, vec![(key, raw)], mark).await
    }

    /// Somebody's profile belongs to no channel, but has to be handled in one.
    async fn take_profile(&self, hub: &Hub, team: &str, event: &Value) -> Result<(), Undelivered> {
        let portals = self.inbox.portals().await?;
        let some = portals.into_iter().find(|key| key.id.team == team && !key.id.is_team());
        let (Some(some), Some(user)) = (some, event.get("user")) else { return Ok(()) };
        let at = said(event, "event_ts").map_or_else(|| hub.now_ts(), ToOwned::to_owned);
        let id = text(user, "id").unwrap_or_default();
        let key = EventKey(format!("u:{id}:{at}"));
        let what = What::Profile { channel: some.id.channel, user: user.clone(), at };
        let names = Names { own: hub.own(team), ..Names::default() };
        self.inbox.put_all(vec![(key, Raw { team: team.to_owned(), names, what })], None).await?;
        Ok(())
    }

    /// Where the account has got to with a message, to be stored together with it.
    fn passed(&self, hub: &Hub, chat: &Chat, message: &Value) -> Option<(u64, Mark)> {
        let ts = text(message, "ts")?;
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let (gap, mut mark) =
            marks.get(chat).cloned().unwrap_or_else(|| (hub.gaps(), Mark::default()));
        mark.pass(ts, thread_of(message));
        Some((gap, mark))
    }

    /// Stores events together with how far the account has got by them.
    pub(super) async fn put(
        &self,
        chat: &Chat,
        events: Vec<(EventKey, Raw)>,
        mark: Option<(u64, Mark)>,
    ) -> Result<(), Undelivered> {
        let Some((gap, mark)) = mark else {
            self.inbox.put_all(events, None).await?;
            return Ok(());
        };
        let (stream, text) = (Mark::stream(chat), mark.write());
        self.inbox.put_all(events, Some((&stream, &text))).await?;
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.insert(chat.clone(), (gap, mark));
        Ok(())
    }
}

/// Whether a `message` event is something that was said, and not a change of what was said before.
fn is_said(event: &Value) -> bool {
    !matches!(
        text(event, "subtype"),
        Some("message_changed" | "message_deleted" | "message_replied")
    )
}

/// The natural key of an event: the same whether it is seen live or read from history, and in every repetition.
fn inbox_key(channel: &str, event: &Value, callback: &Value) -> EventKey {
    let ts = |message: &Value| text(message, "ts").unwrap_or_default().to_owned();
    if text(event, "type") == Some("message") {
        if is_said(event) {
            return super::message_key(channel, &ts(event));
        }
        if let Some(message) = event.get("message")
            && let Some(edited) = edited_at(message)
            && event.get("previous_message").and_then(edited_at) != Some(edited)
        {
            return EventKey(format!("e:{channel}:{}:{edited}", ts(message)));
        }
    }
    match said(callback, "event_id") {
        Some(id) => EventKey(format!("v:{id}")),
        None => EventKey(format!("v:{}", crate::decode::digest(&event.to_string()))),
    }
}
