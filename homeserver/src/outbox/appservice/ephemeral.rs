//! Typing, receipts, presence and key counts for application services (Application Service API, "Pushing ephemeral
//! data"; MSC3202). Of each only the newest counts, so they are kept in memory, and lost with it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use landbridge_registration::Transaction;
use ruma::{OwnedDeviceId, OwnedRoomId, OwnedUserId, UserId};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::queue::Queue;
use super::{Inner, Outbox, close, lock, render};
use crate::feed::{Change, FeedObserver, Published};
use crate::nid::RoomNid;
use crate::room::{Interest, InterestSource as _};
use crate::services::appservices::Appservice;
use crate::services::presence::Presence;
use crate::services::typing::Typing;

/// How many signals may wait to be given out. Beyond it they are dropped: the next one tells the same.
const WAITING: usize = 10_000;
/// How much is kept for one service that does not take it.
const MAX_PENDING: usize = 10_000;
/// How many go into one transaction.
const BATCH: usize = 100;
/// Rooms looked at for one user's presence.
const MAX_ROOMS: usize = 200;

/// Something ephemeral has changed.
#[derive(Debug)]
pub(super) enum Signal {
    /// Who types in a room, or how somebody in it is.
    Room(RoomNid),
    Receipt(Box<Receipt>),
    Keys(OwnedUserId, OwnedDeviceId),
}

#[derive(Debug)]
pub(super) struct Receipt {
    room: RoomNid,
    user: OwnedUserId,
    kind: Arc<str>,
    thread: Option<String>,
    content: Value,
}

/// Where signals come in.
pub(super) struct Intake(mpsc::Sender<Signal>);

pub(super) fn intake() -> (Intake, mpsc::Receiver<Signal>) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Intake(sender), receiver)
}

impl Intake {
    pub(super) fn put(&self, signal: Signal) {
        // A full channel drops it; see above.
        let _ = self.0.try_send(signal);
    }

    pub(super) fn changed(&self, change: &Change) {
        if let Change::Receipt { room, user, kind, thread, event_id, ts } = change {
            let mut by_user = json!({ "ts": ts });
            if let Some(thread) = thread {
                by_user["thread_id"] = thread.as_str().into();
            }
            let content = json!({ event_id.as_str(): { &**kind: { user.as_str(): by_user } } });
            self.put(Signal::Receipt(Box::new(Receipt {
                room: *room,
                user: user.clone(),
                kind: kind.clone(),
                thread: thread.clone(),
                content,
            })));
        }
    }
}

/// Learns from the feed that somebody types.
impl FeedObserver for Inner {
    fn published(&self, _: &[Published]) {}

    fn ephemeral(&self, room: RoomNid) {
        if let Some(rest) = self.rest.get() {
            rest.ephemeral.put(Signal::Room(room));
        }
    }
}

impl Outbox {
    /// Tells that a device has more or fewer one-time or fallback keys than before.
    pub fn keys_changed(&self, user: &UserId, device: &ruma::DeviceId) {
        if let Some(rest) = self.0.rest.get() {
            rest.ephemeral.put(Signal::Keys(user.to_owned(), device.to_owned()));
        }
    }
}

/// What is told about, so that something newer takes its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Typing(OwnedRoomId),
    Receipt(OwnedRoomId, OwnedUserId, Arc<str>, Option<String>),
    Presence(OwnedUserId),
    Keys(OwnedUserId, OwnedDeviceId),
}

/// What waits for one service.
#[derive(Debug, Default)]
pub(super) struct Pending(BTreeMap<Key, Value>);

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn put(&mut self, key: Key, content: Value) {
        if self.0.len() < MAX_PENDING || self.0.contains_key(&key) {
            self.0.insert(key, content);
        }
    }

    fn take(&mut self) -> Vec<(Key, Value)> {
        let mut taken = Vec::new();
        while taken.len() < BATCH
            && let Some(first) = self.0.pop_first()
        {
            taken.push(first);
        }
        taken
    }

    /// Puts back what was not delivered, where nothing newer has come.
    pub(super) fn put_back(&mut self, entries: Vec<(Key, Value)>) {
        for (key, content) in entries {
            if self.0.len() < MAX_PENDING {
                self.0.entry(key).or_insert(content);
            }
        }
    }
}

/// Gives the signals to the services they concern, for as long as it is polled.
pub(super) async fn distribute(
    outbox: Outbox,
    typing: Arc<Typing>,
    presence: Presence,
    mut signals: mpsc::Receiver<Signal>,
) {
    let mut typed: HashMap<RoomNid, Vec<OwnedUserId>> = HashMap::new();
    let mut seen = outbox.0.feed.ephemeral().head();
    while let Some(signal) = signals.recv().await {
        match signal {
            Signal::Room(nid) => {
                tell_typing(&outbox, &typing, &mut typed, nid).await;
                // Presence wakes all rooms of a user, of which the first is enough.
                let head = outbox.0.feed.ephemeral().head();
                if head > seen {
                    tell_presence(&outbox, &presence, seen).await;
                    seen = head;
                }
            }
            Signal::Receipt(receipt) => tell_receipt(&outbox, *receipt).await,
            Signal::Keys(user, device) => {
                let interest = outbox.0.appservices.of_user(&user);
                let wants = |service: &Appservice| service.registration().msc3202;
                let key = Key::Keys(user, device);
                give(&outbox, interest, wants, || (key.clone(), Value::Null));
            }
        }
    }
}

/// Tells who types in a room, once when that changes.
async fn tell_typing(
    outbox: &Outbox,
    typing: &Typing,
    typed: &mut HashMap<RoomNid, Vec<OwnedUserId>>,
    nid: RoomNid,
) {
    let Some(users) = typing.since(nid, -1) else { return };
    if typed.get(&nid).map_or(users.is_empty(), |before| *before == users) {
        return;
    }
    // A room where nobody types any more is forgotten.
    if users.is_empty() {
        typed.remove(&nid);
    } else if typed.len() < MAX_PENDING || typed.contains_key(&nid) {
        typed.insert(nid, users.clone());
    }
    let Some((room, interest)) = room(outbox, nid).await else { return };
    let content = json!({ "user_ids": users });
    give(outbox, interest, wants_ephemeral, || (Key::Typing(room.clone()), content.clone()));
}

async fn tell_presence(outbox: &Outbox, presence: &Presence, since: i64) {
    if !outbox.0.appservices.all().iter().any(|service| wants_ephemeral(service)) {
        return;
    }
    for (user, seen) in presence.since(since) {
        let interest = shared(outbox, &user).await;
        let mut content = json!({
            "presence": seen.state.as_str(),
            "currently_active": seen.currently_active,
        });
        if let Some(ago) = seen.last_active_ago {
            content["last_active_ago"] = ago.into();
        }
        if let Some(status) = &seen.status_msg {
            content["status_msg"] = status.as_str().into();
        }
        let key = Key::Presence(user);
        give(outbox, interest, wants_ephemeral, || (key.clone(), content.clone()));
    }
}

async fn tell_receipt(outbox: &Outbox, receipt: Receipt) {
    let Receipt { room: nid, user, kind, thread, content } = receipt;
    let Some((room, mut interest)) = room(outbox, nid).await else { return };
    if &*kind == "m.read.private" {
        // Private receipts go to those whose user it is, and to nobody else.
        interest = interest & outbox.0.appservices.of_user(&user);
    }
    let key = Key::Receipt(room, user, kind, thread);
    give(outbox, interest, wants_ephemeral, || (key.clone(), content.clone()));
}

fn wants_ephemeral(service: &Appservice) -> bool {
    service.registration().wants_ephemeral()
}

async fn room(outbox: &Outbox, nid: RoomNid) -> Option<(OwnedRoomId, Interest)> {
    let room = outbox.0.rest.get()?.rooms.handle(nid).await.ok()?;
    let interest = room.snapshot().interest();
    (!interest.is_empty()).then(|| (room.id().to_owned(), interest))
}

/// The services that a user belongs to or shares a room with.
pub(super) async fn shared(outbox: &Outbox, user: &UserId) -> Interest {
    let mut interest = outbox.0.appservices.of_user(user);
    let Some(rest) = outbox.0.rest.get() else { return interest };
    let rooms = rest.rooms.joined(user).await.unwrap_or_default();
    for nid in rooms.into_iter().take(MAX_ROOMS) {
        if let Ok(room) = rest.rooms.handle(nid).await {
            interest |= room.snapshot().interest();
        }
    }
    interest
}

fn give(
    outbox: &Outbox,
    interest: Interest,
    wants: impl Fn(&Appservice) -> bool,
    entry: impl Fn() -> (Key, Value),
) {
    for service in outbox.0.appservices.listeners(interest) {
        if !wants(&service) {
            continue;
        }
        let queue = lock(&outbox.0.queues).get(&service.number()).cloned();
        if let Some(queue) = queue {
            let (key, content) = entry();
            lock(&queue.pending).put(key, content);
            queue.news.notify_one();
        }
    }
}

/// The ids of transactions that are not durable. They never meet a durable one's, nor those of another start.
#[derive(Debug, Default)]
pub(super) struct Sequence(u64);

/// A transaction that is not durable.
pub(super) struct Volatile {
    pub(super) id: String,
    pub(super) body: Bytes,
    pub(super) entries: Vec<(Key, Value)>,
}

/// The next transaction of what waits.
pub(super) async fn next(
    outbox: &Outbox,
    queue: &Queue,
    sequence: &mut Sequence,
) -> Option<Volatile> {
    let service = outbox.0.appservices.by_id(queue.id())?;
    let entries = lock(&queue.pending).take();
    if entries.is_empty() {
        return None;
    }
    let mut transaction = Transaction::default();
    for (key, content) in &entries {
        let event = match key {
            Key::Typing(room) => render::ephemeral("m.typing", room.as_str(), content),
            Key::Receipt(room, ..) => render::ephemeral("m.receipt", room.as_str(), content),
            Key::Presence(user) => render::presence(user, content),
            Key::Keys(user, device) => {
                let counted = close::count_keys(
                    &outbox.0.db,
                    &mut transaction,
                    user.as_str(),
                    device.as_str(),
                )
                .await;
                if let Err(error) = counted {
                    tracing::warn!(%error, "keys could not be counted for an appservice");
                }
                None
            }
        };
        transaction.ephemeral.extend(event);
    }
    sequence.0 += 1;
    let feed = &outbox.0.feed;
    let id = format!("{}-{:x}-{}", feed.generation(), feed.ephemeral().boot(), sequence.0);
    let body = Bytes::from(transaction.to_body(service.registration()));
    Some(Volatile { id, body, entries })
}
