//! What `/sync` keeps between requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use landbridge_database::Database;
use quick_cache::sync::Cache;
use ruma::{DeviceId, OwnedDeviceId, OwnedUserId, UserId};

use super::heads::Heads;
use super::lazy::LazyMembers;
use super::order::Order;
use super::personal::Personal;
use super::sliding::Connections;
use super::viewer::Ignored;
use crate::feed::Feed;
use crate::nid::Pos;
use crate::services::invitations::{INVITE_FILTER, INVITE_PERMISSION, InviteRules};
use crate::storage::{StorageError, account_data};

/// Users whose list of ignored users is kept.
const MAX_USERS: usize = 20_000;

/// Devices of which it is kept whether they were told messages.
const MAX_DEVICES: usize = 50_000;

/// What `/sync` keeps between requests.
pub struct SyncService {
    /// What changed last.
    pub heads: Arc<Heads>,
    /// Which members each device was told of.
    pub lazy: LazyMembers,
    /// What lists of rooms are ordered by.
    pub order: Arc<Order>,
    /// Direct chats and tags.
    pub personal: Personal,
    /// What the connections of sliding sync have been told.
    pub connections: Connections,
    ignored: Cache<OwnedUserId, (Pos, Arc<Ignored>)>,
    invites: Cache<OwnedUserId, (Pos, Arc<InviteRules>)>,
    /// Position of the last message that a device was told and has not acknowledged; 0 when there is none, [`UNKNOWN`] when that
    /// isn't known.
    told: Cache<(OwnedUserId, OwnedDeviceId), Arc<AtomicI64>>,
}

const UNKNOWN: Pos = -1;

impl SyncService {
    /// Follows the feed from where it stands.
    pub fn following(feed: &Feed) -> Self {
        let head = feed.head();
        let (heads, order) = (Arc::new(Heads::new(head)), Arc::new(Order::new(head)));
        feed.observe(&heads);
        feed.observe(&order);
        Self {
            personal: Personal::new(Arc::clone(&heads)),
            heads,
            order,
            connections: Connections::default(),
            lazy: LazyMembers::default(),
            ignored: Cache::new(MAX_USERS),
            invites: Cache::new(MAX_USERS),
            told: Cache::new(MAX_DEVICES),
        }
    }

    /// The users whom a user ignores (`m.ignored_user_list`).
    pub async fn ignored(
        &self,
        db: &Database,
        user: &UserId,
    ) -> Result<Arc<Ignored>, StorageError> {
        // Taken before the look-up: what is read is at least as new.
        let changed = self.heads.global_account_data(user);
        if let Some((at, known)) = self.ignored.get(user)
            && at == changed
        {
            return Ok(known);
        }
        let entry = account_data::get(db, user, "", "m.ignored_user_list").await?;
        let list =
            Arc::new(entry.map(|entry| Ignored::of_content(&entry.content)).unwrap_or_default());
        self.ignored.insert(user.to_owned(), (changed, Arc::clone(&list)));
        Ok(list)
    }

    /// Whose invites a user wants.
    pub async fn invite_rules(
        &self,
        db: &Database,
        user: &UserId,
    ) -> Result<Arc<InviteRules>, StorageError> {
        let changed = self.heads.global_account_data(user);
        if let Some((at, known)) = self.invites.get(user)
            && at == changed
        {
            return Ok(known);
        }
        let permission = account_data::get(db, user, "", INVITE_PERMISSION).await?;
        let permission = permission.map(|entry| entry.content);
        let filter = account_data::get(db, user, "", INVITE_FILTER).await?;
        let filter = filter.map(|entry| entry.content);
        let rules = Arc::new(InviteRules::of(permission.as_deref(), filter.as_deref()));
        self.invites.insert(user.to_owned(), (changed, Arc::clone(&rules)));
        Ok(rules)
    }

    /// A device is told messages up to a position.
    pub fn told_device(&self, user: &UserId, device: &DeviceId, pos: Pos) {
        self.told_to(user, device).fetch_max(pos, Ordering::AcqRel);
    }

    /// Whether a device may have been told messages that are still kept for it.
    pub fn device_may_acknowledge(&self, user: &UserId, device: &DeviceId) -> bool {
        self.told_to(user, device).load(Ordering::Acquire) != 0
    }

    /// What a device was told up to a position is no longer kept for it.
    pub fn device_acknowledged(&self, user: &UserId, device: &DeviceId, pos: Pos) {
        // Another request of the device may be told more meanwhile, which must not be taken for acknowledged.
        let all = |told| (told <= pos).then_some(0);
        let _ = self.told_to(user, device).fetch_update(Ordering::AcqRel, Ordering::Acquire, all);
    }

    fn told_to(&self, user: &UserId, device: &DeviceId) -> Arc<AtomicI64> {
        let unknown = || Ok::<_, Infallible>(Arc::new(AtomicI64::new(UNKNOWN)));
        match self.told.get_or_insert_with(&(user.to_owned(), device.to_owned()), unknown) {
            Ok(told) => told,
            Err(never) => match never {},
        }
    }
}
