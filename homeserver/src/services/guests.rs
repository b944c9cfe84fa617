//! Takes guests out of rooms that don't let them in any more (Client-Server API, "Guest Access"). Who has to go is read from the
//! tables, so that a restart forgets nobody.

use std::sync::Arc;
use std::time::Duration;

use ruma::UserId;
use ruma::events::TimelineEventType;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::app::App;
use crate::feed::{Change, FeedObserver, Published};
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Draft, Room};
use crate::storage::accounts;

/// What the names of guests begin with.
pub const PREFIX: &str = "guest-";

const RETRY: Duration = Duration::from_secs(5);
const LEAVE: &str = r#"{"membership":"leave"}"#;

/// Wakes the work when a room changes whom it lets in.
#[derive(Debug, Default)]
pub struct Guests(Notify);

impl FeedObserver for Guests {
    fn published(&self, batch: &[Published]) {
        let concerns = |change: &Change| match change {
            Change::Event(event, _) => match event.pdu.kind {
                TimelineEventType::RoomGuestAccess => true,
                // Somebody may come in, or be brought back by a new name, just as the door is shut.
                TimelineEventType::RoomMember => is_guest(event.pdu.state_key.as_deref()),
                _ => false,
            },
            _ => false,
        };
        if batch.iter().any(|published| concerns(&published.change)) {
            self.0.notify_one();
        }
    }
}

/// Whether a member event may be a guest's, going by the name.
fn is_guest(state_key: Option<&str>) -> bool {
    let name = state_key.and_then(|key| key.strip_prefix('@'));
    name.is_some_and(|name| name.starts_with(PREFIX))
}

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.guests.0.notified().await,
            Err(error) => {
                tracing::warn!(%error, "a guest could not be taken out of all rooms, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// 403 `M_GUEST_ACCESS_FORBIDDEN` for a room that lets no guests in.
pub async fn must_let_in(room: &Room) -> ApiResult<()> {
    if may_join(room).await? {
        return Ok(());
    }
    let text = "Guests may not join this room";
    Err(ApiError::new(http::StatusCode::FORBIDDEN, "M_GUEST_ACCESS_FORBIDDEN", text))
}

/// Whether a room lets guests in.
async fn may_join(room: &Room) -> ApiResult<bool> {
    let event = room.state_event("m.room.guest_access", "").await?;
    let access = event.and_then(|event| event.pdu.content_str("guest_access"));
    Ok(access.as_deref() == Some("can_join"))
}

async fn all(app: &App) -> ApiResult<()> {
    for (user, nid) in accounts::guests(&app.db).await? {
        let Some(room) = app.rooms.find(nid).await? else { continue };
        if !may_join(&room).await? {
            leave(&room, &user).await?;
        }
    }
    Ok(())
}

async fn leave(room: &Room, user: &UserId) -> ApiResult<()> {
    let content = RawValue::from_string(LEAVE.to_owned()).map_err(ApiError::internal)?;
    let kind = TimelineEventType::RoomMember;
    let draft = Draft::state(user.to_owned(), kind, user.as_str(), content);
    match room.send(draft).await.map_err(ApiError::from) {
        Ok(_) => Ok(()),
        Err(error) if error.status == http::StatusCode::FORBIDDEN => {
            tracing::warn!(%user, room = %room.id(), %error, "a guest may not leave a room");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
