//! Typing notifications (Client-Server API, "Typing Notifications").

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;

use crate::app::App;
use crate::http::auth::Requester;
use crate::http::error::ApiResult;
use crate::http::extract::Path;
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, put};
use crate::sync::access::Access;

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![put("/_matrix/client/v3/rooms/{roomId}/typing/{userId}", typing)]
}

#[derive(Deserialize)]
struct Body {
    typing: bool,
    timeout: Option<i64>,
}

async fn typing(
    State(app): State<Arc<App>>,
    requester: Requester,
    Path((room, user)): Path<(OwnedRoomId, OwnedUserId)>,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Empty>> {
    requester.must_be(&user)?;
    requester.limit(&app, Limit::Other)?;
    let access = Access::joined(&app, &user, &room).await?;
    if body.typing {
        app.typing.start(access.room.nid(), &user, body.timeout);
    } else {
        app.typing.stop(access.room.nid(), &user);
    }
    Ok(EMPTY)
}
