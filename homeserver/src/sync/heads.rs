//! What changed last, by user and room: kept in memory so that a client that is woken, or asks and there is nothing, reads no table.
//!
//! It knows what was committed since the server started. Whoever asks from an earlier position is told "perhaps", and reads the tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use ruma::{OwnedUserId, UserId};

use crate::feed::{Change, FeedObserver, Published};
use crate::nid::{Pos, RoomNid};

/// Entries of each kind that are kept. Beyond it everything is forgotten at once, and the tables answer for what is older.
const MAX_ENTRIES: usize = 200_000;

/// The newest positions, by what they concern.
#[derive(Debug)]
pub struct Heads(RwLock<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Nothing is known of positions up to here.
    floor: Pos,
    newest: Pos,
    account_data: HashMap<OwnedUserId, Pos>,
    /// Of account data that others depend on: push rules, ignored users.
    global_account_data: HashMap<OwnedUserId, Pos>,
    to_device: HashMap<OwnedUserId, Pos>,
    threads: HashMap<OwnedUserId, Pos>,
    receipts: HashMap<RoomNid, Pos>,
    device_lists: BTreeMap<Pos, OwnedUserId>,
    signed: HashMap<OwnedUserId, Pos>,
    /// Rooms in which somebody's membership or profile changed.
    members: BTreeMap<Pos, RoomNid>,
}

impl Heads {
    /// Knows of nothing up to the stream's head when the server starts.
    pub fn new(head: Pos) -> Self {
        Self(RwLock::new(Inner { floor: head, newest: head, ..Inner::default() }))
    }

    /// Whether account data of the user, global or of rooms, may have changed after a position.
    pub fn account_data_after(&self, user: &UserId, since: Pos) -> bool {
        let inner = self.read();
        inner.after(inner.account_data.get(user), since)
    }

    /// When the user's account data, global or of rooms, changed last; the floor when it hasn't since the start.
    pub fn account_data(&self, user: &UserId) -> Pos {
        let inner = self.read();
        inner.account_data.get(user).copied().unwrap_or(inner.floor)
    }

    /// When the user's global account data changed last; the floor when it hasn't since the start.
    pub fn global_account_data(&self, user: &UserId) -> Pos {
        let inner = self.read();
        inner.global_account_data.get(user).copied().unwrap_or(inner.floor)
    }

    /// Whether messages for a device of the user may have come after a position.
    pub fn to_device_after(&self, user: &UserId, since: Pos) -> bool {
        let inner = self.read();
        inner.after(inner.to_device.get(user), since)
    }

    /// Whether what the user says of threads may have changed after a position.
    pub fn threads_after(&self, user: &UserId, since: Pos) -> bool {
        let inner = self.read();
        inner.after(inner.threads.get(user), since)
    }

    /// Whether receipts may have been given in the room after a position.
    pub fn receipts_after(&self, room: RoomNid, since: Pos) -> bool {
        let inner = self.read();
        inner.after(inner.receipts.get(&room), since)
    }

    /// Users whose device lists changed after `since` and not after `upto`; `None` when the table must be asked.
    pub fn device_lists(&self, since: Pos, upto: Pos) -> Option<Vec<OwnedUserId>> {
        let inner = self.read();
        if since < inner.floor {
            return None;
        }
        if since >= upto {
            return Some(Vec::new());
        }
        Some(inner.device_lists.range(since + 1..=upto).map(|(_, user)| user.clone()).collect())
    }

    /// Whether the user may have signed keys of others after a position.
    pub fn signed_after(&self, user: &UserId, since: Pos) -> bool {
        let inner = self.read();
        inner.after(inner.signed.get(user), since)
    }

    /// Rooms in which somebody's membership or profile changed after `since` and not after `upto`; `None` when the tables must be
    /// asked.
    pub fn members(&self, since: Pos, upto: Pos) -> Option<Vec<RoomNid>> {
        let inner = self.read();
        if since < inner.floor {
            return None;
        }
        if since >= upto {
            return Some(Vec::new());
        }
        Some(inner.members.range(since + 1..=upto).map(|(_, room)| *room).collect())
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn after(&self, head: Option<&Pos>, since: Pos) -> bool {
        since < self.floor || head.is_some_and(|head| *head > since)
    }

    fn note(&mut self, pos: Pos, change: &Change) {
        match change {
            Change::Receipt { room, .. } => {
                self.receipts.insert(*room, pos);
            }
            Change::AccountData { user, room, .. } => {
                self.account_data.insert(user.clone(), pos);
                if room.is_none() {
                    self.global_account_data.insert(user.clone(), pos);
                }
            }
            Change::ToDevice { user, .. } => {
                self.to_device.insert(user.clone(), pos);
            }
            Change::ThreadSubscription { user } => {
                self.threads.insert(user.clone(), pos);
            }
            Change::DeviceList { user, .. } => {
                self.device_lists.insert(pos, user.clone());
            }
            Change::Signed { user } => {
                self.signed.insert(user.clone(), pos);
            }
            Change::Event(event, _) if event.pdu.membership().is_some() => {
                self.members.insert(pos, event.room);
            }
            _ => {}
        }
    }

    fn shrink(&mut self) {
        let sizes = [
            self.account_data.len(),
            self.to_device.len(),
            self.threads.len(),
            self.receipts.len(),
            self.device_lists.len(),
            self.signed.len(),
            self.members.len(),
        ];
        if sizes.into_iter().any(|size| size > MAX_ENTRIES) {
            *self = Self { floor: self.newest, newest: self.newest, ..Self::default() };
        }
    }
}

impl FeedObserver for Heads {
    fn published(&self, batch: &[Published]) {
        let Some(last) = batch.last() else { return };
        let mut inner = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for published in batch {
            inner.note(published.pos, &published.change);
        }
        inner.newest = inner.newest.max(last.pos);
        inner.shrink();
    }
}

#[cfg(test)]
mod tests {
    use ruma::{owned_user_id, user_id};

    use super::*;

    fn account_data(pos: Pos, room: Option<RoomNid>) -> Published {
        Published {
            pos,
            change: Change::AccountData {
                user: owned_user_id!("@a:h"),
                room,
                kind: "m.tag".to_owned(),
            },
        }
    }

    #[test]
    fn what_is_older_than_the_start_may_have_changed() {
        let heads = Heads::new(10);
        assert!(heads.account_data_after(user_id!("@a:h"), 9));
        assert!(!heads.account_data_after(user_id!("@a:h"), 10));
        assert_eq!(heads.device_lists(9, 10), None);
        assert_eq!(heads.device_lists(10, 10), Some(vec![]));
    }

    #[test]
    fn changes_are_noted_for_whom_they_concern() {
        let heads = Heads::new(10);
        heads.published(&[account_data(11, Some(RoomNid(1)))]);
        assert!(heads.account_data_after(user_id!("@a:h"), 10));
        assert!(!heads.account_data_after(user_id!("@a:h"), 11));
        assert!(!heads.account_data_after(user_id!("@b:h"), 10));
        assert_eq!(heads.global_account_data(user_id!("@a:h")), 10);
        heads.published(&[account_data(12, None)]);
        assert_eq!(heads.global_account_data(user_id!("@a:h")), 12);
        let change = Change::DeviceList { user: owned_user_id!("@c:h"), rooms: [].into() };
        heads.published(&[Published { pos: 13, change }]);
        assert_eq!(heads.device_lists(12, 13), Some(vec![owned_user_id!("@c:h")]));
        assert_eq!(heads.device_lists(13, 13), Some(vec![]));
    }

    #[test]
    fn too_much_is_forgotten_and_then_may_have_changed() {
        let heads = Heads::new(0);
        let rooms = MAX_ENTRIES as i64 + 1;
        for n in 1..=rooms {
            let change = Change::Receipt {
                room: RoomNid(n),
                user: owned_user_id!("@a:h"),
                kind: "m.read".into(),
                thread: None,
                event_id: ruma::owned_event_id!("$e:h"),
                ts: 0,
            };
            heads.published(&[Published { pos: n, change }]);
        }
        assert!(heads.receipts_after(RoomNid(1), rooms - 1));
        assert!(!heads.receipts_after(RoomNid(1), rooms));
    }
}
