//! What push rules ask of a room.

use std::collections::BTreeMap;

use ruma::power_levels::NotificationPowerLevels;
use ruma::push::{PushConditionPowerLevelsCtx, PushConditionRoomCtx};
use ruma::room_version_rules::RoomPowerLevelsRules;
use ruma::{Int, UInt, UserId};

use crate::room::{RoomError, RoomSnapshot, Rooms};

/// The room as one of its members' push rules see it.
pub(super) async fn of(
    rooms: &Rooms,
    snapshot: &RoomSnapshot,
    user: &UserId,
) -> Result<PushConditionRoomCtx, RoomError> {
    let name = match snapshot.member(user) {
        Some((_, nid)) => {
            rooms.events(&[nid]).await?.pop().and_then(|event| event.pdu.content_str("displayname"))
        }
        None => None,
    };
    let name = name.unwrap_or_else(|| user.localpart().to_owned());
    let context = PushConditionRoomCtx::new(
        snapshot.info.id.clone(),
        UInt::from(snapshot.joined_count()),
        user.to_owned(),
        name,
    );
    let Some(levels) = snapshot.power_levels() else { return Ok(context) };
    let rules = &snapshot.info.rules.authorization;
    let creators: Vec<_> = snapshot
        .create_event()
        .map(|create| crate::room::creators(create, rules))
        .unwrap_or_default();
    let users: BTreeMap<_, _> = levels
        .named_users()
        .map(|(user, level)| (user.to_owned(), Int::new_saturating(level)))
        .collect();
    let mut notifications = NotificationPowerLevels::new();
    notifications.room = Int::new_saturating(levels.notification("room"));
    let rules = RoomPowerLevelsRules::new(rules, creators);
    let levels = PushConditionPowerLevelsCtx::new(
        users,
        Int::new_saturating(levels.users_default),
        notifications,
        rules,
    );
    Ok(context.with_power_levels(levels))
}
