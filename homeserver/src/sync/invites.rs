//! Which invitations a user does not get to see: those by users whom he ignores, and those that he said he doesn't want.

use std::collections::HashSet;

use super::viewer::Viewer;
use crate::app::App;
use crate::nid::{EventNid, RoomNid};
use crate::room::RoomError;
use crate::services::invitations::Wanted;

/// The rooms of those of some invitations that are not shown.
pub(crate) async fn hidden(
    app: &App,
    viewer: &Viewer,
    invitations: &[EventNid],
) -> Result<HashSet<RoomNid>, RoomError> {
    if invitations.is_empty() {
        return Ok(HashSet::new());
    }
    let rules = app.sync.invite_rules(&app.db, &viewer.user).await?;
    let events = app.rooms.events(invitations).await?;
    let unwanted = events.iter().filter(|event| {
        let by = &event.pdu.sender;
        viewer.ignored.contains(by.as_str()) || rules.by(by) != Wanted::Yes
    });
    Ok(unwanted.map(|event| event.room).collect())
}
