//! An identity server tells that somebody has shown whose an address is, for which it kept invites (Server-Server API, "Third-party
//! invites"). The rooms hold the keys that these invites are signed with, so that nobody else can redeem them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use futures::future::join_all;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::App;
use crate::http::auth::Address;
use crate::http::error::{ApiError, ApiResult};
use crate::http::json::{EMPTY, Empty, Json, Reply};
use crate::http::limit::Limit;
use crate::http::router::{Route, put};
use crate::services::identity::{inviter, redeem};
use crate::services::invitations::may_be_invited;

/// The most invites of one address that are looked at.
const MOST: usize = 100;
/// How long they may take together.
const TIME: Duration = Duration::from_secs(30);

/// The endpoints of this module.
pub fn routes() -> Vec<Route<Arc<App>>> {
    vec![put("/_matrix/federation/v1/3pid/onbind", onbind)]
}

#[derive(Deserialize)]
struct Bound {
    mxid: OwnedUserId,
    #[serde(default)]
    invites: Vec<Invite>,
}

#[derive(Deserialize)]
struct Invite {
    mxid: OwnedUserId,
    room_id: OwnedRoomId,
    signed: Map<String, Value>,
}

async fn onbind(
    State(app): State<Arc<App>>,
    Address(from): Address,
    Json(bound): Json<Bound>,
) -> ApiResult<Reply<Empty>> {
    app.limits.check(Limit::Other, &Address(from).key())?;
    if bound.mxid.server_name() != app.config.server_name {
        return Err(ApiError::invalid_param("mxid is not a user of this server"));
    }
    if !app.accounts.active(&bound.mxid).await? {
        return Err(ApiError::not_found("There is no such user"));
    }
    let invites = &bound.invites[..bound.invites.len().min(MOST)];
    if invites.iter().any(|invite| invite.mxid != bound.mxid) {
        return Err(ApiError::invalid_param("The invites are for another user"));
    }
    // One that can't be redeemed, or not soon, doesn't keep the others back: whether its key is good is asked at an address in the invite.
    let all = join_all(invites.iter().map(|invite| redeem_one(&app, invite)));
    if tokio::time::timeout(TIME, all).await.is_err() {
        tracing::info!(user = %bound.mxid, "some invites by address took too long to be redeemed");
    }
    Ok(EMPTY)
}

async fn redeem_one(app: &App, invite: &Invite) {
    let redeemed = async {
        let room = app.rooms.get(&invite.room_id).await?;
        // Who wants no invites gets none this way either.
        let inviter = inviter(&room, &invite.signed).await?;
        may_be_invited(app, &inviter, &invite.mxid).await?;
        redeem(app, &room, &invite.mxid, &invite.signed).await
    };
    if let Err(error) = redeemed.await {
        tracing::info!(room = %invite.room_id, %error, "an invite by address was not redeemed");
    }
}
