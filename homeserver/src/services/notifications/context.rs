//! What push rules ask of an event and its room.

use std::sync::Arc;

use ruma::push::{FlattenedJson, PushCondition, PushConditionRoomCtx, Ruleset};
use ruma::serde::Raw;
use ruma::{OwnedUserId, UInt, UserId};
use serde_json::value::RawValue;

use crate::event::{Event, Unsigned};
use crate::room::{PowerLevels, RoomError, RoomSnapshot, Rooms};

/// Longer names are not looked for in messages: a rule takes the name for a pattern, and patterns cost their length.
const MAX_NAME: usize = 255;

/// An event as rules look at it, taken apart once for everybody whose rules are put to it.
pub struct Subject {
    pub(super) flat: FlattenedJson,
    pub(super) sender: Option<OwnedUserId>,
    levels: Option<Arc<PowerLevels>>,
}

impl Subject {
    /// An event in the form of clients, in a room with these power levels.
    pub fn new(event: Box<RawValue>, levels: Option<Arc<PowerLevels>>) -> Self {
        let flat = FlattenedJson::from_raw(&Raw::<serde_json::Value>::from_json(event));
        let sender = flat.get_str("sender").and_then(|sender| UserId::parse(sender).ok());
        Self { flat, sender, levels }
    }

    /// An event of a room, with the power levels that held when it was sent.
    pub async fn of(
        rooms: &Rooms,
        event: &Event,
        snapshot: &RoomSnapshot,
    ) -> Result<Self, RoomError> {
        let levels = levels_at(rooms, event, snapshot).await?;
        Ok(Self::new(event.client_json(&Unsigned::default()), levels))
    }

    /// Whether the sender has the power to notify people by a key of the power levels' `notifications`.
    pub(super) fn may_notify(&self, key: &str) -> bool {
        let (Some(levels), Some(sender)) = (&self.levels, &self.sender) else { return false };
        levels.user(sender) >= levels.notification(key)
    }
}

/// The power levels that held when an event was sent: the room's own, unless they were changed since.
async fn levels_at(
    rooms: &Rooms,
    event: &Event,
    snapshot: &RoomSnapshot,
) -> Result<Option<Arc<PowerLevels>>, RoomError> {
    let ord = |event: &Event| event.place().map(|place| place.ord);
    let now = snapshot.power_levels_event().and_then(|levels| ord(levels));
    if now.is_none() || ord(event).is_none_or(|sent| now <= Some(sent)) {
        return Ok(snapshot.power_levels().cloned());
    }
    let (Some(group), Some(create)) = (event.state_before, snapshot.create_event()) else {
        return Ok(None);
    };
    let then = rooms.state_of(group).await?.nid("m.room.power_levels", "");
    let then = rooms.events(then.as_slice()).await?.pop();
    let rules = &snapshot.info.rules.authorization;
    Ok(Some(Arc::new(PowerLevels::of(create, then.as_deref(), rules))))
}

/// The room as one of its members' push rules see it.
pub(super) async fn of(
    rooms: &Rooms,
    snapshot: &RoomSnapshot,
    user: &UserId,
    rules: &Ruleset,
) -> Result<PushConditionRoomCtx, RoomError> {
    // Hardly anybody has a rule that looks for names any more, and looking the name up costs most of all this.
    let mut name = None;
    if asks_for_name(rules)
        && let Some((_, nid)) = snapshot.member(user)
    {
        let member = rooms.events(&[nid]).await?.pop();
        name = member.and_then(|event| event.pdu.content_str("displayname"));
    }
    let name = name
        .filter(|name| !name.is_empty() && name.len() <= MAX_NAME)
        .unwrap_or_else(|| user.localpart().to_owned());
    Ok(PushConditionRoomCtx::new(
        snapshot.info.id.clone(),
        UInt::from(snapshot.joined_count()),
        user.to_owned(),
        name,
    ))
}

fn asks_for_name(rules: &Ruleset) -> bool {
    let conditional = rules.override_.iter().chain(&rules.underride);
    conditional
        .flat_map(|rule| &rule.conditions)
        .any(|condition| condition.kind() == "contains_display_name")
}

/// Whether a condition holds. The power to notify is looked up here, since a room may name other groups than `room`
/// (Client-Server API, `sender_notification_permission`).
pub(super) fn holds(
    condition: &PushCondition,
    subject: &Subject,
    room: &PushConditionRoomCtx,
) -> bool {
    use futures::FutureExt as _;
    match condition {
        PushCondition::SenderNotificationPermission(condition) => {
            subject.may_notify(condition.key.as_str())
        }
        // The evaluation is only asynchronous for thread subscriptions, which no rule here asks for: it never waits.
        other => other.applies(&subject.flat, room).now_or_never().unwrap_or(false),
    }
}
