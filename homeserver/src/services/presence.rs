//! Who is there ([Presence](https://spec.matrix.org/v1.19/client-server-api/#presence)). Kept in memory: after a restart everyone is offline until
//! he is heard of, which is what others should think.

mod store;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ruma::presence::PresenceState;
use ruma::{OwnedUserId, UserId};

pub use self::store::Seen;
use self::store::{OFFLINE_AFTER, Store};
use crate::clock::Clock;
use crate::feed::Feed;
use crate::nid::RoomNid;
use crate::room::{Membership, Rooms};
use crate::sync::json::Writer;

/// How often those who are gone are looked for.
const SWEEP: Duration = Duration::from_millis(OFFLINE_AFTER.unsigned_abs() / 6);

/// Who is there.
#[derive(Clone)]
pub struct Presence(Arc<Inner>);

struct Inner {
    feed: Feed,
    rooms: Rooms,
    clock: Arc<dyn Clock>,
    store: Mutex<Store>,
}

/// Counts a sync of a user as long as it is open.
pub struct SyncGuard {
    presence: Presence,
    user: OwnedUserId,
}

impl Presence {
    /// Nobody has been heard of.
    pub fn new(feed: Feed, rooms: Rooms, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner { feed, rooms, clock, store: Mutex::default() }))
    }

    /// What is seen of a user; `None` when he was not heard of since the server started.
    pub fn get(&self, user: &UserId) -> Option<Seen> {
        self.store().get(user, self.0.clock.now_ms())
    }

    /// A user says how he is.
    pub async fn set(&self, user: &UserId, state: PresenceState, status_msg: Option<String>) {
        let now = self.0.clock.now_ms();
        let changed =
            self.store().set(user, state, status_msg, now, || self.0.feed.ephemeral().next());
        if changed {
            self.tell(user).await;
        }
    }

    /// A user syncs, which shows him as `state`; a sync that asks for `offline` shows nothing of him and gets no guard.
    pub async fn syncing(&self, user: &UserId, state: PresenceState) -> Option<SyncGuard> {
        if state == PresenceState::Offline {
            return None;
        }
        let now = self.0.clock.now_ms();
        let changed =
            self.store().sync_begins(user, Some(state), now, || self.0.feed.ephemeral().next());
        let guard = SyncGuard { presence: self.clone(), user: user.to_owned() };
        if changed {
            self.tell(user).await;
        }
        Some(guard)
    }

    /// Users who changed after an ephemeral position, as they are now.
    pub fn since(&self, position: i64) -> Vec<(OwnedUserId, Seen)> {
        let now = self.0.clock.now_ms();
        self.store().since(position, now).map(|(user, seen)| (user.to_owned(), seen)).collect()
    }

    /// Looks for users who are gone, for as long as it is polled.
    pub async fn run(&self) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let gone = self.store().sweep(self.0.clock.now_ms(), || self.0.feed.ephemeral().next());
            for user in gone {
                self.tell(&user).await;
            }
        }
    }

    /// Wakes those who share a room with the user. A look-up that fails is made good by their next sync.
    async fn tell(&self, user: &UserId) {
        self.0.feed.wake_user(user);
        match self.0.rooms.memberships(user).await {
            Ok(rooms) => {
                let joined = rooms.iter().filter(|(_, room)| room.membership == Membership::Join);
                let joined: Vec<RoomNid> = joined.map(|(room, _)| *room).collect();
                self.0.feed.wake_rooms(&joined);
            }
            Err(error) => tracing::warn!(%error, "presence: the rooms of a user could not be read"),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SyncGuard {
    fn drop(&mut self) {
        let now = self.presence.0.clock.now_ms();
        self.presence.store().sync_ends(&self.user, now);
    }
}

/// Appends the `m.presence` event of a user.
pub fn write(out: &mut Writer, user: &UserId, seen: &Seen) {
    out.open();
    out.key("type");
    out.text("m.presence");
    out.key("sender");
    out.text(user.as_str());
    out.open_at("content");
    out.key("presence");
    out.text(seen.state.as_str());
    if let Some(ago) = seen.last_active_ago {
        out.key("last_active_ago");
        out.int(ago);
    }
    if let Some(status) = &seen.status_msg {
        out.key("status_msg");
        out.text(status);
    }
    out.key("currently_active");
    out.bool(seen.currently_active);
    out.close();
    out.close();
}
