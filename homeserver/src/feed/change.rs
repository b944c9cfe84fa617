//! What can change.

use std::sync::Arc;

use ruma::{OwnedDeviceId, OwnedEventId, OwnedUserId};

use crate::{
    event::Event,
    nid::{Pos, RoomNid},
    room::Interest,
};

/// A change at its position.
#[derive(Clone, Debug)]
pub struct Published {
    /// Where it stands in the stream.
    pub pos: Pos,
    /// What it is.
    pub change: Change,
}

/// A durable change that somebody may want to know of.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// An event that stands in its room's timeline, and the appservices interested in it.
    Event(Arc<Event>, Interest),
    /// A receipt.
    Receipt {
        /// Its room.
        room: RoomNid,
        /// Whose it is.
        user: OwnedUserId,
        /// `m.read` or `m.read.private`.
        kind: Arc<str>,
        /// Its thread, if it is threaded.
        thread: Option<String>,
        /// What it stands at.
        event_id: OwnedEventId,
        /// When it was set, in milliseconds since 1970.
        ts: i64,
    },
    /// Account data of a user, in a room or not; push rules and tags are account data, too.
    AccountData {
        /// Whose it is.
        user: OwnedUserId,
        /// The room it is for.
        room: Option<RoomNid>,
        /// Its type.
        kind: String,
    },
    /// A message for one device.
    ToDevice {
        /// The device's user.
        user: OwnedUserId,
        /// The device.
        device: OwnedDeviceId,
    },
    /// The device keys or cross-signing keys of a user.
    DeviceList {
        /// Whose they are.
        user: OwnedUserId,
        /// The rooms that user is in, where others see the keys.
        rooms: Arc<[RoomNid]>,
    },
    /// A user signed keys of others, which concerns that user's own devices alone.
    Signed {
        /// Who signed.
        user: OwnedUserId,
    },
    /// What a user says of a thread.
    ThreadSubscription {
        /// The user.
        user: OwnedUserId,
    },
    /// What a user is in a room changed without an event: a forgotten room.
    Forgotten {
        /// The user.
        user: OwnedUserId,
        /// The room.
        room: RoomNid,
    },
}

impl Change {
    /// The room whose members can see it.
    pub fn room(&self) -> Option<RoomNid> {
        match self {
            Self::Event(event, _) => Some(event.room),
            Self::Receipt { room, .. } => Some(*room),
            Self::AccountData { .. }
            | Self::ToDevice { .. }
            | Self::DeviceList { .. }
            | Self::Signed { .. }
            | Self::ThreadSubscription { .. }
            | Self::Forgotten { .. } => None,
        }
    }
}
