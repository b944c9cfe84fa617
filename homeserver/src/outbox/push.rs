//! Tells push gateways (Push Gateway API), push services ([`webpush`]) and mailboxes ([`email`]) what people were notified of.
//!
//! What is to be told stands in the table of notifications, which a follower of the feed fills; each pusher keeps the position up to which
//! it was told. A pusher that has something to tell gets a task, which ends when everything is told: gateways never wait for each other.
//! The position is written once the gateway has answered, so that a crash loses nothing and repeats no more than what was on its way.

mod badge;
pub mod email;
mod gateway;
mod lanes;
mod news;
pub mod webpush;
mod worker;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use ruma::{OwnedUserId, UserId};
use tokio::sync::Notify;

use self::badge::Badges;
use self::lanes::Lanes;
use crate::app::App;
use crate::nid::RoomNid;
use crate::storage::StorageError;
use crate::storage::pushers::{self, PusherKey};

/// One pusher of one user.
type Key = (OwnedUserId, PusherKey);

/// What pushers have to tell. Clones share it.
#[derive(Clone, Default)]
pub struct Push(Arc<Inner>);

#[derive(Default)]
struct Inner {
    /// Users who may have a pusher.
    users: RwLock<HashSet<OwnedUserId>>,
    /// Pushers with a task.
    working: Mutex<HashMap<Key, Work>>,
    badges: Badges,
    lanes: Lanes,
}

/// What is known of a pusher with a task.
#[derive(Default)]
struct Work {
    /// Whether there is news since it last looked.
    news: bool,
    /// Wakes it when it waits for the time to tell something.
    bell: Arc<Notify>,
}

impl Push {
    /// Wakes the pushers that were left behind when the server stopped, or that may have missed something.
    pub async fn resume(&self, app: &Arc<App>) -> Result<(), StorageError> {
        let users = pushers::users(&app.db).await?;
        self.users().extend(users);
        self.0.badges.forget_all();
        for user in pushers::behind(&app.db).await? {
            self.wake(app, &user).await?;
        }
        Ok(())
    }

    /// A user has a new or another pusher.
    pub async fn added(&self, app: &Arc<App>, user: &UserId) -> Result<(), StorageError> {
        self.users().insert(user.to_owned());
        self.wake(app, user).await
    }

    /// What a user has not read may have changed: in a room, or everywhere.
    pub fn stir(&self, user: &UserId, room: Option<RoomNid>) {
        self.0.badges.stir(user, room);
    }

    /// Whether a user may have a pusher.
    pub fn concerns(&self, user: &UserId) -> bool {
        self.0.users.read().unwrap_or_else(PoisonError::into_inner).contains(user)
    }

    /// Lets a user's pushers look for something to tell.
    pub async fn wake(&self, app: &Arc<App>, user: &UserId) -> Result<(), StorageError> {
        if !self.concerns(user) {
            return Ok(());
        }
        for pusher in pushers::list(&app.db, user).await? {
            let key = (user.to_owned(), pusher.key);
            let mut working = self.working();
            if let Some(work) = working.get_mut(&key) {
                work.news = true;
                work.bell.notify_one();
            } else {
                working.insert(key.clone(), Work::default());
                app.background.spawn(worker::run(Arc::clone(app), self.clone(), key));
            }
        }
        Ok(())
    }

    /// A pusher's task has nothing to do: whether it may end.
    fn rest(&self, key: &Key) -> bool {
        let mut working = self.working();
        let news = working.get_mut(key).is_some_and(|work| std::mem::take(&mut work.news));
        if !news {
            working.remove(key);
        }
        !news
    }

    /// Lets a pusher's task wait for a time, or for news.
    async fn nap(&self, key: &Key, time: Duration) {
        let bell = self.working().get(key).map(|work| Arc::clone(&work.bell));
        if let Some(bell) = bell {
            // Whatever ends it, the task looks again.
            let _ = tokio::time::timeout(time, bell.notified()).await;
        }
    }

    fn working(&self) -> MutexGuard<'_, HashMap<Key, Work>> {
        self.0.working.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn users(&self) -> std::sync::RwLockWriteGuard<'_, HashSet<OwnedUserId>> {
        self.0.users.write().unwrap_or_else(PoisonError::into_inner)
    }
}
