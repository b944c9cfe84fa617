//! Delayed events ([MSC4140](https://github.com/matrix-org/matrix-spec-proposals/pull/4140)): durable from the answer on, sent once when
//! their time comes, over restarts too.
//!
//! Sending one is two commits: the first takes it, so that nobody cancels what is on its way; the second says what became of it. Between
//! them it goes through its room with a transaction id of its own, so that a crash in between sends nothing twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use landbridge_database::Database;
use ruma::events::TimelineEventType;
use ruma::{OwnedUserId, RoomId, UserId};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::app::App;
use crate::clock::Clock;
use crate::commit::Committer;
use crate::config::DelayedEventPolicy;
use crate::feed::Feed;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Draft, RoomError, TxnKey};
use crate::services::invitations::may_set_member;
use crate::services::sessions::random_token;
use crate::storage::delayed::{
    self as table, Added, CANCELLED, Delayed, REFUSED, SENDING, SENT, WAITING,
};

/// For how long what is done is remembered.
const REMEMBER_MS: i64 = 24 * 3600 * 1000;
/// How often what is older is forgotten.
const PRUNE_MS: i64 = 3600 * 1000;
/// After what time sending is tried again.
const LEASE_MS: i64 = 10_000;
/// Events that are sent at once.
const AT_ONCE: usize = 8;
/// Events that are looked at in one go.
const BATCH: i64 = 200;
/// The longest sleep, should the clock be moved.
const MAX_SLEEP: Duration = Duration::from_mins(10);
const RETRY: Duration = Duration::from_secs(5);

/// Events that are to be sent later.
pub struct DelayedEvents {
    db: Database,
    committer: Committer,
    clock: Arc<dyn Clock>,
    feed: Feed,
    policy: DelayedEventPolicy,
    wake: Notify,
    /// When what is done was last forgotten.
    pruned: AtomicI64,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct NewDelayed {
    /// Who sends it.
    pub user: OwnedUserId,
    /// Within what transaction ids are unique.
    pub scope: String,
    /// The request's path and its transaction id, where it has one.
    pub request: Option<(String, String)>,
    /// Its room.
    pub room: String,
    /// Its type.
    pub kind: String,
    /// Its state key, if it is state.
    pub state_key: Option<String>,
    /// Its content.
    pub content: Box<RawValue>,
    /// The time that an application service gives it.
    pub ts: Option<i64>,
    /// How long it waits, in ms.
    pub delay: i64,
    /// For how long it is sticky once it is sent, in ms, if it is.
    pub sticky: Option<i64>,
}

/// What is done with a delayed event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is not sent.
    Cancel,
    /// It waits once more.
    Restart,
    /// It is sent at once.
    Send,
}

fn unknown() -> ApiError {
    ApiError::not_found("There is no such delayed event, or it is done")
}

impl DelayedEvents {
    /// The delayed events in a database.
    pub fn new(
        db: Database,
        committer: Committer,
        clock: Arc<dyn Clock>,
        feed: Feed,
        policy: DelayedEventPolicy,
    ) -> Self {
        Self { db, committer, clock, feed, policy, wake: Notify::new(), pruned: AtomicI64::new(0) }
    }

    /// Takes an event to be sent later, and gives its id; durable when it returns.
    pub async fn add(&self, new: NewDelayed) -> ApiResult<String> {
        let most_ms = i64::try_from(self.policy.max_delay_seconds.saturating_mul(1000));
        let most_ms = most_ms.unwrap_or(i64::MAX);
        let refusal = |code: &str, text: &str| {
            ApiError::unknown(text.to_owned()).with("org.matrix.msc4140.errcode", code)
        };
        if most_ms == 0 {
            return Err(ApiError::forbidden("Delayed events are turned off on this server"));
        }
        if new.delay > most_ms {
            let text = "The delay is longer than this server takes";
            return Err(
                refusal("M_MAX_DELAY_EXCEEDED", text).with("org.matrix.msc4140.max_delay", most_ms)
            );
        }
        let now = self.clock.now_ms();
        let (request, txn_id) = new.request.unzip();
        let event = Delayed {
            id: random_token(),
            user: new.user.to_string(),
            scope: new.scope,
            request,
            txn_id,
            room: new.room,
            kind: new.kind,
            state_key: new.state_key,
            content: new.content.get().to_owned(),
            ts: new.ts,
            delay: new.delay,
            since: now,
            pos: self.feed.head(),
            due: now.saturating_add(new.delay),
            status: WAITING,
            sticky: new.sticky,
        };
        let most = self.policy.max_per_user.into();
        let added = self
            .committer
            .run(move |tx| {
                let event = event.clone();
                Box::pin(async move { table::add(tx, &event, most).await })
            })
            .await?;
        match added {
            Added::Id(id) => {
                self.wake.notify_one();
                Ok(id)
            }
            Added::TooMany => {
                let text = "Too many delayed events wait for this user";
                Err(refusal("M_MAX_DELAYED_EVENTS_EXCEEDED", text))
            }
        }
    }

    /// A user's events that wait.
    pub async fn of_user(&self, app: &App, user: &UserId) -> ApiResult<Vec<Delayed>> {
        let most = self.policy.max_per_user.into();
        let mut waiting = Vec::new();
        for event in table::of_user(&self.db, user.as_str(), most).await? {
            if !self.overtaken(app, &event).await? {
                waiting.push(event);
            }
        }
        Ok(waiting)
    }

    /// Does something with an event. Asked again for what was done already, it does nothing.
    pub async fn act(&self, app: &App, id: &str, action: Action) -> ApiResult<()> {
        let event = table::get(&self.db, id).await?.ok_or_else(unknown)?;
        match (event.status, action) {
            (CANCELLED, Action::Cancel) | (SENT, Action::Send) => return Ok(()),
            (WAITING, _) => {}
            _ => return Err(unknown()),
        }
        if self.overtaken(app, &event).await? {
            return Err(unknown());
        }
        let now = self.clock.now_ms();
        let id = event.id.clone();
        match action {
            Action::Cancel => {
                if self.finish(id, WAITING, CANCELLED).await? {
                    Ok(())
                } else {
                    Err(unknown())
                }
            }
            Action::Restart => {
                let (due, pos) = (now.saturating_add(event.delay), self.feed.head());
                let restarted = self
                    .committer
                    .run(move |tx| {
                        let id = id.clone();
                        Box::pin(async move { table::restart(tx, &id, now, due, pos).await })
                    })
                    .await?;
                // A later time wakes nobody: the work then finds nothing to do, and sleeps on.
                if restarted { Ok(()) } else { Err(unknown()) }
            }
            Action::Send => {
                if !self.claim(&event).await? {
                    return Err(unknown());
                }
                self.deliver(app, &event).await
            }
        }
    }

    /// State that somebody else has set meanwhile is not set back; then it is cancelled.
    async fn overtaken(&self, app: &App, event: &Delayed) -> ApiResult<bool> {
        let Some(key) = &event.state_key else { return Ok(false) };
        let Ok(id) = <&RoomId>::try_from(event.room.as_str()) else { return Ok(true) };
        let room = match app.rooms.get(id).await {
            // An administrator has it deleted. What is never done would be due for ever.
            Err(RoomError::NotFound) => {
                self.finish(event.id.clone(), event.status, CANCELLED).await?;
                return Ok(true);
            }
            room => room?,
        };
        let current = room.state_event(&event.kind, key).await?;
        let overtaken = current.is_some_and(|current| {
            current.pdu.sender.as_str() != event.user
                && current.place().is_some_and(|place| place.pos > event.pos)
        });
        if overtaken {
            self.finish(event.id.clone(), event.status, CANCELLED).await?;
        }
        Ok(overtaken)
    }

    async fn claim(&self, event: &Delayed) -> ApiResult<bool> {
        let (event, until) = (event.clone(), self.clock.now_ms() + LEASE_MS);
        let claimed = self
            .committer
            .run(move |tx| {
                let event = event.clone();
                Box::pin(async move { table::claim(tx, &event, until).await })
            })
            .await?;
        Ok(claimed)
    }

    async fn finish(&self, id: String, from: i64, to: i64) -> ApiResult<bool> {
        let now = self.clock.now_ms();
        let finished = self
            .committer
            .run(move |tx| {
                let id = id.clone();
                Box::pin(async move { table::finish(tx, &id, from, to, now).await })
            })
            .await?;
        Ok(finished)
    }

    /// Sends an event that was claimed. What may pass is tried again later.
    async fn deliver(&self, app: &App, event: &Delayed) -> ApiResult<()> {
        let sent = send(app, event).await;
        let to = match &sent {
            Ok(()) => SENT,
            Err(error) if error.status.is_server_error() || error.status.as_u16() == 429 => {
                self.wake.notify_one();
                return sent;
            }
            Err(error) => {
                tracing::debug!(event = %event.id, %error, "a delayed event was refused");
                REFUSED
            }
        };
        self.finish(event.id.clone(), SENDING, to).await?;
        sent
    }

    /// Sends what is due; says when to look again.
    async fn round(&self, app: &App) -> ApiResult<Duration> {
        loop {
            let now = self.clock.now_ms();
            let due = table::due(&self.db, now, BATCH).await?;
            if due.is_empty() {
                break;
            }
            let work = due.into_iter().map(|event| async move {
                if self.overtaken(app, &event).await? || !self.claim(&event).await? {
                    return Ok(());
                }
                match self.deliver(app, &event).await {
                    Err(error) if error.status.is_server_error() => Err(error),
                    _ => Ok::<_, ApiError>(()),
                }
            });
            let mut work = futures::stream::iter(work).buffer_unordered(AT_ONCE);
            while let Some(done) = work.next().await {
                done?;
            }
        }
        let now = self.clock.now_ms();
        if now - self.pruned.load(Ordering::Relaxed) > PRUNE_MS {
            self.pruned.store(now, Ordering::Relaxed);
            let before = now - REMEMBER_MS;
            self.committer
                .run(move |tx| Box::pin(async move { table::prune(tx, before).await }))
                .await?;
        }
        let Some(next) = table::next(&self.db).await? else { return Ok(MAX_SLEEP) };
        let wait = next.saturating_sub(self.clock.now_ms()).max(0).unsigned_abs();
        Ok(Duration::from_millis(wait).min(MAX_SLEEP))
    }
}

async fn send(app: &App, event: &Delayed) -> ApiResult<()> {
    let user = UserId::parse(&event.user).map_err(ApiError::internal)?;
    if !app.accounts.active(&user).await? {
        return Err(ApiError::forbidden("The account is gone"));
    }
    let room = RoomId::parse(&event.room).map_err(ApiError::internal)?;
    let room = app.rooms.get(&room).await?;
    let content = RawValue::from_string(event.content.clone()).map_err(ApiError::internal)?;
    if let Some(target) = event.state_key.as_deref().filter(|_| event.kind == "m.room.member") {
        may_set_member(app, &user, target, &event.content).await?;
    }
    let txn = TxnKey {
        scope: event.scope.clone(),
        path: format!("DELAYED {}", event.id),
        id: event.txn_id.clone().unwrap_or_else(|| event.id.clone()),
    };
    let draft = Draft {
        sender: user,
        kind: TimelineEventType::from(event.kind.as_str()),
        state_key: event.state_key.clone(),
        content,
        ts: event.ts,
        redacts: None,
        sticky: event.sticky,
        txn: Some(txn),
    };
    room.send(draft).await?;
    Ok(())
}

/// Works until the server stops. What is left then is sent after the next start.
pub async fn run(app: Arc<App>) {
    loop {
        let wait = match app.delayed.round(&app).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::warn!(%error, "delayed events could not be sent, trying again");
                RETRY
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = app.delayed.wake.notified() => {}
        }
    }
}

impl std::fmt::Debug for DelayedEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DelayedEvents").finish_non_exhaustive()
    }
}
