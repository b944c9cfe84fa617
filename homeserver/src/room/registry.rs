//! All rooms: finds, loads and makes them, and puts away those that nobody uses.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{StreamExt as _, stream};
use ruma::{EventId, OwnedRoomId, OwnedServerName, RoomId, UserId};
use tokio::sync::OnceCell;

use super::{
    Events, Membership, Room, RoomDeps, RoomError, StateMap, UserRooms, context::Context, load,
};
use crate::{
    event::Event,
    nid::{EventNid, RoomNid, StateGroup},
    storage,
};

type Slot = Arc<OnceCell<Room>>;

/// The rooms of the server. Clones share them.
#[derive(Clone)]
pub struct Rooms(pub(super) Arc<Registry>);

pub(super) struct Registry {
    pub(super) ctx: Arc<Context>,
    slots: Mutex<Slots>,
}

#[derive(Default)]
pub(super) struct Slots {
    pub(super) by_id: HashMap<OwnedRoomId, Slot>,
    pub(super) ids: HashMap<RoomNid, OwnedRoomId>,
    /// Rooms that are being deleted: nobody gets them any more.
    pub(super) shut: HashSet<OwnedRoomId>,
    /// Lookups since the last sweep.
    lookups: usize,
}

/// How many rooms are loaded at once for one caller.
const AT_ONCE: usize = 8;

/// A sweep for idle rooms comes after so many look-ups, and whenever there are too many rooms.
const SWEEP_EVERY: usize = 4096;

impl Rooms {
    /// No room is loaded yet.
    pub fn new(deps: RoomDeps) -> Self {
        let ctx = Arc::new(Context::new(deps));
        Self(Arc::new(Registry { ctx, slots: Mutex::default() }))
    }

    /// The name of this server.
    pub fn server(&self) -> &OwnedServerName {
        &self.0.ctx.server
    }

    /// Lets nobody come into a room any more, known or not, or lets them again. Who is inside stays.
    pub fn set_blocked(&self, room: &RoomId, blocked: bool) {
        self.0.ctx.set_blocked(room, blocked);
    }

    /// The time, in ms since 1970.
    pub fn now_ms(&self) -> i64 {
        self.0.ctx.clock.now_ms()
    }

    /// The durable events, through their cache.
    pub fn cache(&self) -> &Events {
        &self.0.ctx.events
    }

    /// A room by its id.
    pub async fn get(&self, id: &RoomId) -> Result<Room, RoomError> {
        let load = async {
            let stored = storage::rooms::load(&self.0.ctx.db, id.as_str()).await?;
            self.load(stored.ok_or(RoomError::NotFound)?).await
        };
        self.ready(id, load).await
    }

    /// The room that is ready, or else the one that `start` brings. However many call this at once, one of them starts
    /// the room, so that it has one writer.
    pub(super) async fn ready(
        &self,
        id: &RoomId,
        start: impl Future<Output = Result<Room, RoomError>>,
    ) -> Result<Room, RoomError> {
        let mut slot = self.slot(id)?;
        if let Some(room) = slot.get() {
            if !room.is_dead() {
                room.touch();
                return Ok(room.clone());
            }
            slot = self.bury(id, &slot).await?;
        }
        let result = slot.get_or_try_init(|| start).await;
        let mut slots = self.slots();
        match result {
            Ok(room) => {
                slots.ids.insert(room.nid(), id.to_owned());
                // Another caller's failure may have taken the slot away; this is the one that holds the room.
                let slot = slots.by_id.entry(id.to_owned()).or_insert_with(|| slot.clone());
                Ok(slot.get().unwrap_or(room).clone())
            }
            Err(error) => {
                // Ids that don't exist must not gather.
                if slots.by_id.get(id).is_some_and(|slot| slot.get().is_none()) {
                    slots.by_id.remove(id);
                }
                Err(error)
            }
        }
    }

    /// Takes a room away whose task is gone, when what the task had put in the committer's queue is done.
    async fn bury(&self, id: &RoomId, dead: &Slot) -> Result<Slot, RoomError> {
        tracing::error!(room = %id, "the room's task has ended; the room is loaded anew");
        self.0.ctx.committer.flush().await?;
        let mut slots = self.slots();
        if slots.by_id.get(id).is_some_and(|slot| Arc::ptr_eq(slot, dead)) {
            slots.by_id.remove(id);
        }
        if slots.shut.contains(id) {
            return Err(RoomError::NotFound);
        }
        Ok(slots.by_id.entry(id.to_owned()).or_default().clone())
    }

    /// A room by its number.
    pub async fn handle(&self, nid: RoomNid) -> Result<Room, RoomError> {
        let known = self.slots().ids.get(&nid).cloned();
        let id = if let Some(id) = known {
            id
        } else {
            let stored = storage::rooms::by_nid(&self.0.ctx.db, nid).await?;
            let stored = stored.ok_or(RoomError::NotFound)?;
            RoomId::parse(stored.id)
                .map_err(|error| RoomError::Storage(format!("damaged room id: {error}")))?
        };
        self.get(&id).await
    }

    /// A room by its number; `None` for one that is not here any more, because an administrator has it deleted.
    pub async fn find(&self, nid: RoomNid) -> Result<Option<Room>, RoomError> {
        match self.handle(nid).await {
            Ok(room) => Ok(Some(room)),
            Err(RoomError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether a room is being deleted: what the tables have of it is not whole any more.
    pub fn is_shut(&self, id: &str) -> bool {
        <&RoomId>::try_from(id).is_ok_and(|id| self.slots().shut.contains(id))
    }

    /// A room that is in memory. Never waits: for those who may not, such as the committer's hooks.
    pub fn loaded(&self, nid: RoomNid) -> Option<Room> {
        let slots = self.slots();
        slots.by_id.get(slots.ids.get(&nid)?)?.get().cloned()
    }

    /// Several rooms by their numbers, in the order asked for; unknown ones are left out.
    pub async fn load_many(&self, nids: &[RoomNid]) -> Result<Vec<Room>, RoomError> {
        let mut rooms = Vec::with_capacity(nids.len());
        let mut loading =
            stream::iter(nids.iter().copied()).map(|nid| self.handle(nid)).buffered(AT_ONCE);
        while let Some(room) = loading.next().await {
            match room {
                Ok(room) => rooms.push(room),
                Err(RoomError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(rooms)
    }

    /// A durable event by its id, of whatever room.
    pub async fn event(&self, id: &EventId) -> Result<Option<Arc<Event>>, RoomError> {
        Ok(self.0.ctx.events.by_id(id).await?)
    }

    /// Durable events by their numbers, in the order asked for; unknown ones are left out.
    pub async fn events(&self, nids: &[EventNid]) -> Result<Vec<Arc<Event>>, RoomError> {
        Ok(self.0.ctx.events.many(nids).await?)
    }

    /// A stored state, of whatever room.
    pub async fn state_of(&self, group: StateGroup) -> Result<StateMap, RoomError> {
        Ok(self.0.ctx.groups.get(group).await?.0)
    }

    /// What a user is to every room, as it is durable now.
    pub async fn memberships(&self, user: &UserId) -> Result<UserRooms, RoomError> {
        Ok(self.0.ctx.users.rooms(user).await?)
    }

    /// The same without waiting, if it is in memory: as it was for whoever asked lately.
    pub fn memberships_kept(&self, user: &UserId) -> Option<UserRooms> {
        self.0.ctx.users.kept(user)
    }

    /// The rooms that a user is in.
    pub async fn joined(&self, user: &UserId) -> Result<Vec<RoomNid>, RoomError> {
        let rooms = self.memberships(user).await?;
        let joined = rooms.iter().filter(|(_, room)| room.membership == Membership::Join);
        Ok(joined.map(|(nid, _)| *nid).collect())
    }

    /// Makes a user forget a room; durable when it returns (Client-Server API, "Leaving rooms").
    pub async fn forget(&self, user: &UserId, room: &Room) -> Result<(), RoomError> {
        match room.snapshot().membership(user) {
            Some(Membership::Leave | Membership::Ban) => {}
            None => return Err(RoomError::NotFound),
            Some(_) => {
                return Err(RoomError::InvalidParam(
                    "leave the room before forgetting it".to_owned(),
                ));
            }
        }
        let (ctx, user, nid) = (self.0.ctx.clone(), user.to_owned(), room.nid());
        self.0
            .ctx
            .committer
            .run(move |tx| {
                let (ctx, user) = (ctx.clone(), user.clone());
                Box::pin(async move {
                    storage::memberships::forget(tx, user.as_str(), nid).await?;
                    let pos = tx.next_pos();
                    let change = crate::feed::Change::Forgotten { user: user.clone(), room: nid };
                    tx.publish(pos, change);
                    tx.on_commit(move || ctx.users.forgot(&user, nid));
                    Ok(())
                })
            })
            .await?;
        Ok(())
    }

    /// Puts away the rooms that nobody has used for a while.
    pub(super) fn put_away_idle(&self) {
        let limits = &self.0.ctx.limits;
        self.slots().sweep(limits.rooms, self.0.ctx.clock.now_ms() - limits.idle_ms);
    }

    async fn load(&self, stored: storage::rooms::StoredRoom) -> Result<Room, RoomError> {
        let snapshot = load::load(&self.0.ctx, stored).await?;
        Ok(Room::start(self.0.ctx.clone(), snapshot))
    }

    fn slot(&self, id: &RoomId) -> Result<Slot, RoomError> {
        let mut slots = self.slots();
        if slots.shut.contains(id) {
            return Err(RoomError::NotFound);
        }
        slots.lookups += 1;
        let limits = &self.0.ctx.limits;
        if slots.lookups >= SWEEP_EVERY || slots.by_id.len() > limits.rooms.saturating_mul(5) / 4 {
            slots.lookups = 0;
            slots.sweep(limits.rooms, self.0.ctx.clock.now_ms() - limits.idle_ms);
        }
        if let Some(slot) = slots.by_id.get(id) {
            return Ok(slot.clone());
        }
        let slot = Slot::default();
        slots.by_id.insert(id.to_owned(), slot.clone());
        Ok(slot)
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Slots> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// Puts away idle rooms: those not used since `since`, and the oldest ones beyond `most`. A room that anybody holds
    /// stays: two tasks for one room would be two writers.
    fn sweep(&mut self, most: usize, since: i64) {
        let mut idle: Vec<(i64, OwnedRoomId, RoomNid)> = self
            .by_id
            .iter()
            .filter(|(_, slot)| Arc::strong_count(slot) == 1)
            .filter_map(|(id, slot)| Some((id, slot.get()?)))
            .filter(|(_, room)| room.is_idle())
            .map(|(id, room)| (room.used(), id.clone(), room.nid()))
            .collect();
        idle.sort_unstable_by_key(|(used, ..)| *used);
        let mut too_many = self.by_id.len().saturating_sub(most);
        for (used, id, nid) in idle {
            if used >= since && too_many == 0 {
                break;
            }
            too_many = too_many.saturating_sub(1);
            self.by_id.remove(&id);
            self.ids.remove(&nid);
        }
    }
}
