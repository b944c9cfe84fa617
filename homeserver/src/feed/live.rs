//! Users who wait for changes, by the rooms they are in.
//!
//! A user stays here for a while after the last handle is gone, since a client that polls comes back at
//! once: registering costs the number of rooms, being woken costs nothing for others.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ruma::{OwnedUserId, UserId};
use tokio::sync::watch;

use super::Change;
use crate::{nid::RoomNid, room::Membership};

/// How long a user without a handle is remembered.
const LINGER: Duration = Duration::from_mins(2);

/// Wakes when something changed for a user.
pub struct UserWatch(watch::Receiver<()>);

impl UserWatch {
    /// Waits for a change since the handle was made or since the last call returned.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // The feed forgot the user, which it does to nobody who holds a handle.
            std::future::pending::<()>().await;
        }
    }
}

#[derive(Default)]
pub(super) struct Live(Mutex<Index>);

#[derive(Default)]
struct Index {
    users: HashMap<OwnedUserId, Arc<User>>,
    rooms: HashMap<RoomNid, Vec<Arc<User>>>,
    swept: Option<Instant>,
}

struct User {
    id: OwnedUserId,
    wake: watch::Sender<()>,
    state: Mutex<State>,
}

struct State {
    rooms: HashSet<RoomNid>,
    seen: Instant,
}

impl User {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn index(&self) -> MutexGuard<'_, Index> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch<I>(&self, user: &UserId, rooms: impl FnOnce() -> I) -> UserWatch
    where
        I: IntoIterator<Item = RoomNid>,
    {
        let now = Instant::now();
        let mut index = self.index();
        index.sweep(now);
        if let Some(known) = index.users.get(user) {
            known.state().seen = now;
            return UserWatch(known.wake.subscribe());
        }
        // Asked with the lock held: a membership that changes meanwhile waits for it in `changed`, and is
        // either in the answer or follows.
        let rooms: HashSet<RoomNid> = rooms().into_iter().collect();
        let wake = watch::Sender::new(());
        let handle = UserWatch(wake.subscribe());
        let entry = Arc::new(User {
            id: user.to_owned(),
            wake,
            state: Mutex::new(State { rooms: rooms.clone(), seen: now }),
        });
        for room in rooms {
            index.rooms.entry(room).or_default().push(Arc::clone(&entry));
        }
        index.users.insert(user.to_owned(), entry);
        handle
    }

    pub(super) fn wake_rooms(&self, rooms: &[RoomNid]) {
        let index = self.index();
        for room in rooms {
            index.wake_room(*room);
        }
    }

    pub(super) fn wake_user(&self, user: &UserId) {
        self.index().wake_user(user);
    }

    /// Wakes those whom a change concerns, and follows who is in which room.
    pub(super) fn changed(&self, change: &Change) {
        let mut index = self.index();
        if index.users.is_empty() {
            return;
        }
        match change {
            Change::Event(event, _) => {
                index.wake_room(event.room);
                let member = event.pdu.membership().zip(event.pdu.state_key());
                if let Some((membership, key)) = member
                    && let Ok(user) = <&UserId>::try_from(key)
                {
                    index.member(user, event.room, membership == Membership::Join);
                    index.wake_user(user);
                }
            }
            Change::Receipt { room, .. } => index.wake_room(*room),
            Change::AccountData { user, .. }
            | Change::ToDevice { user, .. }
            | Change::Signed { user }
            | Change::ThreadSubscription { user }
            | Change::Forgotten { user, .. } => index.wake_user(user),
            Change::DeviceList { user, rooms } => {
                index.wake_user(user);
                rooms.iter().for_each(|&room| index.wake_room(room));
            }
        }
    }
}

impl Index {
    fn wake_room(&self, room: RoomNid) {
        for user in self.rooms.get(&room).into_iter().flatten() {
            user.wake.send_replace(());
        }
    }

    fn wake_user(&self, user: &UserId) {
        if let Some(user) = self.users.get(user) {
            user.wake.send_replace(());
        }
    }

    fn member(&mut self, user: &UserId, room: RoomNid, joined: bool) {
        let Some(user) = self.users.get(user).cloned() else { return };
        if joined {
            if user.state().rooms.insert(room) {
                self.rooms.entry(room).or_default().push(user);
            }
        } else if user.state().rooms.remove(&room) {
            self.leave(room, &user);
        }
    }

    fn leave(&mut self, room: RoomNid, user: &Arc<User>) {
        if let Some(users) = self.rooms.get_mut(&room) {
            users.retain(|other| !Arc::ptr_eq(other, user));
            if users.is_empty() {
                self.rooms.remove(&room);
            }
        }
    }

    /// Forgets users who have held no handle for a while.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < LINGER) {
            return;
        }
        self.swept = Some(now);
        let gone: Vec<Arc<User>> = self
            .users
            .values()
            .filter(|user| {
                user.wake.receiver_count() == 0 && now.duration_since(user.state().seen) >= LINGER
            })
            .cloned()
            .collect();
        for user in gone {
            self.users.remove(&user.id);
            let rooms = std::mem::take(&mut user.state().rooms);
            for room in rooms {
                self.leave(room, &user);
            }
        }
    }
}
