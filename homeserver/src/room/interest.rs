//! Which appservices an event interests, as a bit mask that a room keeps up as members come and go.

use std::sync::Arc;

use ruma::{RoomAliasId, RoomId, UserId};

pub use landbridge_registration::Mask as Interest;

/// The registered appservices, as far as rooms ask about them (Application Service API, "Registration").
pub trait InterestSource: Send + Sync {
    /// Those whose `users` namespaces (or own user) a user is in.
    fn of_user(&self, user: &UserId) -> Interest;
    /// Those whose `aliases` namespaces an alias is in.
    fn of_alias(&self, alias: &RoomAliasId) -> Interest;
    /// Those whose `rooms` namespaces a room is in.
    fn of_room(&self, room: &RoomId) -> Interest;
    /// Rises whenever registrations change; rooms then count anew.
    fn generation(&self) -> u64;
}

/// A server without appservices.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAppservices;

impl InterestSource for NoAppservices {
    fn of_user(&self, _: &UserId) -> Interest {
        Interest::EMPTY
    }

    fn of_alias(&self, _: &RoomAliasId) -> Interest {
        Interest::EMPTY
    }

    fn of_room(&self, _: &RoomId) -> Interest {
        Interest::EMPTY
    }

    fn generation(&self) -> u64 {
        0
    }
}

/// Which appservices a room interests, counted over its members, so that a join or a leave costs one step.
#[derive(Clone, Debug)]
pub(super) struct InterestCounts {
    generation: u64,
    /// By the room's id and its aliases.
    standing: Interest,
    /// How many members each appservice has an interest in.
    members: Arc<[u32; Interest::CAPACITY]>,
    mask: Interest,
}

impl InterestCounts {
    /// Of a room without members.
    pub(super) fn new(source: &dyn InterestSource, room: &RoomId) -> Self {
        let standing = source.of_room(room);
        Self {
            generation: source.generation(),
            standing,
            members: Arc::new([0; Interest::CAPACITY]),
            mask: standing,
        }
    }

    /// Adds what an alias of the room brings.
    pub(super) fn add_alias(&mut self, source: &dyn InterestSource, alias: &RoomAliasId) {
        self.standing |= source.of_alias(alias);
        self.mask |= self.standing;
    }

    /// Counted anew: after loading a room, and when registrations or aliases have changed.
    pub(super) fn count<'a>(
        source: &dyn InterestSource,
        room: &RoomId,
        aliases: impl Iterator<Item = &'a RoomAliasId>,
        joined: impl Iterator<Item = &'a str>,
    ) -> Self {
        let mut counts = Self::new(source, room);
        for alias in aliases {
            counts.standing |= source.of_alias(alias);
        }
        counts.mask = counts.standing;
        for user in joined {
            counts.change(source, user, true);
        }
        counts
    }

    /// Whether registrations have changed since the counting.
    pub(super) fn is_stale(&self, source: &dyn InterestSource) -> bool {
        self.generation != source.generation()
    }

    /// Counts a user who joined or left.
    pub(super) fn change(&mut self, source: &dyn InterestSource, user: &str, joined: bool) {
        let Ok(user) = <&UserId>::try_from(user) else { return };
        let interested = source.of_user(user);
        if interested.is_empty() {
            return;
        }
        let members = Arc::make_mut(&mut self.members);
        for place in interested {
            let count = &mut members[place];
            *count = if joined { *count + 1 } else { count.saturating_sub(1) };
            let one = Interest::single(place);
            self.mask = if *count > 0 || self.standing.contains(place) {
                self.mask | one
            } else {
                self.mask.without(one)
            };
        }
    }

    /// The appservices interested now.
    pub(super) const fn mask(&self) -> Interest {
        self.mask
    }
}
