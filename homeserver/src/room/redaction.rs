//! Applying redactions (Client-Server API, "Redactions"; room version 3, "Handling redactions").

use std::sync::Arc;

use ruma::{events::TimelineEventType, room_version_rules::RoomVersionRules};

use super::{PowerLevels, RoomError};
use crate::event::{Event, Flags, redact};

/// Whether a redaction that came in may be applied: its sender has the power, or is of the server of the redacted
/// event's sender.
pub(super) fn is_allowed(redaction: &Event, target: &Event, power: Option<&PowerLevels>) -> bool {
    target.room == redaction.room
        && *target.kind() != TimelineEventType::RoomCreate
        && (redaction.pdu.sender.server_name() == target.pdu.sender.server_name()
            || power.is_some_and(|power| power.user(&redaction.pdu.sender) >= power.redact))
}

/// An event as it is, and what redaction leaves of it.
pub(super) type BeforeAndAfter = (Arc<Event>, Arc<Event>);

/// The target as it is and as it will be; `None` if it was redacted before.
pub(super) fn apply(
    target: &Arc<Event>,
    because: &Arc<Event>,
    rules: &RoomVersionRules,
) -> Result<Option<BeforeAndAfter>, RoomError> {
    if target.flags.has(Flags::REDACTED) {
        return Ok(None);
    }
    let left = redact(&target.pdu, rules)?;
    let after = Arc::new(target.redacted(left, because.clone()));
    Ok(Some((target.clone(), after)))
}
