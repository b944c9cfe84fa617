//! A handle on a room that is ready to take events.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use ruma::{RoomId, RoomVersionId, room_version_rules::RoomVersionRules};
use tokio::sync::{mpsc, oneshot};

use super::{
    Draft, RoomError, RoomInfo, RoomSnapshot, Sent, StateMap,
    context::Context,
    pending::Pending,
    task::{Reply, Request, Task, find_txn},
    unit::Published,
};
use crate::{
    event::Event,
    nid::{RoomNid, StateGroup},
};

/// The most requests that wait for one room. Beyond it, callers are told to come back.
const MAILBOX: usize = 1024;

/// How long a request waits for a place in the mailbox.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request that isn't in the mailbox yet.
struct Waiting<'a>(&'a Shared);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a room's task and its handles share.
pub(super) struct Shared {
    pub(super) info: Arc<RoomInfo>,
    pub(super) published: Arc<Published>,
    /// How many transactions of this room have become durable since it was loaded.
    pub(super) txns: AtomicU64,
    /// How many requests wait for an answer.
    pub(super) waiting: AtomicUsize,
    /// Whether the room's aliases have changed since the task last looked at them.
    pub(super) aliases_changed: AtomicBool,
}

/// A room. Clones are handles on the same one.
#[derive(Clone)]
pub struct Room(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) ctx: Arc<Context>,
    shared: Arc<Shared>,
    mailbox: mpsc::Sender<Request>,
    used: AtomicI64,
}

impl Room {
    /// Starts a room that stands at `snapshot`.
    pub(super) fn start(ctx: Arc<Context>, snapshot: RoomSnapshot) -> Self {
        let view = snapshot.without_head();
        let shared = Arc::new(Shared {
            info: snapshot.info.clone(),
            published: Arc::new(Published {
                snapshot: ArcSwap::from_pointee(snapshot),
                pending: Pending::default(),
            }),
            txns: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            aliases_changed: AtomicBool::new(false),
        });
        let (mailbox, requests) = mpsc::channel(MAILBOX);
        Task::start(ctx.clone(), shared.clone(), view, requests);
        let used = AtomicI64::new(ctx.clock.now_ms());
        Self(Arc::new(Inner { ctx, shared, mailbox, used }))
    }

    /// Its id.
    pub fn id(&self) -> &RoomId {
        &self.0.shared.info.id
    }

    /// Its number.
    pub fn nid(&self) -> RoomNid {
        self.0.shared.info.nid
    }

    /// Its version.
    pub fn version(&self) -> &RoomVersionId {
        &self.0.shared.info.version
    }

    /// The rules of its version.
    pub fn rules(&self) -> &RoomVersionRules {
        &self.0.shared.info.rules
    }

    /// The room as it is durable now. Takes no lock.
    pub fn snapshot(&self) -> Arc<RoomSnapshot> {
        self.0.shared.published.snapshot.load_full()
    }

    /// Sends an event of a local user; durable when it returns. State that is so already isn't sent again: the event
    /// that made it so is the answer.
    pub async fn send(&self, draft: Draft) -> Result<Sent, RoomError> {
        let seen = self.0.shared.txns.load(Ordering::Acquire);
        if let Some(txn) = &draft.txn
            && let Some(sent) = find_txn(&self.0.ctx, txn).await?
        {
            return Ok(sent);
        }
        self.ask(|reply| Request::Send { draft, seen, reply }).await
    }

    /// Says that the room's aliases have changed: from the next event on, those appservices get it whose namespaces they
    /// are in.
    pub fn aliases_changed(&self) {
        self.0.shared.aliases_changed.store(true, Ordering::Release);
    }

    /// The current state event of a type and key.
    pub async fn state_event(
        &self,
        kind: &str,
        key: &str,
    ) -> Result<Option<Arc<Event>>, RoomError> {
        match self.snapshot().state_nid(kind, key) {
            Some(nid) => Ok(self.0.ctx.events.get(nid).await?),
            None => Ok(None),
        }
    }

    /// An earlier state of the room.
    pub async fn state_of(&self, group: StateGroup) -> Result<StateMap, RoomError> {
        let snapshot = self.snapshot();
        if snapshot.state_group() == Some(group) {
            return Ok(snapshot.state.clone());
        }
        Ok(self.0.ctx.groups.get(group).await?.0)
    }

    /// Puts a request into the mailbox and waits for the answer.
    pub(super) async fn ask<T>(
        &self,
        request: impl FnOnce(Reply<T>) -> Request,
    ) -> Result<T, RoomError> {
        let (reply, answer) = oneshot::channel();
        self.0.used.store(self.0.ctx.clock.now_ms(), Ordering::Relaxed);
        self.0.shared.waiting.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting(&self.0.shared);
        let request = match self.0.mailbox.try_send(request(reply)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(request)) => Some(request),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(RoomError::Stopping),
        };
        if let Some(request) = request {
            match self.0.mailbox.send_timeout(request, PATIENCE).await {
                Ok(()) => {}
                Err(mpsc::error::SendTimeoutError::Timeout(_)) => return Err(RoomError::Busy),
                Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(RoomError::Stopping),
            }
        }
        // From here on the task counts the request down, when it answers.
        std::mem::forget(waiting);
        answer.await.unwrap_or(Err(RoomError::Stopping))
    }

    /// Whether its task is gone: it panicked.
    pub(super) fn is_dead(&self) -> bool {
        self.0.mailbox.is_closed()
    }

    /// When it was last used, in ms since 1970.
    pub(super) fn used(&self) -> i64 {
        self.0.used.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self) {
        self.0.used.store(self.0.ctx.clock.now_ms(), Ordering::Relaxed);
    }

    /// Whether nobody but the registry holds it and nothing is on its way. Ask with the registry locked.
    pub(super) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.0) == 1 && self.0.shared.waiting.load(Ordering::Acquire) == 0
    }
}
