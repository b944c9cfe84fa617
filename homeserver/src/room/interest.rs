//! Which appservices an event interests, as a bit mask that a room keeps up as members come and go.

use ruma::{RoomAliasId, RoomId, UserId};

/// A set of appservices: bit `n` is the one with number `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest(pub u64);

impl Interest {
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// Those of this set and those of `other`.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the appservice with this number is in the set.
    pub const fn has(self, number: u32) -> bool {
        number < u64::BITS && self.0 >> number & 1 == 1
    }

    /// Whether nobody is.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// The numbers in the set.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |number| self.has(*number))
    }
}

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
        Interest::NONE
    }

    fn of_alias(&self, _: &RoomAliasId) -> Interest {
        Interest::NONE
    }

    fn of_room(&self, _: &RoomId) -> Interest {
        Interest::NONE
    }

    fn generation(&self) -> u64 {
        0
    }
}
