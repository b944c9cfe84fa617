//! Tells application services what happens (Application Service API, "Pushing events").
//!
//! A transaction's id and its exact bytes are durable before the first of them leaves: the outbox takes part in
//! every group commit, and when a service is not behind, the events of a commit become its next transaction
//! in that very commit. So delivery waits for no second sync to disk, and starts before the sender of the event
//! is answered. A service that is behind finds its events in a queue in the database, so that memory stays
//! flat however long it is away. A transaction is sent until it is taken, always with the same bytes, and
//! the next one only after it.
//!
//! Typing, presence and receipts are sent in transactions of their own, which are not durable: of these only the
//! newest counts.

mod close;
mod delivery;
mod devices;
mod ephemeral;
mod queue;
mod render;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures::future::BoxFuture;
use landbridge_database::Database;

use self::queue::Queue;
use crate::app::Background;
use crate::clock::Clock;
use crate::commit::{CommitHook, CommitTx, Committer};
use crate::event::{Event, Flags};
use crate::feed::{Change, Feed, Published};
use crate::room::{InterestSource as _, Rooms};
use crate::services::appservices::{Appservice, Appservices};
use crate::services::presence::Presence;
use crate::services::typing::Typing;
use crate::storage::StorageError;
use crate::storage::appservice_outbox::{self as rows, Item, ItemKind};

/// The outbox. Clones share it.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    appservices: Appservices,
    db: Database,
    feed: Feed,
    clock: Arc<dyn Clock>,
    /// By the services' numbers.
    queues: Mutex<HashMap<usize, Arc<Queue>>>,
    /// Queues that the running commit changes.
    touched: Mutex<Vec<Arc<Queue>>>,
    /// Items that units of the running commit put in by themselves, by service number.
    added: Mutex<Vec<(usize, Item)>>,
    rest: OnceLock<Rest>,
}

/// What exists only after the committer does.
struct Rest {
    rooms: Rooms,
    committer: Committer,
    background: Background,
    ephemeral: ephemeral::Intake,
}

impl Outbox {
    /// An outbox that delivers nothing yet: it becomes a hook of the committer, and is started later.
    pub fn new(appservices: Appservices, db: Database, feed: Feed, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            appservices,
            db,
            feed,
            clock,
            queues: Mutex::default(),
            touched: Mutex::default(),
            added: Mutex::default(),
            rest: OnceLock::new(),
        }))
    }

    /// Starts delivering: first what is left from before.
    pub fn start(
        &self,
        rooms: Rooms,
        typing: Arc<Typing>,
        presence: Presence,
        committer: Committer,
        background: &Background,
    ) {
        let (ephemeral, ephemerals) = ephemeral::intake();
        let rest = Rest { rooms, committer, background: background.clone(), ephemeral };
        if self.0.rest.set(rest).is_err() {
            return;
        }
        for queue in lock(&self.0.queues).values() {
            delivery::start(self, queue);
        }
        background.spawn(self.clone().watch());
        background.spawn(ephemeral::distribute(self.clone(), typing, presence, ephemerals));
        background.spawn(devices::follow(self.clone(), self.0.feed.reader()));
        self.0.feed.observe(&self.0);
    }

    /// Loads the queue of every service that is registered, now and whenever that changes.
    async fn watch(self) {
        let Some(rest) = self.0.rest.get() else { return };
        let mut changes = self.0.appservices.changes();
        loop {
            for service in self.0.appservices.all() {
                if !service.wants_traffic() {
                    continue;
                }
                let outbox = self.clone();
                let loaded = rest.committer.run(move |tx| {
                    let (outbox, service) = (outbox.clone(), service.clone());
                    Box::pin(async move { outbox.queue(tx, &service).await.map(drop) })
                });
                if let Err(error) = loaded.await {
                    tracing::error!(%error, "an appservice's queue could not be loaded");
                }
            }
            self.forget_removed();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops delivering to services that are registered no more. What waits for them stays in the database.
    fn forget_removed(&self) {
        lock(&self.0.queues).retain(|_, queue| {
            let stays =
                self.0.appservices.by_id(queue.id()).is_some_and(|service| service.wants_traffic());
            if !stays {
                queue.end();
            }
            stays
        });
    }

    /// A service's queue, loaded if this is its first use. Only the running commit may call it, so that nothing
    /// comes in between.
    async fn queue(
        &self,
        tx: &mut CommitTx,
        service: &Appservice,
    ) -> Result<Arc<Queue>, StorageError> {
        if let Some(queue) = lock(&self.0.queues).get(&service.number())
            && queue.id() == service.id()
        {
            return Ok(queue.clone());
        }
        let standing = rows::standing(tx, service.id()).await?;
        let queue = Arc::new(Queue::new(service, standing));
        let before = lock(&self.0.queues).insert(service.number(), queue.clone());
        if let Some(before) = before {
            // The number has passed to another service.
            before.end();
        }
        delivery::start(self, &queue);
        Ok(queue)
    }

    /// Tells a service something within a unit of the running commit.
    fn add(&self, number: usize, item: Item) {
        lock(&self.0.added).push((number, item));
    }

    /// What the running commit has for each service, in order.
    async fn collect(&self, tx: &mut CommitTx) -> Result<Vec<(usize, Item)>, StorageError> {
        let mut items = std::mem::take(&mut *lock(&self.0.added));
        let concerns = |published: &Published| match &published.change {
            Change::Event(event, interest) => !interest.is_empty() && is_news(event),
            Change::ToDevice { user, .. } => !self.0.appservices.of_user(user).is_empty(),
            _ => false,
        };
        if !tx.changes().iter().any(concerns) {
            return Ok(items);
        }
        let changes = tx.changes().to_vec();
        for (part, published) in changes.iter().enumerate().filter(|(_, one)| concerns(one)) {
            let pos = published.pos;
            let (part, item, device, kind, interest) = match &published.change {
                Change::Event(event, interest) => {
                    let rooms = self.0.rest.get().map(|rest| &rest.rooms);
                    let json =
                        render::event(rooms, &changes, part, event, self.0.clock.now_ms()).await?;
                    (part as i64, json, None, ItemKind::Event, *interest)
                }
                Change::ToDevice { user, device } => {
                    let found = rows::to_device(tx, user.as_str(), device.as_str(), pos).await?;
                    let Some(message) = found else { continue };
                    let json = render::to_device(&message, user, device)?;
                    let interest = self.0.appservices.of_user(user);
                    let device = Some((user.to_string(), device.to_string()));
                    (part as i64, json, device, ItemKind::ToDevice, interest)
                }
                _ => continue,
            };
            for service in self.0.appservices.listeners(interest) {
                if kind == ItemKind::ToDevice && !service.registration().wants_to_device() {
                    continue;
                }
                let item = Item { pos, part, kind, item: item.clone(), device: device.clone() };
                items.push((service.number(), item));
            }
        }
        Ok(items)
    }
}

/// Whether services are told of an event: imported history is nothing that happened, unless its importer says so.
fn is_news(event: &Event) -> bool {
    !event.flags.has(Flags::IMPORTED) || event.flags.has(Flags::NOTIFIES)
}

impl CommitHook for Outbox {
    fn before_commit<'a>(
        &'a self,
        tx: &'a mut CommitTx,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let mut by_service: HashMap<usize, Vec<Item>> = HashMap::new();
            for (number, item) in self.collect(tx).await? {
                by_service.entry(number).or_default().push(item);
            }
            let mut work = Vec::with_capacity(by_service.len());
            for (number, items) in by_service {
                let Some(service) = self.0.appservices.by_number(number) else { continue };
                work.push((self.queue(tx, &service).await?, items));
            }
            let others: Vec<Arc<Queue>> =
                lock(&self.0.queues).values().filter(|queue| queue.has_work()).cloned().collect();
            for queue in others {
                if !work.iter().any(|(known, _)| Arc::ptr_eq(known, &queue)) {
                    work.push((queue, Vec::new()));
                }
            }
            for (queue, items) in work {
                let Some(service) = self.0.appservices.by_id(queue.id()) else { continue };
                // Noted before it writes, so that a commit that fails midway is forgotten, too.
                lock(&self.0.touched).push(queue.clone());
                close::write(tx, &self.0.db, &service, &queue, items).await?;
            }
            Ok(())
        })
    }

    fn after_commit(&self, _: &[Published]) {
        for queue in std::mem::take(&mut *lock(&self.0.touched)) {
            queue.committed();
        }
    }

    fn after_rollback(&self) {
        lock(&self.0.added).clear();
        for queue in std::mem::take(&mut *lock(&self.0.touched)) {
            queue.rolled_back();
        }
    }
}

/// Nothing panics while it holds one of these locks; if it did, what they guard would still be sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
