//! Whether a user may read a room, and which state of it is his to see: the current one for members, the one he left behind for those who
//! left, and the current one again for anyone where the room is open to the world.

use std::sync::Arc;

use ruma::{EventId, RoomId, UserId};

use super::lens::Lens;
use crate::app::App;
use crate::event::Event;
use crate::http::error::{ApiError, ApiResult};
use crate::nid::{EventNid, TimelineOrd};
use crate::room::visibility::HistoryVisibility;
use crate::room::{Membership, Room, RoomError, RoomSnapshot, StateMap};

/// A room as one user may read it.
pub struct Access {
    /// The room.
    pub room: Room,
    /// It as it is now.
    pub snapshot: Arc<RoomSnapshot>,
    /// What the user is to it.
    pub membership: Membership,
    /// For whoever left: what became of him last. Nothing after it is his to see.
    left: Option<Arc<Event>>,
    /// And his leaving, which may have been earlier: the room's state after it is not his to see.
    leaving: Option<Arc<Event>>,
    /// Whether nothing of the room is hidden: an administrator reads it.
    everything: bool,
}

/// Member events of one user that are gone back through to find his leaving: he may have been banned since, and unbanned.
const HOPS: usize = 64;

/// The event by which a user left whose member event in the room is now this one; `None` if he was never inside.
pub(in crate::sync) async fn leaving(
    app: &App,
    member: EventNid,
) -> Result<Option<Arc<Event>>, RoomError> {
    let (mut next, mut after) = (Some(member), None);
    for _ in 0..HOPS {
        let Some(nid) = next else { break };
        let Some(event) = app.rooms.events(&[nid]).await?.pop() else { break };
        if event.pdu.membership() == Some(Membership::Join) {
            return Ok(after);
        }
        next = event.replaces;
        after = Some(event);
    }
    Ok(None)
}

fn refusal() -> ApiError {
    ApiError::forbidden("You are not in this room")
}

impl Access {
    /// Opens a room for a user. Rooms that he may not read and rooms that don't exist look the same.
    pub async fn open(app: &App, user: &UserId, id: &RoomId) -> ApiResult<Self> {
        let room = match app.rooms.get(id).await {
            Err(RoomError::NotFound) => return Err(refusal()),
            other => other?,
        };
        let snapshot = room.snapshot();
        let member = snapshot.member(user);
        let membership = member.map_or(Membership::Leave, |(membership, _)| membership);
        if membership == Membership::Join {
            return Ok(Self::whole(room, snapshot, membership));
        }
        if HistoryVisibility::parse(Some(&snapshot.history_visibility()))
            == HistoryVisibility::WorldReadable
        {
            return Ok(Self::whole(room, snapshot, membership));
        }
        let gone = matches!(membership, Membership::Leave | Membership::Ban);
        let Some((_, nid)) = member.filter(|_| gone) else { return Err(refusal()) };
        let forgotten =
            app.rooms.memberships(user).await?.get(&room.nid()).is_none_or(|mine| mine.forgotten);
        let leaving = if forgotten { None } else { leaving(app, nid).await? };
        let leaving = leaving.ok_or_else(refusal)?;
        let left = app.rooms.events(&[nid]).await?.pop().ok_or_else(refusal)?;
        let whole = Self::whole(room, snapshot, membership);
        Ok(Self { left: Some(left), leaving: Some(leaving), ..whole })
    }

    /// Opens a room for an administrator, who sees all of it.
    pub async fn of_administrator(app: &App, id: &RoomId) -> ApiResult<Self> {
        let room = app.rooms.get(id).await?;
        let snapshot = room.snapshot();
        Ok(Self { everything: true, ..Self::whole(room, snapshot, Membership::Join) })
    }

    /// A room whose end is not hidden from the user.
    fn whole(room: Room, snapshot: Arc<RoomSnapshot>, membership: Membership) -> Self {
        Self { room, snapshot, membership, left: None, leaving: None, everything: false }
    }

    /// Opens a room for a user who must be in it now.
    pub async fn joined(app: &App, user: &UserId, id: &RoomId) -> ApiResult<Self> {
        let access = Self::open(app, user, id).await?;
        if access.membership == Membership::Join { Ok(access) } else { Err(refusal()) }
    }

    /// The state that is the user's to see.
    pub async fn state(&self) -> Result<StateMap, RoomError> {
        match self.leaving.as_ref().and_then(|leaving| leaving.state_after) {
            Some(group) => self.room.state_of(group).await,
            None => Ok(self.snapshot.state.clone()),
        }
    }

    /// The place above everything that the user can see.
    pub fn ceiling(&self) -> TimelineOrd {
        self.left
            .as_ref()
            .and_then(|left| left.place())
            .map_or(TimelineOrd::MAX, |place| place.ord + 1)
    }

    /// The user's view on the room, event by event.
    pub fn lens<'a>(&self, app: &'a App, user: &'a UserId) -> Lens<'a> {
        let lens = Lens::new(&app.rooms, user, &self.snapshot.state);
        if self.everything { lens.of_everything() } else { lens }
    }

    /// An event of the room, if the user may see it, with what he was to the room at it.
    pub async fn event(
        &self,
        app: &App,
        user: &UserId,
        id: &EventId,
    ) -> ApiResult<(Arc<Event>, Membership)> {
        let unknown = || ApiError::not_found("There is no such event, or it is not yours to see");
        let event = app
            .rooms
            .event(id)
            .await?
            .filter(|event| event.room == self.room.nid())
            .ok_or_else(unknown)?;
        let membership = self.lens(app, user).see(&event).await?.ok_or_else(unknown)?;
        Ok((event, membership))
    }
}
