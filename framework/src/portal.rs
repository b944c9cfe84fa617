//! Portals: one remote chat and its room. Each direction of a portal is worked on by one task at a time, in order, so that
//! nothing can overtake; different portals don't wait for each other.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use quick_cache::sync::Cache;
use tokio::sync::Notify;

mod albums;
mod chat;
mod convert;
mod dispatch;
mod echoes;
mod emoji;
mod envelope;
mod galleries;
mod handing;
mod import;
mod inward;
mod media;
mod membership;
mod message;
mod moving;
mod outward;
mod passing;
mod pins;
mod plan;
mod polls;
mod reactions;
mod render;
mod request;
mod room;
mod send;
mod settle;
mod threads;

pub(crate) use handing::{Come, Commits};
pub(crate) use passing::Presences;
pub(crate) use room::CREATE_KEY;

use self::{
    handing::{Handed, HandedTask},
    passing::Passing,
};
use crate::{
    engine::{Engine, Failure},
    inbox::decode::Decoded,
    network::PortalKey,
    plain::Plain,
    store::{Batch, PortalRow, RemoteOutboxRow, SendState, StoreError},
};

/// How many portals are remembered while nothing happens in them.
const CACHED: usize = 2048;
/// How many decoded events are remembered between decoding and conversion.
const DECODED: usize = 4096;

/// A portal in memory.
pub(crate) struct Portal {
    pub(crate) id: i64,
    row: Mutex<PortalRow>,
    logins: Mutex<HashSet<String>>,
    passing: Mutex<Passing>,
    typing: Mutex<BTreeSet<String>>,
    pub(crate) inward: Worker,
    pub(crate) outward: Worker,
    /// Held while a room is made or changed as a whole.
    pub(crate) making: tokio::sync::Mutex<()>,
    /// Held while something is sent to Matrix, until it is committed which events that became.
    sending: tokio::sync::Mutex<()>,
    /// Whether what is unsent may have been sent: read the room back first, where the homeserver forgets.
    pub(crate) look_first: AtomicBool,
    /// Failures to send in a row.
    pub(crate) send_failures: AtomicI64,
    /// How much is on its way to the network without a note of that at its row.
    ahead: AtomicUsize,
    /// What is open below this number may have been sent without a note of that: by the bridge before this one, most of all.
    doubted_below: AtomicI64,
    /// Whether events of its room may wait that nobody has planned yet.
    unplanned: AtomicBool,
    /// What is to be done about events that were planned as they came.
    handed: Mutex<Option<Handed>>,
    /// Whether tasks for the way to Matrix may wait that nobody has taken yet.
    untaken: AtomicBool,
    /// A task that is about to be committed.
    handed_task: Mutex<Option<HandedTask>>,
}

/// Something is on its way to the network, and its row doesn't say so.
struct Ahead<'a>(&'a Portal);

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.0.ahead.fetch_sub(1, Ordering::AcqRel);
    }
}

/// One direction's task.
pub(crate) struct Worker {
    pub(crate) wake: Notify,
    pub(crate) running: AtomicBool,
    /// Whether its outbox may hold something that its task doesn't know of. Set by everybody who adds to it, after the commit; so
    /// that in between nobody has to look.
    look: AtomicBool,
    /// Whether it found nothing to do and waits.
    idle: AtomicBool,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            wake: Notify::new(),
            running: AtomicBool::new(false),
            look: AtomicBool::new(true),
            idle: AtomicBool::new(false),
        }
    }
}

impl Worker {
    /// Its outbox is to be looked into.
    fn look_again(&self) {
        self.look.store(true, Ordering::Release);
    }
    /// Whether its outbox is to be looked into.
    fn is_to_look(&self) -> bool {
        self.look.load(Ordering::Acquire)
    }
    /// The same, asked by who looks now.
    fn looks(&self) -> bool {
        self.look.swap(false, Ordering::AcqRel)
    }
    /// Whether its task is in the middle of something, or waits for something to end.
    fn is_busy(&self) -> bool {
        self.running.load(Ordering::Acquire) && !self.idle.load(Ordering::Acquire)
    }
}

impl Portal {
    /// `next` is a number that no row has yet.
    fn new(row: PortalRow, logins: HashSet<String>, next: i64) -> Self {
        Self {
            id: row.id,
            row: Mutex::new(row),
            logins: Mutex::new(logins),
            passing: Mutex::default(),
            typing: Mutex::default(),
            inward: Worker::default(),
            outward: Worker::default(),
            making: tokio::sync::Mutex::new(()),
            sending: tokio::sync::Mutex::new(()),
            look_first: AtomicBool::new(true),
            send_failures: AtomicI64::new(0),
            ahead: AtomicUsize::new(0),
            doubted_below: AtomicI64::new(next),
            unplanned: AtomicBool::new(true),
            handed: Mutex::default(),
            untaken: AtomicBool::new(true),
            handed_task: Mutex::default(),
        }
    }
    /// Events of its room wait, or soon will. Whatever comes later is planned behind them.
    pub(crate) fn leave_unplanned(&self) {
        self.unplanned.store(true, Ordering::Release);
    }
    fn handed(&self) -> MutexGuard<'_, Option<Handed>> {
        self.handed.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn handed_task(&self) -> MutexGuard<'_, Option<HandedTask>> {
        self.handed_task.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Whether nothing is on its way to Matrix, nor waits for it.
    fn is_still(&self) -> bool {
        !self.untaken.load(Ordering::Acquire)
            && !self.inward.is_busy()
            && !self.inward.is_to_look()
            && self.handed_task().is_none()
    }
    /// Whether nothing is on its way to the network, nor waits for it.
    fn is_quiet(&self) -> bool {
        !self.unplanned.load(Ordering::Acquire)
            && !self.outward.is_busy()
            && !self.outward.is_to_look()
            && self.handed().is_none()
    }
    /// Something is sent to the network without a note at its row, for as long as what this gives is there.
    fn send_ahead(&self) -> Ahead<'_> {
        self.ahead.fetch_add(1, Ordering::AcqRel);
        Ahead(self)
    }
    /// Whether something is on its way to the network without a note at its row.
    fn sends_ahead(&self) -> bool {
        self.ahead.load(Ordering::Acquire) > 0
    }
    /// Whatever is open now may have been sent; `next` is a number that no row has yet.
    fn doubt_what_is_open(&self, next: i64) {
        self.doubted_below.fetch_max(next, Ordering::AcqRel);
    }
    /// Whether an open row to the network may have been sent.
    fn may_have_sent(&self, row: &RemoteOutboxRow) -> bool {
        matches!(row.state, SendState::Sending | SendState::Unknown)
            || row.state == SendState::Ready && row.seq < self.doubted_below.load(Ordering::Acquire)
    }
    /// How it stands.
    pub(crate) fn row(&self) -> PortalRow {
        self.locked().clone()
    }
    fn locked(&self) -> MutexGuard<'_, PortalRow> {
        self.row.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn room_id(&self) -> Option<String> {
        self.locked().room_id.clone()
    }
    /// Notes that a login sees this portal; `true` if that is new and must be stored.
    pub(crate) fn note_login(&self, login: &str) -> bool {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        !logins.contains(login) && logins.insert(login.to_owned())
    }
    pub(crate) fn has_login(&self, login: &str) -> bool {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).contains(login)
    }
    pub(crate) fn logins(&self) -> Vec<String> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
    pub(crate) fn forget_login(&self, login: &str) {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner).remove(login);
    }
    /// Who types, as was seen last.
    pub(crate) fn typing(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.typing.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn set_horizon(&self, event_id: &str) {
        self.locked().horizon = Some(event_id.to_owned());
    }
    /// Whether a message is pinned in it, on the network.
    pub(crate) fn has_pin(&self, message: &str) -> bool {
        self.locked().pins.iter().any(|pin| pin.id() == message)
    }
    /// What it is part of, ahead of its room.
    pub(crate) fn set_parent(&self, parent: Option<String>) {
        self.locked().parent = parent;
    }
    pub(crate) fn passing(&self) -> MutexGuard<'_, Passing> {
        self.passing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The portals in memory.
pub(crate) struct Registry {
    portals: Mutex<HashMap<i64, Arc<Portal>>>,
    by_key: Cache<PortalKey<Plain>, i64>,
    by_room: Cache<String, i64>,
    /// Events between decoding and conversion; what falls out is decoded again.
    pub(crate) decoded: Cache<(i64, usize), Decoded>,
    /// The homeserver, or a login, is back: who waits tries again.
    pub(crate) retry_now: Notify,
    /// Held while a portal is created.
    creating: tokio::sync::Mutex<()>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            portals: Mutex::default(),
            by_key: Cache::new(2 * CACHED),
            by_room: Cache::new(2 * CACHED),
            decoded: Cache::new(DECODED),
            retry_now: Notify::new(),
            creating: tokio::sync::Mutex::new(()),
        }
    }
}

impl Registry {
    fn get(&self, id: i64) -> Option<Arc<Portal>> {
        self.portals.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Adds a portal, unless somebody was faster; forgets those that nobody holds when there are too many.
    fn insert(&self, portal: Portal) -> Arc<Portal> {
        let mut portals = self.portals.lock().unwrap_or_else(PoisonError::into_inner);
        if portals.len() >= CACHED {
            portals.retain(|_, portal| Arc::strong_count(portal) > 1);
        }
        portals.entry(portal.id).or_insert_with(|| Arc::new(portal)).clone()
    }

    /// A portal's key or room has changed, or it is gone.
    pub(crate) fn forget(&self, row: &PortalRow) {
        self.by_key.remove(&row.key);
        if let Some(room) = &row.room_id {
            self.by_room.remove(room);
        }
    }
}

impl Engine {
    /// A portal by its number.
    pub(crate) async fn portal(&self, id: i64) -> Result<Option<Arc<Portal>>, StoreError> {
        if let Some(portal) = self.portals.get(id) {
            return Ok(Some(portal));
        }
        let Some(row) = self.store.portal(id).await? else { return Ok(None) };
        let logins = self.store.portal_logins(id).await?.into_iter().collect();
        Ok(Some(self.portals.insert(Portal::new(row, logins, self.store.next_id()))))
    }

    /// The portal of a chat, if it is known.
    pub(crate) async fn known_portal(
        &self,
        key: &PortalKey<Plain>,
    ) -> Result<Option<Arc<Portal>>, StoreError> {
        if let Some(id) = self.portals.by_key.get(key)
            && let Some(portal) = self.portal(id).await?
        {
            return Ok(Some(portal));
        }
        let Some(row) = self.store.portal_by_key(key).await? else { return Ok(None) };
        self.portals.by_key.insert(key.clone(), row.id);
        self.portal(row.id).await
    }

    /// The portal of a chat; made known if it isn't yet. It gets a room when it needs one.
    pub(crate) async fn portal_for_key(
        &self,
        key: &PortalKey<Plain>,
    ) -> Result<Arc<Portal>, StoreError> {
        if let Some(portal) = self.known_portal(key).await? {
            return Ok(portal);
        }
        let _creating = self.portals.creating.lock().await;
        if let Some(portal) = self.known_portal(key).await? {
            return Ok(portal);
        }
        let row = PortalRow::new(self.store.next_id(), key.clone());
        let mut batch = Batch::new();
        batch.save_portal(&row);
        self.store.commit(batch).await?;
        self.portals.by_key.insert(key.clone(), row.id);
        Ok(self.portals.insert(Portal::new(row, HashSet::new(), self.store.next_id())))
    }

    /// The portal whose room it is, if it is one's.
    pub(crate) async fn portal_of_room(
        &self,
        room_id: &str,
    ) -> Result<Option<Arc<Portal>>, StoreError> {
        if let Some(id) = self.portals.by_room.get(room_id) {
            return self.portal(id).await;
        }
        // That a room is nobody's is not remembered: it may become one's at any moment.
        let Some(row) = self.store.portal_by_room(room_id).await? else { return Ok(None) };
        self.portals.by_room.insert(room_id.to_owned(), row.id);
        self.portal(row.id).await
    }

    /// Changes a portal, durably and in memory.
    pub(crate) async fn change_portal(
        &self,
        portal: &Portal,
        change: impl FnOnce(&mut PortalRow),
    ) -> Result<PortalRow, StoreError> {
        let mut batch = Batch::new();
        let row = self.change_portal_in(&mut batch, portal, change);
        self.store.commit(batch).await?;
        Ok(row)
    }

    /// The same as part of a batch; memory is ahead of the database until it is committed.
    pub(crate) fn change_portal_in(
        &self,
        batch: &mut Batch,
        portal: &Portal,
        change: impl FnOnce(&mut PortalRow),
    ) -> PortalRow {
        let mut row = portal.locked();
        let before = row.clone();
        change(&mut row);
        batch.save_portal(&row);
        if before.key != row.key || before.room_id != row.room_id {
            self.portals.forget(&before);
            self.portals.forget(&row);
        }
        row.clone()
    }

    /// Forgets a portal and everything about it.
    pub(crate) async fn forget_portal(&self, portal: &Portal) -> Result<(), Failure> {
        let row = portal.row();
        let mut batch = Batch::new();
        batch.delete_portal(portal.id);
        if let Some(room) = &row.room_id {
            batch.forget_space(room);
            self.place(&mut batch, room);
        }
        self.store.commit(batch).await?;
        self.portals.forget(&row);
        self.portals.portals.lock().unwrap_or_else(PoisonError::into_inner).remove(&portal.id);
        if let Some(room) = &row.room_id {
            self.matrix.forget_room(room).await?;
        }
        self.wake_spaces();
        Ok(())
    }

    /// There is something for the way to Matrix, in whichever queue.
    pub(crate) async fn wake_inward(self: &Arc<Self>, id: i64) -> Result<(), StoreError> {
        if let Some(portal) = self.portal(id).await? {
            self.wake_portal_inward(portal);
        }
        Ok(())
    }
    pub(crate) fn wake_portal_inward(self: &Arc<Self>, portal: Arc<Portal>) {
        portal.inward.look_again();
        self.wake_for_tasks(portal);
    }
    /// There are tasks for the way to Matrix, or something passing; nothing that was put into its outbox.
    pub(crate) fn wake_for_tasks(self: &Arc<Self>, portal: Arc<Portal>) {
        portal.untaken.store(true, Ordering::Release);
        self.wake_for_handed_task(portal);
    }
    /// There is a task that is about to be committed.
    fn wake_for_handed_task(self: &Arc<Self>, portal: Arc<Portal>) {
        portal.inward.wake.notify_one();
        if !portal.inward.running.swap(true, Ordering::AcqRel) {
            let engine = self.clone();
            self.spawn(async move { engine.inward_worker(portal).await });
        }
    }

    /// There is something for the way to the network, in whichever queue.
    pub(crate) async fn wake_outward(self: &Arc<Self>, id: i64) -> Result<(), StoreError> {
        if let Some(portal) = self.portal(id).await? {
            self.wake_portal_outward(portal);
        }
        Ok(())
    }
    pub(crate) fn wake_portal_outward(self: &Arc<Self>, portal: Arc<Portal>) {
        portal.outward.look_again();
        self.wake_for_events(portal);
    }
    /// There are events from Matrix; nothing that was put into the outbox to the network.
    pub(crate) fn wake_for_events(self: &Arc<Self>, portal: Arc<Portal>) {
        portal.leave_unplanned();
        self.wake_for_handed(portal);
    }
    /// There is what was planned as it came.
    fn wake_for_handed(self: &Arc<Self>, portal: Arc<Portal>) {
        portal.outward.wake.notify_one();
        if !portal.outward.running.swap(true, Ordering::AcqRel) {
            let engine = self.clone();
            self.spawn(async move { engine.outward_worker(portal).await });
        }
    }
}
