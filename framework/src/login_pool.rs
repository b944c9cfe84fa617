//! The logins of a bridge: which there are, whose, and whether they are connected.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio_util::sync::DropGuard;

use crate::{
    adapter::{Account, StoredLogin},
    network::{CancellationToken, LoginState},
};

struct Entry {
    stored: StoredLogin,
    state: LoginState,
    account: Option<Arc<dyn Account>>,
    ends: Ends,
}

/// What ends a login's connection.
#[derive(Clone)]
pub(crate) struct Ends {
    /// The connection is to end.
    pub(crate) stop: CancellationToken,
    /// Nobody is to hear any more how it stands.
    pub(crate) gone: CancellationToken,
}

/// See the module.
#[derive(Default)]
pub(crate) struct LoginPool {
    entries: RwLock<BTreeMap<String, Entry>>,
}

impl LoginPool {
    fn read<T>(&self, f: impl FnOnce(&BTreeMap<String, Entry>) -> T) -> T {
        f(&self.entries.read().unwrap_or_else(PoisonError::into_inner))
    }
    fn write<T>(&self, f: impl FnOnce(&mut BTreeMap<String, Entry>) -> T) -> T {
        f(&mut self.entries.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds a login, or replaces what is known of it; an old connection is stopped. Gives what ends the new one.
    pub(crate) fn insert(&self, stored: StoredLogin, parent: &CancellationToken) -> Ends {
        let stop = parent.child_token();
        let ends = Ends { gone: stop.child_token(), stop };
        let entry =
            Entry { stored, state: LoginState::Connecting, account: None, ends: ends.clone() };
        self.write(|entries| {
            if let Some(old) = entries.insert(entry.stored.id.clone(), entry) {
                old.ends.stop.cancel();
            }
        });
        ends
    }
    /// Removes a login. Its connection ends when the guard is dropped, so that the network can be told by it.
    pub(crate) fn remove(&self, id: &str) -> Option<(Option<Arc<dyn Account>>, DropGuard)> {
        let entry = self.write(|entries| entries.remove(id))?;
        entry.ends.gone.cancel();
        Some((entry.account, entry.ends.stop.drop_guard()))
    }
    pub(crate) fn set_account(&self, id: &str, account: Option<Arc<dyn Account>>) {
        self.write(|entries| {
            if let Some(entry) = entries.get_mut(id) {
                entry.account = account;
            }
        });
    }
    /// Sets how a connection stands; gives the login if that is news.
    pub(crate) fn set_state(&self, id: &str, state: &LoginState) -> Option<StoredLogin> {
        self.write(|entries| {
            let entry = entries.get_mut(id)?;
            let news = entry.state != *state;
            entry.state = state.clone();
            news.then(|| entry.stored.clone())
        })
    }
    pub(crate) fn stored(&self, id: &str) -> Option<StoredLogin> {
        self.read(|entries| entries.get(id).map(|entry| entry.stored.clone()))
    }
    pub(crate) fn state(&self, id: &str) -> Option<LoginState> {
        self.read(|entries| entries.get(id).map(|entry| entry.state.clone()))
    }
    /// A login's connection, if it has one.
    pub(crate) fn account(&self, id: &str) -> Option<Arc<dyn Account>> {
        self.read(|entries| entries.get(id).and_then(|entry| entry.account.clone()))
    }
    /// Any connection: the given login's first.
    pub(crate) fn any_account(&self, first: Option<&str>) -> Option<Arc<dyn Account>> {
        first.and_then(|id| self.account(id)).or_else(|| {
            self.read(|entries| entries.values().find_map(|entry| entry.account.clone()))
        })
    }
    /// The login whose account is this user of the network, if it belongs to somebody.
    pub(crate) fn of_remote_user(&self, user: &str) -> Option<String> {
        self.read(|entries| {
            let mut owned = entries.values().filter(|entry| entry.stored.owner.is_some());
            owned
                .find(|entry| entry.stored.user.as_deref() == Some(user))
                .map(|entry| entry.stored.id.clone())
        })
    }
    /// A Matrix user's logins.
    pub(crate) fn of_owner(&self, mxid: &str) -> Vec<StoredLogin> {
        self.read(|entries| {
            let owned =
                entries.values().filter(|entry| entry.stored.owner.as_deref() == Some(mxid));
            owned.map(|entry| entry.stored.clone()).collect()
        })
    }
    /// The login that belongs to nobody: the relay's.
    pub(crate) fn system(&self) -> Option<String> {
        self.read(|entries| {
            entries
                .values()
                .find(|entry| entry.stored.owner.is_none())
                .map(|entry| entry.stored.id.clone())
        })
    }
    /// All logins, and how they stand.
    pub(crate) fn all(&self) -> Vec<(StoredLogin, LoginState)> {
        self.read(|entries| {
            entries.values().map(|entry| (entry.stored.clone(), entry.state.clone())).collect()
        })
    }
}
