//! Numbers that stand for rooms, events and states inside this server, and the counters they come from.
//!
//! A number is given before the commit that stores it, because a room builds event upon event while the
//! first is still being written. A commit that fails leaves a gap; nothing counts on there being none.

use std::sync::atomic::{AtomicI64, Ordering};

/// A durable stream position: dense, one stream for everything durable, given inside the commit.
pub type Pos = i64;

/// A place in a room's timeline. A live event stands at `pos << 20`, so that history fits in between.
pub type TimelineOrd = i64;

/// How far apart two neighbouring live events stand in their room's timeline.
pub const ORD_SHIFT: u32 = 20;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A room.
    RoomNid
}
number! {
    /// An event. A later number was given later, which says nothing about the order in a room.
    EventNid
}
number! {
    /// A state of a room: a set of state events, stored as a difference from another one.
    StateGroup
}

/// The counters that numbers come from.
#[derive(Debug)]
pub struct Numbers {
    room: AtomicI64,
    event: AtomicI64,
    group: AtomicI64,
}

impl Numbers {
    /// Counters that go on after the highest numbers in the database.
    pub const fn after(room: i64, event: i64, group: i64) -> Self {
        Self {
            room: AtomicI64::new(room),
            event: AtomicI64::new(event),
            group: AtomicI64::new(group),
        }
    }

    /// A number for a new room.
    pub fn room(&self) -> RoomNid {
        RoomNid(self.room.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A number for a new event.
    pub fn event(&self) -> EventNid {
        EventNid(self.event.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A number for a new state.
    pub fn group(&self) -> StateGroup {
        StateGroup(self.group.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
