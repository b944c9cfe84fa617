//! Who is there: the book-keeping, without clock, rooms or waiting.

use std::collections::{BTreeMap, HashMap};

use ruma::presence::PresenceState;
use ruma::{OwnedUserId, UserId};

/// Users whose presence is remembered; beyond it those are forgotten that changed longest ago and are offline.
const MAX_USERS: usize = 20_000;
/// How long after the last request a user without an open sync counts as gone, in ms.
pub(super) const OFFLINE_AFTER: i64 = 30_000;
/// For how long after the last sign of activity a user is "currently active", in ms.
const ACTIVE_FOR: i64 = 5 * 60_000;

/// What others see of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Online, unavailable or offline.
    pub state: PresenceState,
    /// What the user says of himself.
    pub status_msg: Option<String>,
    /// Time since the last sign of activity, in ms; none when there never was one.
    pub last_active_ago: Option<i64>,
    /// Whether the user is active just now.
    pub currently_active: bool,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    users: HashMap<OwnedUserId, Entry>,
    /// Last change of each user, by ephemeral position.
    changes: BTreeMap<i64, OwnedUserId>,
}

#[derive(Debug)]
struct Entry {
    state: PresenceState,
    status_msg: Option<String>,
    last_active: i64,
    /// Syncs that are open now.
    open: u32,
    /// When a sync was last open.
    last_sync: i64,
    changed: i64,
}

impl Store {
    /// What is known of a user.
    pub(super) fn get(&self, user: &UserId, now: i64) -> Option<Seen> {
        self.users.get(user).map(|entry| entry.seen(now))
    }

    /// The user says so himself. True when others should know.
    pub(super) fn set(
        &mut self,
        user: &UserId,
        state: PresenceState,
        status_msg: Option<String>,
        now: i64,
        position: impl FnOnce() -> i64,
    ) -> bool {
        let entry = self.entry(user);
        let changed = entry.state != state || entry.status_msg != status_msg;
        entry.state = state;
        entry.status_msg = status_msg;
        entry.last_active = now;
        if changed {
            self.changed(user, position());
        }
        changed
    }

    /// A sync of the user begins, which shows him in this state; with `None` it shows nothing of him. True when others should know.
    pub(super) fn sync_begins(
        &mut self,
        user: &UserId,
        state: Option<PresenceState>,
        now: i64,
        position: impl FnOnce() -> i64,
    ) -> bool {
        let Some(state) = state else { return false };
        let entry = self.entry(user);
        entry.open += 1;
        entry.last_sync = now;
        let changed = entry.state != state;
        if state == PresenceState::Online {
            entry.last_active = now;
        }
        entry.state = state;
        if changed {
            self.changed(user, position());
        }
        changed
    }

    /// A sync that [`Store::sync_begins`] counted is over.
    pub(super) fn sync_ends(&mut self, user: &UserId, now: i64) {
        if let Some(entry) = self.users.get_mut(user) {
            entry.open = entry.open.saturating_sub(1);
            entry.last_sync = now;
        }
    }

    /// Users who are gone without saying so; others should know.
    pub(super) fn sweep(
        &mut self,
        now: i64,
        mut position: impl FnMut() -> i64,
    ) -> Vec<OwnedUserId> {
        let gone: Vec<OwnedUserId> = self
            .users
            .iter()
            .filter(|(_, entry)| {
                entry.state != PresenceState::Offline
                    && entry.open == 0
                    && now.saturating_sub(entry.last_sync.max(entry.last_active)) > OFFLINE_AFTER
            })
            .map(|(user, _)| user.clone())
            .collect();
        for user in &gone {
            if let Some(entry) = self.users.get_mut(user) {
                entry.state = PresenceState::Offline;
            }
            self.changed(user, position());
        }
        gone
    }

    /// Users who changed after the position, with what is seen of them now.
    pub(super) fn since(&self, position: i64, now: i64) -> impl Iterator<Item = (&UserId, Seen)> {
        self.changes.range(position.saturating_add(1)..).filter_map(move |(_, user)| {
            self.users.get(user).map(|entry| (&**user, entry.seen(now)))
        })
    }

    fn entry(&mut self, user: &UserId) -> &mut Entry {
        if !self.users.contains_key(user) {
            self.make_space();
        }
        self.users.entry(user.to_owned()).or_insert_with(|| Entry {
            state: PresenceState::Offline,
            status_msg: None,
            last_active: 0,
            open: 0,
            last_sync: 0,
            changed: 0,
        })
    }

    fn changed(&mut self, user: &UserId, position: i64) {
        if let Some(entry) = self.users.get_mut(user) {
            self.changes.remove(&entry.changed);
            entry.changed = position;
            self.changes.insert(position, user.to_owned());
        }
    }

    fn make_space(&mut self) {
        if self.users.len() < MAX_USERS {
            return;
        }
        let mut offline: Vec<(i64, OwnedUserId)> = self
            .users
            .iter()
            .filter(|(_, entry)| entry.state == PresenceState::Offline && entry.open == 0)
            .map(|(user, entry)| (entry.changed, user.clone()))
            .collect();
        offline.sort_unstable();
        for (changed, user) in offline.into_iter().take(MAX_USERS / 10) {
            self.users.remove(&user);
            self.changes.remove(&changed);
        }
    }
}

impl Entry {
    fn seen(&self, now: i64) -> Seen {
        let ago = (self.last_active > 0).then(|| now.saturating_sub(self.last_active).max(0));
        Seen {
            state: self.state.clone(),
            status_msg: self.status_msg.clone(),
            last_active_ago: ago,
            currently_active: self.state == PresenceState::Online
                && ago.is_some_and(|ago| ago < ACTIVE_FOR),
        }
    }
}

#[cfg(test)]
mod tests {
    use ruma::user_id;

    use super::*;

    fn names(store: &Store, position: i64) -> Vec<String> {
        store.since(position, 0).map(|(user, _)| user.to_string()).collect()
    }

    #[test]
    fn only_changes_are_told() {
        let (mut store, alice) = (Store::default(), user_id!("@alice:h"));
        assert!(store.sync_begins(alice, Some(PresenceState::Online), 5, || 1));
        assert!(
            !store.sync_begins(alice, Some(PresenceState::Online), 6, || unreachable!(
                "still online"
            ))
        );
        assert!(store.set(alice, PresenceState::Online, Some("hi".to_owned()), 7, || 2));
        assert!(store.sync_begins(alice, Some(PresenceState::Unavailable), 8, || 3));
        let seen = store.get(alice, 10).expect("known");
        assert_eq!(
            (seen.state, seen.status_msg.as_deref(), seen.last_active_ago),
            (PresenceState::Unavailable, Some("hi"), Some(3))
        );
        assert_eq!(names(&store, 2), ["@alice:h"]);
        assert!(names(&store, 3).is_empty());
    }

    #[test]
    fn a_sync_that_asks_for_offline_shows_nothing() {
        let (mut store, alice) = (Store::default(), user_id!("@alice:h"));
        assert!(!store.sync_begins(alice, None, 5, || unreachable!("nothing to tell")));
        assert_eq!(store.get(alice, 5), None);
    }

    #[test]
    fn whoever_stops_syncing_goes_offline_and_an_open_sync_keeps_him() {
        let (mut store, alice) = (Store::default(), user_id!("@alice:h"));
        store.sync_begins(alice, Some(PresenceState::Online), 0, || 1);
        assert!(store.sweep(OFFLINE_AFTER * 2, || 2).is_empty());
        store.sync_ends(alice, OFFLINE_AFTER * 2);
        assert!(store.sweep(OFFLINE_AFTER * 3, || 2).is_empty());
        assert_eq!(store.sweep(OFFLINE_AFTER * 3 + 1, || 2), [alice]);
        assert_eq!(store.get(alice, 0).expect("known").state, PresenceState::Offline);
        assert!(store.sweep(OFFLINE_AFTER * 9, || 3).is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut store = Store::default();
        for n in 0..MAX_USERS + 10 {
            let user = UserId::parse(format!("@u{n}:h")).expect("a user ID");
            store.set(&user, PresenceState::Online, None, 0, || n as i64 * 2 + 1);
            store.set(&user, PresenceState::Offline, None, 0, || n as i64 * 2 + 2);
        }
        assert!(store.users.len() <= MAX_USERS);
        assert_eq!(store.users.len(), store.changes.len());
    }
}
