//! Who is typing ([Typing notifications](https://spec.matrix.org/v1.19/client-server-api/#typing-notifications)). Kept in memory only: a
//! typing notification that a restart loses would have ended within seconds anyway.

mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ruma::{OwnedUserId, UserId};
use tokio::sync::Notify;

use self::store::Store;
use crate::clock::Clock;
use crate::feed::{Change, Feed, FeedObserver, Published};
use crate::nid::RoomNid;
use crate::room::Membership;

/// How long a user types who gives no timeout, in ms.
const DEFAULT_TIMEOUT: i64 = 30_000;
/// The longest timeout that is taken, in ms.
const MAX_TIMEOUT: i64 = 120_000;

/// Who is typing where.
pub struct Typing {
    feed: Feed,
    clock: Arc<dyn Clock>,
    store: Mutex<Store>,
    /// Someone began to type, who may be the next to stop.
    began: Notify,
}

impl Typing {
    /// Nobody types yet.
    pub fn new(feed: Feed, clock: Arc<dyn Clock>) -> Self {
        Self { feed, clock, store: Mutex::default(), began: Notify::new() }
    }

    /// The user types in the room, for `timeout` ms unless told again.
    pub fn start(&self, room: RoomNid, user: &UserId, timeout: Option<i64>) {
        let timeout =
            timeout.filter(|timeout| *timeout > 0).unwrap_or(DEFAULT_TIMEOUT).min(MAX_TIMEOUT);
        let until = self.clock.now_ms().saturating_add(timeout);
        if self.store().set(room, user, Some(until), || self.feed.ephemeral().next()) {
            self.feed.wake_room(room);
        }
        self.began.notify_one();
    }

    /// The user types no longer in the room: he says so, sent his message, or left.
    pub fn stop(&self, room: RoomNid, user: &UserId) {
        if self.store().set(room, user, None, || self.feed.ephemeral().next()) {
            self.feed.wake_room(room);
        }
    }

    /// Who types in the room, if that changed after an ephemeral position.
    pub fn since(&self, room: RoomNid, position: i64) -> Option<Vec<OwnedUserId>> {
        self.store().since(room, position)
    }

    /// Stops those whose time is over, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            let next = self.store().next_expiry();
            match next {
                None => self.began.notified().await,
                Some(until) => {
                    let wait = until.saturating_sub(self.clock.now_ms()).max(0);
                    let sleep = tokio::time::sleep(Duration::from_millis(wait.unsigned_abs() + 1));
                    // Someone else may stop sooner.
                    tokio::select! {
                        () = sleep => {}
                        () = self.began.notified() => {}
                    }
                }
            }
            let changed = self.store().expire(self.clock.now_ms(), || self.feed.ephemeral().next());
            for room in changed {
                self.feed.wake_room(room);
            }
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FeedObserver for Typing {
    /// Whoever sends a message or leaves has stopped typing.
    fn published(&self, batch: &[Published]) {
        for published in batch {
            let Change::Event(event, _) = &published.change else { continue };
            match event.pdu.state_key() {
                None => self.stop(event.room, &event.pdu.sender),
                Some(user)
                    if event
                        .pdu
                        .membership()
                        .is_some_and(|membership| membership != Membership::Join) =>
                {
                    if let Ok(user) = <&UserId>::try_from(user) {
                        self.stop(event.room, user);
                    }
                }
                Some(_) => {}
            }
        }
    }
}
