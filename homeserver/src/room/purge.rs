//! Taking a room, or its old messages, out of the database for good.
//!
//! A room that goes is shut first: its task writes what it has, takes nothing more, and nobody gets the room any longer. Then its
//! rows are deleted piece by piece, each in a commit of its own, so that nobody waits long behind it. What breaks off goes on later.

use ruma::{OwnedRoomId, RoomId};

use super::{Room, RoomError, Rooms, task::Request};
use crate::{
    nid::{EventNid, RoomNid, TimelineOrd},
    storage::room_purge,
};

impl Rooms {
    /// Lets nobody have a room any more. What was asked of it before is durable when this returns.
    pub async fn shut(&self, room: &Room) -> Result<(), RoomError> {
        self.shut_id(room.id().to_owned());
        match room.ask(|reply| Request::Close { reply }).await {
            Ok(()) | Err(RoomError::Stopping) => {}
            Err(error) => return Err(error),
        }
        // If the task was gone already, what it had put in the queue may not be done.
        self.0.ctx.committer.flush().await?;
        self.drop_slot(room.id(), room.nid());
        Ok(())
    }

    /// Deletes the rows of a room that was shut.
    pub async fn purge(&self, room: RoomNid, id: &RoomId) -> Result<(), RoomError> {
        loop {
            let (ctx, owned) = (self.0.ctx.clone(), id.to_owned());
            let all = self
                .0
                .ctx
                .committer
                .run(move |tx| {
                    let (ctx, id) = (ctx.clone(), owned.clone());
                    Box::pin(async move {
                        let gone = room_purge::room(tx, room, id.as_str()).await?;
                        let all = gone.all;
                        tx.on_commit(move || {
                            ctx.events.forget(&gone.events);
                            ctx.users.lost(&gone.users, room);
                        });
                        Ok(all)
                    })
                })
                .await?;
            if all {
                break;
            }
        }
        self.reopen_id(id);
        Ok(())
    }

    /// Deletes the messages before a place, but none that is a forward extremity; of local users only if `local_too`. How many.
    pub async fn purge_history(
        &self,
        room: &Room,
        before: TimelineOrd,
        local_too: bool,
    ) -> Result<usize, RoomError> {
        let ctx = &self.0.ctx;
        let (mut at, mut count) = (TimelineOrd::MIN, 0);
        let local = format!(":{}", ctx.server);
        loop {
            let found = room_purge::old_messages(&ctx.db, room.nid(), at, before).await?;
            let Some(last) = found.last() else { break };
            at = last.ord;
            let snapshot = room.snapshot();
            let ends: Vec<EventNid> = snapshot.extremities.iter().map(|end| end.nid).collect();
            let doomed: Vec<EventNid> = found
                .into_iter()
                .filter(|message| local_too || !message.sender.ends_with(&local))
                .map(|message| message.nid)
                .filter(|nid| !ends.contains(nid))
                .collect();
            if doomed.is_empty() {
                continue;
            }
            count += doomed.len();
            let owned = ctx.clone();
            ctx.committer
                .run(move |tx| {
                    let (ctx, doomed) = (owned.clone(), doomed.clone());
                    Box::pin(async move {
                        room_purge::events(tx, &doomed).await?;
                        tx.on_commit(move || ctx.events.forget(&doomed));
                        Ok(())
                    })
                })
                .await?;
        }
        // Also if there was nothing: an earlier attempt may have broken off right here.
        room.ask(|reply| Request::Reread { reply }).await?;
        Ok(count)
    }

    /// A room that is being purged since before the server started.
    pub fn shut_id(&self, id: OwnedRoomId) {
        self.slots().shut.insert(id);
    }

    fn reopen_id(&self, id: &RoomId) {
        self.slots().shut.remove(id);
    }

    fn drop_slot(&self, id: &RoomId, nid: RoomNid) {
        let mut slots = self.slots();
        slots.by_id.remove(id);
        slots.ids.remove(&nid);
    }
}
