//! How much a user has not read in all rooms: the number on an app's icon.
//!
//! It is counted over the rooms that notified the user, and kept by room, so that a message costs one room's count.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;
use ruma::{OwnedUserId, UserId};

use crate::app::App;
use crate::http::error::ApiResult;
use crate::nid::RoomNid;
use crate::room::RoomError;
use crate::services::notifications::{Ask, Prepared};
use crate::storage::notifications;

/// Users whose counts are kept.
const MAX_USERS: usize = 10_000;

/// What one user has not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Badge {
    /// Messages, or the rooms that they are in.
    pub(super) unread: u32,
    /// Calls that nobody took.
    pub(super) missed_calls: u32,
}

pub(super) struct Badges(Cache<OwnedUserId, Arc<Entry>>);

#[derive(Default)]
struct Entry {
    /// Rooms to be counted anew.
    stale: Mutex<HashSet<RoomNid>>,
    /// Unread messages and calls of each room that has some; none before the first count.
    rooms: tokio::sync::Mutex<Option<HashMap<RoomNid, (u32, u32)>>>,
}

impl Default for Badges {
    fn default() -> Self {
        Self(Cache::new(MAX_USERS))
    }
}

impl Badges {
    /// What a user has not read may have changed in a room, or everywhere.
    pub(super) fn stir(&self, user: &UserId, room: Option<RoomNid>) {
        match room {
            Some(room) => {
                if let Some(entry) = self.0.get(user) {
                    entry.stale.lock().unwrap_or_else(PoisonError::into_inner).insert(room);
                }
            }
            None => drop(self.0.remove(user)),
        }
    }

    pub(super) fn forget_all(&self) {
        self.0.clear();
    }

    /// What a user has not read now.
    pub(super) async fn of(&self, app: &App, user: &UserId) -> ApiResult<Badge> {
        let entry = self.0.get(user).unwrap_or_else(|| {
            let entry: Arc<Entry> = Arc::default();
            self.0.insert(user.to_owned(), Arc::clone(&entry));
            entry
        });
        let mut rooms = entry.rooms.lock().await;
        let mut stale =
            std::mem::take(&mut *entry.stale.lock().unwrap_or_else(PoisonError::into_inner));
        if rooms.is_none() {
            stale.extend(notifications::rooms(&app.db, user).await?);
        }
        let known = rooms.get_or_insert_default();
        let outcome = recount(app, user, known, &stale).await;
        if outcome.is_err() {
            // Counted from the beginning next time.
            *rooms = None;
        }
        outcome?;
        let known = rooms.get_or_insert_default();
        let messages = known.values().map(|(messages, _)| messages).sum();
        let unread = if app.config.push.count_rooms { known.len() as u32 } else { messages };
        Ok(Badge { unread, missed_calls: known.values().map(|(_, calls)| calls).sum() })
    }
}

async fn recount(
    app: &App,
    user: &UserId,
    known: &mut HashMap<RoomNid, (u32, u32)>,
    stale: &HashSet<RoomNid>,
) -> ApiResult<()> {
    if stale.is_empty() {
        return Ok(());
    }
    let ignored = app.sync.ignored(&app.db, user).await?;
    let ask = Ask {
        user,
        rules: app.push_rules.of(user).await?,
        ignored: &ignored,
        upto: app.feed.head(),
    };
    for nid in stale {
        let room = match app.rooms.handle(*nid).await {
            Ok(room) if room.snapshot().is_joined(user) => room,
            Ok(_) | Err(RoomError::NotFound) => {
                known.remove(nid);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let unread = app.notifications.unread(&room, &ask, &Prepared::default()).await?;
        let messages = unread.total().notify;
        if messages == 0 {
            known.remove(nid);
        } else {
            known.insert(*nid, (messages, unread.calls));
        }
    }
    Ok(())
}
