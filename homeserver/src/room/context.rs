//! What all rooms share: the ways to the database, the clock, the key, the caches.

use std::{
    collections::HashSet,
    sync::{Arc, PoisonError, RwLock},
};

use landbridge_database::Database;
use ruma::{OwnedRoomId, OwnedServerName, RoomId};

use super::{Events, InterestSource, SetKey, fetch::MissingEvents, groups::Groups, users::Users};
use crate::{clock::Clock, commit::Committer, event::ServerKey, nid::Numbers};

/// What rooms need from the rest of the server.
pub struct RoomDeps {
    /// The database, for reading.
    pub db: Database,
    /// The one way to write.
    pub committer: Committer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The key that events are signed with; it also names this server.
    pub key: ServerKey,
    /// The counters of numbers.
    pub numbers: Numbers,
    /// The registered appservices.
    pub interest: Arc<dyn InterestSource>,
    /// The way to other servers, for events that are missing here.
    pub missing: Arc<dyn MissingEvents>,
    /// The limits.
    pub limits: RoomLimits,
}

/// How much memory rooms may take.
#[derive(Clone, Copy, Debug)]
pub struct RoomLimits {
    /// Bytes of events that are kept in memory.
    pub event_cache: u64,
    /// Entries of older states that are kept in memory.
    pub state_cache: u64,
    /// Rooms that stay ready to take events; beyond it, those that were used longest ago are put away.
    pub rooms: usize,
    /// Milliseconds after which a room that nobody uses is put away.
    pub idle_ms: i64,
}

impl Default for RoomLimits {
    fn default() -> Self {
        Self { event_cache: 16 << 20, state_cache: 100_000, rooms: 1024, idle_ms: 15 * 60 * 1000 }
    }
}

/// What all rooms share.
pub(super) struct Context {
    pub(super) db: Database,
    pub(super) committer: Committer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) key: ServerKey,
    pub(super) server: OwnedServerName,
    pub(super) numbers: Numbers,
    pub(super) interest: Arc<dyn InterestSource>,
    pub(super) missing: Arc<dyn MissingEvents>,
    pub(super) limits: RoomLimits,
    pub(super) events: Events,
    pub(super) groups: Groups,
    pub(super) users: Users,
    blocked: RwLock<HashSet<OwnedRoomId>>,
}

impl Context {
    pub(super) fn new(deps: RoomDeps) -> Self {
        let set_key: SetKey = Arc::new(deps.key.derive("state set hash"));
        Self {
            events: Events::new(deps.db.clone(), deps.limits.event_cache),
            groups: Groups::new(deps.db.clone(), set_key, deps.limits.state_cache),
            users: Users::new(deps.db.clone()),
            blocked: RwLock::default(),
            server: deps.key.server().to_owned(),
            db: deps.db,
            committer: deps.committer,
            clock: deps.clock,
            key: deps.key,
            numbers: deps.numbers,
            interest: deps.interest,
            missing: deps.missing,
            limits: deps.limits,
        }
    }

    /// Whether nobody may come into a room any more.
    pub(super) fn is_blocked(&self, room: &RoomId) -> bool {
        self.blocked.read().unwrap_or_else(PoisonError::into_inner).contains(room)
    }

    pub(super) fn set_blocked(&self, room: &RoomId, blocked: bool) {
        let mut rooms = self.blocked.write().unwrap_or_else(PoisonError::into_inner);
        if blocked {
            rooms.insert(room.to_owned());
        } else {
            rooms.remove(room);
        }
    }
}
