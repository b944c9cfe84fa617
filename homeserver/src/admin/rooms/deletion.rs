//! Deleting rooms, and old messages of rooms; how far that is.

use std::sync::Arc;

use axum::extract::State;
use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::request::{Admin, local};
use crate::app::App;
use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::Path;
use crate::http::json::{Json, JsonOrEmpty, Reply};
use crate::http::router::{Route, delete, get, post};
use crate::nid::TimelineOrd;
use crate::room::{Room, RoomError};
use crate::services::room_jobs::shutdown::Shutdown;
use crate::services::room_jobs::{Deletion, HistoryPurge};
use crate::storage::jobs::{Job, Kind, Status};
use crate::storage::timeline_read::near_time;

/// The longest name of a new room, and the longest message in it.
const MAX_NAME: usize = 255;
const MAX_MESSAGE: usize = 16_384;
const NAME: &str = "Content Violation Notification";
const MESSAGE: &str = "Sharing illegal content on this server is not permitted and rooms in violation will be blocked.";

/// The endpoints of this module.
pub(super) fn routes() -> Vec<Route<Arc<App>>> {
    vec![
        delete("/_synapse/admin/v1/rooms/{roomId}", delete_and_wait),
        delete("/_synapse/admin/v2/rooms/{roomId}", start),
        get("/_synapse/admin/v2/rooms/{roomId}/delete_status", of_room),
        get("/_synapse/admin/v2/rooms/delete_status/{deleteId}", of_deletion),
        post("/_synapse/admin/v1/purge_history/{roomId}", purge),
        post("/_synapse/admin/v1/purge_history/{roomId}/{eventId}", purge_to),
        get("/_synapse/admin/v1/purge_history_status/{purgeId}", of_purge),
    ]
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delete {
    new_room_user_id: Option<OwnedUserId>,
    room_name: Option<String>,
    message: Option<String>,
    block: bool,
    purge: Option<bool>,
    force_purge: bool,
}

impl Delete {
    fn check(&self, app: &App) -> ApiResult<()> {
        if let Some(user) = &self.new_room_user_id {
            local(app, user)?;
        }
        for (name, text, most) in
            [("room_name", &self.room_name, MAX_NAME), ("message", &self.message, MAX_MESSAGE)]
        {
            if text.as_ref().is_some_and(|text| text.len() > most) {
                return Err(ApiError::too_large(format!("{name} may have {most} bytes")));
            }
        }
        Ok(())
    }

    fn deletion(self) -> Deletion {
        Deletion {
            new_room_user_id: self.new_room_user_id,
            room_name: self.room_name.unwrap_or_else(|| NAME.to_owned()),
            message: self.message.unwrap_or_else(|| MESSAGE.to_owned()),
            purge: self.purge.unwrap_or(true),
            force_purge: self.force_purge,
        }
    }
}

fn shutdown(job: &Job) -> ApiResult<Shutdown> {
    serde_json::from_str(&job.result).map_err(ApiError::internal)
}

async fn delete_and_wait(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Delete>,
) -> ApiResult<Reply<Shutdown>> {
    body.check(&app)?;
    let known = match app.rooms.get(&id).await {
        Ok(_) => true,
        Err(RoomError::NotFound) if body.block => false,
        Err(error) => return Err(error.into()),
    };
    if body.block {
        app.blocked_rooms.block(&id, &requester.user).await?;
    }
    if !known {
        return Ok(Reply(Shutdown::default()));
    }
    let job = body.deletion().start(&app.jobs, &id).await?;
    let job = app.jobs.ended(&job).await?;
    match (job.status, &job.error) {
        (Status::Failed, Some(error)) => Err(ApiError::unknown(error.clone())),
        _ => Ok(Reply(shutdown(&job)?)),
    }
}

async fn start(
    State(app): State<Arc<App>>,
    Admin(requester): Admin,
    Path(id): Path<OwnedRoomId>,
    Json(body): Json<Delete>,
) -> ApiResult<Reply<Value>> {
    body.check(&app)?;
    app.rooms.get(&id).await?;
    if body.block {
        app.blocked_rooms.block(&id, &requester.user).await?;
    }
    let job = body.deletion().start(&app.jobs, &id).await?;
    Ok(Reply(json!({ "delete_id": job })))
}

fn told(job: &Job) -> ApiResult<Value> {
    let mut answer = json!({
        "delete_id": job.id,
        "room_id": job.subject,
        "status": job.status.as_str(),
        "shutdown_room": shutdown(job)?,
    });
    if let Some(error) = &job.error {
        answer["error"] = json!(error);
    }
    Ok(answer)
}

async fn of_room(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedRoomId>,
) -> ApiResult<Reply<Value>> {
    let jobs = app.jobs.on(id.as_str(), Kind::Delete).await?;
    if jobs.is_empty() {
        return Err(ApiError::not_found("That room was not deleted lately"));
    }
    let results: Vec<Value> = jobs.iter().map(told).collect::<ApiResult<_>>()?;
    Ok(Reply(json!({ "results": results })))
}

async fn find(app: &App, id: &str, kind: Kind) -> ApiResult<Job> {
    let job = app.jobs.get(id).await?.filter(|job| job.kind == kind);
    job.ok_or_else(|| ApiError::not_found("Nothing is known under that ID"))
}

async fn of_deletion(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Value>> {
    Ok(Reply(told(&find(&app, &id, Kind::Delete).await?)?))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Purge {
    delete_local_events: bool,
    #[serde(rename = "purge_up_to_event_id")]
    up_to_event: Option<OwnedEventId>,
    #[serde(rename = "purge_up_to_ts")]
    up_to_ts: Option<i64>,
}

async fn purge(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<OwnedRoomId>,
    JsonOrEmpty(body): JsonOrEmpty<Purge>,
) -> ApiResult<Reply<Value>> {
    start_purge(&app, &id, &body).await
}

async fn purge_to(
    State(app): State<Arc<App>>,
    _: Admin,
    Path((id, event)): Path<(OwnedRoomId, OwnedEventId)>,
    JsonOrEmpty(body): JsonOrEmpty<Purge>,
) -> ApiResult<Reply<Value>> {
    let body = Purge { up_to_event: Some(event), ..body };
    start_purge(&app, &id, &body).await
}

async fn start_purge(app: &App, id: &OwnedRoomId, body: &Purge) -> ApiResult<Reply<Value>> {
    let room = app.rooms.get(id).await?;
    let before = match (&body.up_to_event, body.up_to_ts) {
        (Some(event), _) => place_of(app, &room, event).await?,
        (None, Some(ts)) => place_at(app, &room, ts).await?,
        (None, None) => {
            let text = "Say how far: purge_up_to_event_id or purge_up_to_ts";
            return Err(ApiError::missing_param(text));
        }
    };
    let purge = HistoryPurge { before, local_too: body.delete_local_events };
    let job = purge.start(&app.jobs, id).await?;
    Ok(Reply(json!({ "purge_id": job })))
}

async fn place_of(app: &App, room: &Room, event: &EventId) -> ApiResult<TimelineOrd> {
    let event = app.rooms.event(event).await?.filter(|event| event.room == room.nid());
    let place = event.and_then(|event| event.place());
    place.map(|place| place.ord).ok_or_else(|| ApiError::not_found("The room has no such event"))
}

/// The place of the last event up to a time, which stays.
async fn place_at(app: &App, room: &Room, ts: i64) -> ApiResult<TimelineOrd> {
    let near = near_time(&app.db, room.nid(), (ts, TimelineOrd::MAX), false, 1).await?;
    let nothing = || ApiError::not_found("The room has no events from before that time");
    near.first().map(|event| event.ord).ok_or_else(nothing)
}

async fn of_purge(
    State(app): State<Arc<App>>,
    _: Admin,
    Path(id): Path<String>,
) -> ApiResult<Reply<Value>> {
    let job = find(&app, &id, Kind::PurgeHistory).await?;
    // There is no word for waiting here.
    let status = if job.status == Status::Scheduled { "active" } else { job.status.as_str() };
    let mut answer = json!({ "status": status });
    if let Some(error) = &job.error {
        answer["error"] = json!(error);
    }
    Ok(Reply(answer))
}
