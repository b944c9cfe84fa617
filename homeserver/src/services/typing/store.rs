//! Who is typing where: the book-keeping, without clock or waiting.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ruma::{OwnedUserId, UserId};

use crate::nid::RoomNid;

/// Rooms that are remembered. Beyond it the ones that changed longest ago and where nobody types are forgotten.
const MAX_ROOMS: usize = 10_000;
/// Users who may type in one room at once; more are not taken up.
const MAX_TYPISTS: usize = 200;

#[derive(Debug, Default)]
pub(super) struct Store {
    rooms: HashMap<RoomNid, Typists>,
    /// When someone stops by himself, soonest first.
    expiries: BTreeSet<(i64, RoomNid, OwnedUserId)>,
}

#[derive(Debug, Default)]
struct Typists {
    /// Ephemeral position of the last change.
    changed: i64,
    until: BTreeMap<OwnedUserId, i64>,
}

impl Store {
    /// Someone types until a time, or stops. True when the list of typists changed and others should know; `position` is then asked for
    /// the change's position. That happens in here, so that whoever has read a position finds its change.
    pub(super) fn set(
        &mut self,
        room: RoomNid,
        user: &UserId,
        until: Option<i64>,
        position: impl FnOnce() -> i64,
    ) -> bool {
        if until.is_none() && !self.rooms.contains_key(&room) {
            return false;
        }
        if !self.rooms.contains_key(&room) {
            self.make_space();
        }
        let typists = self.rooms.entry(room).or_default();
        let changed = match until {
            Some(until) => {
                if !typists.until.contains_key(user) && typists.until.len() >= MAX_TYPISTS {
                    return false;
                }
                let before = typists.until.insert(user.to_owned(), until);
                if let Some(before) = before {
                    self.expiries.remove(&(before, room, user.to_owned()));
                }
                self.expiries.insert((until, room, user.to_owned()));
                before.is_none()
            }
            None => match typists.until.remove(user) {
                Some(before) => {
                    self.expiries.remove(&(before, room, user.to_owned()));
                    true
                }
                None => false,
            },
        };
        if changed {
            typists.changed = position();
        }
        changed
    }

    /// Stops everyone whose time is over; the rooms that this changed.
    pub(super) fn expire(&mut self, now: i64, mut position: impl FnMut() -> i64) -> Vec<RoomNid> {
        let mut changed = Vec::new();
        while self.expiries.first().is_some_and(|(until, ..)| *until <= now) {
            let Some((_, room, user)) = self.expiries.pop_first() else { break };
            if let Some(typists) = self.rooms.get_mut(&room) {
                typists.until.remove(&user);
                typists.changed = position();
                changed.push(room);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        changed
    }

    /// When the next one stops by himself.
    pub(super) fn next_expiry(&self) -> Option<i64> {
        self.expiries.first().map(|(until, ..)| *until)
    }

    /// Who types in the room, if that changed after the position.
    pub(super) fn since(&self, room: RoomNid, position: i64) -> Option<Vec<OwnedUserId>> {
        let typists = self.rooms.get(&room)?;
        (typists.changed > position).then(|| typists.until.keys().cloned().collect())
    }

    fn make_space(&mut self) {
        if self.rooms.len() < MAX_ROOMS {
            return;
        }
        let mut idle: Vec<(i64, RoomNid)> = self
            .rooms
            .iter()
            .filter(|(_, typists)| typists.until.is_empty())
            .map(|(room, typists)| (typists.changed, *room))
            .collect();
        idle.sort_unstable();
        for (_, room) in idle.into_iter().take(MAX_ROOMS / 10) {
            self.rooms.remove(&room);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ruma::user_id;

    use super::*;

    const ROOM: RoomNid = RoomNid(1);

    #[test]
    fn starting_and_stopping_are_changes_and_going_on_is_none() {
        let (mut store, alice) = (Store::default(), user_id!("@alice:h"));
        assert!(!store.set(ROOM, alice, None, || unreachable!("nobody typed")));
        assert!(store.set(ROOM, alice, Some(10), || 1));
        assert!(!store.set(ROOM, alice, Some(20), || unreachable!("she types already")));
        assert_eq!(store.since(ROOM, 0), Some(vec![alice.to_owned()]));
        assert_eq!(store.since(ROOM, 1), None);
        assert!(store.set(ROOM, alice, None, || 2));
        assert_eq!(store.since(ROOM, 1), Some(vec![]));
        assert_eq!(store.next_expiry(), None);
    }

    #[test]
    fn whoever_forgets_to_stop_is_stopped() {
        let (mut store, alice, bob) = (Store::default(), user_id!("@alice:h"), user_id!("@bob:h"));
        store.set(ROOM, alice, Some(10), || 1);
        store.set(ROOM, bob, Some(30), || 2);
        store.set(ROOM, alice, Some(20), || 3);
        assert!(store.expire(10, || 3).is_empty(), "alice went on typing");
        assert_eq!(store.expire(20, || 3), [ROOM]);
        assert_eq!(store.since(ROOM, 2), Some(vec![bob.to_owned()]));
        assert_eq!(store.next_expiry(), Some(30));
    }

    #[test]
    fn rooms_and_typists_are_bounded() {
        let mut store = Store::default();
        for n in 0..MAX_TYPISTS + 5 {
            let user = UserId::parse(format!("@u{n}:h")).expect("a user ID");
            store.set(ROOM, &user, Some(10), || 1);
        }
        assert_eq!(store.since(ROOM, 0).map(|users| users.len()), Some(MAX_TYPISTS));
        for n in 0..(MAX_ROOMS as i64 * 2) {
            store.set(RoomNid(n + 2), user_id!("@alice:h"), Some(10), || n);
            store.set(RoomNid(n + 2), user_id!("@alice:h"), None, || n);
        }
        assert!(store.rooms.len() <= MAX_ROOMS);
        assert!(store.rooms.contains_key(&ROOM), "a room where someone types is kept");
    }

    proptest! {
        #[test]
        fn expiries_and_typists_stay_in_step(steps in prop::collection::vec((0..3i64, 0..3u8, prop::option::of(0..50i64), 0..60i64), 0..60)) {
            let mut store = Store::default();
            let mut position = 0;
            for (room, user, until, now) in steps {
                let user = UserId::parse(format!("@u{user}:h")).expect("a user ID");
                store.set(RoomNid(room), &user, until, || { position += 1; position });
                if now > 50 {
                    store.expire(now, || { position += 1; position });
                }
                let typing: usize = store.rooms.values().map(|typists| typists.until.len()).sum();
                prop_assert_eq!(typing, store.expiries.len());
            }
        }
    }
}
