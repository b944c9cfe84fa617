//! Reporting events, rooms and users to the administrators (Client-Server API, "Reporting Content").

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, JsonOrEmpty, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, post};
use crate::storage::accounts::Report;

const MAX_REASON: usize = 4_096;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_matrix/client/v3/rooms/{roomId}/report/{eventId}", event),
        post("/_matrix/client/v3/rooms/{roomId}/report", room),
        post("/_matrix/client/v3/users/{userId}/report", user),
    ]
}

#[derive(Default, Deserialize)]
struct Body {
    reason: Option<String>,
    score: Option<i64>,
}

impl Body {
    fn by(self, requester: &Requester) -> ApiResult<Report> {
        if self.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON) {
            return Err(ApiError::too_large(format!("A reason may have {MAX_REASON} bytes")));
        }
        Ok(Report {
            reporter: requester.user.clone(),
            room_id: None,
            event_id: None,
            user_id: None,
            reason: self.reason,
            score: self.score,
        })
    }
}

async fn event(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, event)): Path<(OwnedRoomId, OwnedEventId)>,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    let unknown = || ApiError::not_found("You are in no room with that event");
    let found = app.rooms.get(&room).await.map_err(|_| unknown())?;
    let known = app.rooms.event(&event).await?.is_some_and(|event| event.room == found.nid());
    if !known || !found.snapshot().is_joined(&requester.user) {
        return Err(unknown());
    }
    let report = Report {
        room_id: Some(room.to_string()),
        event_id: Some(event.to_string()),
        ..body.by(&requester)?
    };
    app.accounts.report(report).await?;
    Ok(EMPTY)
}

async fn room(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(room): Path<OwnedRoomId>,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    app.rooms.get(&room).await?;
    app.accounts.report(Report { room_id: Some(room.to_string()), ..body.by(&requester)? }).await?;
    Ok(EMPTY)
}

async fn user(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    JsonOrEmpty(body): JsonOrEmpty<Body>,
) -> ApiResult<Reply<Empty>> {
    requester.limit(&app, Limit::Other)?;
    // The same answer whether the user exists or not, so that nobody can probe for accounts.
    app.accounts.report(Report { user_id: Some(user.to_string()), ..body.by(&requester)? }).await?;
    Ok(EMPTY)
}
