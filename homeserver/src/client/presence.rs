//! Presence (Client-Server API, "Presence").

use std::sync::Arc;

use axum::extract::State;
use ruma::OwnedUserId;
use ruma::presence::PresenceState;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, get, put};

const MAX_STATUS: usize = 1_024;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        get("/_matrix/client/v3/presence/{userId}/status", read),
        put("/_matrix/client/v3/presence/{userId}/status", write),
    ]
}

async fn read(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
) -> ApiResult<Reply<Value>> {
    if user != requester.user && !share_a_room(&app, &requester, &user).await? {
        return Err(ApiError::forbidden("You share no room with that user"));
    }
    let Some(seen) = app.presence.get(&user) else {
        return Ok(Reply(json!({ "presence": "offline" })));
    };
    let mut answer = json!({ "presence": seen.state, "currently_active": seen.currently_active });
    if let Some(status) = seen.status_msg {
        answer["status_msg"] = json!(status);
    }
    if let Some(ago) = seen.last_active_ago {
        answer["last_active_ago"] = json!(ago);
    }
    Ok(Reply(answer))
}

async fn share_a_room(app: &App, requester: &Requester, user: &OwnedUserId) -> ApiResult<bool> {
    let mine = app.rooms.joined(&requester.user).await?;
    let theirs = app.rooms.memberships(user).await?;
    let joined =
        |nid| theirs.get(nid).is_some_and(|room| room.membership == crate::room::Membership::Join);
    Ok(mine.iter().any(joined))
}

#[derive(Deserialize)]
struct Status {
    presence: PresenceState,
    status_msg: Option<String>,
}

async fn write(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Status>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    if !matches!(
        body.presence,
        PresenceState::Online | PresenceState::Offline | PresenceState::Unavailable
    ) {
        return Err(ApiError::invalid_param("presence must be online, offline or unavailable"));
    }
    if body.status_msg.as_ref().is_some_and(|status| status.len() > MAX_STATUS) {
        return Err(ApiError::too_large(format!("status_msg may have {MAX_STATUS} bytes")));
    }
    app.presence.set(&user, body.presence, body.status_msg).await;
    Ok(EMPTY)
}
