//! What one user may see of one room, event by event.
//!
//! The rules ask for the room's visibility and the user's membership at each event. Both are followed back along the events that
//! replaced each other, only as far as needed: for whoever has been in the room since before the events in question, which is
//! nearly everyone, that is not a single look-up.

use ruma::UserId;

use crate::event::Event;
use crate::nid::{EventNid, TimelineOrd};
use crate::room::visibility::{HistoryVisibility, Moves, Side, may_see};
use crate::room::{MEMBER, Membership, RoomError, Rooms, StateMap};

const VISIBILITY: &str = "m.room.history_visibility";

/// One user's view on one room.
pub struct Lens<'a> {
    rooms: &'a Rooms,
    user: &'a UserId,
    memberships: History<Membership>,
    visibilities: History<HistoryVisibility>,
    /// Whether nothing is hidden.
    everything: bool,
}

impl<'a> Lens<'a> {
    /// A view on the room with this current state.
    pub fn new(rooms: &'a Rooms, user: &'a UserId, state: &StateMap) -> Self {
        Self {
            rooms,
            user,
            memberships: History::new(state.nid(MEMBER, user.as_str())),
            visibilities: History::new(state.nid(VISIBILITY, "")),
            everything: false,
        }
    }

    /// The view of somebody whom nothing is hidden from.
    #[must_use]
    pub fn of_everything(self) -> Self {
        Self { everything: true, ..self }
    }

    /// What the user was to the room when the event was sent (after it, for his own member event), or `None` if the event is
    /// not for him to see.
    pub async fn see(&mut self, event: &Event) -> Result<Option<Membership>, RoomError> {
        let Some(place) = event.place() else { return Ok(None) };
        if !event.flags.is_shown() {
            return Ok(None);
        }
        if self.everything {
            return Ok(Some(Membership::Join));
        }
        let ord = place.ord;
        self.memberships.reach(self.rooms, ord, membership_of).await?;
        let (before, after) = (self.memberships.before(ord), self.memberships.at(ord));
        if before == Membership::Join && after == Membership::Join {
            return Ok(Some(Membership::Join));
        }
        // While an event is sticky, all who are in the room may see it (MSC4354).
        if event.sticky_for(self.rooms.now_ms()).is_some()
            && self.standing().await?.is_some_and(|(_, now)| now == Membership::Join)
        {
            return Ok(Some(after));
        }
        self.visibilities.reach(self.rooms, ord, visibility_of).await?;
        let moves = match event.pdu.state_key() {
            Some(key) if before != after && key == self.user.as_str() => Moves::Membership,
            Some("") if self.visibilities.begins_at(ord) => Moves::Visibility,
            _ => Moves::Nothing,
        };
        let side_before = Side { visibility: self.visibilities.before(ord), membership: before };
        let side_after = Side { visibility: self.visibilities.at(ord), membership: after };
        let joined_later =
            self.memberships.any_after(ord, |membership| membership == Membership::Join);
        Ok(may_see(moves, side_before, side_after, joined_later).then_some(after))
    }

    /// The place of the user's newest member event, if there ever was one, and what it made of him.
    pub async fn standing(&mut self) -> Result<Option<(TimelineOrd, Membership)>, RoomError> {
        self.memberships.reach(self.rooms, TimelineOrd::MAX, membership_of).await?;
        Ok(self.memberships.known.first().copied())
    }

    /// Whether the user was out of the room just below a place, or at some time from there to below another.
    pub async fn was_away(
        &mut self,
        from: TimelineOrd,
        below: TimelineOrd,
    ) -> Result<bool, RoomError> {
        let before = self.membership_below(from).await?;
        let mut since = self.memberships.known.iter().filter(|(at, _)| (from..below).contains(at));
        Ok(before != Membership::Join || since.any(|(_, now)| *now != Membership::Join))
    }

    /// Whether the user joined at a place or after it.
    pub async fn came_since(&mut self, ord: TimelineOrd) -> Result<bool, RoomError> {
        self.memberships.reach(self.rooms, ord, membership_of).await?;
        Ok(self.memberships.any_from(ord, |membership| membership == Membership::Join))
    }

    /// Whether the user was ever in the room.
    pub async fn was_ever_in(&mut self) -> Result<bool, RoomError> {
        self.came_since(TimelineOrd::MIN).await
    }

    /// What the user was to the room just below a place.
    pub async fn membership_below(&mut self, ord: TimelineOrd) -> Result<Membership, RoomError> {
        self.memberships.reach(self.rooms, ord, membership_of).await?;
        Ok(self.memberships.before(ord))
    }

    /// The room's visibility now.
    pub async fn visibility_now(&mut self) -> Result<HistoryVisibility, RoomError> {
        self.visibilities.reach(self.rooms, TimelineOrd::MAX, visibility_of).await?;
        Ok(self.visibilities.before(TimelineOrd::MAX))
    }
}

fn membership_of(event: &Event) -> Membership {
    event.pdu.membership().unwrap_or(Membership::Leave)
}

fn visibility_of(event: &Event) -> HistoryVisibility {
    HistoryVisibility::of_content(event.pdu.content().get())
}

/// The values that one entry of a room's state has had, newest first, as far as they were followed.
struct History<T> {
    known: Vec<(TimelineOrd, T)>,
    next: Option<EventNid>,
}

/// What an entry means before any event set it.
trait Unset {
    const UNSET: Self;
}

impl Unset for Membership {
    const UNSET: Self = Self::Leave;
}

impl Unset for HistoryVisibility {
    const UNSET: Self = Self::Shared;
}

impl<T: Copy + Unset> History<T> {
    fn new(newest: Option<EventNid>) -> Self {
        Self { known: Vec::new(), next: newest }
    }

    /// Follows the entry until the value just below a place is known.
    async fn reach(
        &mut self,
        rooms: &Rooms,
        ord: TimelineOrd,
        value: fn(&Event) -> T,
    ) -> Result<(), RoomError> {
        while self.known.last().is_none_or(|(at, _)| *at >= ord) {
            let Some(nid) = self.next.take() else { break };
            let Some(event) = rooms.events(&[nid]).await?.pop() else { break };
            // A value that stands in no timeline has been there from the beginning.
            let at = event.place().map_or(TimelineOrd::MIN, |place| place.ord);
            self.known.push((at, value(&event)));
            self.next = event.replaces;
        }
        Ok(())
    }

    /// The value just below a place.
    fn before(&self, ord: TimelineOrd) -> T {
        self.known.iter().find(|(at, _)| *at < ord).map_or(T::UNSET, |(_, value)| *value)
    }

    /// The value from a place on.
    fn at(&self, ord: TimelineOrd) -> T {
        self.known.iter().find(|(at, _)| *at <= ord).map_or(T::UNSET, |(_, value)| *value)
    }

    fn begins_at(&self, ord: TimelineOrd) -> bool {
        self.known.iter().any(|(at, _)| *at == ord)
    }

    fn any_from(&self, ord: TimelineOrd, holds: impl Fn(T) -> bool) -> bool {
        self.known.iter().any(|(at, value)| *at >= ord && holds(*value))
    }

    fn any_after(&self, ord: TimelineOrd, holds: impl Fn(T) -> bool) -> bool {
        self.known.iter().any(|(at, value)| *at > ord && holds(*value))
    }
}
