//! A user's rooms in the order of lists, kept from one request to the next: a window is found without looking at what is outside it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use imbl::ordmap::DiffItem;

use crate::nid::{EventNid, Pos, RoomNid};
use crate::room::{Membership, UserRoom, UserRooms};

/// A room's place: the higher the position, the further up; the number decides between equals.
pub type Place = (Reverse<Pos>, RoomNid);

/// A user's rooms in order.
#[derive(Debug, Default)]
pub struct Ranking {
    /// What the user was to them when it was last followed.
    memberships: UserRooms,
    /// Positions of those in `shown`.
    ranks: HashMap<RoomNid, Pos>,
    shown: BTreeSet<Place>,
    left: BTreeSet<(Pos, RoomNid)>,
    invitations: BTreeMap<RoomNid, EventNid>,
}

/// Whether a room that a user has left, or forgot when he was banned, is one to be told of depends on what was told of it.
pub fn is_left(room: &UserRoom) -> bool {
    match room.membership {
        Membership::Join | Membership::Invite | Membership::Knock => false,
        Membership::Ban => room.forgotten,
        Membership::Leave => true,
    }
}

impl Ranking {
    /// Takes in what the user is to his rooms now. `bump` gives the position of the newest event that moves a room up; for those that
    /// it doesn't know nothing is taken in, and they are given back.
    pub(super) fn follow(
        &mut self,
        memberships: &UserRooms,
        bump: impl Fn(RoomNid) -> Option<Pos>,
    ) -> Result<(), Vec<RoomNid>> {
        let mut changes = Vec::new();
        let mut unknown = Vec::new();
        for change in self.memberships.diff(memberships) {
            let (nid, room) = match change {
                DiffItem::Add(nid, room) | DiffItem::Update { new: (nid, room), .. } => {
                    (*nid, Some(*room))
                }
                DiffItem::Remove(nid, _) => (*nid, None),
            };
            let rank = match room {
                Some(room) if !is_left(&room) => match bump(nid) {
                    // Nothing of what happens in a room shows to whoever is not inside.
                    Some(bump) if room.membership == Membership::Join => Some(bump),
                    Some(_) => Some(room.pos),
                    None => {
                        unknown.push(nid);
                        continue;
                    }
                },
                _ => None,
            };
            changes.push((nid, room, rank));
        }
        if !unknown.is_empty() {
            return Err(unknown);
        }
        for (nid, room, rank) in changes {
            if let Some(old) = self.memberships.get(&nid) {
                self.left.remove(&(old.pos, nid));
            }
            if let Some(room) = room.filter(is_left) {
                self.left.insert((room.pos, nid));
            }
            match room.filter(|room| room.membership == Membership::Invite) {
                Some(room) => self.invitations.insert(nid, room.event),
                None => self.invitations.remove(&nid),
            };
            self.place(nid, rank);
        }
        self.memberships.clone_from(memberships);
        Ok(())
    }

    /// Something at this position has moved a room up, if the user is in it.
    pub(super) fn raise(&mut self, nid: RoomNid, pos: Pos) {
        let inside = |room: &UserRoom| room.membership == Membership::Join;
        if self.ranks.get(&nid).is_some_and(|rank| *rank < pos)
            && self.memberships.get(&nid).is_some_and(inside)
        {
            self.place(nid, Some(pos));
        }
    }

    fn place(&mut self, nid: RoomNid, rank: Option<Pos>) {
        let before = match rank {
            Some(rank) => self.ranks.insert(nid, rank),
            None => self.ranks.remove(&nid),
        };
        if before == rank {
            return;
        }
        if let Some(before) = before {
            self.shown.remove(&(Reverse(before), nid));
        }
        if let Some(rank) = rank {
            self.shown.insert((Reverse(rank), nid));
        }
    }

    /// The rooms that are told of whatever was told before, the first ones first.
    pub fn shown(&self) -> impl ExactSizeIterator<Item = Place> {
        self.shown.iter().copied()
    }

    /// The rooms that were left after a position.
    pub fn left_after(&self, pos: Pos) -> impl Iterator<Item = RoomNid> {
        self.left.range((pos.saturating_add(1), RoomNid(i64::MIN))..).map(|(_, nid)| *nid)
    }

    /// The invitations to the rooms that the user is asked into.
    pub fn invitations(&self) -> Vec<EventNid> {
        self.invitations.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn room(membership: Membership, pos: Pos, forgotten: bool) -> UserRoom {
        UserRoom { membership, event: EventNid(pos), pos, forgotten }
    }

    fn kinds() -> impl Strategy<Value = Option<(Membership, bool)>> {
        prop_oneof![
            Just(None),
            Just(Some((Membership::Join, false))),
            Just(Some((Membership::Invite, false))),
            Just(Some((Membership::Leave, false))),
            Just(Some((Membership::Ban, false))),
            Just(Some((Membership::Ban, true))),
        ]
    }

    #[derive(Debug, Clone)]
    enum Step {
        Member(i64, Option<(Membership, bool)>),
        Bump(i64),
        Follow,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..8_i64, kinds()).prop_map(|(nid, kind)| Step::Member(nid, kind)),
            (0..8_i64).prop_map(Step::Bump),
            Just(Step::Follow),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn what_was_followed_is_as_what_is_made_anew(steps in steps()) {
            let mut memberships = UserRooms::new();
            let mut bumps: HashMap<RoomNid, Pos> = (0..8).map(|nid| (RoomNid(nid), 0)).collect();
            let (mut kept, mut moved) = (Ranking::default(), Vec::new());
            for (pos, step) in (1..).zip(steps.into_iter().chain([Step::Follow])) {
                match step {
                    Step::Member(nid, None) => drop(memberships.remove(&RoomNid(nid))),
                    Step::Member(nid, Some((membership, forgotten))) => {
                        memberships.insert(RoomNid(nid), room(membership, pos, forgotten));
                    }
                    Step::Bump(nid) => {
                        bumps.insert(RoomNid(nid), pos);
                        moved.push((RoomNid(nid), pos));
                    }
                    Step::Follow => {
                        kept.follow(&memberships, |nid| bumps.get(&nid).copied()).expect("all are known");
                        moved.drain(..).for_each(|(nid, pos)| kept.raise(nid, pos));
                    }
                }
            }
            let mut anew = Ranking::default();
            anew.follow(&memberships, |nid| bumps.get(&nid).copied()).expect("all are known");
            prop_assert_eq!(&kept.shown, &anew.shown);
            prop_assert_eq!(&kept.left, &anew.left);
            prop_assert_eq!(&kept.invitations, &anew.invitations);
            prop_assert_eq!(&kept.ranks, &anew.ranks);
            prop_assert_eq!(kept.shown.len() + kept.left.len(), memberships.len());
        }
    }

    #[test]
    fn rooms_that_nobody_knows_are_asked_for_first() {
        let mut memberships = UserRooms::new();
        memberships.insert(RoomNid(1), room(Membership::Join, 1, false));
        memberships.insert(RoomNid(2), room(Membership::Leave, 2, false));
        let mut ranking = Ranking::default();
        let unknown = ranking.follow(&memberships, |_| None);
        assert_eq!(unknown, Err(vec![RoomNid(1)]));
        assert_eq!(ranking.shown().len(), 0);
        assert_eq!(ranking.follow(&memberships, |_| Some(7)), Ok(()));
        assert_eq!(ranking.shown().collect::<Vec<_>>(), [(Reverse(7), RoomNid(1))]);
        assert_eq!(ranking.left_after(1).collect::<Vec<_>>(), [RoomNid(2)]);
        assert_eq!(ranking.left_after(2).count(), 0);
    }
}
