//! Redacting what a user has said.

use std::sync::Arc;

use axum::extract::State;
use ruma::{OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::request::Admin;
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Json, Reply};
use crate::http::router::{Route, get, post};
use crate::room::Membership;
use crate::services::redactions::{Outcome, Redaction};
use crate::storage::jobs::{Kind, Status};
use crate::storage::rooms;

/// Events in each room unless the request says how many, and at most.
const LIMIT: i64 = 1_000;
const MAX_LIMIT: i64 = 100_000;
/// Rooms that one request may name.
const MAX_ROOMS: usize = 10_000;
/// The longest reason.
const MAX_REASON: usize = 4_096;

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        post("/_synapse/admin/v1/user/{userId}/redact", redact),
        get("/_synapse/admin/v1/user/redact_status/{redactId}", status),
    ]
}

#[derive(Deserialize)]
struct Body {
    rooms: Vec<OwnedRoomId>,
    reason: Option<String>,
    limit: Option<i64>,
    #[serde(default)]
    use_admin: Option<bool>,
    after_ts: Option<i64>,
    before_ts: Option<i64>,
}

async fn redact(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(user): Path<OwnedUserId>,
    Json(body): Json<Body>,
) -> ApiResult<Reply<Value>> {
    let limit = body.limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        let text = format!("limit must be a number from 1 to {MAX_LIMIT}");
        return Err(ApiError::invalid_param(text));
    }
    if body.reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON) {
        return Err(ApiError::too_large(format!("A reason may have {MAX_REASON} bytes")));
    }
    if body.rooms.len() > MAX_ROOMS {
        return Err(ApiError::too_large(format!("A request may name {MAX_ROOMS} rooms")));
    }
    let redaction = Redaction {
        by: requester.user,
        himself: body.use_admin.unwrap_or(false),
        rooms: if body.rooms.is_empty() { rooms_of(&app, &user).await? } else { body.rooms },
        reason: body.reason,
        limit: limit as usize,
        from_ms: body.after_ts.unwrap_or(i64::MIN),
        until_ms: body.before_ts.unwrap_or(i64::MAX),
    };
    let id = redaction.start(&app.jobs, &user).await?;
    Ok(Reply(json!({ "redact_id": id })))
}

/// The rooms in which a user may have said something: he is in them, or was.
async fn rooms_of(app: &App, user: &OwnedUserId) -> ApiResult<Vec<OwnedRoomId>> {
    let memberships = app.rooms.memberships(user).await?;
    let never = [Membership::Invite, Membership::Knock];
    let nids: Vec<_> = memberships
        .iter()
        .filter(|(_, room)| !never.contains(&room.membership))
        .map(|(nid, _)| *nid)
        .collect();
    let ids = rooms::ids(&app.db, &nids).await?;
    ids.into_iter().map(|(_, id)| OwnedRoomId::try_from(id).map_err(ApiError::internal)).collect()
}

async fn status(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Value>> {
    let job = app.jobs.get(&id).await?.filter(|job| job.kind == Kind::Redact);
    let job = job.ok_or_else(|| ApiError::not_found("Nothing is known under that ID"))?;
    let mut answer = json!({ "status": job.status.as_str() });
    match job.status {
        Status::Complete => {
            let outcome: Outcome = serde_json::from_str(&job.result).map_err(ApiError::internal)?;
            answer["failed_redactions"] = json!(outcome.failed_redactions);
        }
        Status::Failed => answer["error"] = json!(job.error),
        Status::Scheduled | Status::Active | Status::Purging => {}
    }
    Ok(Reply(answer))
}
