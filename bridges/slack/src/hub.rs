//! Where what Slack sends is sorted: to the accounts that see it, in the order of its channel, and acknowledged when all of them have it
//! stored.

mod catch_up;
mod command;
mod consent;
mod lanes;
mod listener;
mod workspace;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use landbridge_framework::{Closed, Inbox, clock::Clock};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

pub(crate) use catch_up::{message_key, with_reactions};
pub use consent::Consent;
pub(crate) use consent::Wanted;
use lanes::Lanes;
pub(crate) use listener::{Listener, Sight};
pub use workspace::Workspace;

use crate::{
    client::{Api, ApiError},
    config::SlackConfig,
    connector::Slack,
    ids::{self, Account, Chat, User},
    json::{list, said, text},
    raw::Own,
};

/// Makes an unguessable text.
pub type Random = Arc<dyn Fn() -> String + Send + Sync>;

/// What an event could not be stored for: it is not acknowledged, and comes again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undelivered {
    /// The account that sees it is not there yet.
    #[error("the bridge is not ready for it")]
    NobodyThere,
    /// What came before it could not be fetched.
    #[error("what came before it could not be fetched: {0}")]
    Behind(#[from] ApiError),
    /// It could not be stored.
    #[error(transparent)]
    Inbox(#[from] Closed),
}

/// See the module.
pub struct Hub {
    /// The configuration.
    pub(crate) config: SlackConfig,
    /// The Web API.
    pub(crate) api: Api,
    /// The time of day.
    pub(crate) clock: Arc<dyn Clock>,
    /// What people were asked to allow in their browsers.
    pub(crate) consent: Consent,
    workspaces: RwLock<BTreeMap<String, Arc<Workspace>>>,
    listeners: Mutex<Vec<Arc<Listener>>>,
    lanes: Lanes,
    app: Mutex<Option<String>>,
    /// Raised whenever events may have been missed.
    gaps: AtomicU64,
    gap_seen: watch::Sender<u64>,
    online: watch::Sender<bool>,
}

impl Hub {
    /// Without workspaces and accounts yet.
    pub fn new(config: SlackConfig, api: Api, clock: Arc<dyn Clock>, random: Random) -> Self {
        Self {
            config,
            api,
            consent: Consent::new(clock.clone(), random),
            clock,
            workspaces: RwLock::default(),
            listeners: Mutex::default(),
            lanes: Lanes::default(),
            app: Mutex::default(),
            gaps: AtomicU64::new(1),
            gap_seen: watch::Sender::new(1),
            online: watch::Sender::new(false),
        }
    }

    /// The workspace, if the app is installed in it.
    pub fn workspace(&self, team: &str) -> Option<Arc<Workspace>> {
        self.workspaces.read().unwrap_or_else(PoisonError::into_inner).get(team).cloned()
    }

    /// All workspaces that the app is installed in.
    pub fn workspaces(&self) -> Vec<Arc<Workspace>> {
        let all = self.workspaces.read().unwrap_or_else(PoisonError::into_inner);
        all.values().cloned().collect()
    }

    /// The app was installed in a workspace, or again.
    pub(crate) fn add_workspace(&self, workspace: Workspace) -> Arc<Workspace> {
        let workspace = Arc::new(workspace);
        let mut all = self.workspaces.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(workspace.team.clone(), workspace.clone());
        workspace
    }

    fn remove_workspace(&self, team: &str) {
        self.workspaces.write().unwrap_or_else(PoisonError::into_inner).remove(team);
    }

    /// Who the bridge is in a workspace.
    pub(crate) fn own(&self, team: &str) -> Own {
        let own = self.workspace(team).map(|workspace| workspace.own.clone()).unwrap_or_default();
        Own { app: self.app.lock().unwrap_or_else(PoisonError::into_inner).clone(), ..own }
    }

    /// The current time as a `ts`.
    pub(crate) fn now_ts(&self) -> String {
        ids::ts_of_micros(self.clock.now_ms() * 1_000)
    }

    // --- Accounts ---

    /// An account is there from now on: events are put into its inbox.
    pub(crate) fn attach(
        &self,
        account: Account,
        inbox: Inbox<Slack>,
        sight: Sight,
    ) -> Arc<Listener> {
        let listener = Arc::new(Listener::new(account, inbox, sight));
        let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.account != listener.account);
        all.push(listener.clone());
        listener
    }

    /// An account is no longer there.
    pub(crate) fn detach(&self, listener: &Arc<Listener>) {
        let mut all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !Arc::ptr_eq(other, listener));
    }

    /// An account that is there.
    pub(crate) fn listener(&self, account: &Account) -> Option<Arc<Listener>> {
        let all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|listener| listener.account == *account).cloned()
    }

    /// Whether somebody with an account of their own is in a channel: then its events come by them.
    pub(crate) fn is_seen_by_people(&self, chat: &Chat) -> bool {
        let all = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|listener| {
            listener.account.person().is_some_and(|user| user.team == chat.team)
                && listener.is_in(chat)
        })
    }

    // --- Connection ---

    /// Events may have been missed: every channel is caught up with before anything new in it is taken.
    pub(crate) fn gap(&self) {
        let gaps = self.gaps.fetch_add(1, Ordering::AcqRel) + 1;
        self.gap_seen.send_replace(gaps);
    }

    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Acquire)
    }

    /// Tells of gaps from now on.
    pub(crate) fn watch_gaps(&self) -> watch::Receiver<u64> {
        self.gap_seen.subscribe()
    }

    pub(crate) fn online(&self, online: bool) {
        self.online.send_replace(online);
    }

    pub(crate) fn watch_online(&self) -> watch::Receiver<bool> {
        self.online.subscribe()
    }

    // --- Events ---

    /// Takes what Slack sent (an `event_callback`), in the order of its channel. Tells, when it is over, whether everything is stored
    /// and may be acknowledged.
    pub(crate) async fn receive(self: &Arc<Self>, callback: Value) -> oneshot::Receiver<bool> {
        let (told, taken) = oneshot::channel();
        let event = callback.get("event").unwrap_or(&Value::Null);
        let team = team_of(&callback).unwrap_or_default();
        let moved = moved(team, event);
        let channel = match &moved {
            Some((_, new)) => Some(new.channel.as_str()),
            None => channel_of(event),
        };
        let lane = format!("{team}-{}", channel.unwrap_or_default());
        let hub = self.clone();
        let job = async move {
            if let Some((old, _)) = moved {
                // After what was said under the old identifier, and before what is said under the new one.
                hub.in_lane(&old, async {}).await;
            }
            let stored = match hub.deliver(&callback).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::info!(%error, "an event is not acknowledged: Slack will send it again");
                    false
                }
            };
            // Nobody waits for it where the connection is gone meanwhile.
            let _ = told.send(stored);
        };
        self.lanes.push(lane, Box::pin(job)).await;
        taken
    }

    /// Runs a job in the order of a channel's events, and waits for it.
    pub(crate) async fn in_lane<T: Send + 'static>(
        &self,
        chat: &Chat,
        job: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (told, done) = oneshot::channel();
        let job = async move {
            let _ = told.send(job.await);
        };
        self.lanes.push(format!("{}-{}", chat.team, chat.channel), Box::pin(job)).await;
        done.await.ok()
    }

    async fn deliver(self: &Arc<Self>, callback: &Value) -> Result<(), Undelivered> {
        let Some(team) = team_of(callback) else { return Ok(()) };
        let Some(event) = callback.get("event") else { return Ok(()) };
        if let Some(app) = said(callback, "api_app_id") {
            *self.app.lock().unwrap_or_else(PoisonError::into_inner) = Some(app.to_owned());
        }
        let kind = text(event, "type").unwrap_or_default();
        match kind {
            "app_uninstalled" => {
                tracing::warn!(team, "the app was removed from a workspace");
                self.remove_workspace(team);
                return self.keep_installs().await;
            }
            "tokens_revoked" => return self.revoked(team, event).await,
            _ => {}
        }
        let workspace = self.workspace(team);
        if let Some(workspace) = &workspace {
            workspace.lookup.note(kind, event);
        }
        let everybody: Vec<Arc<Listener>> =
            self.listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let app_is_there = everybody.iter().any(|listener| listener.account == Account::App);
        if !app_is_there {
            // It will be, and it may be the one that sees this.
            return Err(Undelivered::NobodyThere);
        }
        let seers = authorised(callback, team);
        for listener in everybody {
            listener.note(team, kind, event);
            if listener.sees(team, channel_of(event), &seers, workspace.is_some()) {
                listener.take(self, team, kind, callback).await?;
            }
        }
        Ok(())
    }

    /// Somebody took back what they had allowed.
    async fn revoked(&self, team: &str, event: &Value) -> Result<(), Undelivered> {
        let tokens = event.get("tokens").unwrap_or(&Value::Null);
        for user in list(tokens, "oauth").iter().filter_map(Value::as_str) {
            if let Some(listener) = self.listener(&Account::Person(User::new(team, user))) {
                listener.revoke();
            }
        }
        let own = self.own(team).user;
        if list(tokens, "bot")
            .iter()
            .filter_map(Value::as_str)
            .any(|bot| own.as_deref() == Some(bot))
        {
            tracing::warn!(team, "a workspace took back the bot's token");
            self.remove_workspace(team);
            return self.keep_installs().await;
        }
        Ok(())
    }
}

/// A channel that has another identifier now: the old one, and the new one.
pub(super) fn moved(team: &str, event: &Value) -> Option<(Chat, Chat)> {
    let chat = |key| said(event, key).filter(|id| ids::is_id(id)).map(|id| Chat::new(team, id));
    let is_it = text(event, "type") == Some("channel_id_changed");
    chat("old_channel_id").zip(chat("new_channel_id")).filter(|_| is_it)
}

/// The workspace for which an event came: that of the installation, which in shared channels is not always the author's.
fn team_of(callback: &Value) -> Option<&str> {
    let installed = callback.pointer("/authorizations/0/team_id").and_then(Value::as_str);
    installed.or_else(|| text(callback, "team_id")).filter(|team| ids::is_id(team))
}

/// The people through whom the event came.
fn authorised(callback: &Value, team: &str) -> Vec<User> {
    let user = |authorisation: &Value| {
        let bot = authorisation.get("is_bot").and_then(Value::as_bool).unwrap_or(false);
        let id = text(authorisation, "user_id").filter(|_| !bot)?;
        Some(User::new(team, id))
    };
    list(callback, "authorizations").iter().filter_map(user).collect()
}

/// The channel of an event, wherever it stands.
pub(crate) fn channel_of(event: &Value) -> Option<&str> {
    let at = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    ["/channel", "/channel/id", "/item/channel", "/channel_id", "/old_channel_id"]
        .into_iter()
        .find_map(at)
        .filter(|id| ids::is_id(id))
}
