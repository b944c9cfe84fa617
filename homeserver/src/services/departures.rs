//! Takes deactivated users out of their rooms (Client-Server API, "Account deactivation"). Who still has to go is read from
//! the tables, so that a restart forgets nobody.

use std::sync::Arc;
use std::time::Duration;

use ruma::UserId;
use ruma::events::TimelineEventType;
use serde_json::value::RawValue;
use tokio::sync::Notify;

use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::room::{Draft, Membership};
use crate::storage::accounts;

const RETRY: Duration = Duration::from_secs(5);
const LEAVE: &str = r#"{"membership":"leave"}"#;

/// Wakes the work.
#[derive(Debug, Default)]
pub struct Departures(Notify);

impl Departures {
    /// An account was deactivated.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

/// Closes an account for good: it can't be used any more, what it kept here is gone, and its user leaves all rooms.
pub async fn close(app: &App, user: &UserId) -> ApiResult<()> {
    app.accounts.deactivate(user).await?;
    app.departures.wake();
    app.key_backups.wake();
    app.profiles.forget(user);
    app.sessions.end_all(user, None).await?;
    app.sessions.end_acting(user).await?;
    app.browsers.sign_out_everywhere(user).await?;
    Ok(())
}

/// Works until the server stops.
pub async fn run(app: Arc<App>) {
    loop {
        match all(&app).await {
            Ok(()) => app.departures.0.notified().await,
            Err(error) => {
                tracing::warn!(%error, "a deactivated user could not leave all rooms, trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn all(app: &App) -> ApiResult<()> {
    for user in accounts::departing(&app.db).await? {
        for (nid, room) in &app.rooms.memberships(&user).await? {
            if matches!(room.membership, Membership::Join | Membership::Invite | Membership::Knock)
            {
                leave(app, &user, *nid).await?;
            }
        }
    }
    Ok(())
}

async fn leave(app: &App, user: &UserId, nid: crate::nid::RoomNid) -> ApiResult<()> {
    let Some(room) = app.rooms.find(nid).await? else { return Ok(()) };
    let content = RawValue::from_string(LEAVE.to_owned()).map_err(ApiError::internal)?;
    let draft =
        Draft::state(user.to_owned(), TimelineEventType::RoomMember, user.as_str(), content);
    match room.send(draft).await.map_err(ApiError::from) {
        Ok(_) => Ok(()),
        Err(error) if error.status == http::StatusCode::FORBIDDEN => {
            tracing::warn!(%user, room = %room.id(), %error, "a deactivated user may not leave a room");
            Ok(())
        }
        Err(error) => Err(error),
    }
}
