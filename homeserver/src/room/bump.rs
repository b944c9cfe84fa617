//! Which events move a room up in people's lists: what somebody said or began, not what was set or who came
//! ([MSC4186](https://github.com/matrix-org/matrix-spec-proposals/pull/4186), `bump_stamp`).

use ruma::events::TimelineEventType;

const BUMPS: [&str; 9] = [
    "m.room.create",
    "m.room.message",
    "m.room.encrypted",
    "m.sticker",
    "m.call.invite",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.beacon_info",
    "org.matrix.msc3672.beacon_info",
];

/// Whether events of this type move their room up.
pub fn bumps(kind: &TimelineEventType) -> bool {
    match kind {
        TimelineEventType::RoomMessage | TimelineEventType::RoomEncrypted => true,
        TimelineEventType::RoomMember => false,
        other => BUMPS.contains(&other.to_string().as_str()),
    }
}
